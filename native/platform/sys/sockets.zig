//! Unix sockets that take datagrams.

const kernel = @import("kernel.zig");
const Result = kernel.Result;
const linux = kernel.linux;
const wrap = kernel.wrap;
const arg = kernel.arg;

const family_unix = 1;
const datagram_nonblock_cloexec = 2 | 0o4000 | 0o2000000;

pub fn open() Result {
    return wrap(linux.syscall3(.socket, family_unix, datagram_nonblock_cloexec, 0));
}

pub const Address = extern struct {
    family: u16 = 1,
    path: [108]u8 = @splat(0),
};

pub fn bind(fd: i32, address: *const Address) Result {
    return wrap(linux.syscall3(.bind, arg(fd), @intFromPtr(address), @sizeOf(Address)));
}

pub fn connect(fd: i32, address: *const Address) Result {
    return wrap(linux.syscall3(.connect, arg(fd), @intFromPtr(address), @sizeOf(Address)));
}

/// Two sockets that are connected to each other.
pub fn open_pair(ends: *[2]i32) Result {
    return wrap(linux.syscall4(.socketpair, family_unix, datagram_nonblock_cloexec, 0, @intFromPtr(ends)));
}

/// A connected datagram socket accepts any sender again. The other end stays connected to it.
pub fn disconnect(fd: i32) Result {
    const family_none: u16 = 0;
    return wrap(linux.syscall3(.connect, arg(fd), @intFromPtr(&family_none), @sizeOf(u16)));
}

/// Forgets the error that the next operation on a socket would report.
pub fn clear_error(fd: i32) void {
    const socket_level = 1;
    const error_option = 4;
    var value: u32 = 0;
    var length: u32 = @sizeOf(u32);
    _ = linux.syscall5(.getsockopt, arg(fd), socket_level, error_option, @intFromPtr(&value), @intFromPtr(&length));
}

/// Sends one byte, without waiting, and without a signal if no process listens any more.
pub fn send_byte(fd: i32) Result {
    const nosignal_dontwait = 0x4000 | 0x40;
    const byte = [1]u8{1};
    return wrap(linux.syscall6(.sendto, arg(fd), @intFromPtr(&byte), 1, nosignal_dontwait, 0, 0));
}
