//! Runs a participant's program from one shared access to the next. The program is ordinary code on a stack
//! of its own. At each shared access it asks the explorer, which answers and lets it continue, or discards it
//! and restores an earlier one.
//!
//! The behaviour of a program depends only on the answer, its stack and its private memory. All programs use
//! the same stack and the same private memory, one at a time, at fixed addresses, so two moments are equal if
//! their bytes are. Bytes below the stack pointer are dead and are zeroed, so that garbage does not make
//! equal moments look different.

const std = @import("std");
const fiber = std.Io.fiber;

pub const stack_bytes = 64 << 10;
var stack: [stack_bytes]u8 align(4096) = undefined;

pub const private_bytes = 16 << 10;
pub var private: [private_bytes]u8 align(4096) = undefined;

var explorer: fiber.Context = undefined;
var program: fiber.Context = undefined;

/// Where a program continues, beside its stack and its private memory.
pub const Point = struct { instruction: u64, frame: u64, depth: u64 };

/// The answer for the current run.
pub var answer: u64 = 0;

/// Called by a program: gives the processor to the explorer until there is an answer.
pub noinline fn give_up() u64 {
    var message: fiber.Switch = .{ .old = &program, .new = &explorer };
    _ = fiber.contextSwitch(&message);
    return answer;
}

/// Runs a program from its entry to its first question.
pub fn start(entry: *const fn () callconv(.c) noreturn) void {
    @memset(&stack, 0);
    @memset(&private, 0);
    program = .{
        // As after a call: the stack is aligned below the return address.
        .rsp = @intFromPtr(&stack) + stack_bytes - 8,
        .rbp = 0,
        .rip = @intFromPtr(entry),
    };
    run();
}

/// Runs a program from a saved point, with its private memory in place, to its next question.
pub fn go_on(point: Point, bytes: []const u8, value: u64) void {
    @memset(stack[0 .. stack_bytes - bytes.len], 0);
    @memcpy(stack[stack_bytes - bytes.len ..], bytes);
    program = .{
        .rsp = @intFromPtr(&stack) + stack_bytes - point.depth,
        .rbp = point.frame,
        .rip = point.instruction,
    };
    answer = value;
    run();
}

fn run() void {
    var message: fiber.Switch = .{ .old = &explorer, .new = &program };
    _ = fiber.contextSwitch(&message);
}

pub fn point_now() Point {
    return .{
        .instruction = program.rip,
        .frame = program.rbp,
        .depth = @intFromPtr(&stack) + stack_bytes - program.rsp,
    };
}

pub fn stack_now() []const u8 {
    return stack[stack_bytes - point_now().depth ..];
}

comptime {
    if (@import("builtin").cpu.arch != .x86_64) @compileError("the model runs on x86-64 only");
}
