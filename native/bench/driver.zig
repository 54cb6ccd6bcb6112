//! Runs one slice after another as the conductor orders on standard input, so that the contenders of a
//! comparison take turns. Each line is a JSON value, both ways, as in bench/lib/load.ts.

const std = @import("std");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");

/// The part of bench/lib/load.ts's `Load` that concerns a native client.
pub const Load = struct {
    bytes: u32,
    ms: f64,
    /// Every n-th call is timed.
    timeEvery: u32,
};

/// A logarithmic histogram with 64 steps for each doubling: 0.8 % off at most. bench/lib/histogram.ts has the
/// same.
pub const Histogram = struct {
    const steps = 64;
    /// Up to 2^32 ns, four seconds.
    counts: [27 * steps + steps]u32 = @splat(0),

    pub fn add(histogram: *Histogram, ns: u64) void {
        histogram.counts[bucket(ns)] += 1;
    }

    fn bucket(ns: u64) usize {
        const value: u32 = @intCast(@min(ns, std.math.maxInt(u32)));
        if (value < steps) return value;
        const shift = std.math.log2_int(u32, value) - std.math.log2_int(u32, steps);
        return @as(usize, shift) * steps + (value >> @intCast(shift));
    }
};

/// Payloads are up to 1 MiB.
pub const bytes_max = 1 << 20;

var line_buffer: [4096]u8 = undefined;
var line_length: usize = 0;

/// What a slice has done.
pub const Ran = struct { calls: u64, elapsed_ns: u64 };

/// Runs slices of `echo.call(payload, answer)` until the conductor is gone.
pub fn drive(echo: anytype) !void {
    return drive_slices(Calling(@TypeOf(echo)){ .echo = echo });
}

/// Runs slices of `slices.run(load, histogram)` until the conductor is gone.
pub fn drive_slices(slices: anytype) !void {
    try say("\"ready\"", .{});
    while (next_line()) |line| {
        var memory: [4096]u8 = undefined;
        var allocator = std.heap.FixedBufferAllocator.init(&memory);
        const load = try std.json.parseFromSliceLeaky(Load, allocator.allocator(), line, .{
            .ignore_unknown_fields = true,
        });
        consume(line.len + 1);
        var histogram: Histogram = .{};
        const ran: Ran = try slices.run(load, &histogram);
        try report(ran, &histogram);
    }
}

/// One blocking call after another.
fn Calling(comptime Echo: type) type {
    return struct {
        echo: Echo,

        fn run(calling: @This(), load: Load, histogram: *Histogram) !Ran {
            const memory = struct {
                var payload: [bytes_max]u8 = @splat(7);
                var answer: [bytes_max]u8 = undefined;
            };
            const payload = memory.payload[0..load.bytes];
            const answer = memory.answer[0..load.bytes];
            const duration_ns: u64 = @intFromFloat(load.ms * std.time.ns_per_ms);
            var calls: u64 = 0;
            const begin = clock.monotonic_ns();
            while (true) {
                const before = clock.monotonic_ns();
                if (before - begin >= duration_ns) return .{ .calls = calls, .elapsed_ns = before - begin };
                try one(calling.echo, payload, answer, calls);
                histogram.add(clock.monotonic_ns() - before);
                calls += 1;
                for (1..load.timeEvery) |_| {
                    try one(calling.echo, payload, answer, calls);
                    calls += 1;
                }
            }
        }
    };
}

inline fn one(echo: anytype, payload: []u8, answer: []u8, calls: u64) !void {
    payload[0] = @truncate(calls);
    try echo.call(payload, answer);
    if (answer[0] != payload[0]) return error.NotAnEcho;
}

fn report(ran: Ran, histogram: *const Histogram) !void {
    const ms = @as(f64, @floatFromInt(ran.elapsed_ns)) / std.time.ns_per_ms;
    try write_part("{{\"calls\":{d},\"ms\":{d},\"latency\":[", .{ ran.calls, ms });
    var separator: []const u8 = "";
    for (histogram.counts, 0..) |count, bucket| {
        if (count == 0) continue;
        try write_part("{s}[{d},{d}]", .{ separator, bucket, count });
        separator = ",";
    }
    try say("]}}", .{});
}

fn say(comptime format: []const u8, arguments: anytype) !void {
    try write_part(format ++ "\n", arguments);
    var rest: []const u8 = out_buffer[0..out_length];
    out_length = 0;
    while (rest.len > 0) {
        const written = files.write(1, rest);
        if (!written.ok()) return error.ConductorGone;
        rest = rest[written.value..];
    }
}

var out_buffer: [64 * 1024]u8 = undefined;
var out_length: usize = 0;

fn write_part(comptime format: []const u8, arguments: anytype) !void {
    out_length += (try std.fmt.bufPrint(out_buffer[out_length..], format, arguments)).len;
}

fn next_line() ?[]const u8 {
    while (true) {
        if (std.mem.findScalar(u8, line_buffer[0..line_length], '\n')) |end| return line_buffer[0..end];
        const got = files.read(0, line_buffer[line_length..]);
        if (!got.ok() or got.value == 0) return null;
        line_length += got.value;
    }
}

fn consume(length: usize) void {
    line_length -= length;
    std.mem.copyForwards(u8, line_buffer[0..line_length], line_buffer[length..][0..line_length]);
}

/// Returns when the conductor is gone.
pub fn wait_for_end() !void {
    try say("\"ready\"", .{});
    while (next_line()) |line| consume(line.len + 1);
}

/// Reports that a process which reads no further orders is ready.
pub fn say_ready() !void {
    try say("\"ready\"", .{});
}

/// Ends this process together with the process that started it, even while it waits. Call it again after a
/// fork.
pub fn end_with_parent(signal: std.os.linux.SIG) void {
    _ = std.os.linux.prctl(@backingInt(std.os.linux.PR.SET_PDEATHSIG), @backingInt(signal), 0, 0, 0);
}

test "buckets are those of the other side" {
    // The same values are in tests/package/bench_test.ts.
    const known = [_][2]u64{
        .{ 0, 0 },     .{ 63, 63 },     .{ 64, 64 },         .{ 127, 127 },            .{ 128, 128 },
        .{ 130, 129 }, .{ 1_000, 317 }, .{ 1_000_000, 954 }, .{ (1 << 32) - 1, 1727 }, .{ 1_000_000_000_000, 1727 },
    };
    for (known) |pair| try std.testing.expectEqual(pair[1], Histogram.bucket(pair[0]));
}
