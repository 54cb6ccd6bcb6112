//! System calls, straight: there is no libc, so that one file serves glibc and musl processes.
//! Every wrapper returns the kernel's value or `error` with the number in `Errno`.

const std = @import("std");
const root = @import("root");
const host = @import("libc.zig");

/// The kernel's own interface, unless the root file of a test build puts one in between.
const linux = if (@hasDecl(root, "Linux")) root.Linux else std.os.linux;

pub const Errno = linux.E;

/// A result that is either the kernel's value or an errno.
pub const Result = union(enum) {
    value: usize,
    errno: Errno,

    pub fn ok(result: Result) bool {
        return result == .value;
    }

    pub fn fd(result: Result) i32 {
        return @intCast(result.value);
    }
};

fn wrap(raw: usize) Result {
    const errno = linux.errno(raw);
    return if (errno == .SUCCESS) .{ .value = raw } else .{ .errno = errno };
}

fn arg(value: i64) usize {
    return @bitCast(value);
}

const at_fdcwd: i64 = -100;

pub const o_rdonly: u32 = 0;
pub const o_wronly: u32 = 1;
pub const o_rdwr: u32 = 2;
pub const o_creat: u32 = 0o100;
pub const o_excl: u32 = 0o200;
pub const o_nonblock: u32 = 0o4000;
pub const o_cloexec: u32 = 0o2000000;
const arm64 = @import("builtin").cpu.arch == .aarch64;
pub const o_directory: u32 = if (arm64) 0o40000 else 0o200000;
pub const o_nofollow: u32 = if (arm64) 0o100000 else 0o400000;
const o_tmpfile_bit: u32 = 0o20000000;
pub const o_tmpfile: u32 = o_tmpfile_bit | o_directory;
/// A descriptor that only names a file: opening has no effect on it, whatever it is.
pub const o_path: u32 = 0o10000000;

pub fn open(path: [*:0]const u8, flags: u32, mode: u32) Result {
    return openat(@intCast(at_fdcwd), path, flags, mode);
}

pub fn openat(directory: i32, path: [*:0]const u8, flags: u32, mode: u32) Result {
    while (true) {
        const result = wrap(linux.syscall4(.openat, arg(directory), @intFromPtr(path), flags, mode));
        if (result == .errno and result.errno == .INTR) continue;
        return result;
    }
}

pub fn close(fd: i32) void {
    _ = linux.syscall1(.close, arg(fd));
}

pub fn read(fd: i32, buffer: []u8) Result {
    return wrap(linux.syscall3(.read, arg(fd), @intFromPtr(buffer.ptr), buffer.len));
}

pub fn write(fd: i32, bytes: []const u8) Result {
    return wrap(linux.syscall3(.write, arg(fd), @intFromPtr(bytes.ptr), bytes.len));
}

/// Makes a descriptor readable: an eventfd takes its count in eight bytes, and anything else takes
/// eight bytes as well. What is full is readable already.
pub fn write_counter(fd: i32) bool {
    const one: u64 = 1;
    const result = write(fd, std.mem.asBytes(&one));
    return result.ok() or result.errno == .AGAIN;
}

/// Takes what can be read without waiting, also from a descriptor that would wait.
pub fn drain(fd: i32) void {
    // An eventfd is empty after one read; a pipe has as much as its ringers have written.
    const reads_max = 1024;
    var buffer: [4096]u8 = undefined;
    for (0..reads_max) |_| {
        if (!readable(fd)) return;
        const result = read(fd, &buffer);
        if (!result.ok() or result.value == 0) return;
    }
}

fn readable(fd: i32) bool {
    const poll_in: i16 = 1;
    var request: extern struct { fd: i32, events: i16 = poll_in, revents: i16 = 0 } = .{ .fd = fd };
    const now: linux.kernel_timespec = .{ .sec = 0, .nsec = 0 };
    const result = wrap(linux.syscall5(.ppoll, @intFromPtr(&request), 1, @intFromPtr(&now), 0, 0));
    return result.ok() and request.revents & poll_in != 0;
}

