//! The files beside a channel through which a sleeping event loop is woken, and through which the
//! kernel tells of a death. Nothing here is in shared memory.
//!
//! ```
//! thumbs.tandem                    the channel
//! thumbs.tandem.bells/             its owner's folder, sticky, for those who may open the channel
//! thumbs.tandem.bells/u1000/       the folder of user 1000, into which only that user may write
//!     b<index>-<epoch>-<channel>   the doorbell of one participant: a FIFO or a datagram socket,
//!                                  whichever its runtime can poll
//!     l…                           a stream socket that listens and accepts nothing: a participant that
//!                                  is connected to it is hung up on when the process dies
//!     n…                           a pipe that makes another event loop's poll return
//!     p…                           a channel that this participant alone serves, with `p….bells/` of
//!                                  its own
//! ```
//!
//! The channel's id is in the names because a channel that was unlinked may live on beside its successor.
//!
//! Other users may write into the folder, and may do so on purpose. So every folder and file is opened
//! once, without following links, and its type and owner are checked through the descriptor; what can
//! only be done by name is done in a folder of this user's own. The folder goes with its last participant
//! where this user alone can write around it, and stays as long as the channel does elsewhere: removed
//! earlier, its name would be free for others to take.

const std = @import("std");
const abi = @import("abi.zig");
const layout = @import("layout.zig");
const sys = @import("sys.zig");
const target = @import("target.zig");
const Control = abi.Control;
const Error = abi.Error;
const Shared = @import("shared.zig").Chosen;

const cache_size = 64;

/// Of the files of one participant.
const letters = "bln";
const private_letter = 'p';

/// Of the folder, after the name of the channel.
pub const suffix = ".bells";

/// Longest name of a folder or file here.
pub const name_bytes_max = 72;
pub const Name = [name_bytes_max]u8;

/// The longest that a file system takes.
const FolderName = [255:0]u8;

/// Where the folder of bells is, and who may have made it.
pub const Home = struct {
    parent: i32,
    /// Of the channel; `suffix` follows.
    name: []const u8,
    /// Of the channel's file: its owner, group and mode.
    uid: u32,
    gid: u32,
    mode: u32,
};

