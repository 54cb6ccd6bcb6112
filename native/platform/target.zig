//! From the name or path that a user gives to a file's name in an open folder. A folder is opened once and
//! checked through its descriptor: if others may write to it, a name can stand for another file a moment
//! later. The environment is that of the start of the process, so that reading it needs no runtime
//! permission.

const std = @import("std");
const abi = @import("../abi.zig");
const files = @import("sys/files.zig");
const kernel = @import("sys/kernel.zig");
const mappings = @import("sys/mappings.zig");
const process = @import("sys/process.zig");
const Error = abi.Error;
const Control = abi.Control;

pub const path_bytes_max = 4096;

pub const Suffix = enum {
    channel,
    limit,

    pub fn text(suffix: Suffix) []const u8 {
        return switch (suffix) {
            .channel => ".tandem",
            .limit => ".limit",
        };
    }
};

const name_bytes_max = 64;
/// A lock has any name, and its limit an encoded one, which is longer (src/limit/lock_names.ts). The names of files
/// beside it are longer still, and have up to 255 bytes.
const encoded_prefix = "lock__";
const encoded_bytes_max = 200;

pub const Path = struct {
    bytes: [path_bytes_max]u8,
    length: usize,

    /// A function instead of a default, which would be four kilobytes of zeros in the library.
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
        // One byte is reserved for the NUL.
        if (path.length + bytes.len >= path.bytes.len) return error.InvalidTarget;
        @memcpy(path.bytes[path.length..][0..bytes.len], bytes);
        path.length += bytes.len;
    }

    pub fn print(path: *Path, comptime format: []const u8, arguments: anytype) Error!void {
        const room = path.bytes[path.length .. path.bytes.len - 1];
        const text_ = std.fmt.bufPrint(room, format, arguments) catch return error.InvalidTarget;
        path.length += text_.len;
    }
};

/// A file's name in an open folder.
pub const Location = struct {
    folder: i32,
    /// Absolute, for messages and for `client.path`.
    path: Path,
    /// Where the name begins in the path.
    name_start: usize,

    pub fn name(location: *const Location) [*:0]const u8 {
        return @ptrCast(location.path.bytes[location.name_start..].ptr);
    }

    pub fn close(location: *const Location) void {
        files.close(location.folder);
    }
};

/// A name lies in the default folder, and its file has the suffix; a target with a slash is a path.
///
/// (A location is large. Returned beside errors, it would become a constant of four kilobytes for each.)
pub fn resolve(
    target: []const u8,
    suffix: Suffix,
    make_folder: bool,
    control: *Control,
    location: *Location,
) Error!void {
    if (std.mem.indexOfScalar(u8, target, 0) != null) return invalid(control, .name_invalid);
    if (std.mem.indexOfScalar(u8, target, '/') != null) return resolve_path(target, control, location);
    if (!valid_name(target, suffix)) return invalid(control, .name_invalid);
    const path = &location.path;
    path.* = try default_folder(control);
    location.folder = try open_own_folder(path, make_folder, control);
    errdefer location.close();
    path.append("/") catch return invalid(control, .path_too_long);
    location.name_start = path.length;
    path.append(target) catch return invalid(control, .path_too_long);
    path.append(suffix.text()) catch return invalid(control, .path_too_long);
}

/// Makes the path absolute, because the process may change its working directory.
fn resolve_path(target: []const u8, control: *Control, location: *Location) Error!void {
    const path = &location.path;
    path.* = .init();
    if (target[0] != '/') {
        const length = files.working_directory(path.bytes[0 .. path.bytes.len - 2]);
        if (!length.ok()) return open_failed(control, length.errno);
        path.length = length.value;
        if (path.length > 1) path.append("/") catch unreachable;
    }
    path.append(target) catch return invalid(control, .path_too_long);
    const slash = std.mem.lastIndexOfScalar(u8, path.slice(), '/').?;
    var folder_path = path.*;
    @memset(folder_path.bytes[@max(slash, 1)..], 0);
    // The user has named this folder, possibly through a link.
    const folder = files.open(folder_path.text(), files.o_path | files.o_directory | files.o_cloexec, 0);
    if (!folder.ok()) return open_failed(control, folder.errno);
    // A path that ends in a slash names the folder itself, which is not a channel.
    if (slash + 1 == path.length) path.append(".") catch {
        files.close(folder.fd());
        return invalid(control, .path_too_long);
    };
    location.folder = folder.fd();
    location.name_start = slash + 1;
}

fn open_failed(control: *Control, errno: kernel.Errno) Error {
    control.fail(.open_file, @backingInt(errno));
    return errno_error(errno);
}

fn invalid(control: *Control, detail: abi.Detail) Error {
    control.fail(detail, 0);
    return error.InvalidTarget;
}

pub fn valid_name(name: []const u8, suffix: Suffix) bool {
    const is_encoded = suffix == .limit and std.mem.startsWith(u8, name, encoded_prefix);
    const bytes_max: usize = if (is_encoded) encoded_bytes_max else name_bytes_max;
    if (name.len < 1 or name.len > bytes_max) return false;
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
    path.print("/dev/shm/tandem-{d}", .{process.user()}) catch return invalid(control, .path_too_long);
    return path;
}

