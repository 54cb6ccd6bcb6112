//! A channel's file as this process has opened it. The whole header is checked before it is used, and then
//! the file is mapped.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("layout.zig");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const kernel = @import("../platform/sys/kernel.zig");
const locks = @import("../platform/sys/locks.zig");
const mappings = @import("../platform/sys/mappings.zig");
const target = @import("../platform/target.zig");
const removal = @import("../platform/bells/removal.zig");
const copy_on_write = @import("../platform/copy_on_write.zig");
const retired = @import("../platform/retired.zig");
const Error = abi.Error;
const Control = abi.Control;
const Location = target.Location;
const Shared = @import("shared.zig").Chosen;
const Options = @import("options.zig").Options;

/// A channel's file, open under a description of its own, and its mapping.
pub const Segment = struct {
    fd: i32,
    map: layout.Map,
    info: files.FileInfo,
    /// This process has just made the file.
    is_new: bool = false,

    pub fn channel_id(segment: *const Segment) u64 {
        // Written once, before another process could find the file.
        return Shared.load(u64, &segment.map.header().channel_id, .monotonic);
    }

    /// Removes the file and everything beside it; the file goes last. A process that dies on the way leaves a
    /// channel that is marked as removed, and the next process continues.
    pub noinline fn remove(segment: *const Segment, location: *const Location, control: *Control) Error!void {
        removal.remove_folder(location.folder, std.mem.span(location.name()), segment.info.uid, segment.channel_id());
        try lock_to_replace(segment.fd, control);
        unlink_same(location, &segment.info);
    }

    pub fn close(segment: *const Segment) void {
        mappings.unmap(@intFromPtr(segment.map.base), segment.map.geometry.file_bytes);
        files.close(segment.fd);
    }
};

pub fn file_info(fd: i32, control: *Control) Error!files.FileInfo {
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

/// Checks everything that later code relies on, in private memory, and maps the file.
pub fn attach(fd: i32, info: *const files.FileInfo, options: *const Options, control: *Control) Error!Segment {
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

pub fn read_header(fd: i32, info: *const files.FileInfo, control: *Control) Error!layout.Header {
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

pub fn geometry_of(header: *const layout.Header, control: *Control) Error!layout.Geometry {
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

pub noinline fn same_file(location: *const Location, info: *const files.FileInfo) bool {
    return switch (files.stat(location.folder, location.name())) {
        .errno => false,
        .info => |now| now.inode == info.inode and now.device == info.device,
    };
}

/// Comes before a look at the name and its removal: between the two, another process could remove the file and
/// give its name to a new one. The lock lasts until the description is closed.
pub noinline fn lock_to_replace(fd: i32, control: *Control) Error!void {
    const tries_max = 2000;
    for (0..tries_max) |_| {
        if (locks.lock_byte(fd, layout.replace_lock_offset).ok()) return;
        clock.sleep_ns(std.time.ns_per_ms);
    }
    control.fail(.lock, @backingInt(kernel.Errno.AGAIN));
    return error.Busy;
}

/// The caller has locked the file.
pub fn unlink_same(location: *const Location, info: *const files.FileInfo) void {
    if (same_file(location, info)) _ = files.unlinkat(location.folder, location.name(), 0);
}
