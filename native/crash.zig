//! A process that dies on demand: the shipped library, except that its accesses of shared memory and its
//! system calls are counted, and the N-th of them is the last. A driver sends commands on stdin, see
//! proof/crash/actor.zig, and checks that other processes continue: tests/faults/crash.ts.

const std = @import("std");

/// They replace the real ones in native/memory/shared.zig and native/platform/sys/kernel.zig.
pub const SharedMemory = @import("proof/crash/memory.zig").Memory;
pub const Linux = @import("proof/crash/kernel.zig");

/// Starts the waker's thread, because this program has no C library. It passes no points: its whole process
/// is killed.
pub fn spawn_thread(body: *const fn (?*anyopaque) callconv(.c) ?*anyopaque, argument: ?*anyopaque) bool {
    const thread = std.Thread.spawn(.{}, run, .{ body, argument }) catch return false;
    thread.detach();
    return true;
}

fn run(body: *const fn (?*anyopaque) callconv(.c) ?*anyopaque, argument: ?*anyopaque) void {
    @import("proof/crash/point.zig").pass_none();
    _ = body(argument);
}

pub fn main() void {
    @import("proof/crash/actor.zig").run();
}

comptime {
    // The actor calls the library's exports.
    _ = @import("lib.zig");
}
