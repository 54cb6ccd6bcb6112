//! The files beside a channel: through them, sleeping event loops are woken and deaths are noticed. Nothing
//! here is in shared memory.
//!
//! ```
//! thumbs.tandem                    the channel
//! thumbs.tandem.bells/             its owner's folder, sticky, for users that may open the channel
//! thumbs.tandem.bells/u1000/       the folder of user 1000; only that user may write to it
//!     b<index>-<epoch>-<channel>   the bell of one participant: a FIFO or a datagram socket, as its
//!                                  runtime can poll
//!     l…                           a FIFO that its participant alone has open for writing: the kernel hangs up
//!                                  on its readers, who watch, when the process dies; its name is s… until it is
//!                                  open, because a FIFO without a writer counts as dead
//!     n…                           a pipe that makes another event loop's poll return
//!     p…                           this participant's private channel, with `p….bells/` of its own
//!     d…                           its board; `e…` until it is complete
//! ```
//!
//! The names contain the channel's id, because a removed channel may live on beside its successor.
//!
//! Other users may write into the folder, possibly with bad intentions. So every folder and file is opened
//! once, without following links, and its type and owner are checked through the descriptor. Operations that
//! need a name happen in a folder of this user's own. The last participant removes the folder if only this
//! user can write around it. Otherwise the folder stays as long as the channel: if it were removed earlier,
//! others could take its name.

const std = @import("std");
const abi = @import("../../abi.zig");
const file = @import("file.zig");
const folders = @import("folder.zig");
const names = @import("names.zig");
const removal = @import("removal.zig");
const files = @import("../sys/files.zig");
const process = @import("../sys/process.zig");
const sockets = @import("../sys/sockets.zig");
const Control = abi.Control;
const Error = abi.Error;

const cache_size = 64;
/// How many users and bells of earlier channels a newcomer looks at: as many as a channel has participants. Other users
/// may have made any number of folders and files.
const predecessors_max = 1024;

