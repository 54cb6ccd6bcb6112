//! One bell as a file: rung, connected to, opened to all, and always looked at before it is believed.

const std = @import("std");
const sys = @import("../sys.zig");

/// Who may pass the folders may ring.
pub const bell_mode = 0o666;

/// Lets others ring a socket in a folder of this user's own. (`bind` makes it as the umask says.)
pub fn open_to_all(folder: i32, name: [*:0]const u8) void {
    const file = sys.openat(folder, name, sys.o_path | sys.o_nofollow | sys.o_cloexec, 0);
    if (!file.ok()) return;
    defer sys.close(file.fd());
    _ = sys.chmod_of(file.fd(), bell_mode);
}

/// Whether a file is of that kind and belongs to the user of the folder that it was opened in: another
/// user's could have been linked there to be written to.
fn belongs(folder: i32, file: i32, kind: sys.FileKind) bool {
    const folder_info = sys.stat(folder, "");
    const file_info = sys.stat(file, "");
    if (folder_info != .info or file_info != .info) return false;
    return file_info.info.kind == kind and file_info.info.uid == folder_info.info.uid;
}

pub fn open_fifo(folder: i32, name: [*:0]const u8) ?i32 {
    const result = sys.openat(folder, name, sys.o_wronly | sys.o_nonblock | sys.o_cloexec | sys.o_nofollow, 0);
    if (!result.ok()) return null;
    if (belongs(folder, result.fd(), .fifo)) return result.fd();
    sys.close(result.fd());
    return null;
}

pub fn connect_to(folder: i32, name: [*:0]const u8, kind: sys.SocketKind) ?i32 {
    const file = sys.openat(folder, name, sys.o_path | sys.o_nofollow | sys.o_cloexec, 0);
    if (!file.ok()) return null;
    defer sys.close(file.fd());
    if (!belongs(folder, file.fd(), .socket)) return null;
    const socket = sys.unix_socket(kind);
    if (!socket.ok()) return null;
    if (sys.connect(socket.fd(), &address_of(file.fd())).ok()) return socket.fd();
    sys.close(socket.fd());
    return null;
}

/// Of the socket behind a descriptor.
fn address_of(fd: i32) sys.UnixAddress {
    var address: sys.UnixAddress = .{};
    var buffer: sys.ProcPath = undefined;
    const path = std.mem.span(sys.path_of(fd, &buffer));
    @memcpy(address.path[0..path.len], path);
    return address;
}

/// False: the process that made this socket is dead.
pub fn listens(folder: i32, name: [*:0]const u8) bool {
    const file = sys.openat(folder, name, sys.o_path | sys.o_nofollow | sys.o_cloexec, 0);
    if (!file.ok()) return file.errno != .NOENT;
    defer sys.close(file.fd());
    const info = sys.stat(file.fd(), "");
    if (info != .info or info.info.kind != .socket) return true;
    const socket = sys.unix_socket(.stream);
    if (!socket.ok()) return true;
    defer sys.close(socket.fd());
    const result = sys.connect(socket.fd(), &address_of(file.fd()));
    return result.ok() or result.errno != .CONNREFUSED;
}
