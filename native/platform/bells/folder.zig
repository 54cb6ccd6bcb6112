//! The folders beside a channel: one of its owner, and in it one for each user. Each is opened once, without
//! following a link, and checked through its descriptor.

const std = @import("std");
const names = @import("names.zig");
const files = @import("../sys/files.zig");
const kernel = @import("../sys/kernel.zig");
const process = @import("../sys/process.zig");
const target = @import("../target.zig");
const Control = @import("../../abi.zig").Control;
const Error = @import("../../abi.zig").Error;

/// Where the folder of bells is, and which user may have made it.
pub const Home = struct {
    parent: i32,
    /// The name of the channel; `suffix` follows.
    name: []const u8,
    /// The owner, group and mode of the channel's file.
    uid: u32,
    gid: u32,
    mode: u32,
};

/// Others pass through, and only the user writes.
const own_mode = 0o711;

const sticky = 0o1000;

/// Whether no other user (except root) can put, rename or remove anything in a folder.
pub fn is_own_folder(fd: i32) bool {
    const info = files.stat(fd, "");
    return info == .info and info.info.uid == process.user() and info.info.mode & 0o022 == 0;
}

pub const Opened = struct { fd: i32, info: files.FileInfo };

/// Opens a folder to name things in it, without following a link.
pub fn open_folder(parent: i32, name: [*:0]const u8) kernel.Result {
    return files.openat(parent, name, files.o_path | files.o_directory | files.o_nofollow | files.o_cloexec, 0);
}

/// Null: there is none, and this user may not make one.
pub fn open_top(home: *const Home, control: *Control) Error!?Opened {
    var buffer: names.FolderName = undefined;
    const name = names.folder_name_of(home.name, &buffer) catch {
        control.fail(.path_too_long, 0);
        return error.InvalidTarget;
    };
    const is_owner = home.uid == process.user();
    // Others make and remove the same folder meanwhile.
    for (0..16) |_| {
        const opened = open_folder(home.parent, name);
        if (opened.ok()) return try check_top(home, opened.fd(), is_owner, control);
        switch (opened.errno) {
            .NOENT => if (!is_owner and process.user() != 0) return null,
            .NOTDIR, .LOOP => return target.refuse(control, .bells_kind, 0, 0),
            else => return null,
        }
        const made = files.mkdirat(home.parent, name, 0o700);
        if (!made.ok() and made.errno != .EXIST) return null;
    }
    return null;
}

fn check_top(home: *const Home, fd: i32, is_owner: bool, control: *Control) Error!?Opened {
    errdefer files.close(fd);
    const info = switch (files.stat(fd, "")) {
        .errno => {
            files.close(fd);
            return null;
        },
        .info => |info| info,
    };
    const made_by_root = info.uid == 0 and process.user() == 0;
    if (info.uid != home.uid and !made_by_root) return target.refuse(control, .bells_owner, info.uid, home.uid);
    const wanted = top_mode(home.mode);
    if (info.mode & 0o022 & ~wanted != 0 or (info.mode & 0o022 != 0 and info.mode & sticky == 0))
        return target.refuse(control, .bells_mode, info.mode, wanted);
    if (!is_owner and !made_by_root) return .{ .fd = fd, .info = info };
    // The channel's owner, group or mode may have changed since.
    if (info.uid != home.uid or info.gid != home.gid) {
        const uid: ?u32 = if (info.uid != home.uid) home.uid else null;
        // If this user may not change the group, members of that group have no folder.
        _ = files.chown_of(fd, uid, home.gid);
    }
    if (info.mode != wanted) _ = files.chmod_of(fd, wanted);
    return .{ .fd = fd, .info = info };
}

/// Users that may read and write the channel may make folders in the folder of its bells.
fn top_mode(channel_mode: u32) u32 {
    var mode: u32 = sticky | 0o700;
    inline for (.{ 0, 3 }) |shift| {
        if (channel_mode >> shift & 6 == 6) mode |= 7 << shift;
    }
    return mode;
}

pub fn open_own(top: i32, uid: u32) ?i32 {
    var buffer: names.Name = undefined;
    const name = names.user_folder_name(&buffer, uid);
    const made = files.mkdirat(top, name, 0o700);
    if (!made.ok() and made.errno != .EXIST) return null;
    const opened = open_folder(top, name);
    if (!opened.ok()) return null;
    const info = files.stat(opened.fd(), "");
    // Another participant may have made it first, to write into it.
    if (info != .info or info.info.uid != uid or info.info.mode & 0o022 != 0) {
        files.close(opened.fd());
        return null;
    }
    if (info.info.mode != own_mode) _ = files.chmod_of(opened.fd(), own_mode);
    return opened.fd();
}

/// Opens a folder if it belongs to that user, and if other users may not write to it or it is sticky.
pub fn open_of_user(parent: i32, name: [*:0]const u8, uid: u32) ?i32 {
    const opened = open_folder(parent, name);
    if (!opened.ok()) return null;
    const info = files.stat(opened.fd(), "");
    const is_theirs = info == .info and info.info.uid == uid;
    if (is_theirs and (info.info.mode & 0o022 == 0 or info.info.mode & sticky != 0)) return opened.fd();
    files.close(opened.fd());
    return null;
}

pub fn open_user_folder(top: i32, uid: u32) ?i32 {
    var buffer: names.Name = undefined;
    const opened = open_folder(top, names.user_folder_name(&buffer, uid));
    return if (opened.ok()) opened.fd() else null;
}

/// Reads short names in a folder. The files may be removed meanwhile.
pub const Reader = struct {
    entries: files.DirectoryReader,
    name: names.Name = undefined,

    pub fn open(folder: i32) ?Reader {
        const opened = files.openat(folder, ".", files.o_rdonly | files.o_directory | files.o_cloexec, 0);
        return if (opened.ok()) .{ .entries = .{ .fd = opened.fd() } } else null;
    }

    pub fn close(reader: *const Reader) void {
        files.close(reader.entries.fd);
    }

    /// The names that begin with `letter`, or all; valid until the next call.
    pub noinline fn next(reader: *Reader, letter: ?u8) ?[*:0]const u8 {
        while (reader.entries.next()) |name| {
            if (name.len == 0 or name.len >= names.name_bytes_max or name[0] == '.') continue;
            if (letter) |first| if (name[0] != first) continue;
            @memcpy(reader.name[0..name.len], name);
            reader.name[name.len] = 0;
            return @ptrCast(&reader.name);
        }
        return null;
    }
};

test "users that may open the channel may use the folder of bells" {
    try std.testing.expectEqual(0o1700, top_mode(0o600));
    try std.testing.expectEqual(0o1770, top_mode(0o660));
    try std.testing.expectEqual(0o1777, top_mode(0o666));
    try std.testing.expectEqual(0o1700, top_mode(0o644));
    try std.testing.expectEqual(0o1707, top_mode(0o606));
}