/// A descriptor of our own for the same description.
pub fn duplicate(fd: i32) Result {
    const dupfd_cloexec = 1030;
    return wrap(linux.syscall3(.fcntl, arg(fd), dupfd_cloexec, 0));
}

/// The same file under a description of its own; the descriptor may stand for a pipe.
pub fn reopen(fd: i32, flags: u32) Result {
    var buffer: [32]u8 = undefined;
    const path = std.fmt.bufPrintSentinel(&buffer, "/proc/self/fd/{d}", .{fd}, 0) catch unreachable;
    return open(path, flags | o_cloexec, 0);
}

/// Its two ends, which are non-blocking: to be read, to be written to.
pub fn pipe(ends: *[2]i32) Result {
    return wrap(linux.syscall2(.pipe2, @intFromPtr(ends), o_nonblock | o_cloexec));
}

pub fn pread(fd: i32, buffer: []u8, offset: u64) Result {
    return wrap(linux.syscall4(.pread64, arg(fd), @intFromPtr(buffer.ptr), buffer.len, offset));
}

pub fn seek_data(fd: i32, offset: u64) Result {
    const seek_to_data = 3;
    return wrap(linux.syscall3(.lseek, arg(fd), offset, seek_to_data));
}

pub fn mkdirat(directory: i32, path: [*:0]const u8, mode: u32) Result {
    return wrap(linux.syscall3(.mkdirat, arg(directory), @intFromPtr(path), mode));
}

pub fn mkdir(path: [*:0]const u8, mode: u32) Result {
    return mkdirat(@intCast(at_fdcwd), path, mode);
}

pub fn mkfifoat(directory: i32, path: [*:0]const u8, mode: u32) Result {
    const fifo = 0o010000;
    return wrap(linux.syscall4(.mknodat, arg(directory), @intFromPtr(path), fifo | mode, 0));
}

pub const at_removedir: u32 = 0x200;

pub fn unlinkat(directory: i32, path: [*:0]const u8, flags: u32) Result {
    return wrap(linux.syscall3(.unlinkat, arg(directory), @intFromPtr(path), flags));
}

/// The names in a folder, in no order.
pub const DirectoryReader = struct {
    fd: i32,
    buffer: [2048]u8 align(8) = undefined,
    length: usize = 0,
    offset: usize = 0,

    /// Valid until the next call.
    pub fn next(reader: *DirectoryReader) ?[]const u8 {
        if (reader.offset >= reader.length) {
            const buffer = &reader.buffer;
            const result = wrap(linux.syscall3(.getdents64, arg(reader.fd), @intFromPtr(buffer), buffer.len));
            if (!result.ok() or result.value == 0) return null;
            reader.length = result.value;
            reader.offset = 0;
        }
        // struct linux_dirent64: inode, offset, length of the entry, type, name.
        const entry = reader.buffer[reader.offset..reader.length];
        reader.offset += std.mem.readInt(u16, entry[16..18], .little);
        return std.mem.sliceTo(entry[19..], 0);
    }
};

/// Gives the file behind `source`, a path of this process's own (through /proc/self/fd), a name; never
/// replaces.
pub fn link_following(source: [*:0]const u8, directory: i32, name: [*:0]const u8) Result {
    const at_symlink_follow = 0x400;
    return wrap(linux.syscall5(
        .linkat,
        arg(at_fdcwd),
        @intFromPtr(source),
        arg(directory),
        @intFromPtr(name),
        at_symlink_follow,
    ));
}

pub fn fchmod(fd: i32, mode: u32) Result {
    return wrap(linux.syscall2(.fchmod, arg(fd), mode));
}

pub const ProcPath = [32]u8;

