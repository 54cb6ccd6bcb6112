//! Address ranges of closed channels. Views of a channel's memory may be in other hands when it is closed:
//! a thread of the runtime that compresses or hashes one. To unmap the range would let it crash, and to
//! use the addresses for something else would let it read or write that. So the range stays mapped to
//! zeroed memory of no file, which costs addresses and nothing else.
//!
//! It stays for an hour, or until so many others have followed that addresses or mappings run out.

const std = @import("std");
const clock = @import("sys/clock.zig");
const files = @import("sys/files.zig");
const mappings = @import("sys/mappings.zig");
const process = @import("sys/process.zig");

const Range = struct { address: usize, length: u64, since_ns: u64 };

/// A quarter of the mappings that the kernel gives a process.
const ranges_max = 16_384;
/// A quarter of the addresses that a process has.
const bytes_max: u64 = 1 << 45;
const kept_ns = 3600 * std.time.ns_per_s;
/// Where a new channel has no addresses otherwise.
const kept_ns_min = 60 * std.time.ns_per_s;

/// Of the whole process, so under a lock.
var lock: std.atomic.Value(u32) = .init(0);
var ranges: [ranges_max]Range = undefined;
var first: u32 = 0;
var count: u32 = 0;
var bytes: u64 = 0;

fn enter() void {
    // Acquire and release: what the last one did comes before.
    while (lock.cmpxchgWeak(0, 1, .acquire, .monotonic) != null) process.sched_yield();
}

fn leave() void {
    lock.store(0, .release);
}

/// Takes the file's memory out of a range, which stays readable and writable.
pub fn retire(address: usize, length: u64) void {
    // Where even that is refused the file stays mapped, which harms as little.
    _ = mappings.map_over(address, length);
    enter();
    defer leave();
    const now_ns = clock.monotonic_ns();
    drop_older_than(now_ns -| kept_ns);
    while (count == ranges_max or (count > 0 and bytes + length > bytes_max)) drop_first();
    ranges[(first + count) % ranges_max] = .{ .address = address, .length = length, .since_ns = now_ns };
    count += 1;
    bytes += length;
}

/// Gives up what is older than a minute. True: there was something.
pub fn make_room() bool {
    enter();
    defer leave();
    const before = count;
    drop_older_than(clock.monotonic_ns() -| kept_ns_min);
    return count != before;
}

fn drop_older_than(limit_ns: u64) void {
    while (count > 0 and ranges[first].since_ns < limit_ns) drop_first();
}

fn drop_first() void {
    const range = ranges[first];
    first = (first + 1) % ranges_max;
    count -= 1;
    bytes -= range.length;
    mappings.unmap(range.address, range.length);
}

test "a retired range can be read and written, and is given up after many others" {
    const page = 4096;
    const memory = files.memfd_create("test").fd();
    defer files.close(memory);
    try std.testing.expect(files.ftruncate(memory, page).ok());
    const address = mappings.map_shared(memory, page).value;
    const byte: *volatile u8 = @ptrFromInt(address);
    byte.* = 7;
    retire(address, page);
    try std.testing.expectEqual(0, byte.*);
    byte.* = 8;
    try std.testing.expectEqual(8, byte.*);
    var content: [1]u8 = undefined;
    try std.testing.expect(files.pread(memory, &content, 0).ok());
    try std.testing.expectEqual(7, content[0]);
    try std.testing.expect(!make_room());
    const before = count;
    for (0..ranges_max) |_| retire(mappings.map_private(page).value, page);
    try std.testing.expectEqual(ranges_max, count);
    try std.testing.expect(before >= 1);
    while (count > 0) drop_first();
}
