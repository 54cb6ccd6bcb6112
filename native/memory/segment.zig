//! The file of a channel: made complete under no name and then linked, so that nobody ever sees
//! half of one; checked in full before anything in it is believed.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("layout.zig");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const kernel = @import("../platform/sys/kernel.zig");
const locks = @import("../platform/sys/locks.zig");
const mappings = @import("../platform/sys/mappings.zig");
const process = @import("../platform/sys/process.zig");
const target = @import("../platform/target.zig");
const words = @import("words.zig");
const Error = abi.Error;
const Control = abi.Control;
const Path = target.Path;
const Location = target.Location;
const removal = @import("../platform/bells/removal.zig");
const copy_on_write = @import("../platform/copy_on_write.zig");
const occupancy = @import("occupancy.zig");
const retired = @import("../platform/retired.zig");
const Shared = @import("shared.zig").Chosen;

pub const Options = struct {
    kind: layout.Kind,
    slots: ?u64,
    max_request_bytes: ?u64,
    max_response_bytes: ?u64,
    max_deliveries: ?u64,
    mode: u32,

    pub const slots_default = 256;
    pub const payload_bytes_default = 1 << 20;
    pub const mode_default = 0o600;

    fn geometry(options: *const Options, control: *Control) Error!layout.Geometry {
        return layout.Geometry.init(
            options.kind,
            options.slots orelse slots_default,
            options.max_request_bytes orelse default_bytes(options.kind),
            options.max_response_bytes orelse default_bytes(options.kind),
            options.max_deliveries orelse 1,
        ) catch {
            control.fail(.geometry_too_large, 0);
            return error.TooLarge;
        };
    }
};

/// A 64-bit value is a payload of eight bytes.
fn default_bytes(kind: layout.Kind) u64 {
    return if (kind == .int) @sizeOf(u64) else Options.payload_bytes_default;
}

pub const Existence = struct { create: bool, must_create: bool };

/// A channel's file, open under a description of its own, and its mapping.
pub const Segment = struct {
    fd: i32,
    map: layout.Map,
    info: files.FileInfo,
    /// This process has made the file just now.
    is_new: bool = false,

    pub fn channel_id(segment: *const Segment) u64 {
        // Written once, before the file could be found.
        return Shared.load(u64, &segment.map.header().channel_id, .monotonic);
    }

    /// Removes the file and what lies beside it, in an order that leaves the file to the last: a process
    /// that dies on the way has left a channel that says that it was removed, and the next one goes on.
    pub fn remove(segment: *const Segment, location: *const Location) void {
        removal.remove_folder(location.folder, std.mem.span(location.name()), segment.info.uid, segment.channel_id());
        unlink_same(location, &segment.info);
    }

    pub fn close(segment: *const Segment) void {
        mappings.unmap(@intFromPtr(segment.map.base), segment.map.geometry.file_bytes);
        files.close(segment.fd);
    }
};

/// Others make, replace and remove the same file meanwhile; each round of the loop is one of their
/// successes.
const rounds_max = 1000;

