//! The limits in the default folder.

const std = @import("std");
const abi = @import("../../abi.zig");
const layout = @import("../../memory/layout.zig");
const limit_area = @import("../../memory/limit_area.zig");
const files = @import("../../platform/sys/files.zig");
const target = @import("../../platform/target.zig");
const Control = abi.Control;
const Error = abi.Error;

/// Writes the names of the limits that somebody contends for, each with a NUL behind it, as far as there is room.
/// Returns how many bytes all of them need. It joins no limit and makes no file. A dead contender counts.
pub fn list(out: []u8, control: *Control) Error!usize {
    const path = try target.default_folder(control);
    const folder = target.open_own_folder(&path, false, control) catch |err|
        return if (err == error.NotFound) 0 else err;
    defer files.close(folder);
    const opened = files.openat(folder, ".", files.o_rdonly | files.o_directory | files.o_cloexec, 0);
    if (!opened.ok()) {
        control.fail(.open_file, @backingInt(opened.errno));
        return target.errno_error(opened.errno);
    }
    defer files.close(opened.fd());
    const suffix = target.Suffix.limit.text();
    var reader: files.DirectoryReader = .{ .fd = opened.fd() };
    var length: usize = 0;
    while (reader.next()) |file| {
        if (!std.mem.endsWith(u8, file, suffix)) continue;
        const name = file[0 .. file.len - suffix.len];
        if (!target.valid_name(name, .limit) or !contended(folder, file)) continue;
        if (length + name.len < out.len) {
            @memcpy(out[length..][0..name.len], name);
            out[length + name.len] = 0;
        }
        length += name.len + 1;
    }
    return length;
}

/// Whether a contender has its bit. True also for a file that cannot be opened: who opens it as a limit learns why.
fn contended(folder: i32, file: []const u8) bool {
    var name: [256]u8 = @splat(0);
    @memcpy(name[0..file.len], file);
    const flags = files.o_rdonly | files.o_nonblock | files.o_nofollow | files.o_cloexec;
    const opened = files.openat(folder, name[0..file.len :0], flags, 0);
    if (!opened.ok()) return true;
    defer files.close(opened.fd());
    var contending: [@typeInfo(@FieldType(limit_area.Area, "contending")).array.len]u64 = @splat(0);
    const start = layout.Geometry.of_limit.ring_offset + @offsetOf(limit_area.Area, "contending");
    // Too short, or no file with contents: no limit.
    if (!files.pread(opened.fd(), std.mem.asBytes(&contending), start).ok()) return false;
    return !std.mem.allEqual(u64, &contending, 0);
}