/// The file behind a descriptor as a path, for calls that take nothing else: no name is looked up again.
pub fn path_of(fd: i32, buffer: *ProcPath) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "/proc/self/fd/{d}", .{fd}, 0) catch unreachable).ptr;
}

/// As `fchmod`, and also for what is open with `o_path`.
pub fn chmod_of(fd: i32, mode: u32) Result {
    var buffer: ProcPath = undefined;
    return wrap(linux.syscall3(.fchmodat, arg(at_fdcwd), @intFromPtr(path_of(fd, &buffer)), mode));
}

/// Hands a file over; `null` leaves the user or group as it is.
pub fn chown_of(fd: i32, uid: ?u32, gid: ?u32) Result {
    const at_empty_path = 0x1000;
    const keep: u32 = std.math.maxInt(u32);
    const empty: [*:0]const u8 = "";
    return wrap(linux.syscall5(
        .fchownat,
        arg(fd),
        @intFromPtr(empty),
        uid orelse keep,
        gid orelse keep,
        at_empty_path,
    ));
}

/// Writes the path of the working directory and returns its length.
pub fn working_directory(buffer: []u8) Result {
    const result = wrap(linux.syscall2(.getcwd, @intFromPtr(buffer.ptr), buffer.len));
    // The kernel counts the NUL.
    return if (result.ok()) .{ .value = result.value - 1 } else result;
}

/// The magic number of the file system that a file lies in; 0: the kernel did not say.
pub fn file_system_type(fd: i32) u64 {
    var info: [16]u64 align(8) = undefined;
    if (!wrap(linux.syscall2(.fstatfs, arg(fd), @intFromPtr(&info))).ok()) return 0;
    return info[0];
}

pub fn ioctl(fd: i32, request: u32, argument: usize) Result {
    return wrap(linux.syscall3(.ioctl, arg(fd), request, argument));
}

pub fn readlink(path: [*:0]const u8, buffer: []u8) Result {
    return wrap(linux.syscall4(.readlinkat, arg(at_fdcwd), @intFromPtr(path), @intFromPtr(buffer.ptr), buffer.len));
}

pub fn ftruncate(fd: i32, length: u64) Result {
    return wrap(linux.syscall2(.ftruncate, arg(fd), length));
}

/// Allocates the pages of a range, so that writing there cannot run out of space later.
pub fn fallocate(fd: i32, offset: u64, length: u64) Result {
    while (true) {
        const result = wrap(linux.syscall4(.fallocate, arg(fd), 0, offset, length));
        if (result == .errno and result.errno == .INTR) continue;
        return result;
    }
}

/// Makes the blocks of a range that the file shares with another its own.
pub fn unshare(fd: i32, offset: u64, length: u64) Result {
    const unshare_range = 0x40;
    while (true) {
        const result = wrap(linux.syscall4(.fallocate, arg(fd), unshare_range, offset, length));
        if (result == .errno and result.errno == .INTR) continue;
        return result;
    }
}

/// Takes the pages of a range; it reads as zeros then.
pub fn punch(fd: i32, offset: u64, length: u64) void {
    const keep_size_punch_hole = 0x01 | 0x02;
    _ = linux.syscall4(.fallocate, arg(fd), keep_size_punch_hole, offset, length);
}

pub const FileKind = enum { file, directory, symlink, fifo, socket, other };

pub const FileInfo = struct {
    kind: FileKind,
    mode: u32,
    uid: u32,
    gid: u32,
    size: u64,
    blocks: u64,
    inode: u64,
    device: u64,
    links: u32,
};

pub const StatResult = union(enum) { info: FileInfo, errno: Errno };

