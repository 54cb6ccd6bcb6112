//! Opening, closing and removing a channel. This connects the file, the table of participants, the bells and
//! the thread.

const std = @import("std");
const abi = @import("abi.zig");
const layout = @import("memory/layout.zig");
const numbers = @import("numbers.zig");
const segment = @import("memory/segment.zig");
const clock = @import("platform/sys/clock.zig");
const files = @import("platform/sys/files.zig");
const kernel = @import("platform/sys/kernel.zig");
const mappings = @import("platform/sys/mappings.zig");
const process = @import("platform/sys/process.zig");
const target = @import("platform/target.zig");
const thread_exit = @import("platform/thread_exit.zig");
const guard = @import("worker/guard.zig");
const waker_thread = @import("waiting/waker_thread.zig");
const Bells = @import("platform/bells/bells.zig").Bells;
const folders = @import("platform/bells/folder.zig");
const names = @import("platform/bells/names.zig");
const removal = @import("platform/bells/removal.zig");
const private = @import("platform/bells/private.zig");
const retired = @import("platform/retired.zig");
const Error = abi.Error;
const Control = abi.Control;
const Handle = @import("handle.zig").Handle;
const Role = layout.Role;
const Shared = @import("memory/shared.zig").Chosen;
const Lifetime = @import("calls/lifetime.zig").LifetimeType(Shared);
const Notify = @import("protocol/notify.zig").NotifyType(Shared);
const Participants = @import("protocol/participants.zig").ParticipantsType(Shared);
const Repair = @import("protocol/repair.zig").RepairType(Shared);
const Trim = @import("protocol/trim.zig").TrimType(Shared);
const Wait = @import("protocol/wait.zig").WaitType(Shared);

/// statx is the youngest system call in use.
const kernel_version_min = 4_011;

fn check_kernel(control: *Control) Error!void {
    const version = process.kernel_version();
    if (version == 0 or version >= kernel_version_min) return;
    control.compare(.kernel, version, kernel_version_min);
    return error.Unsupported;
}

/// `location` gets the path of a channel that has one, and length 0 otherwise.
pub fn open(
    name: []const u8,
    operation: u32,
    options: *const abi.Options,
    control: *Control,
    location: *target.Location,
) Error!*Handle {
    location.path.length = 0;
    try check_kernel(control);
    clock.learn();
    const wanted: segment.Options = if (operation & abi.open_kind_limit != 0) limit: {
        var of_limit: segment.Options = .of_kind(.limit);
        of_limit.mode = mode_of(options);
        break :limit of_limit;
    } else .{
        .kind = if (operation & abi.open_kind_int != 0) .int else .bytes,
        .slots = numbers.whole(options.slots),
        .max_request_bytes = numbers.whole(options.max_request_bytes),
        .max_response_bytes = numbers.whole(options.max_response_bytes),
        .max_deliveries = numbers.whole(options.max_deliveries),
        .mode = mode_of(options),
    };
    const is_quiet = operation & abi.open_quiet != 0;
    const role: Role = if (operation & abi.open_role_server != 0) .server else .client;
    if (operation & abi.open_anonymous != 0) return open_anonymous(name, role, &wanted, control);
    if (operation & abi.open_from_fd != 0) {
        const fd = numbers.whole(options.fd) orelse return error.InvalidTarget;
        return open_fd(@intCast(@min(fd, std.math.maxInt(i32))), role, &wanted, control, location);
    }
    const existence: segment.Existence = if (operation & abi.open_create_new != 0)
        .new
    else if (operation & abi.open_or_create != 0)
        .existing_or_new
    else
        .existing;
    const may_create = existence != .existing;
    if (operation & abi.open_private == 0) {
        try target.resolve(name, if (wanted.kind == .limit) .limit else .channel, may_create, control, location);
        defer location.close();
        return open_location(location, role, &wanted, existence, null, is_quiet, control);
    }
    const main = handle_of(options.main);
    if (may_create) regain_folders(main, name);
    try private.find(&main.bells, name, may_create, control, location);
    defer location.close();
    const handle = try open_location(location, role, &wanted, existence, main, is_quiet, control);
    if (private.belongs(location, handle.uid)) return handle;
    close(handle, .unmap);
    control.fail(.not_a_channel, 0);
    return error.Corrupt;
}

fn mode_of(options: *const abi.Options) u32 {
    return @intCast((numbers.whole(options.mode) orelse segment.Options.mode_default) & 0o777);
}

fn handle_of(address: f64) *Handle {
    return @ptrFromInt(numbers.address(address));
}

