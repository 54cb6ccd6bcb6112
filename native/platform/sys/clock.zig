//! The machine's monotonic clock.

const std = @import("std");
const libc = @import("../libc.zig");
const kernel = @import("kernel.zig");
const files = @import("files.zig");
const linux = kernel.linux;

const ClockGettime = *const fn (c_int, *linux.kernel_timespec) callconv(.c) c_int;

/// Nanoseconds of this machine's monotonic clock, the same in every process: see `learn`.
pub fn monotonic_ns() u64 {
    const clock_monotonic = 1;
    var time: linux.kernel_timespec = undefined;
    if (libc.function(ClockGettime, "clock_gettime")) |quick| {
        // This does not enter the kernel, and takes a fifth of the time.
        _ = quick(clock_monotonic, &time);
    } else {
        _ = linux.syscall2(.clock_gettime, clock_monotonic, @intFromPtr(&time));
    }
    const own = @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
    return own -% @atomicLoad(u64, &clock_offset_ns, .monotonic);
}

/// Microseconds since the epoch.
pub fn wall_us() u64 {
    const clock_realtime = 0;
    return wall_of(clock_realtime, std.time.ns_per_us);
}

/// Milliseconds since the epoch, up to one tick of the kernel late: for display.
pub fn wall_ms() u64 {
    const clock_realtime_coarse = 5;
    return wall_of(clock_realtime_coarse, std.time.ns_per_ms);
}

fn wall_of(which: u32, comptime unit_ns: u64) u64 {
    var time: linux.kernel_timespec = undefined;
    if (libc.function(ClockGettime, "clock_gettime")) |quick| {
        _ = quick(@intCast(which), &time);
    } else {
        _ = linux.syscall2(.clock_gettime, which, @intFromPtr(&time));
    }
    const seconds: u64 = @intCast(@max(0, time.sec));
    return seconds * (std.time.ns_per_s / unit_ns) + @as(u64, @intCast(time.nsec)) / unit_ns;
}

/// The offset that this process's time namespace adds to the machine's clock. Deadlines travel between
/// processes whose namespaces may differ.
var clock_offset_ns: u64 = 0;

/// Reads that offset, which stays the same for the life of the process. A kernel without the file has no time
/// namespaces.
pub fn learn() void {
    const opened = files.open("/proc/self/timens_offsets", files.o_rdonly | files.o_cloexec, 0);
    if (!opened.ok()) return;
    defer files.close(opened.fd());
    var buffer: [256]u8 = undefined;
    const result = files.read(opened.fd(), &buffer);
    if (!result.ok()) return;
    const offset = clock_offset_of(buffer[0..result.value]) orelse return;
    @atomicStore(u64, &clock_offset_ns, offset, .monotonic);
}

/// From "monotonic <seconds> <nanoseconds>"; the seconds may be below zero.
fn clock_offset_of(text: []const u8) ?u64 {
    var lines = std.mem.splitScalar(u8, text, '\n');
    while (lines.next()) |line| {
        var parts = std.mem.tokenizeAny(u8, line, " \t");
        if (!std.mem.eql(u8, parts.next() orelse continue, "monotonic")) continue;
        const seconds = std.fmt.parseInt(i64, parts.next() orelse return null, 10) catch return null;
        const nanoseconds = std.fmt.parseInt(i64, parts.next() orelse return null, 10) catch return null;
        return @bitCast(seconds *% std.time.ns_per_s +% nanoseconds);
    }
    return null;
}

pub fn sleep_ns(duration_ns: u64) void {
    const time: linux.kernel_timespec = .{
        .sec = @intCast(duration_ns / std.time.ns_per_s),
        .nsec = @intCast(duration_ns % std.time.ns_per_s),
    };
    _ = linux.syscall2(.nanosleep, @intFromPtr(&time), 0);
}

test "the offset of a time namespace" {
    const file = "monotonic        1000         5\nboottime            0         0\n";
    try std.testing.expectEqual(1000 * std.time.ns_per_s + 5, clock_offset_of(file));
    const behind: i64 = -3 * std.time.ns_per_s;
    try std.testing.expectEqual(@as(u64, @bitCast(behind)), clock_offset_of("monotonic -3 0\n"));
    try std.testing.expectEqual(null, clock_offset_of("boottime 1 1\n"));
}