/// Of the file itself where the path is empty, without following a link where it is not.
pub fn stat(directory: i32, path: [*:0]const u8) StatResult {
    const at_empty_path = 0x1000;
    const at_symlink_nofollow = 0x100;
    const basic_stats: u32 = 0x7ff;
    var raw: linux.Statx = undefined;
    const result = wrap(linux.syscall5(
        .statx,
        arg(directory),
        @intFromPtr(path),
        at_empty_path | at_symlink_nofollow,
        basic_stats,
        @intFromPtr(&raw),
    ));
    if (result == .errno) return .{ .errno = result.errno };
    const mode: u32 = raw.mode;
    return .{ .info = .{
        .kind = switch (mode & 0o170000) {
            0o100000 => .file,
            0o040000 => .directory,
            0o120000 => .symlink,
            0o010000 => .fifo,
            0o140000 => .socket,
            else => .other,
        },
        .mode = mode & 0o7777,
        .uid = raw.uid,
        .gid = raw.gid,
        .size = raw.size,
        .blocks = raw.blocks,
        .inode = raw.ino,
        .device = (@as(u64, raw.dev_major) << 32) | raw.dev_minor,
        .links = raw.nlink,
    } };
}

pub fn stat_path(path: [*:0]const u8) StatResult {
    return stat(@intCast(at_fdcwd), path);
}

/// The root file of a test build may declare `Mappings`, to put guards around what is mapped.
const own_mappings = @hasDecl(root, "Mappings");

pub fn mmap_shared(fd: i32, length: u64) Result {
    if (own_mappings) return root.Mappings.mmap_shared(fd, length);
    return map(length, 0x01, fd);
}

/// Zeroed private memory.
pub fn mmap_private(length: u64) Result {
    return map(length, 0x02 | 0x20 | 0x4000, -1);
}

fn map(length: u64, flags: u32, fd: i32) Result {
    const read_write = 3;
    return wrap(linux.syscall6(.mmap, 0, length, read_write, flags, arg(fd), 0));
}

/// Puts zeroed private memory in place of a mapping that somebody may still hold a view of.
pub fn mmap_over(address: usize, length: u64) Result {
    const private_anonymous_fixed_noreserve = 0x02 | 0x20 | 0x10 | 0x4000;
    return wrap(linux.syscall6(.mmap, address, length, 3, private_anonymous_fixed_noreserve, arg(-1), 0));
}

pub fn munmap(address: usize, length: u64) void {
    if (own_mappings) return root.Mappings.munmap(address, length);
    _ = linux.syscall2(.munmap, address, length);
}

pub fn memfd_create(name: [*:0]const u8) Result {
    const cloexec_sealable = 1 | 2;
    return wrap(linux.syscall2(.memfd_create, @intFromPtr(name), cloexec_sealable));
}

/// Against shrinking, growing and further seals.
pub fn seal(fd: i32) Result {
    const add_seals = 1033;
    return wrap(linux.syscall3(.fcntl, arg(fd), add_seals, 0x1 | 0x2 | 0x4));
}

/// The kernel's lock on one byte of a file, held by an open file description (F_OFD_SETLK): it
/// goes when the last descriptor of that description is closed, however the process dies.
pub fn lock_byte(fd: i32, offset: u64) Result {
    var lock = byte_lock(offset);
    return wrap(linux.syscall3(.fcntl, arg(fd), linux.F.OFD_SETLK, @intFromPtr(&lock)));
}

pub fn unlock_byte(fd: i32, offset: u64) void {
    var lock = byte_lock(offset);
    lock.type = unlocked;
    _ = linux.syscall3(.fcntl, arg(fd), linux.F.OFD_SETLK, @intFromPtr(&lock));
}