pub const Bells = struct {
    /// The folder, open to name things in it; -1: there is none for this participant.
    top: i32 = -1,
    /// This user's folder in it; -1 as above.
    own: i32 = -1,
    uid: u32 = 0,
    /// Which folder it is, for the participant's entry.
    device: u64 = 0,
    inode: u64 = 0,
    folder_name: FolderName = @splat(0),
    /// The folder goes with its last participant.
    goes_with_last: bool = false,
    channel_id: u64 = 0,
    /// Says which user a participant is.
    map: layout.Map = undefined,
    life: i32 = -1,
    /// Something has been put into the folder.
    has_files: bool = false,
    index: u32 = 0,
    epoch: u64 = 0,
    /// Open ends of bells that were rung before.
    cache: [cache_size]Cached = @splat(.{}),

    const Cached = struct { index: u32 = 0, epoch: u64 = 0, fd: i32 = -1 };

    /// Finds the folders, and makes those that are missing.
    ///
    /// `Permission`: the folder is not the channel owner's, or others may write to it who may not write
    /// to the channel. Where there is no room or no right to make one, there is none.
    pub fn open(bells: *Bells, home: *const Home, control: *Control) Error!void {
        bells.uid = sys.geteuid();
        bells.close_folders();
        const top = try open_top(home, control) orelse return;
        bells.top = top.fd;
        bells.device = top.info.device;
        bells.inode = top.info.inode;
        _ = folder_name_of(home.name, &bells.folder_name) catch unreachable;
        bells.goes_with_last = is_own_folder(home.parent);
        bells.own = open_own(top.fd, bells.uid) orelse -1;
    }

    pub fn close_folders(bells: *Bells) void {
        for ([_]*i32{ &bells.top, &bells.own }) |fd| {
            if (fd.* >= 0) sys.close(fd.*);
            fd.* = -1;
        }
    }

    fn file_name(bells: *const Bells, buffer: *Name, letter: u8, index: u32, epoch: u64) [*:0]const u8 {
        const parts = .{ letter, index, epoch, bells.channel_id };
        return (std.fmt.bufPrintSentinel(buffer, "{c}{d}-{x}-{x}", parts, 0) catch unreachable).ptr;
    }

    fn own_file_name(bells: *const Bells, buffer: *Name, letter: u8) [*:0]const u8 {
        return bells.file_name(buffer, letter, bells.index, bells.epoch);
    }

    /// The folder of a participant's user. It is to be closed with `close_other`.
    fn other_folder(bells: *const Bells, index: u32) ?i32 {
        if (bells.top < 0) return null;
        // A hint: whatever it says, only a bell is rung, or a file of this user's own removed.
        const uid = Shared.load(u32, &bells.map.participant(@truncate(index)).uid, .monotonic);
        if (uid == bells.uid) return if (bells.own >= 0) bells.own else null;
        return open_user_folder(bells.top, uid);
    }

    fn close_other(bells: *const Bells, folder: i32) void {
        if (folder != bells.own) sys.close(folder);
    }

    pub const Announced = enum { done, failed, folder_gone };

    /// Makes the socket whose end tells of this participant's death. `failed`: others have to look in
    /// slices of time. `folder_gone`: another process has removed the folder; open it again.
    pub fn announce_life(bells: *Bells, index: u32, epoch: u64) Announced {
        bells.index = index;
        bells.epoch = epoch;
        const socket = sys.unix_socket(.stream);
        if (!socket.ok()) return .failed;
        const bound = bells.bind_own(socket.fd(), 'l');
        if (bound == .done and sys.listen(socket.fd(), 4096).ok()) {
            bells.life = socket.fd();
            return .done;
        }
        sys.close(socket.fd());
        return if (bound == .done) .failed else bound;
    }

    pub fn bind_own(bells: *Bells, fd: i32, letter: u8) Announced {
        if (bells.own < 0) return .failed;
        var buffer: Name = undefined;
        const name = bells.own_file_name(&buffer, letter);
        for (0..2) |_| {
            // Through /proc, since a socket's address has 108 bytes at most.
            var address: sys.UnixAddress = .{};
            _ = std.fmt.bufPrint(&address.path, "/proc/self/fd/{d}/{s}", .{ bells.own, std.mem.span(name) }) catch
                unreachable;
            switch (sys.bind(fd, &address)) {
                .value => {
                    bells.has_files = true;
                    open_to_all(bells.own, name);
                    return .done;
                },
                .errno => |errno| switch (errno) {
                    .ADDRINUSE => _ = sys.unlinkat(bells.own, name, 0),
                    .NOENT => return .folder_gone,
                    else => return .failed,
                },
            }
        }
        return .failed;
    }

    /// A FIFO of this participant's, open for both; its own event loop owns that descriptor.
    pub fn make_fifo(bells: *Bells, letter: u8) ?i32 {
        if (bells.own < 0) return null;
        var buffer: Name = undefined;
        const name = bells.own_file_name(&buffer, letter);
        for (0..2) |_| {
            switch (sys.mkfifoat(bells.own, name, 0o600)) {
                .value => {
                    bells.has_files = true;
                    // Both ends, so that it never reads as closed while nobody rings.
                    const flags = sys.o_rdwr | sys.o_nonblock | sys.o_cloexec | sys.o_nofollow;
                    const result = sys.openat(bells.own, name, flags, 0);
                    if (!result.ok()) return null;
                    _ = sys.fchmod(result.fd(), bell_mode);
                    return result.fd();
                },
                .errno => |errno| if (errno == .EXIST) {
                    _ = sys.unlinkat(bells.own, name, 0);
                } else return null,
            }
        }
        return null;
    }

    /// Rings another participant's doorbell. False: it cannot be reached this way.
    pub fn ring(bells: *Bells, index: u32, epoch: u64, kind: u32) bool {
        const cached = &bells.cache[index % cache_size];
        if (cached.fd >= 0 and cached.index == index and cached.epoch == epoch) {
            if (send(cached.fd, kind)) return true;
        }
        if (cached.fd >= 0) sys.close(cached.fd);
        cached.* = .{};
        const fd = bells.open_other(index, epoch, 'b', kind) orelse return false;
        cached.* = .{ .index = index, .epoch = epoch, .fd = fd };
        return send(fd, kind);
    }

    /// Rings another participant's notify pipe.
    pub fn ring_notify(bells: *Bells, index: u32, epoch: u64) bool {
        const fd = bells.open_other(index, epoch, 'n', abi.bell_fifo) orelse return false;
        defer sys.close(fd);
        return send(fd, abi.bell_fifo);
    }

    fn open_other(bells: *const Bells, index: u32, epoch: u64, letter: u8, kind: u32) ?i32 {
        const folder = bells.other_folder(index) orelse return null;
        defer bells.close_other(folder);
        var buffer: Name = undefined;
        const name = bells.file_name(&buffer, letter, index, epoch);
        return if (kind == abi.bell_fifo) open_fifo(folder, name) else connect_to(folder, name, .datagram);
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
        const folder = bells.other_folder(index) orelse return null;
        defer bells.close_other(folder);
        var buffer: Name = undefined;
        return connect_to(folder, bells.file_name(&buffer, 'l', index, epoch), .stream);
    }

    /// The name of this participant's private channel.
    pub fn private_name(bells: *const Bells, buffer: *Name) []const u8 {
        return std.mem.span(bells.own_file_name(buffer, private_letter));
    }

    /// Removes this participant's private channel, of which it may make another one then.
    pub fn forget_own_private(bells: *const Bells) void {
        if (bells.own < 0) return;
        var buffer: Name = undefined;
        remove_private(bells.own, bells.own_file_name(&buffer, private_letter));
    }

    /// Removes what a dead participant left. What another user's has left only that user, or root, can
    /// remove.
    pub fn forget(bells: *Bells, index: u32, epoch: u64) void {
        const cached = &bells.cache[index % cache_size];
        if (cached.fd >= 0 and cached.index == index and cached.epoch == epoch) {
            sys.close(cached.fd);
            cached.* = .{};
        }
        const folder = bells.other_folder(index) orelse return;
        defer bells.close_other(folder);
        var buffer: Name = undefined;
        _ = bells.file_name(&buffer, private_letter, index, epoch);
        remove_files(folder, &buffer);
    }

    /// Removes what the dead of earlier channels at the same path have left: no participant of those is
    /// there any more who would repair them. Of this channel's own, one may be on its way in.
    pub fn sweep_predecessors(bells: *Bells) void {
        if (bells.own >= 0) remove_from(bells.own, .{ .dead_but_of = bells.channel_id });
    }

    /// Removes this participant's own files.
    pub fn close(bells: *Bells) void {
        if (bells.has_files) bells.forget(bells.index, bells.epoch);
        if (bells.life >= 0) sys.close(bells.life);
        bells.life = -1;
        for (&bells.cache) |*cached| {
            if (cached.fd >= 0) sys.close(cached.fd);
            cached.* = .{};
        }
        if (bells.goes_with_last and bells.top >= 0) bells.remove_empty_folders();
        bells.close_folders();
    }

    fn remove_empty_folders(bells: *Bells) void {
        var buffer: Name = undefined;
        _ = sys.unlinkat(bells.top, user_folder_name(&buffer, bells.uid), sys.at_removedir);
        const parent = bells.open_parent() orelse return;
        defer sys.close(parent);
        if (is_own_folder(parent)) _ = sys.unlinkat(parent, &bells.folder_name, sys.at_removedir);
    }

    /// The folder that the channel's file lies in.
    fn open_parent(bells: *const Bells) ?i32 {
        if (bells.top < 0) return null;
        const parent = sys.openat(bells.top, "..", sys.o_path | sys.o_directory | sys.o_cloexec, 0);
        return if (parent.ok()) parent.fd() else null;
    }

    /// Opens the channel's file by its name. The descriptor that made the file before it had a name does
    /// not know that name, and neither do those to whom that descriptor is passed on. Null: there is no
    /// such file any more.
    pub fn open_channel(bells: *const Bells, own: *const sys.FileInfo) ?i32 {
        const parent = bells.open_parent() orelse return null;
        defer sys.close(parent);
        var name = bells.folder_name;
        const length = std.mem.indexOfScalar(u8, &name, 0) orelse name.len;
        name[length - suffix.len] = 0;
        const flags = sys.o_rdwr | sys.o_nofollow | sys.o_cloexec | sys.o_nonblock;
        const opened = sys.openat(parent, &name, flags, 0);
        if (!opened.ok()) return null;
        const there = sys.stat(opened.fd(), "");
        if (there == .info and there.info.inode == own.inode and there.info.device == own.device) return opened.fd();
        sys.close(opened.fd());
        return null;
    }
};

