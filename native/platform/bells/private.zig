//! Where private channels lie: a private channel lies among the bells of the participant that hosts it.

const std = @import("std");
const folders = @import("folder.zig");
const names = @import("names.zig");
const files = @import("../sys/files.zig");
const kernel = @import("../sys/kernel.zig");
const target = @import("../target.zig");
const Control = @import("../../abi.zig").Control;
const Error = @import("../../abi.zig").Error;
const Bells = @import("bells.zig").Bells;

/// `name` is `u<uid>/p<index>-<epoch>-<channel>`, which the host sends to other participants.
pub fn find(
    main: *const Bells,
    name: []const u8,
    is_own: bool,
    control: *Control,
    location: *target.Location,
) Error!void {
    return if (is_own) own_location(main, control, location) else other_location(main, name, control, location);
}

/// Removes any earlier private channel of this participant.
fn own_location(main: *const Bells, control: *Control, location: *target.Location) Error!void {
    const own = main.own;
    if (own < 0) {
        control.fail(.no_bells, 0);
        return error.Permission;
    }
    main.forget_own_private();
    var buffer: names.Name = undefined;
    return make(own, main.uid, main.private_name(&buffer), control, location);
}

fn other_location(main: *const Bells, name: []const u8, control: *Control, location: *target.Location) Error!void {
    const parts = parse(name) orelse {
        control.fail(.name_invalid, 0);
        return error.Corrupt;
    };
    if (main.top < 0) {
        control.fail(.no_bells, 0);
        return error.Permission;
    }
    const folder = folders.open_user_folder(main.top, parts.uid) orelse {
        control.fail(.open_file, @backingInt(kernel.Errno.NOENT));
        return error.NotFound;
    };
    defer files.close(folder);
    return make(folder, parts.uid, parts.file, control, location);
}

fn make(folder: i32, uid: u32, file: []const u8, control: *Control, location: *target.Location) Error!void {
    const copy = files.duplicate(folder);
    if (!copy.ok()) {
        control.fail(.open_file, @backingInt(copy.errno));
        return target.errno_error(copy.errno);
    }
    location.path = .init();
    location.path.print("u{d}/", .{uid}) catch unreachable;
    location.name_start = location.path.length;
    location.path.append(file) catch unreachable;
    location.folder = copy.fd();
}

const Parts = struct { uid: u32, file: []const u8 };

/// The name comes from another process and becomes part of a path.
fn parse(name: []const u8) ?Parts {
    if (name.len < 2 or name.len >= names.name_bytes_max or name[0] != 'u') return null;
    const slash = std.mem.indexOfScalar(u8, name, '/') orelse return null;
    for (name[1..slash]) |digit| if (!std.ascii.isDigit(digit)) return null;
    const uid = std.fmt.parseInt(u32, name[1..slash], 10) catch return null;
    const file = name[slash + 1 ..];
    if (file.len < 2 or file[0] != 'p') return null;
    for (file[1..]) |byte| if (!std.ascii.isHex(byte) and byte != '-') return null;
    return .{ .uid = uid, .file = file };
}

/// Whether a private channel was made by the user in whose folder it lies.
pub fn belongs(there: *const target.Location, uid: u32) bool {
    const folder = files.stat(there.folder, "");
    return folder == .info and folder.info.uid == uid;
}

test "names of private channels" {
    const parts = parse("u1000/p12-1f-abcdef").?;
    try std.testing.expectEqual(1000, parts.uid);
    try std.testing.expectEqualStrings("p12-1f-abcdef", parts.file);
    const impossible = [_][]const u8{
        "",          "u",           "u1",       "u/p1-1-1",     "u1/",      "u1/p",
        "u1/b1-1-1", "u1/p../x",    "u1/../p1", "u1/p1-1/p1-1", "u-1/p1-1", "u4294967296/p1",
        "1/p1-1",    "u1/p1.bells",
    };
    for (impossible) |name| try std.testing.expectEqual(null, parse(name));
}
