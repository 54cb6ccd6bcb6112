//! The title of this process in lists of processes. It is written over the arguments that the process was
//! started with, which is where the kernel takes it from, and into the name of the main thread.

const std = @import("std");
const files = @import("../platform/sys/files.zig");
const process = @import("../platform/sys/process.zig");

/// The place of the arguments, as the kernel knows it.
const Area = struct {
    start: usize,
    end: usize,

    fn bytes(area: Area) []u8 {
        const first: [*]u8 = @ptrFromInt(area.start);
        return first[0 .. area.end - area.start];
    }
};

/// The kernel shows no more of a title.
const title_bytes_max = 4096;
const name_bytes_max = 15;
const standby_suffix = " - standby";

/// Threads of a process may wait at the same time.
var mutex: std.atomic.Value(u32) = .init(0);
/// Waits that show in the title.
var standbys: u32 = 0;
/// What the title was before; null: it stays as it is.
var replaced: ?Saved = null;

/// The bytes that a title has overwritten.
const Saved = struct {
    area: []u8,
    first: [title_bytes_max]u8,
    last: u8,
    name: [name_bytes_max + 1]u8,
    name_length: usize,
};

/// Shows `title`, or as much of its beginning as the arguments had room for.
pub fn set(title: []const u8) void {
    lock();
    defer unlock();
    replaced = null;
    if (area_of_arguments()) |area| write(area.bytes(), title);
    name_main_thread(title);
}

/// The process waits: its title ends with " - standby" from now on.
pub fn begin_standby() void {
    lock();
    defer unlock();
    standbys += 1;
    if (standbys > 1) return;
    const area = area_of_arguments() orelse return;
    replaced = save(area.bytes()) orelse return;
    var buffer: [title_bytes_max]u8 = undefined;
    write(area.bytes(), with_suffix(shown(&replaced.?), @min(area.bytes().len - 2, title_bytes_max), &buffer));
    name_main_thread(with_suffix(replaced.?.name[0..replaced.?.name_length], name_bytes_max, &buffer));
}

/// A wait is over. The last one brings the title back.
pub fn end_standby() void {
    lock();
    defer unlock();
    standbys -|= 1;
    if (standbys > 0) return;
    const saved = &(replaced orelse return);
    const first_length = @min(saved.area.len, title_bytes_max);
    @memcpy(saved.area[0..first_length], saved.first[0..first_length]);
    saved.area[saved.area.len - 1] = saved.last;
    name_main_thread(saved.name[0..saved.name_length]);
    replaced = null;
}

/// The title of a process in `buffer`; empty: this process may not read it, or there is no such process.
pub fn of(pid: u32, buffer: []u8) []const u8 {
    var path: [32]u8 = undefined;
    const name = std.fmt.bufPrintSentinel(&path, "/proc/{d}/cmdline", .{pid}, 0) catch unreachable;
    return spaced(buffer[0..(read_file(name, buffer) orelse return "").len]);
}

fn lock() void {
    while (mutex.cmpxchgWeak(0, 1, .acquire, .monotonic) != null) std.atomic.spinLoopHint();
}

fn unlock() void {
    mutex.store(0, .release);
}

/// Null: there is no room for the suffix, or the kernel does not tell the name.
fn save(area: []u8) ?Saved {
    if (area.len < standby_suffix.len + 2) return null;
    var saved: Saved = .{ .area = area, .first = undefined, .last = area[area.len - 1], .name = undefined, .name_length = 0 };
    const first_length = @min(area.len, title_bytes_max);
    @memcpy(saved.first[0..first_length], area[0..first_length]);
    const name = read_file("/proc/self/comm", &saved.name) orelse return null;
    saved.name_length = std.mem.trimEnd(u8, name, "\n").len;
    return saved;
}

/// What the kernel shows of saved arguments.
fn shown(saved: *Saved) []const u8 {
    var text: []u8 = saved.first[0..@min(saved.area.len, title_bytes_max)];
    // See `write`.
    if (saved.last != 0) text = text[0 .. std.mem.findScalar(u8, text, 0) orelse text.len];
    return text;
}

/// Arguments are separated by zeros.
fn spaced(arguments: []u8) []const u8 {
    const text = arguments[0..std.mem.trimEnd(u8, arguments, "\x00").len];
    std.mem.replaceScalar(u8, text, 0, ' ');
    return text;
}

fn with_suffix(title: []const u8, bytes_max: usize, buffer: *[title_bytes_max]u8) []const u8 {
    @memcpy(buffer[0..title.len], title);
    const kept = whole_characters(spaced(buffer[0..title.len]), bytes_max - standby_suffix.len);
    @memcpy(buffer[kept.len..][0..standby_suffix.len], standby_suffix);
    return buffer[0 .. kept.len + standby_suffix.len];
}

/// If the last byte is not zero, the kernel shows no more than the text up to the first zero.
fn write(area: []u8, title: []const u8) void {
    if (area.len < 2) return;
    const room = area[0..@min(area.len - 1, title_bytes_max)];
    const visible = whole_characters(title, room.len - 1);
    @memcpy(room[0..visible.len], visible);
    @memset(room[visible.len..], 0);
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
    const opened = files.open("/proc/self/comm", files.o_wronly | files.o_cloexec, 0);
    if (!opened.ok()) return;
    defer files.close(opened.fd());
    _ = files.write(opened.fd(), whole_characters(title, name_bytes_max));
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

test "a title of one that waits ends with that" {
    var buffer: [title_bytes_max]u8 = undefined;
    try std.testing.expectEqualStrings("bun x.ts - standby", with_suffix("bun\x00x.ts\x00", 40, &buffer));
    try std.testing.expectEqualStrings("bun - standby", with_suffix("bun\x00x.ts", 13, &buffer));
    try std.testing.expectEqualStrings(" - standby", with_suffix("bun", 10, &buffer));
}

test "the title of another process" {
    var buffer: [64]u8 = undefined;
    try std.testing.expect(of(process.id(), &buffer).len > 0);
    try std.testing.expectEqualStrings("", of(0, &buffer));
}
