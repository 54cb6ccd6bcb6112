//! Making a channel's file: it is completed without a name and then linked, so that no process sees half of
//! one.

const std = @import("std");
const layout = @import("layout.zig");
const limit_area = @import("limit_area.zig");
const limit_words = @import("limit_words.zig");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const kernel = @import("../platform/sys/kernel.zig");
const locks = @import("../platform/sys/locks.zig");
const mappings = @import("../platform/sys/mappings.zig");
const process = @import("../platform/sys/process.zig");
const target = @import("../platform/target.zig");
const words = @import("words.zig");
const copy_on_write = @import("../platform/copy_on_write.zig");
const mapping = @import("mapping.zig");
const abi = @import("../abi.zig");
const Error = abi.Error;
const Control = abi.Control;
const Path = target.Path;
const Location = target.Location;
const Shared = @import("shared.zig").Chosen;
const Options = @import("options.zig").Options;
const Segment = mapping.Segment;

/// Makes a complete file, maps it and names it; `replacing` is the leftover that it replaces. Null: another
/// process was first, or a sweeper; look again.
pub fn create_file(
    location: *const Location,
    options: *const Options,
    replacing: ?*const files.FileInfo,
    control: *Control,
) Error!?Segment {
    const geometry = try options.geometry(control);
    var temporary: Path = .init();
    const fd = try make_file(location, &temporary, control) orelse return null;
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
    const info = try mapping.file_info(fd, control);
    // Comes before the file has a name, so that a failure leaves nothing behind.
    var segment = try mapping.attach(fd, &info, options, control);
    segment.is_new = true;
    errdefer mappings.unmap(@intFromPtr(segment.map.base), geometry.file_bytes);
    if (replacing) |leftover_info| mapping.unlink_same(location, leftover_info);
    var buffer: files.DescriptorPath = undefined;
    const linked = files.link_following(files.descriptor_path(fd, &buffer), location.folder, location.name());
    if (linked.ok()) {
        if (temporary.length > 0) locks.unlock_byte(fd, layout.replace_lock_offset);
        return segment;
    }
    if (linked.errno == .EXIST) {
        segment.close();
        return null;
    }
    control.fail(.open_file, @backingInt(linked.errno));
    return target.errno_error(linked.errno);
}

/// A file without a name. If the file system cannot make one, its name is one that no process looks for, except to
/// sweep it. Null: a sweeper took it for another one.
fn make_file(location: *const Location, temporary: *Path, control: *Control) Error!?i32 {
    const unnamed = files.openat(location.folder, ".", files.o_tmpfile | files.o_rdwr | files.o_cloexec, 0o600);
    if (unnamed.ok()) return unnamed.fd();
    if (unnamed.errno != .OPNOTSUPP and unnamed.errno != .ISDIR and unnamed.errno != .INVAL) {
        control.fail(.open_file, @backingInt(unnamed.errno));
        return target.errno_error(unnamed.errno);
    }
    sweep_unfinished(location);
    var suffix: u64 = undefined;
    process.random(std.mem.asBytes(&suffix));
    try temporary.print("{s}.{x}" ++ unfinished, .{ std.mem.span(location.name()), suffix });
    const flags = files.o_rdwr | files.o_creat | files.o_excl | files.o_nofollow | files.o_cloexec;
    const named = files.openat(location.folder, temporary.text(), flags, 0o600);
    if (!named.ok()) {
        temporary.* = .init();
        control.fail(.open_file, @backingInt(named.errno));
        return target.errno_error(named.errno);
    }
    // Before it was locked, a sweeper may have found it: it has removed it, or is about to.
    const lock = locks.lock_byte(named.fd(), layout.replace_lock_offset);
    const is_ours = lock.ok() or lock.errno != .AGAIN;
    if (is_ours and files.stat(location.folder, temporary.text()) == .info) return named.fd();
    files.close(named.fd());
    return null;
}

const unfinished = ".unfinished";

