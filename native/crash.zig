//! A process that dies on demand: the library as it is shipped, but for its accesses of shared
//! memory and its system calls, which are counted and of which the N-th is the last. A driver says on
//! stdin what to do, see crash/actor.zig, and looks how others go on: tests/faults/crash.ts.

/// What native/shared.zig and native/sys.zig take in place of the real ones.
pub const SharedMemory = @import("crash/memory.zig").Memory;
pub const Linux = @import("crash/kernel.zig");

pub fn main() void {
    @import("crash/actor.zig").run();
}

comptime {
    // The actor calls what the library exports.
    _ = @import("lib.zig");
}