fn open_location(
    location: *const target.Location,
    role: Role,
    wanted: *const segment.Options,
    existence: segment.Existence,
    main: ?*Handle,
    is_quiet: bool,
    control: *Control,
) Error!*Handle {
    var found = try segment.open_location(location, wanted, existence, control);
    if (main) |owner| if (found.is_new) share(&found, owner);
    errdefer found.close();
    // Other processes have no use for a file that this process has made and cannot use.
    errdefer if (found.is_new) {
        Shared.store(u64, &found.map.header().removed, 1, .seq_cst);
        var nothing: Control = .{};
        found.remove(location, &nothing) catch {};
    };
    const manner: Manner = if (is_quiet) .{ .quiet = main } else .strict;
    return enter(&found, role, &home_in(location, &found), has_name(&found, location), manner, control);
}

/// Every user who may use a channel may use its participants' private channels.
fn share(private_one: *segment.Segment, main: *const Handle) void {
    const file = files.stat(main.fd, "");
    if (file != .info or file.info.mode & 0o066 == 0) return;
    // Not the members of another group.
    const has_group = files.chown_of(private_one.fd, null, file.info.gid).ok();
    const mode = file.info.mode & @as(u32, if (has_group) 0o666 else 0o606);
    if (!files.fchmod(private_one.fd, mode).ok()) return;
    private_one.info.mode = mode;
    if (has_group) private_one.info.gid = file.info.gid;
}

fn home_in(location: *const target.Location, found: *const segment.Segment) folders.Home {
    return .{
        .parent = location.folder,
        .name = std.mem.span(location.name()),
        .uid = found.info.uid,
        .gid = found.info.gid,
        .mode = found.info.mode,
    };
}

fn open_anonymous(name: []const u8, role: Role, wanted: *const segment.Options, control: *Control) Error!*Handle {
    // Other users must not be able to put files among the bells.
    const path = try target.default_folder(control);
    const folder = try target.open_own_folder(&path, true, control);
    defer files.close(folder);
    sweep_anonymous(folder);
    var memfd_name: target.Path = .init();
    // The kernel takes up to 249 bytes.
    memfd_name.append(name[0..@min(name.len, 200)]) catch unreachable;
    const found = try segment.open_anonymous(memfd_name.text(), wanted, control);
    errdefer found.close();
    return enter_anonymous(&found, role, folder, control);
}

fn open_fd(
    fd: i32,
    role: Role,
    wanted: *const segment.Options,
    control: *Control,
    location: *target.Location,
) Error!*Handle {
    const found = try segment.open_fd(fd, wanted, control);
    errdefer found.close();
    if (find_location(&found, location)) {
        defer location.close();
        return enter(&found, role, &home_in(location, &found), has_name(&found, location), .strict, control);
    }
    location.path.length = 0;
    // Without a folder, others ring this participant through the channel's memory.
    var nothing: Control = .{};
    const folder: i32 = folder: {
        const own = target.default_folder(&nothing) catch break :folder -1;
        break :folder target.open_own_folder(&own, true, &nothing) catch -1;
    };
    defer if (folder >= 0) files.close(folder);
    return enter_anonymous(&found, role, folder, control);
}

fn enter_anonymous(found: *const segment.Segment, role: Role, folder: i32, control: *Control) Error!*Handle {
    var buffer: names.Name = undefined;
    const folder_name = std.mem.span(names.anonymous_name(&buffer, found.channel_id()));
    const home: folders.Home = .{
        .parent = folder,
        .name = folder_name[0 .. folder_name.len - names.suffix.len],
        // The enclosing folder belongs to this user, even if another user has made the memory.
        .uid = process.user(),
        .gid = found.info.gid,
        .mode = found.info.mode,
    };
    return enter(found, role, if (folder >= 0) &home else null, has_name(found, null), .strict, control);
}

const Manner = union(enum) {
    strict,
    /// For removing the channel, whatever the state of the folder of its bells.
    lenient,
    /// Without a folder of bells; the handle through which it may use the folder, if it is of a private channel.
    quiet: ?*Handle,
};