/// Removes the files that killed processes have left on the way to a channel of this name. A process that is still on
/// the way holds its file's lock.
noinline fn sweep_unfinished(location: *const Location) void {
    const folder = files.openat(location.folder, ".", files.o_rdonly | files.o_directory | files.o_cloexec, 0);
    if (!folder.ok()) return;
    defer files.close(folder.fd());
    var reader: files.DirectoryReader = .{ .fd = folder.fd() };
    const channel = std.mem.span(location.name());
    while (reader.next()) |name| {
        if (!std.mem.startsWith(u8, name, channel) or !is_unfinished(name[channel.len..])) continue;
        const path: [*:0]const u8 = @ptrCast(name.ptr);
        const flags = files.o_rdwr | files.o_nofollow | files.o_cloexec | files.o_nonblock;
        const opened = files.openat(location.folder, path, flags, 0);
        if (!opened.ok()) continue;
        defer files.close(opened.fd());
        const info = files.stat(opened.fd(), "");
        if (info != .info or info.info.uid != process.user()) continue;
        if (!locks.lock_byte(opened.fd(), layout.replace_lock_offset).ok()) continue;
        _ = files.unlinkat(location.folder, path, 0);
    }
}

fn is_unfinished(ending: []const u8) bool {
    if (ending.len < 1 + unfinished.len or ending[0] != '.' or !std.mem.endsWith(u8, ending, unfinished)) return false;
    for (ending[1 .. ending.len - unfinished.len]) |digit| if (!std.ascii.isHex(digit)) return false;
    return true;
}

/// Sizes the file, allocates the parts that every call touches, and writes the header with the magic last.
pub fn initialise(fd: i32, geometry: *const layout.Geometry, control: *Control) Error!void {
    // Has to happen while the file is empty.
    try copy_on_write.prepare(fd, control);
    // Beyond its limit a process would get a signal instead of an error.
    if (geometry.file_bytes > process.file_bytes_limit()) {
        control.fail(.allocate, @backingInt(kernel.Errno.FBIG));
        return error.NoSpace;
    }
    const sized = files.ftruncate(fd, geometry.file_bytes);
    if (!sized.ok()) {
        control.fail(.allocate, @backingInt(sized.errno));
        return target.errno_error(sized.errno);
    }
    const ring_bytes = if (geometry.kind == .limit)
        geometry.file_bytes - geometry.ring_offset
    else
        @as(u64, geometry.ring_cells) * @sizeOf(words.Cell);
    inline for (.{ .{ 0, layout.page_bytes }, .{ geometry.ring_offset, ring_bytes } }) |range| {
        const allocated = files.fallocate(fd, range[0], range[1]);
        if (!allocated.ok()) {
            control.fail(.allocate, @backingInt(allocated.errno));
            return if (allocated.errno == .OPNOTSUPP) error.Unsupported else error.NoSpace;
        }
    }
    const mapped_bytes = if (geometry.kind == .limit) geometry.file_bytes else layout.page_bytes;
    const mapped = mappings.map_shared(fd, mapped_bytes);
    if (!mapped.ok()) {
        control.fail(.map_memory, @backingInt(mapped.errno));
        return error.NoSpace;
    }
    defer mappings.unmap(mapped.value, mapped_bytes);
    if (geometry.kind == .limit) {
        const map: layout.Map = .{ .base = @ptrFromInt(mapped.value), .geometry = geometry.* };
        initialise_limit(map.limit());
    }
    const header: *layout.Header = @ptrFromInt(mapped.value);
    // No process knows of this file before it is linked or passed on, long after these stores. The last one
    // is a release, for processes that find the file in another way.
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

/// As the stores to the header.
fn initialise_limit(area: *limit_area.Area) void {
    Shared.store(limit_words.QueueWord, &area.queue, .{ .next = 1, .max = 1 }, .monotonic);
    Shared.store(u64, &area.places_used, 1, .monotonic);
    // Greater than every token of an earlier file: nobody draws a million tokens a second for long.
    Shared.store(u64, &area.tokens, clock.wall_us(), .monotonic);
}
