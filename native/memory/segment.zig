//! Opening the file of a channel: attaching to one, making one, or replacing one that is not in use.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("layout.zig");
const files = @import("../platform/sys/files.zig");
const kernel = @import("../platform/sys/kernel.zig");
const mappings = @import("../platform/sys/mappings.zig");
const process = @import("../platform/sys/process.zig");
const target = @import("../platform/target.zig");
const occupancy = @import("occupancy.zig");
const mapping = @import("mapping.zig");
const creation = @import("creation.zig");
const Error = abi.Error;
const Control = abi.Control;
const Location = target.Location;
const Shared = @import("shared.zig").Chosen;

pub const Options = @import("options.zig").Options;
pub const Segment = mapping.Segment;
pub const same_file = mapping.same_file;

/// Whether a channel is attached to or made.
pub const Existence = enum {
    /// There has to be a channel.
    existing,
    existing_or_new,
    /// There must be no channel.
    new,
};

/// Others make, replace and remove the same file meanwhile; a round of the loop fails only if one of them
/// succeeds.
const rounds_max = 1000;

pub fn open_location(location: *const Location, options: *const Options, existence: Existence, control: *Control) Error!Segment {
    for (0..rounds_max) |_| {
        const opened = open_at(location);
        if (!opened.ok()) {
            if (opened.errno == .NOENT and existence != .existing) {
                if (try creation.create_file(location, options, null, control)) |segment| return segment;
                continue;
            }
            control.fail(.open_file, @backingInt(opened.errno));
            return target.errno_error(opened.errno);
        }
        const fd = opened.fd();
        errdefer files.close(fd);
        const info = try mapping.file_info(fd, control);
        if (try leftover(fd, &info, control)) {
            if (existence == .existing) {
                control.fail(.file_empty, 0);
                return error.Corrupt;
            }
            if (info.uid != process.user()) {
                control.compare(.file_owner, info.uid, process.user());
                return error.Permission;
            }
            const replaced = try replace_leftover(fd, &info, location, options, control);
            files.close(fd);
            if (replaced) |segment| return segment;
            continue;
        }
        if (existence == .new) {
            try check_magic(fd, control);
            control.fail(.open_file, @backingInt(kernel.Errno.EXIST));
            return error.Exists;
        }
        const segment = mapping.attach(fd, &info, options, control) catch |err| {
            if (err != error.Mismatch or !try replace_unused(fd, &info, location, existence, control)) return err;
            files.close(fd);
            continue;
        };
        if (!removed(&segment)) return segment;
        // The process that removed it has not finished, and may have died on the way.
        defer mappings.unmap(@intFromPtr(segment.map.base), segment.map.geometry.file_bytes);
        try segment.remove(location, control);
        files.close(fd);
    }
    control.fail(.open_file, @backingInt(kernel.Errno.BUSY));
    return error.Busy;
}

noinline fn open_at(location: *const Location) kernel.Result {
    const flags = files.o_rdwr | files.o_nofollow | files.o_cloexec | files.o_nonblock;
    return files.openat(location.folder, location.name(), flags, 0);
}

/// Locks the file at a location, so that others do not replace it; close the descriptor afterwards. Null: this user
/// may not write to the file.
pub noinline fn open_locked(location: *const Location) ?i32 {
    const opened = open_at(location);
    if (!opened.ok()) return null;
    var nothing: Control = .{};
    // Whoever may read the file can hold that lock for ever, and must not keep its owner from removing it.
    mapping.lock_to_replace(opened.fd(), &nothing) catch {};
    return opened.fd();
}

/// Opens another description of the file behind a descriptor of the user's.
pub fn open_fd(fd: i32, options: *const Options, control: *Control) Error!Segment {
    const own = try reopen(fd, control);
    errdefer files.close(own);
    const info = try mapping.file_info(own, control);
    return mapping.attach(own, &info, options, control);
}

/// Another description of the file behind a descriptor. A lock lives as long as its description, which is
/// shared with every process that inherits a descriptor of it. So the description that holds a participant's
/// lock is never passed on.
pub fn reopen(fd: i32, control: *Control) Error!i32 {
    var buffer: files.DescriptorPath = undefined;
    const opened = files.open(files.descriptor_path(fd, &buffer), files.o_rdwr | files.o_cloexec | files.o_nonblock, 0);
    if (opened.ok()) return opened.fd();
    control.fail(.open_file, @backingInt(opened.errno));
    return switch (opened.errno) {
        // The descriptor is not open, or has no file.
        .NOENT => error.Corrupt,
        else => target.errno_error(opened.errno),
    };
}