/// Makes this process a participant. `home` null: it has no bells in the file system.
fn enter(
    found: *const segment.Segment,
    role: Role,
    home: ?*const folders.Home,
    is_named: bool,
    manner: Manner,
    control: *Control,
) Error!*Handle {
    var own: Bells = .{
        .uid = process.user(),
        .channel_id = found.channel_id(),
    };
    if (home) |there| switch (manner) {
        .strict => try own.open(there, control),
        .lenient => own.open(there, control) catch {},
        .quiet => |main| if (main) |lender| own.borrow(&lender.bells, there),
    };
    errdefer own.close_folders();
    const handle = try Handle.create(found.map, found.fd, role, own);
    errdefer handle.destroy();
    handle.is_named = is_named;
    if (manner == .quiet) handle.traits = layout.trait_quiet;
    handle.mode = found.info.mode;
    handle.uid = found.info.uid;
    join(handle, role) catch |err| {
        switch (err) {
            error.NoSpace => control.fail(.allocate, @backingInt(kernel.Errno.NOSPC)),
            error.System => {
                control.fail(.locked_out, @backingInt(kernel.Errno.NOLCK));
                return error.Permission;
            },
            else => control.compare(.handles, layout.participants_max, layout.participants_max),
        }
        return err;
    };
    if (manner == .quiet) {
        if (manner.quiet) |lender| handle.borrow(lender);
    } else {
        announce(handle, home);
        raise_lock_over_life(handle);
    }
    // This is the first participant of the channel.
    if (handle.index == 0 and handle.epoch == 1) {
        handle.bells.sweep_predecessors();
        handle.bells.ring_predecessors();
    }
    Lifetime.enter(handle);
    thread_exit.add(&handle.of_thread, close_all_of_thread);
    return handle;
}

/// The kernel closes the descriptors of a dying process from the highest to the lowest. Who sees the life hang up is to
/// find the lock gone.
noinline fn raise_lock_over_life(handle: *Handle) void {
    if (handle.bells.life < handle.fd) return;
    const raised = files.duplicate_from(handle.fd, @intCast(handle.bells.life));
    if (!raised.ok()) return;
    files.close(handle.fd);
    handle.fd = raised.fd();
}

/// The last participant that leaves, or a participant that removes the channel's predecessor, may delete an
/// empty folder just before this one puts a file there.
fn announce(handle: *Handle, home: ?*const folders.Home) void {
    var nothing: Control = .{};
    for (0..16) |_| {
        if (handle.bells.announce_life(handle.index, handle.epoch) != .folder_gone) return;
        handle.bells.open(home orelse return, &nothing) catch return;
    }
}

/// A participant that finds the table full sweeps it, because every entry may be of a dead participant.
fn join(handle: *Handle, role: Role) Error!void {
    return Participants.join(handle, role) catch |err| {
        if (err != error.Busy or !Repair.sweep(handle)) return err;
        return Participants.join(handle, role);
    };
}

/// Opens the folders of a participant's bells once more: there was no descriptor left for them, perhaps, or they were
/// removed since. `path` was the channel's; none: the channel is anonymous, and keeps what it has.
fn regain_folders(main: *Handle, path: []const u8) void {
    if (path.len == 0 or main.bells.has_own_folder()) return;
    const own = files.stat(main.fd, "");
    if (own != .info) return;
    var nothing: Control = .{};
    var location: target.Location = undefined;
    target.resolve(path, .channel, false, &nothing, &location) catch return;
    defer location.close();
    if (!segment.same_file(&location, &own.info)) return;
    main.bells.reopen(&.{
        .parent = location.folder,
        .name = std.mem.span(location.name()),
        .uid = own.info.uid,
        .gid = own.info.gid,
        .mode = own.info.mode,
    });
}

/// Whether the file has a name that it can lose. A file that was opened by path has one, even if it has just
/// lost it. A file of a file system that does not count names has none.
fn has_name(found: *const segment.Segment, location: ?*const target.Location) bool {
    const now = files.stat(found.fd, "");
    if (now != .info or now.info.links > 0) return now == .info;
    return if (location) |there| !segment.same_file(there, &found.info) else false;
}

/// Makes another description of the channel's file, to be passed on.
pub fn public_descriptor(handle: *Handle, control: *Control) Error!i32 {
    const own = files.stat(handle.fd, "");
    if (own == .info) if (handle.bells.open_channel(&own.info)) |fd| return fd;
    return segment.reopen(handle.fd, control);
}

/// Finds the location of a named file that came as a descriptor, so that its bells lie where participants
/// that opened it by path put theirs. False: this process cannot name the file.
fn find_location(found: *const segment.Segment, location: *target.Location) bool {
    var link: files.DescriptorPath = undefined;
    var path: target.Path = .init();
    const result = files.readlink(files.descriptor_path(found.fd, &link), path.bytes[0 .. path.bytes.len - 1]);
    if (!result.ok()) return false;
    path.length = result.value;
    if (path.length == 0 or path.bytes[0] != '/') return false;
    var nothing: Control = .{};
    target.resolve(path.slice(), .channel, false, &nothing, location) catch return false;
    if (segment.same_file(location, &found.info)) return true;
    location.close();
    return false;
}

/// No process returns to an anonymous channel whose processes were killed, so their bells are swept when the
/// next one is made.
fn sweep_anonymous(folder: i32) void {
    var reader = folders.Reader.open(folder) orelse return;
    defer reader.close();
    while (reader.next(null)) |name| {
        if (is_anonymous_folder(std.mem.span(name))) removal.remove_anonymous(folder, name);
    }
}