/// Who may pass the folders may ring.
const bell_mode = 0o666;
/// Others pass through, and only its user writes.
const own_mode = 0o711;

const sticky = 0o1000;

fn folder_name_of(channel_name: []const u8, buffer: *FolderName) error{NoSpaceLeft}![*:0]const u8 {
    return (try std.fmt.bufPrintSentinel(buffer, "{s}" ++ suffix, .{channel_name}, 0)).ptr;
}

/// A folder in which no other user (but root) can put, rename or remove anything.
fn is_own_folder(fd: i32) bool {
    const info = sys.stat(fd, "");
    return info == .info and info.info.uid == sys.geteuid() and info.info.mode & 0o022 == 0;
}

const Opened = struct { fd: i32, info: sys.FileInfo };

fn user_folder_name(buffer: *Name, uid: u32) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "u{d}", .{uid}, 0) catch unreachable).ptr;
}

/// Of the folder for a channel without a name.
pub fn anonymous_name(buffer: *Name, channel_id: u64) [*:0]const u8 {
    return (std.fmt.bufPrintSentinel(buffer, "{x}" ++ suffix, .{channel_id}, 0) catch unreachable).ptr;
}

/// Opens a folder to name things in it, without following a link.
fn open_folder(parent: i32, name: [*:0]const u8) sys.Result {
    return sys.openat(parent, name, sys.o_path | sys.o_directory | sys.o_nofollow | sys.o_cloexec, 0);
}