/// Opens a folder, after making it if `make` is set. Refuses a folder in which others could put files.
pub fn open_own_folder(path: *const Path, make: bool, control: *Control) Error!i32 {
    if (make) {
        const result = files.mkdir(path.text(), 0o700);
        if (!result.ok() and result.errno != .EXIST) {
            control.fail(.make_directory, @backingInt(result.errno));
            return errno_error(result.errno);
        }
    }
    const opened = files.open(path.text(), files.o_path | files.o_nofollow | files.o_cloexec, 0);
    if (!opened.ok()) return open_failed(control, opened.errno);
    errdefer files.close(opened.fd());
    const info = switch (files.stat(opened.fd(), "")) {
        .errno => |errno| return open_failed(control, errno),
        .info => |info| info,
    };
    if (info.kind != .directory) return refuse(control, .not_a_directory, 0, 0);
    if (info.uid != process.user()) return refuse(control, .directory_owner, info.uid, process.user());
    if (info.mode & 0o022 != 0) return refuse(control, .directory_mode, info.mode, 0o700);
    return opened.fd();
}

pub fn refuse(control: *Control, detail: abi.Detail, found: u64, wanted: u64) Error {
    control.compare(detail, found, wanted);
    return error.Permission;
}

/// The errors that stand for the usual errno of opening and making files.
pub fn errno_error(errno: kernel.Errno) Error {
    return switch (errno) {
        .NOENT, .NOTDIR => error.NotFound,
        .EXIST => error.Exists,
        .ACCES, .PERM, .ROFS => error.Permission,
        .NOSPC, .DQUOT, .NOMEM, .FBIG, .MFILE, .NFILE => error.NoSpace,
        .NAMETOOLONG => error.InvalidTarget,
        // A symbolic link, a folder, a socket: something exists, and it is not a channel.
        .LOOP, .ISDIR, .NXIO => error.Corrupt,
        .NOSYS => error.Unsupported,
        else => error.System,
    };
}

/// Reads TANDEM_DIR as it was when the process started. False: it is not set. A process that cannot read it,
/// for lack of descriptors or because it has changed its user, must not end up in another folder than its
/// peers.
fn read_environment(path: *Path, control: *Control) Error!bool {
    const variable = "TANDEM_DIR=";
    const opened = files.open("/proc/self/environ", files.o_rdonly | files.o_cloexec, 0);
    if (!opened.ok()) {
        const err = errno_error(opened.errno);
        const detail: abi.Detail = if (err == error.NoSpace) .open_file else .environment;
        control.fail(detail, @backingInt(opened.errno));
        return if (err == error.NotFound) error.Unsupported else err;
    }
    defer files.close(opened.fd());
    // ARG_MAX keeps the environment well below this.
    const memory_bytes = 8 << 20;
    const memory = mappings.map_private(memory_bytes);
    if (!memory.ok()) {
        control.fail(.map_memory, @backingInt(memory.errno));
        return error.NoSpace;
    }
    defer mappings.unmap(memory.value, memory_bytes);
    const buffer = @as([*]u8, @ptrFromInt(memory.value))[0..memory_bytes];
    var length: usize = 0;
    while (length < buffer.len) {
        const result = files.read(opened.fd(), buffer[length..]);
        if (!result.ok()) {
            control.fail(.environment, @backingInt(result.errno));
            return errno_error(result.errno);
        }
        if (result.value == 0) break;
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
    const expect = std.testing.expect;
    const long: [201]u8 = @splat('a');
    for ([_][]const u8{ "a", "thumbs", "A.b_c-9", "0", "lock__", long[0..64] }) |name| {
        try expect(valid_name(name, .channel));
        try expect(valid_name(name, .limit));
    }
    for ([_][]const u8{ "", ".a", "-a", "_a", "a b", "ä", long[0..65] }) |name| {
        try expect(!valid_name(name, .channel));
        try expect(!valid_name(name, .limit));
    }
    const encoded = "lock__" ++ long;
    try expect(valid_name(encoded[0..200], .limit));
    try expect(!valid_name(encoded[0..201], .limit));
    try expect(!valid_name(encoded[0..65], .channel));
    try expect(!valid_name("lock__a/b", .limit));
}

test "a path is made absolute, and its folder is opened" {
    var control: Control = .{};
    var location: Location = undefined;
    try resolve("./no-such-channel", .channel, false, &control, &location);
    defer location.close();
    try std.testing.expectEqual(@as(u8, '/'), location.path.slice()[0]);
    try std.testing.expectEqualStrings("no-such-channel", std.mem.span(location.name()));
    try std.testing.expect(std.mem.endsWith(u8, location.path.slice(), "/./no-such-channel"));
    var root: Location = undefined;
    try resolve("/proc", .channel, false, &control, &root);
    defer root.close();
    try std.testing.expectEqualStrings("proc", std.mem.span(root.name()));
    var folder: Location = undefined;
    try resolve("/proc/", .channel, false, &control, &folder);
    defer folder.close();
    try std.testing.expectEqualStrings(".", std.mem.span(folder.name()));
    try std.testing.expectError(error.NotFound, resolve("/no-such-folder/x", .channel, false, &control, &location));
}
