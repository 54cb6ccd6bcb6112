//! This process and its threads, as the kernel sees them.

const std = @import("std");
const libc = @import("../libc.zig");
const kernel = @import("kernel.zig");
const linux = kernel.linux;
const wrap = kernel.wrap;

/// Sets the signals that this thread blocks; a bit each, from signal 1. Returns the old mask.
pub fn set_signal_mask(mask: u64) u64 {
    const set_mask = 2;
    var old: u64 = 0;
    _ = linux.syscall4(.rt_sigprocmask, set_mask, @intFromPtr(&mask), @intFromPtr(&old), @sizeOf(u64));
    return old;
}

/// Sets this thread's name, as tools show it; 15 bytes at most.
pub fn set_thread_name(name: [*:0]const u8) void {
    const pr_set_name = 15;
    _ = linux.syscall5(.prctl, pr_set_name, @intFromPtr(name), 0, 0, 0);
}

pub fn sched_yield() void {
    _ = linux.syscall0(.sched_yield);
}

/// The processor that runs this thread now.
pub fn processor() u32 {
    const SchedGetcpu = *const fn () callconv(.c) c_int;
    if (libc.function(SchedGetcpu, "sched_getcpu")) |quick| return @bitCast(quick());
    var number: u32 = 0;
    _ = linux.syscall3(.getcpu, @intFromPtr(&number), 0, 0);
    return number;
}

pub fn user() u32 {
    return @truncate(linux.syscall0(.geteuid));
}

pub fn id() u32 {
    return @truncate(linux.syscall0(.getpid));
}

pub const Signal = enum(u32) { kill = 9, go_on = 18, stop = 19 };

/// Sends a signal to a process, or below zero to a group. A process that is gone, or belongs to another user,
/// does not get it.
pub fn send_signal(target: i64, signal: Signal) void {
    _ = linux.syscall2(.kill, kernel.arg(target), @backingInt(signal));
}

/// Makes the kernel send a signal to a process when the other end of a pipe is closed. False: it does not.
pub fn signal_at_hangup(pipe: i32, target: u32, signal: Signal) bool {
    const set_flags = 4;
    const set_owner = 8;
    const set_signal = 10;
    const non_blocking = 0o4000;
    const signalling = 0o20000;
    const steps = [_][2]usize{
        .{ set_owner, target },
        .{ set_signal, @backingInt(signal) },
        .{ set_flags, non_blocking | signalling },
    };
    for (steps) |step| if (!wrap(linux.syscall3(.fcntl, kernel.arg(pipe), step[0], step[1])).ok()) return false;
    return true;
}

/// 0: there is no such process.
pub fn group_of(process: u32) u32 {
    const result = wrap(linux.syscall1(.getpgid, process));
    return if (result.ok()) @truncate(result.value) else 0;
}

/// Ends this process without a signal.
pub fn exit(code: u8) noreturn {
    while (true) _ = linux.syscall1(.exit_group, code);
}

var runtime_of_process: u32 = 0;

/// What runs this process: `abi.Runtime`.
pub fn runtime() u32 {
    return @atomicLoad(u32, &runtime_of_process, .monotonic);
}

/// Every thread of a process says the same.
pub fn set_runtime(value: u32) void {
    @atomicStore(u32, &runtime_of_process, value, .monotonic);
}

/// The maximum size of a file that this process may make.
pub fn file_bytes_limit() u64 {
    const limit_of_files = 1;
    const this_process = 0;
    var limits: extern struct { soft: u64, hard: u64 } = undefined;
    const result = wrap(linux.syscall4(.prlimit64, this_process, limit_of_files, 0, @intFromPtr(&limits)));
    return if (result.ok()) limits.soft else std.math.maxInt(u64);
}

/// The kernel's version, a thousand for the major number and one for the minor; 0: unknown.
pub fn kernel_version() u32 {
    var names: [6][65]u8 = undefined;
    if (!wrap(linux.syscall1(.uname, @intFromPtr(&names))).ok()) return 0;
    const release = 2;
    var parts = std.mem.splitAny(u8, std.mem.sliceTo(&names[release], 0), ".-+");
    var version: u32 = 0;
    for ([_]u32{ 1000, 1 }) |unit| {
        const number = std.fmt.parseInt(u16, parts.next() orelse return 0, 10) catch return 0;
        version += unit * @min(number, 999);
    }
    return version;
}

pub fn random(buffer: []u8) void {
    _ = linux.syscall3(.getrandom, @intFromPtr(buffer.ptr), buffer.len, 0);
}
