//! Sleeping on a word of memory, and waking threads that sleep on it.

const std = @import("std");
const root = @import("root");
const kernel = @import("kernel.zig");
const Result = kernel.Result;
const linux = kernel.linux;
const wrap = kernel.wrap;

/// Works between processes, hence not PRIVATE. Returns for any reason: the caller looks again.
pub fn wait(word: *const u32, expected: u32, timeout_ns: u64) void {
    const time: linux.kernel_timespec = .{
        .sec = @intCast(timeout_ns / std.time.ns_per_s),
        .nsec = @intCast(timeout_ns % std.time.ns_per_s),
    };
    const futex_wait_op = 0;
    _ = linux.syscall4(.futex, @intFromPtr(word), futex_wait_op, expected, @intFromPtr(&time));
}

pub fn wake_all(word: *const u32) void {
    const futex_wake_op = 1;
    _ = linux.syscall3(.futex, @intFromPtr(word), futex_wake_op, std.math.maxInt(i32));
}

pub const State = enum { same, changed, lost };

/// Whether a word in memory of others has its old value, without touching it: if the memory is gone, this
/// reports it, and a load would cause SIGBUS.
pub fn state(word: *const u32, expected: u32) State {
    const now: linux.kernel_timespec = .{ .sec = 0, .nsec = 0 };
    const futex_wait_op = 0;
    const result = wrap(linux.syscall4(.futex, @intFromPtr(word), futex_wait_op, expected, @intFromPtr(&now)));
    return switch (result) {
        // It was just woken.
        .value => .changed,
        .errno => |errno| switch (errno) {
            .TIMEDOUT => .same,
            .FAULT => .lost,
            else => .changed,
        },
    };
}

/// One of the words that `wait_any` sleeps on.
pub const Waiter = extern struct {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32 = 0,

    pub const shared: u32 = 2;
    pub const private: u32 = 2 | 128;
};

/// The maximum number of words for `wait_any`.
pub const waiters_max = 128;

/// Sleeps until one of the words is rung or changes, and returns which.
pub fn wait_any(waiters: []const Waiter) Result {
    // The root file of a test build may simulate an older kernel.
    if (@hasDecl(root, "lacks_futex_waitv") and root.lacks_futex_waitv()) return .{ .errno = .NOSYS };
    return wrap(linux.syscall5(.futex_waitv, @intFromPtr(waiters.ptr), waiters.len, 0, 0, 0));
}

const futex_private: u32 = 128;

/// Works within this process.
pub fn wait_private(word: *const u32, expected: u32) void {
    _ = linux.syscall4(.futex, @intFromPtr(word), 0 | futex_private, expected, 0);
}

pub fn wake_private(word: *const u32) void {
    _ = linux.syscall3(.futex, @intFromPtr(word), 1 | futex_private, std.math.maxInt(i32));
}
