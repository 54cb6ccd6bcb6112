//! System calls with which a process starts another program in its place.

const std = @import("std");
const kernel = @import("kernel.zig");
const Result = kernel.Result;
const linux = kernel.linux;
const wrap = kernel.wrap;
const arg = kernel.arg;

/// A list of texts as the kernel takes it: the last one is followed by null.
pub const Texts = [*:null]const ?[*:0]const u8;

/// Returns only when it fails.
pub fn execve(path: [*:0]const u8, arguments: Texts, environment: Texts) Result {
    return wrap(linux.syscall3(.execve, @intFromPtr(path), @intFromPtr(arguments), @intFromPtr(environment)));
}

pub fn parent() u32 {
    return @truncate(linux.syscall0(.getppid));
}

pub const Limits = extern struct { soft: u64, hard: u64 };

const limit_of_descriptors = 7;
const this_process = 0;

/// How many descriptors this process may have open.
pub fn descriptor_limits() ?Limits {
    var limits: Limits = undefined;
    const result = wrap(linux.syscall4(.prlimit64, this_process, limit_of_descriptors, 0, @intFromPtr(&limits)));
    return if (result.ok()) limits else null;
}

pub fn set_descriptor_limits(limits: Limits) void {
    _ = linux.syscall4(.prlimit64, this_process, limit_of_descriptors, @intFromPtr(&limits), 0);
}

/// What a process does about a signal, as the kernel has it on both architectures.
pub const Action = extern struct {
    handler: usize = default,
    flags: usize = 0,
    restorer: usize = 0,
    mask: u64 = 0,

    const default = 0;
    const ignore = 1;

    pub fn ignores(action: *const Action) bool {
        return action.handler == ignore;
    }
};

pub fn action_of(signal: u32) ?Action {
    var action: Action = .{};
    const result = wrap(linux.syscall4(.rt_sigaction, signal, 0, @intFromPtr(&action), @sizeOf(u64)));
    return if (result.ok()) action else null;
}

pub fn set_action(signal: u32, action: Action) void {
    _ = linux.syscall4(.rt_sigaction, signal, @intFromPtr(&action), 0, @sizeOf(u64));
}

pub const DescriptorFlags = enum(u32) {
    /// Of the descriptor itself.
    own = 1,
    /// Of the description that it stands for.
    status = 3,
};

/// Null: it is not open.
pub fn flags_of(fd: i32, flags: DescriptorFlags) ?u32 {
    const result = wrap(linux.syscall3(.fcntl, arg(fd), @backingInt(flags), 0));
    return if (result.ok()) @truncate(result.value) else null;
}

pub fn set_flags(fd: i32, flags: DescriptorFlags, value: u32) void {
    // Each command that sets follows the one that gets.
    _ = linux.syscall3(.fcntl, arg(fd), @backingInt(flags) + 1, value);
}

test "flags and limits are set as they were read" {
    var ends: [2]i32 = undefined;
    const files = @import("files.zig");
    try std.testing.expect(files.pipe(&ends).ok());
    defer for (ends) |end| files.close(end);
    try std.testing.expectEqual(1, flags_of(ends[0], .own));
    set_flags(ends[0], .own, 0);
    try std.testing.expectEqual(0, flags_of(ends[0], .own));
    set_flags(ends[0], .status, flags_of(ends[0], .status).? & ~files.o_nonblock);
    try std.testing.expectEqual(0, flags_of(ends[0], .status).? & files.o_nonblock);
    const limits = descriptor_limits().?;
    set_descriptor_limits(limits);
    try std.testing.expectEqual(limits, descriptor_limits().?);
    const user_signal = 10;
    set_action(user_signal, .{ .handler = 1 });
    try std.testing.expect(action_of(user_signal).?.ignores());
    set_action(user_signal, .{});
    try std.testing.expect(!action_of(user_signal).?.ignores());
    try std.testing.expectEqual(null, flags_of(-1, .own));
}
