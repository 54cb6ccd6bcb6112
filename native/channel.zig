//! Opening, closing and removing a channel: what joins the file, the table of participants, the
//! bells and the thread.

const std = @import("std");
const abi = @import("abi.zig");
const layout = @import("layout.zig");
const segment = @import("segment.zig");
const sys = @import("sys.zig");
const target = @import("target.zig");
const threads = @import("threads.zig");
const waker_thread = @import("waker_thread.zig");
const bells = @import("bells.zig");
const Error = abi.Error;
const Control = abi.Control;
const Handle = @import("handle.zig").Handle;
const Role = @import("handle.zig").Role;
const Shared = @import("shared.zig").Chosen;
const Calls = @import("calls.zig").CallsType(Shared);
const Notify = @import("notify.zig").NotifyType(Shared);
const Participants = @import("participants.zig").ParticipantsType(Shared);
const Repair = @import("repair.zig").RepairType(Shared);
const Trim = @import("trim.zig").TrimType(Shared);
const Wait = @import("wait.zig").WaitType(Shared);

pub const Opened = struct { handle: *Handle, path: target.Path };

/// statx is the youngest system call that is used.
const kernel_version_min = 4_011;

fn check_kernel(control: *Control) Error!void {
    const version = sys.kernel_version();
    if (version == 0 or version >= kernel_version_min) return;
    control.compare(.kernel, version, kernel_version_min);
    return error.Unsupported;
}

pub fn open(name: []const u8, operation: u32, options: *const abi.Options, control: *Control) Error!Opened {
    try check_kernel(control);
    const wanted: segment.Options = .{
        .kind = if (operation & abi.open_kind_int != 0) .int else .bytes,
        .slots = whole(options.slots),
        .max_request_bytes = whole(options.max_request_bytes),
        .max_response_bytes = whole(options.max_response_bytes),
        .max_deliveries = whole(options.max_deliveries),
        .mode = @intCast((whole(options.mode) orelse segment.Options.mode_default) & 0o777),
    };
    var path: target.Path = .init();
    const found = found: {
        if (operation & abi.open_anonymous != 0) {
            var memfd_name: target.Path = .init();
            // The kernel takes 249 bytes of it.
            memfd_name.append(name[0..@min(name.len, 200)]) catch unreachable;
            break :found try segment.open_anonymous(memfd_name.text(), &wanted, control);
        }
        if (operation & abi.open_from_fd != 0) {
            const fd = whole(options.fd) orelse return error.InvalidTarget;
            break :found try segment.open_fd(@intCast(@min(fd, std.math.maxInt(i32))), &wanted, control);
        }
        const create = operation & (abi.open_or_create | abi.open_create_new) != 0;
        path = try target.resolve(name, create, control);
        break :found try segment.open_path(&path, &wanted, .{
            .create = create,
            .must_create = operation & abi.open_create_new != 0,
        }, control);
    };
    errdefer found.close();
    if (operation & abi.open_from_fd != 0) path = path_of(&found);

    const place: bells.Bells = .{
        .mode = found.mode & 0o666,
        // Written once, before the file could be found.
        .channel_id = Shared.load(u64, &found.map.header().channel_id, .monotonic),
        .folder = (try bells_folder(&found, &path, control)).bytes,
    };
    const role: Role = if (operation & abi.open_role_server != 0) .server else .client;
    const handle = try Handle.create(found.map, found.fd, role, place);
    handle.is_named = has_name(&found, &path);
    errdefer handle.destroy();
    join(handle, role) catch |err| {
        switch (err) {
            error.NoSpace => control.fail(.allocate, @backingInt(sys.Errno.NOSPC)),
            error.System => control.fail(.open_file, @backingInt(sys.Errno.NOLCK)),
            else => control.compare(.handles, layout.participants_max, layout.participants_max),
        }
        return err;
    };
    _ = handle.bells.announce_life(handle.index, handle.epoch);
    announce_folder(handle);
    // The first on a channel.
    if (handle.index == 0 and handle.epoch == 1) handle.bells.sweep_predecessors();
    Calls.enter(handle);
    threads.add(handle, close_all_of_thread);
    return .{ .handle = handle, .path = path };
}

