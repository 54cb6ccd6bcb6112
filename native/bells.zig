//! The files beside a channel through which a sleeping event loop is woken, and through which the
//! kernel tells of a death. Nothing here is in shared memory.
//!
//! `b<index>-<epoch>-<channel>`: the doorbell of one participant, a FIFO or a datagram socket,
//! whichever its runtime can poll. `l<index>-<epoch>-<channel>`: a stream socket that listens and
//! accepts nothing; whoever is connected to it is hung up on when its process dies. The channel's
//! `n…`: a pipe that makes another event loop's poll return. The channel's
//! id is in the names because a channel that was unlinked may live on beside its successor.
//! `p…`: a channel that this participant alone serves; its bells are in `p….bells`.

const std = @import("std");
const abi = @import("abi.zig");
const sys = @import("sys.zig");

pub const path_bytes_max = 4096;

const cache_size = 64;

/// Of the files of one participant.
const letters = "bln";
const private_letter = 'p';

/// Of the folder, after the path of the channel.
pub const suffix = ".bells";

pub const Bells = struct {
    /// The folder, NUL-terminated.
    folder: [path_bytes_max]u8,
    directory: i32 = -1,
    channel_id: u64 = 0,
    /// Rights that the channel's file gives, for the folder and what is in it.
    mode: u32 = 0o600,
    life: i32 = -1,
    has_bell: bool = false,
    index: u32 = 0,
    epoch: u64 = 0,
    /// Open ends of bells that were rung before.
    cache: [cache_size]Cached = @splat(.{}),

    const Cached = struct { index: u32 = 0, epoch: u64 = 0, fd: i32 = -1 };

    const Name = [64]u8;

    fn file_name(bells: *const Bells, buffer: *Name, letter: u8, index: u32, epoch: u64) [*:0]const u8 {
        const parts = .{ letter, index, epoch, bells.channel_id };
        return (std.fmt.bufPrintSentinel(buffer, "{c}{d}-{x}-{x}", parts, 0) catch unreachable).ptr;
    }

    fn open_folder(bells: *Bells, make: bool) bool {
        if (bells.directory >= 0) return true;
        const path: [*:0]const u8 = @ptrCast(&bells.folder);
        if (make) {
            // Search permission goes with read permission.
            const mode = bells.mode | ((bells.mode >> 2) & 0o111) | 0o700;
            if (sys.mkdir(path, mode).ok()) _ = sys.chmod(path, mode);
        }
        const flags = sys.o_rdonly | sys.o_directory | sys.o_cloexec | sys.o_nofollow;
        const result = sys.open(path, flags, 0);
        if (!result.ok()) return false;
        bells.directory = result.fd();
        return true;
    }

    fn close_folder(bells: *Bells) void {
        if (bells.directory < 0) return;
        sys.close(bells.directory);
        bells.directory = -1;
    }

    /// Of a socket in the folder, through /proc since a socket's address has 108 bytes at most.
    fn socket_address(bells: *Bells, name: [*:0]const u8) sys.UnixAddress {
        var address: sys.UnixAddress = .{};
        _ = std.fmt.bufPrint(&address.path, "/proc/self/fd/{d}/{s}", .{
            bells.directory,
            std.mem.span(name),
        }) catch unreachable;
        return address;
    }

    /// Makes the socket whose end tells of this participant's death. False: it could not be made,
    /// and others have to look in slices of time.
    pub fn announce_life(bells: *Bells, index: u32, epoch: u64) bool {
        bells.index = index;
        bells.epoch = epoch;
        const socket = sys.unix_socket(.stream);
        if (!socket.ok()) return false;
        if (bells.bind_named(socket.fd(), 'l')) {
            if (sys.listen(socket.fd(), 4096).ok()) {
                bells.life = socket.fd();
                return true;
            }
        }
        sys.close(socket.fd());
        return false;
    }

    pub fn bind_named(bells: *Bells, fd: i32, letter: u8) bool {
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, letter, bells.index, bells.epoch);
        // The last to leave removes the folder, possibly just now.
        for (0..16) |_| {
            if (!bells.open_folder(true)) return false;
            const address = bells.socket_address(name);
            switch (sys.bind(fd, &address)) {
                .value => {
                    bells.has_bell = true;
                    _ = sys.fchmodat(bells.directory, name, bells.mode);
                    return true;
                },
                .errno => |errno| switch (errno) {
                    .ADDRINUSE => _ = sys.unlinkat(bells.directory, name, 0),
                    .NOENT => bells.close_folder(),
                    else => return false,
                },
            }
        }
        return false;
    }

    /// A FIFO of this participant's, open for both; its own event loop owns that descriptor.
    pub fn make_fifo(bells: *Bells, letter: u8) ?i32 {
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, letter, bells.index, bells.epoch);
        for (0..16) |_| {
            if (!bells.open_folder(true)) return null;
            switch (sys.mkfifoat(bells.directory, name, bells.mode)) {
                .value => {
                    bells.has_bell = true;
                    _ = sys.fchmodat(bells.directory, name, bells.mode);
                    // Both ends, so that it never reads as closed while nobody rings.
                    const flags = sys.o_rdwr | sys.o_nonblock | sys.o_cloexec;
                    const result = sys.openat(bells.directory, name, flags, 0);
                    return if (result.ok()) result.fd() else null;
                },
                .errno => |errno| switch (errno) {
                    .EXIST => _ = sys.unlinkat(bells.directory, name, 0),
                    .NOENT => bells.close_folder(),
                    else => return null,
                },
            }
        }
        return null;
    }

    /// Rings another participant's doorbell. False: it has none any more.
    pub fn ring(bells: *Bells, index: u32, epoch: u64, kind: u32) bool {
        const cached = &bells.cache[index % cache_size];
        if (cached.fd >= 0 and cached.index == index and cached.epoch == epoch) {
            if (send(cached.fd, kind)) return true;
        }
        if (cached.fd >= 0) sys.close(cached.fd);
        cached.* = .{};
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, 'b', index, epoch);
        // A folder that was removed and made anew is a different one.
        for (0..2) |_| {
            if (!bells.open_folder(false)) return false;
            const fd = bells.open_bell(name, kind) orelse {
                bells.close_folder();
                continue;
            };
            cached.* = .{ .index = index, .epoch = epoch, .fd = fd };
            return send(fd, kind);
        }
        return false;
    }

    /// Rings another participant's notify pipe.
    pub fn ring_notify(bells: *Bells, index: u32, epoch: u64) bool {
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, 'n', index, epoch);
        for (0..2) |_| {
            if (!bells.open_folder(false)) return false;
            const fd = bells.open_bell(name, abi.bell_fifo) orelse {
                bells.close_folder();
                continue;
            };
            defer sys.close(fd);
            return send(fd, abi.bell_fifo);
        }
        return false;
    }

    fn open_bell(bells: *Bells, name: [*:0]const u8, kind: u32) ?i32 {
        if (kind == abi.bell_fifo) {
            const flags = sys.o_wronly | sys.o_nonblock | sys.o_cloexec | sys.o_nofollow;
            const result = sys.openat(bells.directory, name, flags, 0);
            return if (result.ok()) result.fd() else null;
        }
        return bells.connect_named(.datagram, name);
    }

    fn connect_named(bells: *Bells, kind: sys.SocketKind, name: [*:0]const u8) ?i32 {
        const socket = sys.unix_socket(kind);
        if (!socket.ok()) return null;
        const address = bells.socket_address(name);
        if (sys.connect(socket.fd(), &address).ok()) return socket.fd();
        sys.close(socket.fd());
        return null;
    }

    /// A bell that is full has been rung often enough.
    fn send(fd: i32, kind: u32) bool {
        const result = if (kind == abi.bell_fifo) sys.write(fd, &[1]u8{1}) else sys.send_byte(fd);
        return switch (result) {
            .value => true,
            .errno => |errno| errno == .AGAIN,
        };
    }

    /// A connection on which the kernel hangs up when that participant dies.
    pub fn watch_life(bells: *Bells, index: u32, epoch: u64) ?i32 {
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, 'l', index, epoch);
        for (0..2) |_| {
            if (!bells.open_folder(false)) return null;
            if (bells.connect_named(.stream, name)) |fd| return fd;
            bells.close_folder();
        }
        return null;
    }

    /// Writes the path of this participant's private channel and returns its length; 0: it is too long.
    pub fn private_path(bells: *const Bells, path: []u8) usize {
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, private_letter, bells.index, bells.epoch);
        const folder: [*:0]const u8 = @ptrCast(&bells.folder);
        const parts = .{ std.mem.span(folder), std.mem.span(name) };
        return (std.fmt.bufPrint(path, "{s}/{s}", parts) catch return 0).len;
    }

    /// Removes the private channel of a participant that is dead, and what its own dead have left.
    fn forget_private(bells: *Bells, name: [*:0]const u8) void {
        if (!sys.unlinkat(bells.directory, name, 0).ok()) return;
        var private: Bells = .{ .folder = undefined };
        const folder: [*:0]const u8 = @ptrCast(&bells.folder);
        const parts = .{ std.mem.span(folder), std.mem.span(name) };
        _ = std.fmt.bufPrintSentinel(&private.folder, "{s}/{s}" ++ suffix, parts, 0) catch return;
        private.sweep();
    }

    /// Removes what a dead participant left.
    pub fn forget(bells: *Bells, index: u32, epoch: u64) void {
        const cached = &bells.cache[index % cache_size];
        if (cached.fd >= 0 and cached.index == index and cached.epoch == epoch) {
            sys.close(cached.fd);
            cached.* = .{};
        }
        // Others may have removed the folder and made it anew since it was opened.
        if (bells.directory >= 0) switch (sys.stat(bells.directory, "")) {
            .info => |info| if (info.links == 0) bells.close_folder(),
            .errno => {},
        };
        if (!bells.open_folder(false)) return;
        for (letters) |letter| {
            var buffer: Name = undefined;
            _ = sys.unlinkat(bells.directory, bells.file_name(&buffer, letter, index, epoch), 0);
        }
        var buffer: Name = undefined;
        bells.forget_private(bells.file_name(&buffer, private_letter, index, epoch));
    }

    /// Removes what the dead have left in the folder, and the folder if nothing else is in it. For
    /// channels that nobody is attached to any more: of others, repairers remove it.
    pub fn sweep(bells: *Bells) void {
        if (!bells.open_folder(false)) return;
        bells.remove_dead(null);
        bells.close_folder();
        _ = sys.rmdir(@ptrCast(&bells.folder));
    }

    /// Removes what the dead of earlier channels at the same path have left: nobody is attached to
    /// those any more who would repair them. Of this channel's own, somebody may be on his way in.
    pub fn sweep_predecessors(bells: *Bells) void {
        if (bells.open_folder(false)) bells.remove_dead(bells.channel_id);
    }

    fn remove_dead(bells: *Bells, spared_channel: ?u64) void {
        var spared_buffer: Name = undefined;
        const spared: ?[]const u8 = if (spared_channel) |id|
            std.fmt.bufPrint(&spared_buffer, "-{x}", .{id}) catch unreachable
        else
            null;
        var entries: sys.DirectoryReader = .{ .fd = bells.directory };
        while (entries.next()) |name| {
            if (name.len < 2 or name[0] != 'l' or name.len >= @sizeOf(Name)) continue;
            if (spared) |ending| if (std.mem.endsWith(u8, name, ending)) continue;
            var buffer: Name = undefined;
            @memcpy(buffer[0..name.len], name);
            buffer[name.len] = 0;
            const path: [*:0]const u8 = @ptrCast(&buffer);
            if (bells.listens(path)) continue;
            for (letters) |letter| {
                buffer[0] = letter;
                _ = sys.unlinkat(bells.directory, path, 0);
            }
            buffer[0] = private_letter;
            bells.forget_private(path);
        }
    }

    /// False: whoever made this socket is dead.
    fn listens(bells: *Bells, name: [*:0]const u8) bool {
        const socket = sys.unix_socket(.stream);
        if (!socket.ok()) return true;
        defer sys.close(socket.fd());
        const address = bells.socket_address(name);
        const result = sys.connect(socket.fd(), &address);
        return result.ok() or result.errno != .CONNREFUSED;
    }

    /// Removes this participant's own files, and the folder if they were the last.
    pub fn close(bells: *Bells) void {
        if (bells.life >= 0) {
            bells.forget(bells.index, bells.epoch);
            sys.close(bells.life);
            bells.life = -1;
        } else if (bells.has_bell) {
            bells.forget(bells.index, bells.epoch);
        }
        for (&bells.cache) |*cached| {
            if (cached.fd >= 0) sys.close(cached.fd);
            cached.* = .{};
        }
        bells.close_folder();
        // Where others may open the channel they could not make the folder again.
        if (bells.mode & 0o077 == 0) _ = sys.rmdir(@ptrCast(&bells.folder));
    }
};
