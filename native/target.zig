//! From what a user names to the path of a file. The environment is the one that the process
//! started with, so that no runtime permission is needed to read it.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys.zig");
const Error = abi.Error;
const Control = abi.Control;
const path_bytes_max = @import("bells.zig").path_bytes_max;

pub const suffix = ".tandem";
const name_bytes_max = 64;

pub const Path = struct {
    bytes: [path_bytes_max]u8,
    length: usize,

    /// A function and no default: that would be four kilobytes of zeros in the library.
    pub fn init() Path {
        var path: Path = undefined;
        @memset(&path.bytes, 0);
        path.length = 0;
        return path;
    }

    pub fn text(path: *const Path) [*:0]const u8 {
        return @ptrCast(&path.bytes);
    }

    pub fn slice(path: *const Path) []const u8 {
        return path.bytes[0..path.length];
    }

    pub fn append(path: *Path, bytes: []const u8) Error!void {
        // One byte stays for the NUL.
        if (path.length + bytes.len >= path.bytes.len) return error.InvalidTarget;
        @memcpy(path.bytes[path.length..][0..bytes.len], bytes);
        path.length += bytes.len;
    }

    pub fn print(path: *Path, comptime format: []const u8, arguments: anytype) Error!void {
        const room = path.bytes[path.length .. path.bytes.len - 1];
        const text_ = std.fmt.bufPrint(room, format, arguments) catch return error.InvalidTarget;
        path.length += text_.len;
    }

    /// The folder that the file lies in.
    pub fn folder(path: *const Path) Path {
        var result = path.*;
        if (std.mem.lastIndexOfScalar(u8, path.slice(), '/')) |slash| {
            result.length = @max(slash, 1);
        } else {
            result.length = 0;
            result.append(".") catch unreachable;
        }
        @memset(result.bytes[result.length..], 0);
        return result;
    }
};

/// A name lies in the default folder; what has a slash in it is a path.
pub fn resolve(target: []const u8, make_folder: bool, control: *Control) Error!Path {
    if (std.mem.indexOfScalar(u8, target, 0) != null) return invalid(control, .name_invalid);
    var path: Path = .init();
    if (std.mem.indexOfScalar(u8, target, '/') != null) {
        path.append(target) catch return invalid(control, .path_too_long);
        return path;
    }
    if (!valid_name(target)) return invalid(control, .name_invalid);
    path = try default_folder(control);
    try secure_folder(&path, make_folder, control);
    path.append("/") catch return invalid(control, .path_too_long);
    path.append(target) catch return invalid(control, .path_too_long);
    path.append(suffix) catch return invalid(control, .path_too_long);
    return path;
}

fn invalid(control: *Control, detail: abi.Detail) Error {
    control.fail(detail, 0);
    return error.InvalidTarget;
}

fn valid_name(name: []const u8) bool {
    if (name.len < 1 or name.len > name_bytes_max) return false;
    if (!std.ascii.isAlphanumeric(name[0])) return false;
    for (name) |byte| {
        if (!std.ascii.isAlphanumeric(byte) and byte != '.' and byte != '_' and byte != '-') return false;
    }
    return true;
}

pub fn default_folder(control: *Control) Error!Path {
    var path: Path = .init();
    if (try read_environment(&path, control)) return path;
    path.length = 0;
    path.print("/dev/shm/tandem-{d}", .{sys.geteuid()}) catch return invalid(control, .path_too_long);
    return path;
}