pub fn open_location(location: *const Location, options: *const Options, how: Existence, control: *Control) Error!Segment {
    for (0..rounds_max) |_| {
        const flags = files.o_rdwr | files.o_nofollow | files.o_cloexec | files.o_nonblock;
        const opened = files.openat(location.folder, location.name(), flags, 0);
        if (!opened.ok()) {
            if (opened.errno == .NOENT and how.create) {
                if (try create_file(location, options, null, control)) |segment| return segment;
                continue;
            }
            control.fail(.open_file, @backingInt(opened.errno));
            return target.errno_error(opened.errno);
        }
        const fd = opened.fd();
        errdefer files.close(fd);
        const info = try file_info(fd, control);
        if (try leftover(fd, &info, control)) {
            if (!how.create) {
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
        if (how.must_create) {
            try check_magic(fd, control);
            control.fail(.open_file, @backingInt(kernel.Errno.EXIST));
            return error.Exists;
        }
        const segment = attach(fd, &info, options, control) catch |err| {
            if (err != error.Mismatch or !try replace_unused(fd, &info, location, how, control)) return err;
            files.close(fd);
            continue;
        };
        if (!removed(&segment)) return segment;
        // The process that unlinked it has not come to the end, and may have died on the way.
        segment.remove(location);
        segment.close();
    }
    control.fail(.open_file, @backingInt(kernel.Errno.BUSY));
    return error.Busy;
}

/// A descriptor of somebody else's: a description of our own on the same file.
pub fn open_fd(fd: i32, options: *const Options, control: *Control) Error!Segment {
    const own = try reopen(fd, control);
    errdefer files.close(own);
    const info = try file_info(own, control);
    return attach(own, &info, options, control);
}

/// Another description of the file behind a descriptor. A lock lives as long as its description does,
/// and that is shared with everybody who inherits a descriptor of it: so the one that holds a
/// participant's lock is never handed to anybody.
pub fn reopen(fd: i32, control: *Control) Error!i32 {
    var buffer: files.DescriptorPath = undefined;
    const opened = files.open(files.descriptor_path(fd, &buffer), files.o_rdwr | files.o_cloexec | files.o_nonblock, 0);
    if (opened.ok()) return opened.fd();
    control.fail(.open_file, @backingInt(opened.errno));
    return switch (opened.errno) {
        // Not open at all, or nothing that has a file.
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
    // The lock wants a description that nobody else holds; the one that memfd_create gave could
    // be passed on.
    defer files.close(created.fd());
    const chmod = files.fchmod(created.fd(), options.mode);
    if (!chmod.ok()) {
        control.fail(.memfd, @backingInt(chmod.errno));
        return target.errno_error(chmod.errno);
    }
    try initialise(created.fd(), &geometry, control);
    const sealed = files.seal(created.fd());
    if (!sealed.ok()) {
        control.fail(.memfd, @backingInt(sealed.errno));
        return error.System;
    }
    return open_fd(created.fd(), options, control);
}

fn file_info(fd: i32, control: *Control) Error!files.FileInfo {
    switch (files.stat(fd, "")) {
        .errno => |errno| {
            control.fail(.open_file, @backingInt(errno));
            return target.errno_error(errno);
        },
        .info => |info| {
            if (info.kind == .file) return info;
            control.fail(.not_a_file, 0);
            return error.Corrupt;
        },
    }
}

/// An empty file, or one of zeros alone: what an interrupted create leaves.
fn leftover(fd: i32, info: *const files.FileInfo, control: *Control) Error!bool {
    if (info.size == 0) return true;
    var buffer: [layout.page_bytes]u8 = undefined;
    // Holes are zeros: only what was written is read, and a first page that is not all zero ends
    // the search at once.
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

/// Under a lock, since two that replace each other's file would part company. Null: look again.
fn replace_leftover(
    fd: i32,
    info: *const files.FileInfo,
    location: *const Location,
    options: *const Options,
    control: *Control,
) Error!?Segment {
    try lock_to_replace(fd, control);
    if (!same_file(location, info)) return null;
    return create_file(location, options, info, control);
}

/// Until the description is closed.
fn lock_to_replace(fd: i32, control: *Control) Error!void {
    const tries_max = 2000;
    for (0..tries_max) |_| {
        if (locks.lock_byte(fd, layout.replace_lock_offset).ok()) return;
        clock.sleep_ns(std.time.ns_per_ms);
    }
    control.fail(.lock, @backingInt(kernel.Errno.AGAIN));
    return error.Busy;
}

/// Removes a channel that has other options than are asked for, if no participant is attached and no
/// request waits in it: the next round makes it anew. False: it is in use, or is not this user's.
fn replace_unused(
    fd: i32,
    info: *const files.FileInfo,
    location: *const Location,
    how: Existence,
    control: *Control,
) Error!bool {
    // The comparison that failed stays in the control block.
    var nothing: Control = .{};
    const header = try read_header(fd, info, &nothing);
    const geometry = try geometry_of(&header, &nothing);
    const is_unused = occupancy.is_unused(fd, &geometry, control);
    // A channel of the other kind is another program's.
    const is_of_kind = control.detail != @backingInt(abi.Detail.kind);
    if (!is_unused or !is_of_kind or !how.create or info.uid != process.user()) return false;
    try lock_to_replace(fd, control);
    if (!same_file(location, info)) return true;
    const every_option: Options = .{
        .kind = geometry.kind,
        .slots = null,
        .max_request_bytes = null,
        .max_response_bytes = null,
        .max_deliveries = null,
        .mode = Options.mode_default,
    };
    const segment = try attach(fd, info, &every_option, &nothing);
    defer mappings.unmap(@intFromPtr(segment.map.base), geometry.file_bytes);
    // Who attaches just now is told.
    Shared.store(u64, &segment.map.header().removed, 1, .seq_cst);
    segment.remove(location);
    return true;
}

pub fn same_file(location: *const Location, info: *const files.FileInfo) bool {
    return switch (files.stat(location.folder, location.name())) {
        .errno => false,
        .info => |now| now.inode == info.inode and now.device == info.device,
    };
}

pub fn unlink_same(location: *const Location, info: *const files.FileInfo) void {
    if (same_file(location, info)) _ = files.unlinkat(location.folder, location.name(), 0);
}

/// Makes a complete file, maps it and gives it the name; `replacing` says which leftover it takes the
/// place of. Null: another process was first.
fn create_file(
    location: *const Location,
    options: *const Options,
    replacing: ?*const files.FileInfo,
    control: *Control,
) Error!?Segment {
    const geometry = try options.geometry(control);
    var temporary: Path = .init();
    const fd = try make_file(location, &temporary, control);
    errdefer files.close(fd);
    defer if (temporary.length > 0) {
        _ = files.unlinkat(location.folder, temporary.text(), 0);
    };
    const chmod = files.fchmod(fd, options.mode);
    if (!chmod.ok()) {
        control.fail(.open_file, @backingInt(chmod.errno));
        return target.errno_error(chmod.errno);
    }
    try initialise(fd, &geometry, control);
    const info = try file_info(fd, control);
    // Before it has a name: what fails leaves nothing behind.
    var segment = try attach(fd, &info, options, control);
    segment.is_new = true;
    errdefer mappings.unmap(@intFromPtr(segment.map.base), geometry.file_bytes);
    if (replacing) |leftover_info| unlink_same(location, leftover_info);
    var buffer: files.DescriptorPath = undefined;
    const linked = files.link_following(files.descriptor_path(fd, &buffer), location.folder, location.name());
    if (linked.ok()) return segment;
    if (linked.errno == .EXIST) {
        segment.close();
        return null;
    }
    control.fail(.open_file, @backingInt(linked.errno));
    return target.errno_error(linked.errno);
}

/// A file without a name, or, where the file system cannot, with one that no process looks for.
fn make_file(location: *const Location, temporary: *Path, control: *Control) Error!i32 {
    const unnamed = files.openat(location.folder, ".", files.o_tmpfile | files.o_rdwr | files.o_cloexec, 0o600);
    if (unnamed.ok()) return unnamed.fd();
    if (unnamed.errno != .OPNOTSUPP and unnamed.errno != .ISDIR and unnamed.errno != .INVAL) {
        control.fail(.open_file, @backingInt(unnamed.errno));
        return target.errno_error(unnamed.errno);
    }
    var suffix: u64 = undefined;
    process.random(std.mem.asBytes(&suffix));
    try temporary.print("{s}.{x}", .{ std.mem.span(location.name()), suffix });
    const flags = files.o_rdwr | files.o_creat | files.o_excl | files.o_nofollow | files.o_cloexec;
    const named = files.openat(location.folder, temporary.text(), flags, 0o600);
    if (named.ok()) return named.fd();
    temporary.* = .init();
    control.fail(.open_file, @backingInt(named.errno));
    return target.errno_error(named.errno);
}

/// Sizes the file, allocates what every call touches, writes the header and the magic last.
fn initialise(fd: i32, geometry: *const layout.Geometry, control: *Control) Error!void {
    // As long as the file is empty.
    try copy_on_write.prepare(fd, control);
    // Beyond its limit a process would get a signal and not an error.
    if (geometry.file_bytes > process.file_bytes_limit()) {
        control.fail(.allocate, @backingInt(kernel.Errno.FBIG));
        return error.NoSpace;
    }
    const sized = files.ftruncate(fd, geometry.file_bytes);
    if (!sized.ok()) {
        control.fail(.allocate, @backingInt(sized.errno));
        return target.errno_error(sized.errno);
    }
    const ring_bytes = @as(u64, geometry.ring_cells) * @sizeOf(words.Cell);
    inline for (.{ .{ 0, layout.page_bytes }, .{ geometry.ring_offset, ring_bytes } }) |range| {
        const allocated = files.fallocate(fd, range[0], range[1]);
        if (!allocated.ok()) {
            control.fail(.allocate, @backingInt(allocated.errno));
            return if (allocated.errno == .OPNOTSUPP) error.Unsupported else error.NoSpace;
        }
    }
    const mapped = mappings.map_shared(fd, layout.page_bytes);
    if (!mapped.ok()) {
        control.fail(.map_memory, @backingInt(mapped.errno));
        return error.NoSpace;
    }
    defer mappings.unmap(mapped.value, layout.page_bytes);
    const header: *layout.Header = @ptrFromInt(mapped.value);
    // Nobody can know of this file before it is linked or passed on, long after these stores. The last
    // is a release for who would find it by other ways.
    Shared.store(u32, &header.layout_version, layout.layout_version, .monotonic);
    Shared.store(u32, &header.kind, @backingInt(geometry.kind), .monotonic);
    Shared.store(u32, &header.slots, geometry.slots, .monotonic);
    Shared.store(u32, &header.max_deliveries, geometry.max_deliveries, .monotonic);
    Shared.store(u64, &header.max_request_bytes, geometry.max_request_bytes, .monotonic);
    Shared.store(u64, &header.max_response_bytes, geometry.max_response_bytes, .monotonic);
    var channel_id: u64 = undefined;
    process.random(std.mem.asBytes(&channel_id));
    Shared.store(u64, &header.channel_id, channel_id, .monotonic);
    Shared.store(u64, &header.magic, layout.magic, .release);
}

/// Checks everything that is believed later, in private memory, and maps the file.
fn attach(fd: i32, info: *const files.FileInfo, options: *const Options, control: *Control) Error!Segment {
    const header = try read_header(fd, info, control);
    if (header.magic != layout.magic) {
        control.fail(.not_a_channel, 0);
        return error.Corrupt;
    }
    if (header.layout_version != layout.layout_version) {
        control.compare(.layout_version, header.layout_version, layout.layout_version);
        return error.Incompatible;
    }
    const geometry = try geometry_of(&header, control);
    if (info.size != geometry.file_bytes) {
        control.compare(.file_short, info.size, geometry.file_bytes);
        return error.Corrupt;
    }
    try same_options(&geometry, options, control);
    try copy_on_write.check(fd, control);
    const mapped = map: {
        const first = mappings.map_shared(fd, geometry.file_bytes);
        if (first.ok() or !retired.make_room()) break :map first;
        break :map mappings.map_shared(fd, geometry.file_bytes);
    };
    if (!mapped.ok()) {
        control.fail(.map_memory, @backingInt(mapped.errno));
        return error.NoSpace;
    }
    return .{
        .fd = fd,
        .map = .{ .base = @ptrFromInt(mapped.value), .geometry = geometry },
        .info = info.*,
    };
}

fn read_header(fd: i32, info: *const files.FileInfo, control: *Control) Error!layout.Header {
    var header: layout.Header = undefined;
    const result = files.pread(fd, std.mem.asBytes(&header), 0);
    if (!result.ok()) {
        control.fail(.open_file, @backingInt(result.errno));
        return target.errno_error(result.errno);
    }
    if (result.value < @sizeOf(layout.Header)) {
        control.compare(.file_short, info.size, @sizeOf(layout.Header));
        return error.Corrupt;
    }
    return header;
}

fn geometry_of(header: *const layout.Header, control: *Control) Error!layout.Geometry {
    return layout.Geometry.init(
        @fromBackingInt(header.kind),
        header.slots,
        header.max_request_bytes,
        header.max_response_bytes,
        header.max_deliveries,
    ) catch {
        control.fail(.bad_geometry, 0);
        return error.Corrupt;
    };
}

fn same_options(geometry: *const layout.Geometry, options: *const Options, control: *Control) Error!void {
    if (geometry.kind != options.kind) {
        control.compare(.kind, @backingInt(geometry.kind), @backingInt(options.kind));
        return error.Mismatch;
    }
    try same(.slots, geometry.slots, options.slots, control);
    try same(.max_request_bytes, geometry.max_request_bytes, options.max_request_bytes, control);
    try same(.max_response_bytes, geometry.max_response_bytes, options.max_response_bytes, control);
    try same(.max_deliveries, geometry.max_deliveries, options.max_deliveries, control);
}

fn same(detail: abi.Detail, found: u64, wanted: ?u64, control: *Control) Error!void {
    const value = wanted orelse return;
    if (value == found) return;
    control.compare(detail, found, value);
    return error.Mismatch;
}

fn check_magic(fd: i32, control: *Control) Error!void {
    var magic: u64 = 0;
    const result = files.pread(fd, std.mem.asBytes(&magic), 0);
    if (result.ok() and magic == layout.magic) return;
    control.fail(.not_a_channel, 0);
    return error.Corrupt;
}

pub fn removed(segment: *const Segment) bool {
    // A hint: who opens it a moment too early is told by the first call.
    return Shared.load(u64, &segment.map.header().removed, .acquire) != 0;
}

pub const Found = union(enum) {
    nothing,
    /// Of this version: with what identifies the file.
    channel: files.FileInfo,
    /// Of another version, or what is left of an interrupted create.
    other: files.FileInfo,
};

/// Whether a file may be unlinked: it is a channel of any version, or what is left of one.
pub fn inspect(location: *const Location, control: *Control) Error!Found {
    const flags = files.o_rdonly | files.o_nofollow | files.o_cloexec | files.o_nonblock;
    const opened = files.openat(location.folder, location.name(), flags, 0);
    if (!opened.ok()) {
        if (opened.errno == .NOENT) return .nothing;
        control.fail(.open_file, @backingInt(opened.errno));
        return target.errno_error(opened.errno);
    }
    defer files.close(opened.fd());
    const info = try file_info(opened.fd(), control);
    if (try leftover(opened.fd(), &info, control)) return .{ .other = info };
    var start: extern struct { magic: u64 = 0, layout_version: u32 = 0 } = .{};
    _ = files.pread(opened.fd(), std.mem.asBytes(&start), 0);
    if (start.magic != layout.magic) {
        control.fail(.not_a_channel, 0);
        return error.Corrupt;
    }
    return if (start.layout_version == layout.layout_version) .{ .channel = info } else .{ .other = info };
}