/// Null: there is none, and this user may not make one.
fn open_top(home: *const Home, control: *Control) Error!?Opened {
    var buffer: FolderName = undefined;
    const name = folder_name_of(home.name, &buffer) catch {
        control.fail(.path_too_long, 0);
        return error.InvalidTarget;
    };
    const is_owner = home.uid == sys.geteuid();
    // Others make and remove the same folder meanwhile.
    for (0..16) |_| {
        const opened = open_folder(home.parent, name);
        if (opened.ok()) return try check_top(home, opened.fd(), is_owner, control);
        switch (opened.errno) {
            .NOENT => if (!is_owner and sys.geteuid() != 0) return null,
            .NOTDIR, .LOOP => return target.refuse(control, .bells_kind, 0, 0),
            else => return null,
        }
        const made = sys.mkdirat(home.parent, name, 0o700);
        if (!made.ok() and made.errno != .EXIST) return null;
    }
    return null;
}

fn check_top(home: *const Home, fd: i32, is_owner: bool, control: *Control) Error!?Opened {
    errdefer sys.close(fd);
    const info = switch (sys.stat(fd, "")) {
        .errno => {
            sys.close(fd);
            return null;
        },
        .info => |info| info,
    };
    const made_by_root = info.uid == 0 and sys.geteuid() == 0;
    if (info.uid != home.uid and !made_by_root) return target.refuse(control, .bells_owner, info.uid, home.uid);
    const wanted = top_mode(home.mode);
    if (info.mode & 0o022 & ~wanted != 0 or (info.mode & 0o022 != 0 and info.mode & sticky == 0))
        return target.refuse(control, .bells_mode, info.mode, wanted);
    if (!is_owner and !made_by_root) return .{ .fd = fd, .info = info };
    // The channel may have got another owner, group or mode since.
    if (info.uid != home.uid or info.gid != home.gid) {
        const uid: ?u32 = if (info.uid != home.uid) home.uid else null;
        // Where this user may not, that group's members have no folder.
        _ = sys.chown_of(fd, uid, home.gid);
    }
    if (info.mode != wanted) _ = sys.chmod_of(fd, wanted);
    return .{ .fd = fd, .info = info };
}

