//! One bell as a file: ringing it, connecting to it, opening it to all. Each file is checked before it is
//! used.

const std = @import("std");
const files = @import("../sys/files.zig");
const sockets = @import("../sys/sockets.zig");

/// Every user that may enter the folders may ring.
pub const bell_mode = 0o666;

/// Every user may watch, and no user may write: a writer keeps the FIFO from hanging up.
pub const life_mode = 0o444;

/// Lets others ring a socket in a folder of this user. (The umask determines the mode that `bind` gives it.)
pub fn open_to_all(folder: i32, name: [*:0]const u8) void {
    const file = files.openat(folder, name, files.o_path | files.o_nofollow | files.o_cloexec, 0);
    if (!file.ok()) return;
    defer files.close(file.fd());
    _ = files.chmod_of(file.fd(), bell_mode);
}

/// Whether a file is of that kind and belongs to the user of its folder. A file of another user could have
/// been linked there to be written to.
fn belongs(folder: i32, file: i32, kind: files.FileKind) bool {
    const folder_info = files.stat(folder, "");
    const file_info = files.stat(file, "");
    if (folder_info != .info or file_info != .info) return false;
    return file_info.info.kind == kind and file_info.info.uid == folder_info.info.uid;
}

pub fn open_to_ring(folder: i32, name: [*:0]const u8) ?i32 {
    return open_fifo(folder, name, files.o_wronly);
}

/// Null also if the participant that holds the other end is dead.
pub fn open_to_watch(folder: i32, name: [*:0]const u8) ?i32 {
    const fifo = open_fifo(folder, name, files.o_rdonly) orelse return null;
    if (has_writer(fifo)) return fifo;
    files.close(fifo);
    return null;
}

noinline fn open_fifo(folder: i32, name: [*:0]const u8, access: u32) ?i32 {
    const result = files.openat(folder, name, access | files.o_nonblock | files.o_cloexec | files.o_nofollow, 0);
    if (!result.ok()) return null;
    if (belongs(folder, result.fd(), .fifo)) return result.fd();
    files.close(result.fd());
    return null;
}

/// The kernel reports a hang-up of a FIFO only to those that had it open before.
noinline fn has_writer(fifo: i32) bool {
    var byte: [1]u8 = undefined;
    const result = files.read(fifo, &byte);
    return !result.ok() or result.value > 0;
}

/// False: the process that made this FIFO is dead.
pub fn is_alive(folder: i32, name: [*:0]const u8) bool {
    const fifo = files.openat(folder, name, files.o_rdonly | files.o_nonblock | files.o_cloexec | files.o_nofollow, 0);
    if (!fifo.ok()) return fifo.errno != .NOENT;
    defer files.close(fifo.fd());
    const info = files.stat(fifo.fd(), "");
    return info != .info or info.info.kind != .fifo or has_writer(fifo.fd());
}

pub fn connect_to(folder: i32, name: [*:0]const u8) ?i32 {
    const file = files.openat(folder, name, files.o_path | files.o_nofollow | files.o_cloexec, 0);
    if (!file.ok()) return null;
    defer files.close(file.fd());
    if (!belongs(folder, file.fd(), .socket)) return null;
    const socket = sockets.open();
    if (!socket.ok()) return null;
    if (sockets.connect(socket.fd(), &address_of(file.fd())).ok()) return socket.fd();
    files.close(socket.fd());
    return null;
}

/// The address of the socket behind a descriptor.
fn address_of(fd: i32) sockets.Address {
    var address: sockets.Address = .{};
    var buffer: files.DescriptorPath = undefined;
    const path = std.mem.span(files.descriptor_path(fd, &buffer));
    @memcpy(address.path[0..path.len], path);
    return address;
}