/// True: another description holds the byte for writing. `null`: the kernel did not say. Asked for as a
/// reader would: the read lock of a process that may not write hides nothing from this question.
pub fn byte_locked(fd: i32, offset: u64) ?bool {
    var lock = byte_lock(offset);
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

/// Between processes, hence not PRIVATE. Returns for any reason: the caller looks again.
pub fn futex_wait(word: *const u32, expected: u32, timeout_ns: u64) void {
    const time: linux.kernel_timespec = .{
        .sec = @intCast(timeout_ns / std.time.ns_per_s),
        .nsec = @intCast(timeout_ns % std.time.ns_per_s),
    };
    const futex_wait_op = 0;
    _ = linux.syscall4(.futex, @intFromPtr(word), futex_wait_op, expected, @intFromPtr(&time));
}

pub fn futex_wake_all(word: *const u32) void {
    const futex_wake_op = 1;
    _ = linux.syscall3(.futex, @intFromPtr(word), futex_wake_op, std.math.maxInt(i32));
}

pub const FutexState = enum { same, changed, lost };

/// Whether a word in memory of others is what it was, without touching it: where the memory is gone,
/// this says so, and a look would be SIGBUS.
pub fn futex_state(word: *const u32, expected: u32) FutexState {
    const now: linux.kernel_timespec = .{ .sec = 0, .nsec = 0 };
    const futex_wait_op = 0;
    const result = wrap(linux.syscall4(.futex, @intFromPtr(word), futex_wait_op, expected, @intFromPtr(&now)));
    return switch (result) {
        // Woken just now.
        .value => .changed,
        .errno => |errno| switch (errno) {
            .TIMEDOUT => .same,
            .FAULT => .lost,
            else => .changed,
        },
    };
}

/// One of the words that `futex_wait_any` sleeps on.
pub const FutexWaiter = extern struct {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32 = 0,

    pub const shared: u32 = 2;
    pub const private: u32 = 2 | 128;
};

/// As many words as `futex_wait_any` takes.
pub const futex_waiters_max = 128;

/// Sleeps until one of the words is rung, and says which, or is not what it should be.
pub fn futex_wait_any(waiters: []const FutexWaiter) Result {
    // The root file of a test build may play an older kernel.
    if (@hasDecl(root, "lacks_futex_waitv") and root.lacks_futex_waitv()) return .{ .errno = .NOSYS };
    return wrap(linux.syscall5(.futex_waitv, @intFromPtr(waiters.ptr), waiters.len, 0, 0, 0));
}

const futex_private: u32 = 128;

/// Within this process.
pub fn futex_wait_private(word: *const u32, expected: u32) void {
    _ = linux.syscall4(.futex, @intFromPtr(word), 0 | futex_private, expected, 0);
}

pub fn futex_wake_private(word: *const u32) void {
    _ = linux.syscall3(.futex, @intFromPtr(word), 1 | futex_private, std.math.maxInt(i32));
}

/// What signals this thread lets through; a bit each, from signal 1. Returns what it was.
pub fn set_signal_mask(mask: u64) u64 {
    const set_mask = 2;
    var old: u64 = 0;
    _ = linux.syscall4(.rt_sigprocmask, set_mask, @intFromPtr(&mask), @intFromPtr(&old), @sizeOf(u64));
    return old;
}

/// Of this thread, as tools show it; 15 bytes at most.
pub fn set_thread_name(name: [*:0]const u8) void {
    const pr_set_name = 15;
    _ = linux.syscall5(.prctl, pr_set_name, @intFromPtr(name), 0, 0, 0);
}

pub fn sched_yield() void {
    _ = linux.syscall0(.sched_yield);
}

const ClockGettime = *const fn (c_int, *linux.kernel_timespec) callconv(.c) c_int;

/// Nanoseconds of this machine's monotonic clock, the same in every process: see `learn_clock`.
pub fn monotonic_ns() u64 {
    const clock_monotonic = 1;
    var time: linux.kernel_timespec = undefined;
    if (host.function(ClockGettime, "clock_gettime")) |quick| {
        // Without entering the kernel, a fifth of the time.
        _ = quick(clock_monotonic, &time);
    } else {
        _ = linux.syscall2(.clock_gettime, clock_monotonic, @intFromPtr(&time));
    }
    const own = @as(u64, @intCast(time.sec)) * std.time.ns_per_s + @as(u64, @intCast(time.nsec));
    return own -% @atomicLoad(u64, &clock_offset_ns, .monotonic);
}

/// What the time namespace of this process adds to the machine's clock. Deadlines travel between
/// processes whose namespaces may differ.
var clock_offset_ns: u64 = 0;

/// Reads that offset, which stays what it is as long as the process lives. Where there is no file for it
/// the kernel has no time namespaces.
pub fn learn_clock() void {
    const opened = open("/proc/self/timens_offsets", o_rdonly | o_cloexec, 0);
    if (!opened.ok()) return;
    defer close(opened.fd());
    var buffer: [256]u8 = undefined;
    const result = read(opened.fd(), &buffer);
    if (!result.ok()) return;
    const offset = clock_offset_of(buffer[0..result.value]) orelse return;
    @atomicStore(u64, &clock_offset_ns, offset, .monotonic);
}

/// From "monotonic <seconds> <nanoseconds>", the seconds possibly below zero.
fn clock_offset_of(text: []const u8) ?u64 {
    var lines = std.mem.splitScalar(u8, text, '\n');
    while (lines.next()) |line| {
        var parts = std.mem.tokenizeAny(u8, line, " \t");
        if (!std.mem.eql(u8, parts.next() orelse continue, "monotonic")) continue;
        const seconds = std.fmt.parseInt(i64, parts.next() orelse return null, 10) catch return null;
        const nanoseconds = std.fmt.parseInt(i64, parts.next() orelse return null, 10) catch return null;
        return @bitCast(seconds *% std.time.ns_per_s +% nanoseconds);
    }
    return null;
}

/// The processor that runs this thread at the moment.
pub fn processor() u32 {
    const SchedGetcpu = *const fn () callconv(.c) c_int;
    if (host.function(SchedGetcpu, "sched_getcpu")) |quick| return @bitCast(quick());
    var number: u32 = 0;
    _ = linux.syscall3(.getcpu, @intFromPtr(&number), 0, 0);
    return number;
}

pub fn sleep_ns(duration_ns: u64) void {
    const time: linux.kernel_timespec = .{
        .sec = @intCast(duration_ns / std.time.ns_per_s),
        .nsec = @intCast(duration_ns % std.time.ns_per_s),
    };
    _ = linux.syscall2(.nanosleep, @intFromPtr(&time), 0);
}

pub fn geteuid() u32 {
    return @truncate(linux.syscall0(.geteuid));
}

pub fn getpid() u32 {
    return @truncate(linux.syscall0(.getpid));
}

/// How long a file this process may make.
pub fn file_bytes_limit() u64 {
    const limit_of_files = 1;
    const this_process = 0;
    var limits: extern struct { soft: u64, hard: u64 } = undefined;
    const result = wrap(linux.syscall4(.prlimit64, this_process, limit_of_files, 0, @intFromPtr(&limits)));
    return if (result.ok()) limits.soft else std.math.maxInt(u64);
}

/// The kernel's version, a thousand for the major number and one for the minor; 0: it did not say.
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

pub const SocketKind = enum(u32) { stream = 1, datagram = 2 };

pub fn unix_socket(kind: SocketKind) Result {
    const family_unix = 1;
    const nonblock_cloexec = 0o4000 | 0o2000000;
    return wrap(linux.syscall3(.socket, family_unix, @backingInt(kind) | nonblock_cloexec, 0));
}

pub const UnixAddress = extern struct {
    family: u16 = 1,
    path: [108]u8 = @splat(0),
};

pub fn bind(fd: i32, address: *const UnixAddress) Result {
    return wrap(linux.syscall3(.bind, arg(fd), @intFromPtr(address), @sizeOf(UnixAddress)));
}

pub fn listen(fd: i32, backlog: u32) Result {
    return wrap(linux.syscall2(.listen, arg(fd), backlog));
}

pub fn connect(fd: i32, address: *const UnixAddress) Result {
    return wrap(linux.syscall3(.connect, arg(fd), @intFromPtr(address), @sizeOf(UnixAddress)));
}

/// Two that are connected with each other.
pub fn unix_socket_pair(kind: SocketKind, ends: *[2]i32) Result {
    const family_unix = 1;
    const nonblock_cloexec = 0o4000 | 0o2000000;
    const type_and_flags = @backingInt(kind) | nonblock_cloexec;
    return wrap(linux.syscall4(.socketpair, family_unix, type_and_flags, 0, @intFromPtr(ends)));
}

/// A datagram socket that was connected takes from any sender again. What was connected with it still is.
pub fn disconnect(fd: i32) Result {
    const family_none: u16 = 0;
    return wrap(linux.syscall3(.connect, arg(fd), @intFromPtr(&family_none), @sizeOf(u16)));
}

/// Forgets the error that the next operation on a socket would report.
pub fn clear_socket_error(fd: i32) void {
    const socket_level = 1;
    const error_option = 4;
    var value: u32 = 0;
    var length: u32 = @sizeOf(u32);
    _ = linux.syscall5(.getsockopt, arg(fd), socket_level, error_option, @intFromPtr(&value), @intFromPtr(&length));
}

/// One byte, without waiting and without a signal where nobody listens any more.
pub fn send_byte(fd: i32) Result {
    const nosignal_dontwait = 0x4000 | 0x40;
    const byte = [1]u8{1};
    return wrap(linux.syscall6(.sendto, arg(fd), @intFromPtr(&byte), 1, nosignal_dontwait, 0, 0));
}

test "locks belong to the description, not to the process" {
    const memory = memfd_create("test").fd();
    defer close(memory);
    var path_buffer: [64]u8 = undefined;
    const path = try std.fmt.bufPrintSentinel(&path_buffer, "/proc/self/fd/{d}", .{memory}, 0);
    const a = open(path, o_rdwr | o_cloexec, 0).fd();
    const b = open(path, o_rdwr | o_cloexec, 0).fd();
    defer close(b);
    try std.testing.expect(lock_byte(a, 1 << 62).ok());
    try std.testing.expectEqual(true, byte_locked(b, 1 << 62));
    try std.testing.expectEqual(Errno.AGAIN, lock_byte(b, 1 << 62).errno);
    close(a);
    try std.testing.expectEqual(false, byte_locked(b, 1 << 62));
}

test "the offset of a time namespace" {
    const file = "monotonic        1000         5\nboottime            0         0\n";
    try std.testing.expectEqual(1000 * std.time.ns_per_s + 5, clock_offset_of(file));
    const behind: i64 = -3 * std.time.ns_per_s;
    try std.testing.expectEqual(@as(u64, @bitCast(behind)), clock_offset_of("monotonic -3 0\n"));
    try std.testing.expectEqual(null, clock_offset_of("boottime 1 1\n"));
}

test "a read lock neither shows as a participant's nor hides one" {
    const memory = memfd_create("test").fd();
    defer close(memory);
    var buffer: ProcPath = undefined;
    const path = path_of(memory, &buffer);
    const participant = open(path, o_rdwr | o_cloexec, 0).fd();
    const reader = open(path, o_rdonly | o_cloexec, 0).fd();
    defer close(reader);
    try std.testing.expect(lock_byte(participant, 1 << 62).ok());
    var lock = byte_lock(1 << 62);
    lock.type = read_lock;
    const refused = wrap(linux.syscall3(.fcntl, arg(reader), linux.F.OFD_SETLK, @intFromPtr(&lock)));
    try std.testing.expectEqual(Errno.AGAIN, refused.errno);
    close(participant);
    lock = byte_lock(1 << 62);
    lock.type = read_lock;
    try std.testing.expect(wrap(linux.syscall3(.fcntl, arg(reader), linux.F.OFD_SETLK, @intFromPtr(&lock))).ok());
    try std.testing.expectEqual(false, byte_locked(memory, 1 << 62));
}