/// Those who may read and write the channel may make folders in the folder of its bells.
fn top_mode(channel_mode: u32) u32 {
    var mode: u32 = sticky | 0o700;
    inline for (.{ 0, 3 }) |shift| {
        if (channel_mode >> shift & 6 == 6) mode |= 7 << shift;
    }
    return mode;
}

fn open_own(top: i32, uid: u32) ?i32 {
    var buffer: Name = undefined;
    const name = user_folder_name(&buffer, uid);
    const made = sys.mkdirat(top, name, 0o700);
    if (!made.ok() and made.errno != .EXIST) return null;
    const opened = open_folder(top, name);
    if (!opened.ok()) return null;
    const info = sys.stat(opened.fd(), "");
    // Another participant may have made it first, to write into it.
    if (info != .info or info.info.uid != uid or info.info.mode & 0o022 != 0) {
        sys.close(opened.fd());
        return null;
    }
    if (info.info.mode != own_mode) _ = sys.chmod_of(opened.fd(), own_mode);
    return opened.fd();
}

pub fn open_user_folder(top: i32, uid: u32) ?i32 {
    var buffer: Name = undefined;
    const opened = open_folder(top, user_folder_name(&buffer, uid));
    return if (opened.ok()) opened.fd() else null;
}

/// Lets others ring a socket in a folder of this user's own. (`bind` makes it as the umask says.)
fn open_to_all(folder: i32, name: [*:0]const u8) void {
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

fn open_fifo(folder: i32, name: [*:0]const u8) ?i32 {
    const result = sys.openat(folder, name, sys.o_wronly | sys.o_nonblock | sys.o_cloexec | sys.o_nofollow, 0);
    if (!result.ok()) return null;
    if (belongs(folder, result.fd(), .fifo)) return result.fd();
    sys.close(result.fd());
    return null;
}

fn connect_to(folder: i32, name: [*:0]const u8, kind: sys.SocketKind) ?i32 {
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
fn listens(folder: i32, name: [*:0]const u8) bool {
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

const Which = union(enum) {
    all,
    dead,
    dead_but_of: u64,
    /// What is left of the dead, and everything of this channel.
    dead_and_all_of: u64,
};

/// Removes everything of a channel that was unlinked, and what the dead have left, and the folders that
/// are empty then. `channel_id` null: of the dead alone. A folder that is not of the user `owner`, to whom
/// the channel belongs, has nothing to do with it.
pub fn remove_folder(parent: i32, channel_name: []const u8, owner: u32, channel_id: ?u64) void {
    var buffer: FolderName = undefined;
    const name = folder_name_of(channel_name, &buffer) catch return;
    remove_folder_named(parent, name, owner, if (channel_id) |id| .{ .dead_and_all_of = id } else .dead);
}

/// Removes what the dead have left of a channel without a name.
pub fn remove_anonymous(parent: i32, name: [*:0]const u8) void {
    remove_folder_named(parent, name, sys.geteuid(), .dead);
}

/// Two levels, whatever others have put there: files of users in folders of users.
fn remove_folder_named(parent: i32, name: [*:0]const u8, owner: u32, which: Which) void {
    const top = open_folder(parent, name);
    if (!top.ok()) return;
    defer sys.close(top.fd());
    const info = sys.stat(top.fd(), "");
    if (info != .info or info.info.uid != owner) return;
    var reader = Reader.open(top.fd()) orelse return;
    defer reader.close();
    while (reader.next('u')) |user| {
        const folder = open_folder(top.fd(), user);
        if (!folder.ok()) continue;
        defer sys.close(folder.fd());
        remove_from(folder.fd(), which);
        _ = sys.unlinkat(top.fd(), user, sys.at_removedir);
    }
    _ = sys.unlinkat(parent, name, sys.at_removedir);
}

fn remove_from(folder: i32, which: Which) void {
    if (which != .all) remove_participants(folder, which);
    var reader = Reader.open(folder) orelse return;
    defer reader.close();
    while (reader.next(null)) |name| {
        const text = std.mem.span(name);
        if (which == .all) {
            _ = sys.unlinkat(folder, name, 0);
        } else if (text[0] == private_letter and std.mem.endsWith(u8, text, suffix)) {
            remove_orphan(folder, text);
        } else if (which == .dead_and_all_of and is_of(text, which.dead_and_all_of)) {
            // Of a participant that could not make its socket.
            remove_files(folder, &reader.name);
        }
    }
}

/// All that belongs to the participants that `which` names; their sockets say which there are.
fn remove_participants(folder: i32, which: Which) void {
    var reader = Reader.open(folder) orelse return;
    defer reader.close();
    while (reader.next('l')) |name| {
        const text = std.mem.span(name);
        const goes = switch (which) {
            .all => true,
            .dead => !listens(folder, name),
            .dead_but_of => |id| !is_of(text, id) and !listens(folder, name),
            .dead_and_all_of => |id| is_of(text, id) or !listens(folder, name),
        };
        if (goes) remove_files(folder, &reader.name);
    }
}

fn is_of(name: []const u8, channel_id: u64) bool {
    var buffer: Name = undefined;
    const ending = std.fmt.bufPrint(&buffer, "-{x}", .{channel_id}) catch unreachable;
    return std.mem.endsWith(u8, name, ending);
}

/// Of one participant; `buffer` has the name of one of its files.
fn remove_files(folder: i32, buffer: *Name) void {
    const name: [*:0]const u8 = @ptrCast(buffer);
    for (letters) |letter| {
        buffer[0] = letter;
        _ = sys.unlinkat(folder, name, 0);
    }
    buffer[0] = private_letter;
    remove_private(folder, name);
}

/// A private channel and its bells, which have no private channels of their own.
fn remove_private(folder: i32, name: [*:0]const u8) void {
    const owner = sys.stat(folder, "");
    if (owner != .info) return;
    _ = sys.unlinkat(folder, name, 0);
    var buffer: [name_bytes_max + suffix.len]u8 = undefined;
    const bells = std.fmt.bufPrintSentinel(&buffer, "{s}" ++ suffix, .{std.mem.span(name)}, 0) catch return;
    remove_folder_named(folder, bells, owner.info.uid, .all);
}

/// The bells of a private channel whose file is gone.
fn remove_orphan(folder: i32, name: []const u8) void {
    var buffer: Name = undefined;
    const channel = name[0 .. name.len - suffix.len];
    @memcpy(buffer[0..channel.len], channel);
    buffer[channel.len] = 0;
    const file = sys.stat(folder, @ptrCast(&buffer));
    if (file == .errno and file.errno == .NOENT) remove_private(folder, @ptrCast(&buffer));
}

/// Short names in a folder, which may be removed meanwhile.
pub const Reader = struct {
    entries: sys.DirectoryReader,
    name: Name = undefined,

    pub fn open(folder: i32) ?Reader {
        const opened = sys.openat(folder, ".", sys.o_rdonly | sys.o_directory | sys.o_cloexec, 0);
        return if (opened.ok()) .{ .entries = .{ .fd = opened.fd() } } else null;
    }

    pub fn close(reader: *const Reader) void {
        sys.close(reader.entries.fd);
    }

    /// Those that begin with `letter`, or all; valid until the next call.
    pub fn next(reader: *Reader, letter: ?u8) ?[*:0]const u8 {
        while (reader.entries.next()) |name| {
            if (name.len == 0 or name.len >= name_bytes_max or name[0] == '.') continue;
            if (letter) |first| if (name[0] != first) continue;
            @memcpy(reader.name[0..name.len], name);
            reader.name[name.len] = 0;
            return @ptrCast(&reader.name);
        }
        return null;
    }
};

test "the folder of bells is for those who may open the channel" {
    try std.testing.expectEqual(0o1700, top_mode(0o600));
    try std.testing.expectEqual(0o1770, top_mode(0o660));
    try std.testing.expectEqual(0o1777, top_mode(0o666));
    try std.testing.expectEqual(0o1700, top_mode(0o644));
    try std.testing.expectEqual(0o1707, top_mode(0o606));
}
