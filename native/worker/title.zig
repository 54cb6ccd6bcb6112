//! The title of this process in lists of processes. It is written over the arguments that the process was
//! started with, which is where the kernel takes it from, and into the name of the main thread.

const std = @import("std");
const files = @import("../platform/sys/files.zig");
const process = @import("../platform/sys/process.zig");

/// The place of the arguments, as the kernel knows it.
const Area = struct { start: usize, end: usize };

/// Shows `title`, or as much of its beginning as the arguments had room for.
pub fn set(title: []const u8) void {
    if (area_of_arguments()) |area| {
        const bytes: [*]u8 = @ptrFromInt(area.start);
        write(bytes[0 .. area.end - area.start], title);
    }
    name_main_thread(title);
}

/// If the last byte is not zero, the kernel shows no more than the text up to the first zero.
fn write(area: []u8, title: []const u8) void {
    if (area.len < 2) return;
    const shown = whole_characters(title, area.len - 2);
    @memcpy(area[0..shown.len], shown);
    @memset(area[shown.len..], 0);
    area[area.len - 1] = 1;
}

/// Null: the kernel does not tell, perhaps because the process has changed its user.
fn area_of_arguments() ?Area {
    var buffer: [1024]u8 = undefined;
    const stat = read_file("/proc/self/stat", &buffer) orelse return null;
    return area_in(stat);
}

fn area_in(stat: []const u8) ?Area {
    // The second field, a name in parentheses, may contain anything.
    const name_end = std.mem.lastIndexOfScalar(u8, stat, ')') orelse return null;
    const third = 3;
    const start_field = 48;
    var fields = std.mem.tokenizeScalar(u8, stat[name_end + 1 ..], ' ');
    for (third..start_field) |_| _ = fields.next() orelse return null;
    const start = std.fmt.parseInt(usize, fields.next() orelse return null, 10) catch return null;
    const end = std.fmt.parseInt(usize, fields.next() orelse return null, 10) catch return null;
    return if (start > 0 and end > start) .{ .start = start, .end = end } else null;
}

fn read_file(path: [*:0]const u8, buffer: []u8) ?[]const u8 {
    const opened = files.open(path, files.o_rdonly | files.o_cloexec, 0);
    if (!opened.ok()) return null;
    defer files.close(opened.fd());
    const result = files.read(opened.fd(), buffer);
    return if (result.ok()) buffer[0..result.value] else null;
}

/// The thread of this call may be another one.
fn name_main_thread(title: []const u8) void {
    const bytes_max = 15;
    const opened = files.open("/proc/self/comm", files.o_wronly | files.o_cloexec, 0);
    if (!opened.ok()) return;
    defer files.close(opened.fd());
    _ = files.write(opened.fd(), whole_characters(title, bytes_max));
}

/// As much of a text in UTF-8 as fits, without a part of a character at its end.
fn whole_characters(title: []const u8, bytes_max: usize) []const u8 {
    const text = std.mem.sliceTo(title, 0);
    if (text.len <= bytes_max) return text;
    var end = bytes_max;
    const continuation = 0b10;
    while (end > 0 and text[end] >> 6 == continuation) end -= 1;
    return text[0..end];
}

test "a title is cut between characters" {
    try std.testing.expectEqualStrings("pool", whole_characters("pool", 4));
    try std.testing.expectEqualStrings("h", whole_characters("hä", 2));
    try std.testing.expectEqualStrings("hä", whole_characters("hä", 3));
    try std.testing.expectEqualStrings("", whole_characters("ä", 1));
    try std.testing.expectEqualStrings("ab", whole_characters("ab\x00c", 9));
}

test "the place of the arguments, of a process with an odd name" {
    // From the third field to the last one before the place.
    const before = "7 (a) b ( 1) S" ++ " 1 2 3 4 5 6 7 8 9 10 11" ++ " 1 2 3 4 5 6 7 8 9 10 11" ++
        " 1 2 3 4 5 6 7 8 9 10 11" ++ " 1 2 3 4 5 6 7 8 9 10 11";
    try std.testing.expectEqual(Area{ .start = 4096, .end = 4106 }, area_in(before ++ " 4096 4106 4106 9000 0\n").?);
    try std.testing.expectEqual(null, area_in(before ++ " 0 0 0 0 0\n"));
    try std.testing.expectEqual(null, area_in("7 (a) S 1"));
}

test "a title ends where the kernel stops reading" {
    var area: [8]u8 = @splat('x');
    write(&area, "pool");
    try std.testing.expectEqualSlices(u8, "pool\x00\x00\x00\x01", &area);
    write(&area, "much too long");
    try std.testing.expectEqualSlices(u8, "much t\x00\x01", &area);
    var tiny: [1]u8 = .{'x'};
    write(&tiny, "pool");
    try std.testing.expectEqualSlices(u8, "x", &tiny);
}