pub fn open_anonymous(name: [*:0]const u8, options: *const Options, control: *Control) Error!Segment {
    const geometry = try options.geometry(control);
    const created = files.memfd_create(name);
    if (!created.ok()) {
        control.fail(.memfd, @backingInt(created.errno));
        return target.errno_error(created.errno);
    }
    // The lock needs a description of its own; the one that memfd_create returned could be passed on.
    defer files.close(created.fd());
    const chmod = files.fchmod(created.fd(), options.mode);
    if (!chmod.ok()) {
        control.fail(.memfd, @backingInt(chmod.errno));
        return target.errno_error(chmod.errno);
    }
    try creation.initialise(created.fd(), &geometry, control);
    const sealed = files.seal(created.fd());
    if (!sealed.ok()) {
        control.fail(.memfd, @backingInt(sealed.errno));
        return error.System;
    }
    return open_fd(created.fd(), options, control);
}

/// Whether a file is empty or consists of zeros: an interrupted create leaves such a file.
fn leftover(fd: i32, info: *const files.FileInfo, control: *Control) Error!bool {
    if (info.size == 0) return true;
    var buffer: [layout.page_bytes]u8 = undefined;
    // Holes are zeros, so only written parts are read. A first page that is not all zero ends the search
    // immediately.
    var offset: u64 = 0;
    while (offset < info.size) {
        const data = files.seek_data(fd, offset);
        if (!data.ok()) return data.errno == .NXIO;
        offset = data.value;
        const result = files.pread(fd, &buffer, offset);
        if (!result.ok()) {
            control.fail(.open_file, @backingInt(result.errno));
            return target.errno_error(result.errno);
        }
        if (result.value == 0) return true;
        if (!std.mem.allEqual(u8, buffer[0..result.value], 0)) return false;
        offset += result.value;
    }
    return true;
}

/// Takes a lock, because two processes that replace each other's file would separate. Null: look again.
fn replace_leftover(
    fd: i32,
    info: *const files.FileInfo,
    location: *const Location,
    options: *const Options,
    control: *Control,
) Error!?Segment {
    try mapping.lock_to_replace(fd, control);
    if (!mapping.same_file(location, info)) return null;
    return creation.create_file(location, options, info, control);
}

/// Removes a channel with other options than the wanted ones if no participant is attached and no request
/// waits; the next round makes it anew. False: it is in use, or belongs to another user.
fn replace_unused(
    fd: i32,
    info: *const files.FileInfo,
    location: *const Location,
    existence: Existence,
    control: *Control,
) Error!bool {
    // The failed comparison stays in the control block.
    var nothing: Control = .{};
    const header = try mapping.read_header(fd, info, &nothing);
    const geometry = try mapping.geometry_of(&header, &nothing);
    const is_unused = occupancy.is_unused(fd, &geometry, control);
    // A channel of the other kind belongs to another program.
    const is_of_kind = control.detail != @backingInt(abi.Detail.kind);
    if (!is_unused or !is_of_kind or existence == .existing or info.uid != process.user()) return false;
    try mapping.lock_to_replace(fd, control);
    if (!mapping.same_file(location, info)) return true;
    const every_option: Options = .of_kind(geometry.kind);
    const segment = try mapping.attach(fd, info, &every_option, &nothing);
    defer mappings.unmap(@intFromPtr(segment.map.base), geometry.file_bytes);
    // Informs a participant that is just attaching.
    Shared.store(u64, &segment.map.header().removed, 1, .seq_cst);
    try segment.remove(location, control);
    return true;
}

fn check_magic(fd: i32, control: *Control) Error!void {
    var magic: u64 = 0;
    const result = files.pread(fd, std.mem.asBytes(&magic), 0);
    if (result.ok() and magic == layout.magic) return;
    control.fail(.not_a_channel, 0);
    return error.Corrupt;
}

fn removed(segment: *const Segment) bool {
    // A hint: if a process opens the channel a moment too early, its first call reports the removal.
    return Shared.load(u64, &segment.map.header().removed, .acquire) != 0;
}

pub const Found = union(enum) {
    nothing,
    /// A channel of this version, with the identity of the file.
    channel: files.FileInfo,
    /// A channel of another version, or the leftover of an interrupted create.
    other: files.FileInfo,
};

/// Whether a file may be unlinked: it is a channel of any version, or the leftover of one.
pub fn inspect(location: *const Location, control: *Control) Error!Found {
    const flags = files.o_rdonly | files.o_nofollow | files.o_cloexec | files.o_nonblock;
    const opened = files.openat(location.folder, location.name(), flags, 0);
    if (!opened.ok()) {
        if (opened.errno == .NOENT) return .nothing;
        control.fail(.open_file, @backingInt(opened.errno));
        return target.errno_error(opened.errno);
    }
    defer files.close(opened.fd());
    const info = try mapping.file_info(opened.fd(), control);
    if (try leftover(opened.fd(), &info, control)) return .{ .other = info };
    var start: extern struct { magic: u64 = 0, layout_version: u32 = 0 } = .{};
    _ = files.pread(opened.fd(), std.mem.asBytes(&start), 0);
    if (start.magic != layout.magic) {
        control.fail(.not_a_channel, 0);
        return error.Corrupt;
    }
    return if (start.layout_version == layout.layout_version) .{ .channel = info } else .{ .other = info };
}