/// The folder is named by a channel's id, in hexadecimal.
fn is_anonymous_folder(name: []const u8) bool {
    if (!std.mem.endsWith(u8, name, names.suffix)) return false;
    const id = name[0 .. name.len - names.suffix.len];
    if (id.len == 0 or id.len > 16) return false;
    for (id) |digit| if (!std.ascii.isHex(digit)) return false;
    return true;
}

pub const After = enum { unmap, keep_views };

pub fn close(handle: *Handle, after: After) void {
    thread_exit.remove(&handle.of_thread, close_all_of_thread);
    // Calls in progress lose their clients below, which is no reason to kill this process.
    guard.forget(handle);
    // This comes first of all that touches the memory.
    _ = Wait.lost(handle);
    Repair.settle_own(handle);
    Trim.all(handle);
    // After this, the memory may go.
    waker_thread.remove(&handle.waker);
    handle.close_blocking_bell();
    if (handle.notify_fd >= 0) Notify.disable(handle);
    for ([_]i32{ handle.notify_fd, handle.peer_notify_fd }) |fd| if (fd >= 0) files.close(fd);
    // Comes before the entry is free: otherwise it would remove the files of the next participant there.
    handle.bells.close();
    handle.end_loans();
    Participants.leave(handle);
    if (handle.public_fd >= 0) files.close(handle.public_fd);
    files.close(handle.fd);
    const address = @intFromPtr(handle.map.base);
    const bytes = handle.map.geometry.file_bytes;
    switch (after) {
        .unmap => mappings.unmap(address, bytes),
        .keep_views => retired.retire(address, bytes),
    }
    handle.destroy();
}

/// Runs in a thread that ends with open handles, such as the thread of a terminated Worker.
fn close_all_of_thread(first: ?*anyopaque) callconv(.c) void {
    var next: ?*thread_exit.Node = @ptrCast(@alignCast(first));
    while (next) |node| {
        next = node.next;
        node.previous = null;
        if (next) |other| other.previous = null;
        const handle: *Handle = @fieldParentPtr("of_thread", node);
        handle.close_lent();
        // The runtime frees the thread's memory later.
        close(handle, .keep_views);
    }
}

/// Closes all handles of the calling thread, whose program has ended.
pub fn close_all_here() void {
    thread_exit.end(close_all_of_thread);
}

/// Removes a channel's name and ends its calls. False: there is no channel.
pub fn unlink(name: []const u8, control: *Control) Error!bool {
    var location: target.Location = undefined;
    target.resolve(name, .channel, false, control, &location) catch |err| switch (err) {
        error.NotFound => return false,
        else => return err,
    };
    defer location.close();
    switch (try segment.inspect(&location, control)) {
        .nothing => return false,
        .channel => |info| {
            try end_channel(&location, control);
            return remove_file(&location, &info, control);
        },
        .other => |info| {
            removal.remove_folder(location.folder, std.mem.span(location.name()), info.uid, null);
            return remove_file(&location, &info, control);
        },
    }
}

fn remove_file(location: *const target.Location, info: *const files.FileInfo, control: *Control) Error!bool {
    const locked = segment.open_locked(location);
    defer if (locked) |fd| files.close(fd);
    if (!segment.same_file(location, info)) return true;
    const result = files.unlinkat(location.folder, location.name(), 0);
    if (result.ok() or result.errno == .NOENT) return true;
    control.fail(.unlink, @backingInt(result.errno));
    return target.errno_error(result.errno);
}

/// Informs all participants, and removes the files beside the channel.
fn end_channel(location: *const target.Location, control: *Control) Error!void {
    for ([_]layout.Kind{ .bytes, .int, .limit }) |kind| {
        const found = segment.open_location(location, &.of_kind(kind), .existing, control) catch |err| switch (err) {
            error.Mismatch => continue,
            // Another process has removed it meanwhile, or it is damaged: the name is removed all the same.
            error.NotFound, error.Corrupt, error.Incompatible, error.NoSpace => return,
            else => return err,
        };
        const handle = enter(&found, .client, &home_in(location, &found), true, .lenient, control) catch {
            // There is no room for another participant, so the others find out by themselves.
            Shared.store(u64, &found.map.header().removed, 1, .seq_cst);
            removal.remove_folder(location.folder, std.mem.span(location.name()), found.info.uid, found.channel_id());
            found.close();
            return;
        };
        Lifetime.remove(handle);
        removal.remove_folder(location.folder, std.mem.span(location.name()), handle.uid, handle.bells.channel_id);
        close(handle, .unmap);
        return;
    }
}
