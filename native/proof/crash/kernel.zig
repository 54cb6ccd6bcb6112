//! The kernel's interface as native/platform/sys uses it. Every system call that leaves something behind, in
//! a file, in a folder, in a lock or with another process, is a point of death.

const std = @import("std");
const linux = std.os.linux;
const point = @import("point.zig");
const files = @import("../../platform/sys/files.zig");

pub const E = linux.E;
pub const F = linux.F;
pub const SYS = linux.SYS;
pub const Statx = linux.Statx;
pub const errno = linux.errno;
pub const kernel_timespec = linux.kernel_timespec;

/// Whether another process could see a difference. `write` and `sendto` ring, a lock ends with the last
/// descriptor or mapping of its description, `read` takes the bytes of ringers.
fn leaves_a_trace(comptime number: SYS) bool {
    return switch (number) {
        .close, .read, .write, .mmap, .munmap => true,
        .mkdirat, .mknodat, .unlinkat, .linkat, .renameat2 => true,
        .fchmod, .fchmodat, .fchownat, .ftruncate, .fallocate, .memfd_create => true,
        .bind, .connect, .sendto => true,
        // These only concern the process itself.
        .futex_waitv, .rt_sigprocmask, .rt_sigaction, .prctl, .getsockopt, .pipe2, .socketpair, .eventfd2, .getpgid, .getppid => false,
        // The program changes, and with it everything that it could still do.
        .execve => true,
        // These end processes.
        .kill, .exit_group => true,
        // It depends on the arguments.
        .openat, .fcntl, .futex => false,
        .lseek, .pread64, .readlinkat, .statx, .fstatfs, .getdents64, .prlimit64, .uname, .getcwd => false,
        // On a file that has no name yet, or to unshare blocks: invisible to others.
        .ioctl => false,
        .ppoll, .sched_yield, .clock_gettime, .nanosleep, .geteuid, .getpid, .getrandom, .socket => false,
        else => @compileError("say whether " ++ @tagName(number) ++ " leaves something behind"),
    };
}

fn makes_a_file(flags: usize) bool {
    return flags & files.o_creat != 0 or flags & files.o_tmpfile == files.o_tmpfile;
}

inline fn pass(comptime number: SYS) void {
    if (comptime leaves_a_trace(number)) point.pass(@tagName(number));
}

/// A futex within the process concerns no other process.
inline fn pass_futex(comptime number: SYS, operation: usize) void {
    const private = 128;
    if (number == .futex and operation & private == 0) point.pass("futex");
}

pub inline fn syscall0(comptime number: SYS) usize {
    pass(number);
    return linux.syscall0(number);
}

pub inline fn syscall1(comptime number: SYS, a: usize) usize {
    pass(number);
    return linux.syscall1(number, a);
}

pub inline fn syscall2(comptime number: SYS, a: usize, b: usize) usize {
    pass(number);
    return linux.syscall2(number, a, b);
}

pub inline fn syscall3(comptime number: SYS, a: usize, b: usize, c: usize) usize {
    pass(number);
    pass_futex(number, b);
    if (number == .fcntl and b != F.OFD_GETLK) point.pass("fcntl");
    return linux.syscall3(number, a, b, c);
}

pub inline fn syscall4(comptime number: SYS, a: usize, b: usize, c: usize, d: usize) usize {
    pass(number);
    pass_futex(number, b);
    if (number == .openat and makes_a_file(c)) point.pass("openat of a new file");
    return linux.syscall4(number, a, b, c, d);
}

pub inline fn syscall5(comptime number: SYS, a: usize, b: usize, c: usize, d: usize, e: usize) usize {
    pass(number);
    return linux.syscall5(number, a, b, c, d, e);
}

pub inline fn syscall6(comptime number: SYS, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) usize {
    pass(number);
    return linux.syscall6(number, a, b, c, d, e, f);
}
