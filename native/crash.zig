//! A process that dies on demand: the library as it is shipped, but for its accesses of shared
//! memory and its system calls, which are counted and of which the N-th is the last. A driver says on
//! stdin what to do, see crash/actor.zig, and looks how others go on: tests/faults/crash.ts.

const std = @import("std");

/// What native/memory/shared.zig and native/platform/sys/kernel.zig take in place of the real ones.
pub const SharedMemory = @import("proof/crash/memory.zig").Memory;
pub const Linux = @import("proof/crash/kernel.zig");

/// The waker's thread, with no C library to ask for one. It passes no points: its process is killed
/// whole.
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
    // The actor calls what the library exports.
    _ = @import("lib.zig");
}