/// The table may be full of the dead, with nobody left who would have noticed.
fn join(handle: *Handle, role: Role) Error!void {
    return Participants.join(handle, role) catch |err| {
        if (err != error.Busy or !Repair.sweep(handle)) return err;
        return Participants.join(handle, role);
    };
}

/// Says where others find this participant's bells, before they are told of it. Handed over by the count
/// of joins.
fn announce_folder(handle: *Handle) void {
    if (handle.bells.directory < 0) return;
    const folder = sys.stat(handle.bells.directory, "");
    if (folder != .info) return;
    const entry = handle.map.participant(handle.index);
    Shared.store(u64, &entry.folder_device, folder.info.device, .monotonic);
    Shared.store(u64, &entry.folder_inode, folder.info.inode, .monotonic);
}

/// Whether the file has a name that it can lose. One that was opened by path has, even if it lost it just
/// now; one of a file system that does not count names has not.
fn has_name(found: *const segment.Segment, path: *const target.Path) bool {
    const file = sys.stat(found.fd, "");
    if (file != .info or file.info.links > 0) return file == .info;
    if (path.length == 0) return false;
    const there = sys.stat_path(path.text());
    const same = there == .info and there.info.inode == file.info.inode and there.info.device == file.info.device;
    return !same;
}

fn whole(value: f64) ?u64 {
    if (!(value >= 0)) return null;
    return @intFromFloat(@min(value, 1e15));
}

/// The path of a named file that came as a descriptor, so that its bells are found where those
/// who opened it by path put theirs. Empty: it has none.
fn path_of(found: *const segment.Segment) target.Path {
    var link: target.Path = .init();
    link.print("/proc/self/fd/{d}", .{found.fd}) catch return .init();
    var path: target.Path = .init();
    const result = sys.readlink(link.text(), path.bytes[0 .. path.bytes.len - 1]);
    if (!result.ok()) return .init();
    path.length = result.value;
    const there = sys.stat_path(path.text());
    const own = sys.stat(found.fd, "");
    if (there != .info or own != .info) return .init();
    const same = there.info.inode == own.info.inode and there.info.device == own.info.device;
    return if (same) path else .init();
}

/// Another description of the channel's file, to be passed on. By its path where it has one: a file that was
/// made without a name does not know the one that it was given, and neither would those who get this.
pub fn public_descriptor(handle: *Handle, control: *Control) Error!i32 {
    const folder: [*:0]const u8 = @ptrCast(&handle.bells.folder);
    var path: target.Path = .init();
    const name = std.mem.span(folder);
    path.append(name[0 .. name.len - bells_suffix.len]) catch return segment.reopen(handle.fd, control);
    const opened = sys.open(path.text(), sys.o_rdwr | sys.o_nofollow | sys.o_cloexec | sys.o_nonblock, 0);
    if (opened.ok()) {
        const own = sys.stat(handle.fd, "");
        const there = sys.stat(opened.fd(), "");
        const same = own == .info and there == .info and
            own.info.inode == there.info.inode and own.info.device == there.info.device;
        if (same) return opened.fd();
        sys.close(opened.fd());
    }
    return segment.reopen(handle.fd, control);
}

fn bells_folder(found: *const segment.Segment, path: *const target.Path, control: *Control) Error!target.Path {
    if (path.length > 0) {
        var folder = path.*;
        folder.append(bells_suffix) catch {
            control.fail(.path_too_long, 0);
            return error.InvalidTarget;
        };
        return folder;
    }
    var folder = try target.default_folder(control);
    // Where it cannot be made the bells will be missing, and waits look in slices of time.
    target.secure_folder(&folder, true, control) catch {};
    sweep_folders(&folder);
    // As above.
    const id = Shared.load(u64, &found.map.header().channel_id, .monotonic);
    folder.print("/{x}" ++ bells_suffix, .{id}) catch return error.InvalidTarget;
    return folder;
}

/// Nobody comes back to an anonymous channel whose processes were killed, so the bells that they
/// left are swept when the next one is made.
fn sweep_folders(folder: *const target.Path) void {
    const opened = sys.open(folder.text(), sys.o_rdonly | sys.o_directory | sys.o_cloexec, 0);
    if (!opened.ok()) return;
    defer sys.close(opened.fd());
    var entries: sys.DirectoryReader = .{ .fd = opened.fd() };
    while (entries.next()) |name| {
        if (!is_anonymous_folder(name)) continue;
        sweep_folder(folder, "/", name);
    }
}

