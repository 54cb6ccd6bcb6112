//! The library. Its only exports are the functions in exports/: each unwraps its arguments, calls, and turns
//! the result into a number. They contain no logic.

const std = @import("std");
const builtin = @import("builtin");

pub const panic = if (builtin.is_test) std.debug.FullPanic(std.debug.defaultPanic) else @import("platform/panic.zig");

comptime {
    if (builtin.cpu.arch.endian() != .little) @compileError("the wait word's futex is its low half");
    _ = @import("exports/batches.zig");
    _ = @import("exports/channel.zig");
    _ = @import("exports/client.zig");
    _ = @import("exports/event_loop.zig");
    _ = @import("exports/exec.zig");
    _ = @import("exports/limit.zig");
    _ = @import("exports/members.zig");
    _ = @import("exports/server.zig");
    _ = @import("exports/worker.zig");
    _ = @import("exports/zmq.zig");
}