/// Makes the folder if asked to and refuses one in which others could put files.
pub fn secure_folder(path: *const Path, make: bool, control: *Control) Error!void {
    if (make) {
        const result = sys.mkdir(path.text(), 0o700);
        if (!result.ok() and result.errno != .EXIST) {
            control.fail(.make_directory, @backingInt(result.errno));
            return errno_error(result.errno);
        }
    }
    switch (sys.stat_path(path.text())) {
        .errno => |errno| {
            control.fail(.open_file, @backingInt(errno));
            return errno_error(errno);
        },
        .info => |info| {
            if (info.kind != .directory) return refuse(control, .not_a_directory, 0, 0);
            if (info.uid != sys.geteuid()) return refuse(control, .directory_owner, info.uid, sys.geteuid());
            if (info.mode & 0o022 != 0) return refuse(control, .directory_mode, info.mode, 0o700);
        },
    }
}

fn refuse(control: *Control, detail: abi.Detail, found: u64, wanted: u64) Error {
    control.compare(detail, found, wanted);
    return error.Permission;
}

/// The codes that the usual errno of opening and making files stand for.
pub fn errno_error(errno: sys.Errno) Error {
    return switch (errno) {
        .NOENT, .NOTDIR => error.NotFound,
        .EXIST => error.Exists,
        .ACCES, .PERM, .ROFS => error.Permission,
        .NOSPC, .DQUOT, .NOMEM, .FBIG, .MFILE, .NFILE => error.NoSpace,
        .NAMETOOLONG => error.InvalidTarget,
        // A symbolic link, a folder, a socket: there is something, and it is no channel.
        .LOOP, .ISDIR, .NXIO => error.Corrupt,
        .NOSYS => error.Unsupported,
        else => error.System,
    };
}

/// TANDEM_DIR as it was when the process started. False: it is not set, or there is no /proc to tell.
/// What lacks descriptors or memory for a look must not end up in another folder than its peers.
fn read_environment(path: *Path, control: *Control) Error!bool {
    const variable = "TANDEM_DIR=";
    const opened = sys.open("/proc/self/environ", sys.o_rdonly | sys.o_cloexec, 0);
    if (!opened.ok()) {
        const err = errno_error(opened.errno);
        if (err != error.NoSpace) return false;
        control.fail(.open_file, @backingInt(opened.errno));
        return err;
    }
    defer sys.close(opened.fd());
    // ARG_MAX bounds the environment well below this.
    const memory_bytes = 8 << 20;
    const memory = sys.mmap_private(memory_bytes);
    if (!memory.ok()) {
        control.fail(.map_memory, @backingInt(memory.errno));
        return error.NoSpace;
    }
    defer sys.munmap(memory.value, memory_bytes);
    const buffer = @as([*]u8, @ptrFromInt(memory.value))[0..memory_bytes];
    var length: usize = 0;
    while (length < buffer.len) {
        const result = sys.read(opened.fd(), buffer[length..]);
        if (!result.ok() or result.value == 0) break;
        length += result.value;
    }
    var entries = std.mem.splitScalar(u8, buffer[0..length], 0);
    while (entries.next()) |entry| {
        if (!std.mem.startsWith(u8, entry, variable)) continue;
        const value = std.mem.trimEnd(u8, entry[variable.len..], "/");
        if (value.len == 0) return false;
        path.append(value) catch return invalid(control, .path_too_long);
        return true;
    }
    return false;
}

test "names" {
    for ([_][]const u8{ "a", "thumbs", "A.b_c-9", "0" }) |name| try std.testing.expect(valid_name(name));
    const long: [65]u8 = @splat('a');
    try std.testing.expect(valid_name(long[0..64]));
    for ([_][]const u8{ "", ".a", "-a", "_a", "a b", "ä", &long }) |name| try std.testing.expect(!valid_name(name));
}

test "folders of paths" {
    const cases = [_][2][]const u8{ .{ "/a/b", "/a" }, .{ "/a", "/" }, .{ "./x", "." }, .{ "x/y/z", "x/y" } };
    for (cases) |case| {
        var path: Path = .init();
        try path.append(case[0]);
        const folder = path.folder();
        try std.testing.expectEqualStrings(case[1], folder.slice());
        try std.testing.expectEqual(@as(u8, 0), folder.bytes[folder.length]);
    }
}
