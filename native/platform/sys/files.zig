//! System calls on files, folders and descriptors.

const std = @import("std");
const kernel = @import("kernel.zig");
const Errno = kernel.Errno;
const Result = kernel.Result;
const linux = kernel.linux;
const wrap = kernel.wrap;
const arg = kernel.arg;

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
/// A descriptor that only names a file: opening has no effect on it, whatever its kind.
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

/// Makes a descriptor readable. An eventfd takes its count in eight bytes, and other files take eight bytes
/// as well. A full file is readable already.
pub fn write_counter(fd: i32) bool {
    const one: u64 = 1;
    const result = write(fd, std.mem.asBytes(&one));
    return result.ok() or result.errno == .AGAIN;
}

/// Reads everything that is available without waiting, even from a blocking descriptor.
pub fn drain(fd: i32) void {
    // An eventfd is empty after one read; a pipe contains the bytes of all ringers.
    const reads_max = 1024;
    var buffer: [4096]u8 = undefined;
    for (0..reads_max) |_| {
        if (!readable(fd)) return;
        const result = read(fd, &buffer);
        if (!result.ok() or result.value == 0) return;
    }
}

fn readable(fd: i32) bool {
    var watched: [1]Watched = .{.{ .fd = fd, .events = poll_in }};
    return poll(&watched, 0).ok() and watched[0].found & poll_in != 0;
}

pub const poll_in: i16 = 1;
/// Reported without being asked for: an error, a hang-up.
pub const poll_gone: i16 = 0x8 | 0x10;

/// A descriptor that `poll` waits for; below 0: none.
pub const Watched = extern struct { fd: i32, events: i16 = 0, found: i16 = 0 };

/// Waits until something has happened to one of the descriptors. Null: for ever.
pub fn poll(watched: []Watched, timeout_ns: ?u64) Result {
    const timeout = timeout_ns orelse 0;
    const time: linux.kernel_timespec = .{
        .sec = @intCast(timeout / std.time.ns_per_s),
        .nsec = @intCast(timeout % std.time.ns_per_s),
    };
    const limit = if (timeout_ns == null) 0 else @intFromPtr(&time);
    return wrap(linux.syscall5(.ppoll, @intFromPtr(watched.ptr), watched.len, limit, 0, 0));
}

/// A counter that is readable when it is not zero. Non-blocking.
pub fn event_counter() Result {
    return wrap(linux.syscall2(.eventfd2, 0, o_nonblock | o_cloexec));
}

/// Another descriptor for the same description.
pub fn duplicate(fd: i32) Result {
    return duplicate_from(fd, 0);
}

/// As `duplicate`, with a number that is not below the given one.
pub fn duplicate_from(fd: i32, number_min: u32) Result {
    const dupfd_cloexec = 1030;
    return wrap(linux.syscall3(.fcntl, arg(fd), dupfd_cloexec, number_min));
}

/// The same file under a description of its own; the descriptor may stand for a pipe.
pub fn reopen(fd: i32, flags: u32) Result {
    var buffer: [32]u8 = undefined;
    const path = std.fmt.bufPrintSentinel(&buffer, "/proc/self/fd/{d}", .{fd}, 0) catch unreachable;
    return open(path, flags | o_cloexec, 0);
}

/// The two ends are non-blocking: the first is read from, the second written to.
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

/// Gives a file of a folder another name there, and replaces what has that name.
pub fn rename_within(directory: i32, from: [*:0]const u8, to: [*:0]const u8) Result {
    const fd = arg(directory);
    return wrap(linux.syscall5(.renameat2, fd, @intFromPtr(from), fd, @intFromPtr(to), 0));
}

/// Reads the names in a folder, in no particular order.
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

/// Names the file behind `source`, a path of this process (through /proc/self/fd); never replaces a file.
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

pub const DescriptorPath = [32]u8;

/// The file behind a descriptor as a path, for calls that take only a path: no name is looked up again.
pub fn descriptor_path(fd: i32, buffer: *DescriptorPath) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "/proc/self/fd/{d}", .{fd}, 0) catch unreachable).ptr;
}

/// As `fchmod`, but also works for a descriptor that was opened with `o_path`.
pub fn chmod_of(fd: i32, mode: u32) Result {
    var buffer: DescriptorPath = undefined;
    return wrap(linux.syscall3(.fchmodat, arg(at_fdcwd), @intFromPtr(descriptor_path(fd, &buffer)), mode));
}

/// Changes the owner of a file; `null` leaves the user or group unchanged.
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

/// The magic number of the file system that a file lies in; 0: unknown.
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

/// Allocates the pages of a range, so that later writes cannot run out of space.
pub fn fallocate(fd: i32, offset: u64, length: u64) Result {
    while (true) {
        const result = wrap(linux.syscall4(.fallocate, arg(fd), 0, offset, length));
        if (result == .errno and result.errno == .INTR) continue;
        return result;
    }
}

/// Unshares the blocks of a range that the file shares with another.
pub fn unshare(fd: i32, offset: u64, length: u64) Result {
    const unshare_range = 0x40;
    while (true) {
        const result = wrap(linux.syscall4(.fallocate, arg(fd), unshare_range, offset, length));
        if (result == .errno and result.errno == .INTR) continue;
        return result;
    }
}

/// Frees the pages of a range; it reads as zeros then.
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

/// With an empty path, about the file itself; otherwise without following a link.
pub noinline fn stat(directory: i32, path: [*:0]const u8) StatResult {
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

pub fn memfd_create(name: [*:0]const u8) Result {
    const cloexec_sealable = 1 | 2;
    return wrap(linux.syscall2(.memfd_create, @intFromPtr(name), cloexec_sealable));
}

/// Forbids shrinking, growing and further seals.
pub fn seal(fd: i32) Result {
    const add_seals = 1033;
    return wrap(linux.syscall3(.fcntl, arg(fd), add_seals, seal_seal | seal_shrink | seal_grow));
}

const seal_seal = 0x1;
const seal_shrink = 0x2;
const seal_grow = 0x4;

/// Whether the file keeps its size for ever.
pub fn is_sealed(fd: i32) bool {
    const get_seals = 1034;
    const result = wrap(linux.syscall3(.fcntl, arg(fd), get_seals, 0));
    const wanted = seal_shrink | seal_grow;
    return result.ok() and result.value & wanted == wanted;
}

/// Programs that this process starts from now on do not inherit the descriptor.
pub fn close_on_exec(fd: i32) void {
    const set_flags = 2;
    const cloexec = 1;
    _ = linux.syscall3(.fcntl, arg(fd), set_flags, cloexec);
}
