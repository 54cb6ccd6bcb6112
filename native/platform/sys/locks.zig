//! The kernel's locks on single bytes of a file.

const std = @import("std");
const kernel = @import("kernel.zig");
const files = @import("files.zig");
const Errno = kernel.Errno;
const Result = kernel.Result;
const linux = kernel.linux;
const wrap = kernel.wrap;
const arg = kernel.arg;

/// Takes the kernel's lock on one byte of a file. An open file description holds it (F_OFD_SETLK), so it ends
/// when the last descriptor of that description is closed, however the process dies.
pub fn lock_byte(fd: i32, offset: u64) Result {
    var lock = byte_lock(offset);
    return wrap(linux.syscall3(.fcntl, arg(fd), linux.F.OFD_SETLK, @intFromPtr(&lock)));
}

pub fn unlock_byte(fd: i32, offset: u64) void {
    var lock = byte_lock(offset);
    lock.type = unlocked;
    _ = linux.syscall3(.fcntl, arg(fd), linux.F.OFD_SETLK, @intFromPtr(&lock));
}

/// Takes the byte after that one for this process (F_SETLK): programs that replace this one keep it, children
/// do not inherit it. It ends with the process, or when the process closes any descriptor of the file.
pub fn lock_for_process(fd: i32, offset: u64) Result {
    var lock = byte_lock(offset + 1);
    return wrap(linux.syscall3(.fcntl, arg(fd), setlk, @intFromPtr(&lock)));
}

pub fn unlock_for_process(fd: i32, offset: u64) void {
    var lock = byte_lock(offset + 1);
    lock.type = unlocked;
    _ = linux.syscall3(.fcntl, arg(fd), setlk, @intFromPtr(&lock));
}

const setlk = 6;

/// True: another description holds the byte for writing, or a process the one after it. `null`: unknown. One
/// look at both, so a participant can change over from one to the other. It asks as a reader would, so that the
/// read lock of a process without write permission hides nothing.
pub fn byte_locked(fd: i32, offset: u64) ?bool {
    var lock = byte_lock(offset);
    lock.length = 2;
    lock.type = read_lock;
    const result = wrap(linux.syscall3(.fcntl, arg(fd), linux.F.OFD_GETLK, @intFromPtr(&lock)));
    if (result == .errno) return null;
    return lock.type != unlocked;
}

const read_lock: i16 = 0;
const unlocked: i16 = 2;

const ByteLock = extern struct {
    type: i16,
    whence: i16 = 0,
    start: i64,
    length: i64 = 1,
    pid: i32 = 0,
};

fn byte_lock(offset: u64) ByteLock {
    const write_lock = 1;
    return .{ .type = write_lock, .start = @intCast(offset) };
}

test "locks belong to the description, not to the process" {
    const memory = files.memfd_create("test").fd();
    defer files.close(memory);
    var path_buffer: [64]u8 = undefined;
    const path = try std.fmt.bufPrintSentinel(&path_buffer, "/proc/self/fd/{d}", .{memory}, 0);
    const a = files.open(path, files.o_rdwr | files.o_cloexec, 0).fd();
    const b = files.open(path, files.o_rdwr | files.o_cloexec, 0).fd();
    defer files.close(b);
    try std.testing.expect(lock_byte(a, 1 << 62).ok());
    try std.testing.expectEqual(true, byte_locked(b, 1 << 62));
    try std.testing.expectEqual(Errno.AGAIN, lock_byte(b, 1 << 62).errno);
    files.close(a);
    try std.testing.expectEqual(false, byte_locked(b, 1 << 62));
}

test "a process may hold a participant's lock in place of a description" {
    const memory = files.memfd_create("test").fd();
    defer files.close(memory);
    var buffer: files.DescriptorPath = undefined;
    const path = files.descriptor_path(memory, &buffer);
    const participant = files.open(path, files.o_rdwr | files.o_cloexec, 0).fd();
    defer files.close(participant);
    try std.testing.expect(lock_byte(participant, 1 << 62).ok());
    try std.testing.expect(lock_for_process(participant, 1 << 62).ok());
    unlock_byte(participant, 1 << 62);
    // A process does not see its own lock by its own means.
    try std.testing.expectEqual(true, byte_locked(memory, 1 << 62));
    try std.testing.expectEqual(false, byte_locked(memory, (1 << 62) + 2));
    unlock_for_process(participant, 1 << 62);
    try std.testing.expectEqual(false, byte_locked(memory, 1 << 62));
}

test "a read lock neither shows as a participant's nor hides one" {
    const memory = files.memfd_create("test").fd();
    defer files.close(memory);
    var buffer: files.DescriptorPath = undefined;
    const path = files.descriptor_path(memory, &buffer);
    const participant = files.open(path, files.o_rdwr | files.o_cloexec, 0).fd();
    const reader = files.open(path, files.o_rdonly | files.o_cloexec, 0).fd();
    defer files.close(reader);
    try std.testing.expect(lock_byte(participant, 1 << 62).ok());
    var lock = byte_lock(1 << 62);
    lock.type = read_lock;
    const refused = wrap(linux.syscall3(.fcntl, arg(reader), linux.F.OFD_SETLK, @intFromPtr(&lock)));
    try std.testing.expectEqual(Errno.AGAIN, refused.errno);
    files.close(participant);
    lock = byte_lock(1 << 62);
    lock.type = read_lock;
    try std.testing.expect(wrap(linux.syscall3(.fcntl, arg(reader), linux.F.OFD_SETLK, @intFromPtr(&lock))).ok());
    try std.testing.expectEqual(false, byte_locked(memory, 1 << 62));
}
