//! Address ranges of closed channels. When a channel is closed, other code may still hold views of its
//! memory, such as a thread of the runtime that compresses or hashes one. Unmapping the range would crash
//! that thread, and reusing the addresses would let it read or write other data. So the range stays mapped to
//! zeroed memory without a file, which costs only addresses.
//!
//! It stays for an hour, or until addresses or mappings run out because many others have followed.

const std = @import("std");
const clock = @import("sys/clock.zig");
const files = @import("sys/files.zig");
const mappings = @import("sys/mappings.zig");
const process = @import("sys/process.zig");

const Range = struct { address: usize, length: u64, since_ns: u64 };

/// A quarter of the mappings that the kernel allows a process.
const ranges_max = 16_384;
/// A quarter of a process's addresses.
const bytes_max: u64 = 1 << 45;
const kept_ns = 3600 * std.time.ns_per_s;
/// The minimum, for when a new channel finds no addresses.
const kept_ns_min = 60 * std.time.ns_per_s;

/// For the whole process, so under a lock.
var lock: std.atomic.Value(u32) = .init(0);
var ranges: [ranges_max]Range = undefined;
var first: u32 = 0;
var count: u32 = 0;
var bytes: u64 = 0;

fn enter() void {
    // Acquire and release order the changes of different threads.
    while (lock.cmpxchgWeak(0, 1, .acquire, .monotonic) != null) process.sched_yield();
}

fn leave() void {
    lock.store(0, .release);
}

/// Detaches a range from the file; the range stays readable and writable.
pub fn retire(address: usize, length: u64) void {
    // If the kernel refuses, the file stays mapped, which is as harmless.
    _ = mappings.map_over(address, length);
    enter();
    defer leave();
    const now_ns = clock.monotonic_ns();
    drop_older_than(now_ns -| kept_ns);
    while (count == ranges_max or (count > 0 and bytes + length > bytes_max)) drop_first();
    std.debug.assert(count < ranges_max);
    ranges[(first + count) % ranges_max] = .{ .address = address, .length = length, .since_ns = now_ns };
    count += 1;
    bytes += length;
}

/// Unmaps ranges that are older than a minute. True: there was one.
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