pub const Bells = struct {
    /// The folder, open to name things in it; -1: this participant has none.
    top: i32 = -1,
    /// This user's folder in it; -1: none.
    own: i32 = -1,
    uid: u32 = 0,
    /// The identity of the folder, for the participant's entry.
    device: u64 = 0,
    inode: u64 = 0,
    folder_name: names.FolderName = @splat(0),
    /// The user that the folder has to belong to.
    owner: u32 = 0,
    /// The last participant removes the folder.
    goes_with_last: bool = false,
    channel_id: u64 = 0,
    /// Of a quiet participant of a private channel, which keeps no folder open: through these bells of the main channel
    /// it finds the folder, and keeps what it rings often.
    lender: ?*Bells = null,
    life: i32 = -1,
    /// This participant has put a file into the folder.
    has_files: bool = false,
    index: u32 = 0,
    epoch: u64 = 0,
    /// Open ends of bells that were rung before.
    cache: [cache_size]Cached = @splat(.{}),
    /// False while this participant rings bells that it will hardly ring again soon: it closes their ends at once.
    keeps_rung: bool = true,

    const Cached = struct {
        index: u32 = 0,
        epoch: u64 = 0,
        channel_id: u64 = 0,
        fd: i32 = -1,

        fn is_of(cached: *const Cached, bells: *const Bells, other: names.Identity) bool {
            return cached.fd >= 0 and cached.index == other.index and cached.epoch == other.epoch and
                cached.channel_id == bells.channel_id;
        }

        fn clear(cached: *Cached) void {
            if (cached.fd >= 0) files.close(cached.fd);
            cached.* = .{};
        }
    };

    fn cached_at(bells: *Bells, index: u32) *Cached {
        const lender = bells.lender orelse return &bells.cache[index % cache_size];
        return &lender.cache[(index +% @as(u32, @truncate(bells.channel_id))) % cache_size];
    }

    /// For a quiet participant: it has no files.
    pub fn borrow(bells: *Bells, lender: *Bells, home: *const folders.Home) void {
        bells.lender = lender;
        bells.owner = home.uid;
        _ = names.folder_name_of(home.name, &bells.folder_name) catch {
            bells.lender = null;
        };
    }

    /// Finds the folders, and makes the missing ones.
    ///
    /// `Permission`: the folder does not belong to the channel's owner, or users may write to it who may not
    /// write to the channel. Without the space or the permission to make a folder, there is none.
    pub fn open(bells: *Bells, home: *const folders.Home, control: *Control) Error!void {
        bells.uid = process.user();
        bells.close_folders();
        const top = try folders.open_top(home, control) orelse return;
        bells.top = top.fd;
        bells.device = top.info.device;
        bells.inode = top.info.inode;
        _ = names.folder_name_of(home.name, &bells.folder_name) catch unreachable;
        bells.owner = home.uid;
        bells.goes_with_last = folders.is_own_folder(home.parent);
        bells.own = folders.open_own(top.fd, bells.uid) orelse -1;
    }

    /// False also when others have removed it.
    pub fn has_own_folder(bells: *const Bells) bool {
        if (bells.own < 0) return false;
        const now = files.stat(bells.own, "");
        return now != .info or now.info.links > 0;
    }

    /// As `open`, but what this participant has stays open unless there is something better.
    pub fn reopen(bells: *Bells, home: *const folders.Home) void {
        var nothing: Control = .{};
        var found = bells.*;
        found.top = -1;
        found.own = -1;
        found.open(home, &nothing) catch return;
        if (found.own < 0) return found.close_folders();
        bells.close_folders();
        bells.* = found;
    }

    pub fn close_folders(bells: *Bells) void {
        for ([_]*i32{ &bells.top, &bells.own }) |fd| {
            if (fd.* >= 0) files.close(fd.*);
            fd.* = -1;
        }
    }

    pub fn file_name(bells: *const Bells, buffer: *names.Name, letter: u8, of: names.Identity) [*:0]const u8 {
        const parts = .{ letter, of.index, of.epoch, bells.channel_id };
        return (std.fmt.bufPrintSentinel(buffer, "{c}{d}-{x}-{x}", parts, 0) catch unreachable).ptr;
    }

    fn identity(bells: *const Bells) names.Identity {
        return .{ .uid = bells.uid, .index = bells.index, .epoch = bells.epoch };
    }

    pub fn own_file_name(bells: *const Bells, buffer: *names.Name, letter: u8) [*:0]const u8 {
        return bells.file_name(buffer, letter, bells.identity());
    }

    /// The folder of a participant's user. Close it with `close_other`.
    pub fn other_folder(bells: *const Bells, uid: u32) ?i32 {
        if (bells.lender) |lender| return bells.lent_folder(lender, uid);
        if (bells.top < 0) return null;
        if (uid == bells.uid) return if (bells.own >= 0) bells.own else null;
        return folders.open_user_folder(bells.top, uid);
    }

    /// From the folder of the participant that hosts this private channel.
    fn lent_folder(bells: *const Bells, lender: *const Bells, uid: u32) ?i32 {
        const host = lender.other_folder(bells.owner) orelse return null;
        defer lender.close_other(host);
        const top = folders.open_of_user(host, &bells.folder_name, bells.owner) orelse return null;
        defer files.close(top);
        return folders.open_user_folder(top, uid);
    }

    pub fn close_other(bells: *const Bells, folder: i32) void {
        if (folder != bells.own) files.close(folder);
    }

    pub const Announced = enum { done, failed, folder_gone };

    /// Makes the FIFO whose hang-up reports this participant's death. `failed`: others have to look in slices of
    /// time. `folder_gone`: another process has removed the folder; open it again.
    pub fn announce_life(bells: *Bells, index: u32, epoch: u64) Announced {
        bells.index = index;
        bells.epoch = epoch;
        for (0..16) |_| {
            const fifo = switch (bells.make_fifo_of(names.unborn_letter, file.life_mode)) {
                .fd => |fd| fd,
                .swept => continue,
                .failed => return .failed,
                .folder_gone => return .folder_gone,
            };
            var unborn: names.Name = undefined;
            var life: names.Name = undefined;
            const named = files.rename_within(
                bells.own,
                bells.own_file_name(&unborn, names.unborn_letter),
                bells.own_file_name(&life, names.life_letter),
            );
            if (named.ok()) {
                bells.life = fifo;
                return .done;
            }
            files.close(fifo);
            if (named.errno != .NOENT) return .failed;
        }
        return .failed;
    }

    /// Gives this participant's datagram socket its name. False: it has none.
    pub fn bind_bell(bells: *Bells, fd: i32) bool {
        if (!bells.may_be_found()) return false;
        var buffer: names.Name = undefined;
        const name = bells.own_file_name(&buffer, names.bell_letter);
        for (0..2) |_| {
            // Through /proc, because a socket's address has at most 108 bytes.
            var address: sockets.Address = .{};
            _ = std.fmt.bufPrint(&address.path, "/proc/self/fd/{d}/{s}", .{ bells.own, std.mem.span(name) }) catch
                unreachable;
            switch (sockets.bind(fd, &address)) {
                .value => {
                    bells.has_files = true;
                    file.open_to_all(bells.own, name);
                    return true;
                },
                .errno => |errno| {
                    if (errno != .ADDRINUSE) return false;
                    _ = files.unlinkat(bells.own, name, 0);
                },
            }
        }
        return false;
    }

    /// Sweepers find the dead by their lives, and would not find a bell without one.
    fn may_be_found(bells: *const Bells) bool {
        return bells.life >= 0;
    }

    /// Makes a FIFO of this participant, to be rung; its own event loop owns that descriptor.
    pub fn make_fifo(bells: *Bells, letter: u8) ?i32 {
        if (!bells.may_be_found()) return null;
        const made = bells.make_fifo_of(letter, file.bell_mode);
        return if (made == .fd) made.fd else null;
    }

    const Made = union(enum) {
        fd: i32,
        /// A sweeper has removed it before it was open.
        swept,
        failed,
        folder_gone,
    };

    noinline fn make_fifo_of(bells: *Bells, letter: u8, mode: u32) Made {
        if (bells.own < 0) return .failed;
        var buffer: names.Name = undefined;
        const name = bells.own_file_name(&buffer, letter);
        for (0..2) |_| {
            switch (files.mkfifoat(bells.own, name, 0o600)) {
                .value => {
                    bells.has_files = true;
                    // Both ends are open, so that it never reads as closed.
                    const flags = files.o_rdwr | files.o_nonblock | files.o_cloexec | files.o_nofollow;
                    const result = files.openat(bells.own, name, flags, 0);
                    if (!result.ok()) return if (result.errno == .NOENT) .swept else .failed;
                    _ = files.fchmod(result.fd(), mode);
                    return .{ .fd = result.fd() };
                },
                .errno => |errno| switch (errno) {
                    .EXIST => _ = files.unlinkat(bells.own, name, 0),
                    .NOENT => return .folder_gone,
                    else => return .failed,
                },
            }
        }
        return .failed;
    }

    /// Rings another participant's bell. False: it cannot be reached this way.
    pub fn ring(bells: *Bells, other: names.Identity, kind: u32) bool {
        const cached = bells.cached_at(other.index);
        if (cached.is_of(bells, other)) {
            if (send(cached.fd, kind)) return true;
            cached.clear();
        }
        if (!bells.keeps_rung) return bells.ring_once(other, names.bell_letter, kind);
        cached.clear();
        const fd = bells.open_other(other, names.bell_letter, kind) orelse return false;
        cached.* = .{ .index = other.index, .epoch = other.epoch, .channel_id = bells.channel_id, .fd = fd };
        return send(fd, kind);
    }

    /// Rings another participant's notify pipe.
    pub fn ring_notify(bells: *Bells, other: names.Identity) bool {
        return bells.ring_once(other, names.notify_letter, abi.bell_fifo);
    }

    fn ring_once(bells: *const Bells, other: names.Identity, letter: u8, kind: u32) bool {
        const fd = bells.open_other(other, letter, kind) orelse return false;
        defer files.close(fd);
        return send(fd, kind);
    }

    fn open_other(bells: *const Bells, other: names.Identity, letter: u8, kind: u32) ?i32 {
        const folder = bells.other_folder(other.uid) orelse return null;
        defer bells.close_other(folder);
        var buffer: names.Name = undefined;
        const name = bells.file_name(&buffer, letter, other);
        return if (kind == abi.bell_fifo) file.open_to_ring(folder, name) else file.connect_to(folder, name);
    }

    /// A full bell needs no further ring.
    fn send(fd: i32, kind: u32) bool {
        const result = if (kind == abi.bell_fifo) files.write(fd, &[1]u8{1}) else sockets.send_byte(fd);
        return switch (result) {
            .value => true,
            .errno => |errno| errno == .AGAIN,
        };
    }

    /// Opens a pipe on which the kernel hangs up when that participant dies.
    pub fn watch_life(bells: *const Bells, other: names.Identity) ?i32 {
        const folder = bells.other_folder(other.uid) orelse return null;
        defer bells.close_other(folder);
        var buffer: names.Name = undefined;
        return file.open_to_watch(folder, bells.file_name(&buffer, names.life_letter, other));
    }

    /// The name of this participant's private channel.
    pub fn private_name(bells: *const Bells, buffer: *names.Name) []const u8 {
        return std.mem.span(bells.own_file_name(buffer, names.private_letter));
    }

    /// Removes this participant's private channel, so that it may make another.
    pub fn forget_own_private(bells: *const Bells) void {
        if (bells.own < 0) return;
        var buffer: names.Name = undefined;
        removal.remove_private(bells.own, bells.own_file_name(&buffer, names.private_letter));
    }

    /// Closes the open ends of bells whose participants have gone from this channel. `living.has` tells who has not.
    pub fn close_gone(bells: *Bells, living: anytype) void {
        for (&bells.cache) |*cached| {
            if (cached.fd < 0 or cached.channel_id != bells.channel_id) continue;
            if (!living.has(cached.index, cached.epoch)) cached.clear();
        }
    }

    /// Removes the files of a dead participant. The files of another user's participant can only be removed
    /// by that user, or by root.
    pub fn forget(bells: *Bells, other: names.Identity) void {
        const cached = bells.cached_at(other.index);
        if (cached.is_of(bells, other)) cached.clear();
        bells.follow_replacement();
        const folder = bells.other_folder(other.uid) orelse return;
        defer bells.close_other(folder);
        bells.remove_files(folder, other);
    }

    fn remove_files(bells: *const Bells, folder: i32, of: names.Identity) void {
        var buffer: names.Name = undefined;
        _ = bells.file_name(&buffer, names.private_letter, of);
        removal.remove_files(folder, &buffer);
    }

    /// Removes the files of dead participants of earlier channels at the same path: no participant of those
    /// is left to repair them. A participant of this channel may just be joining, so its files stay.
    pub fn sweep_predecessors(bells: *Bells) void {
        if (bells.own >= 0) removal.remove_from(bells.own, .{ .dead_but_of = bells.channel_id });
    }

    /// Wakes the participants of earlier channels at the same path: only their files were removed, and those that sleep do
    /// not know it. Every one of them tells the others.
    pub fn ring_predecessors(bells: *Bells) void {
        if (bells.top < 0) return;
        var users = folders.Reader.open(bells.top) orelse return;
        defer users.close();
        for (0..predecessors_max) |_| {
            const user = users.next('u') orelse return;
            const uid = std.fmt.parseInt(u32, std.mem.span(user)[1..], 10) catch continue;
            const folder = folders.open_of_user(bells.top, user, uid) orelse continue;
            defer files.close(folder);
            bells.ring_predecessors_in(folder);
        }
    }

    noinline fn ring_predecessors_in(bells: *const Bells, folder: i32) void {
        var reader = folders.Reader.open(folder) orelse return;
        defer reader.close();
        for (0..predecessors_max) |_| {
            const name = reader.next(names.bell_letter) orelse return;
            if (names.is_of(std.mem.span(name), bells.channel_id)) continue;
            if (file.open_to_ring(folder, name)) |fifo| {
                _ = send(fifo, abi.bell_fifo);
                files.close(fifo);
            } else if (file.connect_to(folder, name)) |socket| {
                _ = send(socket, abi.bell_datagram);
                files.close(socket);
            }
        }
    }

    /// Removes this participant's own files. It knows its user's folder, whatever the shared entry says.
    pub fn close(bells: *Bells) void {
        bells.follow_replacement();
        if (bells.has_files and bells.own >= 0) bells.remove_files(bells.own, bells.identity());
        if (bells.life >= 0) files.close(bells.life);
        bells.life = -1;
        for (&bells.cache) |*cached| cached.clear();
        if (bells.lender) |lender| {
            for (&lender.cache) |*cached| if (cached.channel_id == bells.channel_id) cached.clear();
        }
        if (bells.goes_with_last and bells.top >= 0) bells.remove_empty_folders();
        bells.close_folders();
    }

    fn remove_empty_folders(bells: *Bells) void {
        var buffer: names.Name = undefined;
        _ = files.unlinkat(bells.top, names.user_folder_name(&buffer, bells.uid), files.at_removedir);
        const parent = bells.open_parent() orelse return;
        defer files.close(parent);
        if (folders.is_own_folder(parent)) _ = files.unlinkat(parent, &bells.folder_name, files.at_removedir);
    }

    /// Others may have removed the folder, and newcomers may have made it anew and put their files there.
    fn follow_replacement(bells: *Bells) void {
        if (bells.top < 0) return;
        const now = files.stat(bells.top, "");
        if (now != .info or now.info.links != 0) return;
        const parent = bells.open_parent() orelse return;
        defer files.close(parent);
        const top = folders.open_of_user(parent, &bells.folder_name, bells.owner) orelse return;
        bells.close_folders();
        bells.top = top;
        var buffer: names.Name = undefined;
        bells.own = folders.open_of_user(top, names.user_folder_name(&buffer, bells.uid), bells.uid) orelse -1;
    }

    /// The folder that the channel's file lies in.
    fn open_parent(bells: *const Bells) ?i32 {
        if (bells.top < 0) return null;
        const parent = files.openat(bells.top, "..", files.o_path | files.o_directory | files.o_cloexec, 0);
        return if (parent.ok()) parent.fd() else null;
    }

    /// Opens the channel's file by its name. The descriptor that made the file before it had a name does not
    /// know that name, and neither does a process that gets that descriptor. Null: the file has no name any
    /// more.
    pub fn open_channel(bells: *const Bells, own: *const files.FileInfo) ?i32 {
        const parent = bells.open_parent() orelse return null;
        defer files.close(parent);
        const flags = files.o_rdwr | files.o_nofollow | files.o_cloexec | files.o_nonblock;
        const name = bells.channel_name();
        const opened = files.openat(parent, &name, flags, 0);
        if (!opened.ok()) return null;
        if (is_same(files.stat(opened.fd(), ""), own)) return opened.fd();
        files.close(opened.fd());
        return null;
    }

    /// Whether the name of the channel's file stands for another file now, or for none.
    pub fn has_lost_name(bells: *const Bells, own: *const files.FileInfo) bool {
        const parent = bells.open_parent() orelse return false;
        defer files.close(parent);
        const name = bells.channel_name();
        const there = files.stat(parent, &name);
        if (there == .errno) return there.errno == .NOENT;
        return !is_same(there, own);
    }

    fn channel_name(bells: *const Bells) names.FolderName {
        var name = bells.folder_name;
        const length = std.mem.indexOfScalar(u8, &name, 0) orelse name.len;
        name[length - names.suffix.len] = 0;
        return name;
    }
};

fn is_same(there: files.StatResult, own: *const files.FileInfo) bool {
    return there == .info and there.info.inode == own.inode and there.info.device == own.device;
}