/// Named by a channel's id alone, in hexadecimal.
fn is_anonymous_folder(name: []const u8) bool {
    if (!std.mem.endsWith(u8, name, bells_suffix)) return false;
    const id = name[0 .. name.len - bells_suffix.len];
    if (id.len == 0 or id.len > 16) return false;
    for (id) |digit| if (!std.ascii.isHex(digit)) return false;
    return true;
}

fn sweep_folder(path: *const target.Path, separator: []const u8, name: []const u8) void {
    var folder = path.*;
    folder.append(separator) catch return;
    folder.append(name) catch return;
    var left: bells.Bells = .{ .folder = folder.bytes };
    left.sweep();
}

const bells_suffix = bells.suffix;

pub const After = enum { unmap, keep_views };

pub fn close(handle: *Handle, after: After) void {
    threads.remove(handle, close_all_of_thread);
    // First of all: everything below touches the memory.
    _ = Wait.lost(handle);
    Repair.settle_own(handle);
    Trim.all(handle);
    // From here on the memory may go.
    waker_thread.remove(handle);
    if (handle.notify_fd >= 0) Notify.disable(handle);
    for ([_]i32{ handle.notify_fd, handle.peer_notify_fd }) |fd| if (fd >= 0) sys.close(fd);
    // Before the entry is free, so that its next participant's files are not taken away.
    handle.bells.close();
    Participants.leave(handle);
    if (handle.public_fd >= 0) sys.close(handle.public_fd);
    sys.close(handle.fd);
    const address = @intFromPtr(handle.map.base);
    const bytes = handle.map.geometry.file_bytes;
    switch (after) {
        .unmap => sys.munmap(address, bytes),
        // Somebody may hold a view of the memory: what it sees from now on is nobody's.
        .keep_views => _ = sys.mmap_over(address, bytes),
    }
    handle.destroy();
}

/// Runs in a thread that ends with handles open, a terminated Worker's for one.
fn close_all_of_thread(first: ?*anyopaque) callconv(.c) void {
    var next: ?*Handle = @ptrCast(@alignCast(first));
    while (next) |handle| {
        next = handle.next;
        handle.previous = null;
        if (next) |other| other.previous = null;
        handle.close_lent();
        // The runtime frees the thread's memory in its own time.
        close(handle, .keep_views);
    }
}

/// Removes a channel's name and ends what is in flight on it. False: there is nothing.
pub fn unlink(name: []const u8, control: *Control) Error!bool {
    const path = target.resolve(name, false, control) catch |err| switch (err) {
        error.NotFound => return false,
        else => return err,
    };
    defer sweep_folder(&path, "", bells_suffix);
    switch (try segment.inspect(&path, control)) {
        .nothing => return false,
        .other_version => {},
        .channel => try end_channel(&path, control),
    }
    const result = sys.unlink(path.text());
    if (!result.ok()) {
        if (result.errno == .NOENT) return true;
        control.fail(.unlink, @backingInt(result.errno));
        return target.errno_error(result.errno);
    }
    return true;
}

/// Tells everybody who is attached.
fn end_channel(path: *const target.Path, control: *Control) Error!void {
    const nothing = std.math.nan(f64);
    var options: abi.Options = .{
        .slots = nothing,
        .max_request_bytes = nothing,
        .max_response_bytes = nothing,
        .max_deliveries = nothing,
        .mode = nothing,
        .fd = nothing,
    };
    for ([_]u32{ 0, abi.open_kind_int }) |kind| {
        const opened = open_for_removal(path, kind, &options, control) catch |err| switch (err) {
            error.Mismatch => continue,
            // Removed by somebody else meanwhile, damaged, or without room for one participant more:
            // its name goes all the same.
            error.NotFound, error.Corrupt, error.Incompatible, error.Busy, error.NoSpace => return,
            else => return err,
        };
        Calls.remove(opened);
        close(opened, .unmap);
        return;
    }
}

fn open_for_removal(path: *const target.Path, kind: u32, options: *const abi.Options, control: *Control) Error!*Handle {
    return (try open(path_target(path), kind, options, control)).handle;
}

/// A resolved path as a target; it has a slash, so it stands for itself.
fn path_target(path: *const target.Path) []const u8 {
    return path.slice();
}
