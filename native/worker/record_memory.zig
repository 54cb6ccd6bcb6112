//! The memory of a record: a file without a name, which the worker inherits. It is sealed, so no process can
//! make the other's look fail by shortening it.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("../memory/layout.zig");
const record = @import("record.zig");
const files = @import("../platform/sys/files.zig");
const mappings = @import("../platform/sys/mappings.zig");
const Error = abi.Error;
const Control = abi.Control;
const Shared = @import("../memory/shared.zig").Chosen;

/// A worker handles no more calls at once than a channel has slots.
pub const entries_max = layout.slots_max;

/// A record that this process has open. It knows its size from private memory.
pub const Memory = struct {
    fd: i32,
    base: [*]align(layout.page_bytes) u8,
    entries: u32,

    pub fn header(memory: *const Memory) *record.Header {
        return @ptrCast(memory.base);
    }

    /// `index` is below `entries`.
    pub fn entry(memory: *const Memory, index: u32) *record.Entry {
        const table: [*]record.Entry = @ptrCast(@alignCast(memory.base + @sizeOf(record.Header)));
        return &table[index];
    }

    pub fn close(memory: *const Memory) void {
        mappings.unmap(@intFromPtr(memory.base), bytes_of(memory.entries));
        files.close(memory.fd);
    }
};

fn bytes_of(entries: u32) u64 {
    const bytes = @sizeOf(record.Header) + @as(u64, entries) * @sizeOf(record.Entry);
    return std.mem.alignForward(u64, bytes, layout.page_bytes);
}

/// Makes a record for `entries` concurrent calls.
pub fn create(entries: u32, control: *Control) Error!Memory {
    const made = files.memfd_create("tandem-worker");
    if (!made.ok()) {
        control.fail(.memfd, @backingInt(made.errno));
        return error.NoSpace;
    }
    const fd = made.fd();
    errdefer files.close(fd);
    const count = std.math.clamp(entries, 1, entries_max);
    const bytes = bytes_of(count);
    // All of it exists from the beginning: a page that cannot be had later would end the process.
    for ([_]@TypeOf(made){ files.ftruncate(fd, bytes), files.fallocate(fd, 0, bytes), files.seal(fd) }) |result| {
        if (result.ok()) continue;
        control.fail(.allocate, @backingInt(result.errno));
        return error.NoSpace;
    }
    const memory = try map(fd, count, control);
    Shared.store(u64, &memory.header().entries, count, .monotonic);
    Shared.store(u64, &memory.header().magic, record.magic, .release);
    return memory;
}

/// Opens the record behind an inherited descriptor, of which it makes a copy.
pub fn attach(fd: i32, control: *Control) Error!Memory {
    const copy = files.duplicate(fd);
    if (!copy.ok()) {
        control.fail(.open_file, @backingInt(copy.errno));
        return error.Corrupt;
    }
    errdefer files.close(copy.fd());
    const info = files.stat(copy.fd(), "");
    var header: record.Header = undefined;
    const read = files.pread(copy.fd(), std.mem.asBytes(&header), 0);
    const is_record = info == .info and files.is_sealed(copy.fd()) and
        read.ok() and read.value == @sizeOf(record.Header) and header.magic == record.magic and
        header.entries >= 1 and header.entries <= entries_max and
        info.info.size == bytes_of(@intCast(header.entries));
    if (!is_record) {
        control.fail(.not_a_channel, 0);
        return error.Corrupt;
    }
    return map(copy.fd(), @intCast(header.entries), control);
}

fn map(fd: i32, entries: u32, control: *Control) Error!Memory {
    const mapped = mappings.map_shared(fd, bytes_of(entries));
    if (!mapped.ok()) {
        control.fail(.map_memory, @backingInt(mapped.errno));
        return error.NoSpace;
    }
    return .{ .fd = fd, .base = @ptrFromInt(mapped.value), .entries = entries };
}

test "a worker finds the record that its supervisor has made, and takes nothing else for one" {
    var control: Control = .{};
    const made = try create(3, &control);
    defer made.close();
    const found = try attach(made.fd, &control);
    defer found.close();
    try std.testing.expectEqual(3, found.entries);
    found.entry(2).method = 9;
    try std.testing.expectEqual(9, made.entry(2).method);
    try std.testing.expect(!files.ftruncate(made.fd, 0).ok());

    const other = files.memfd_create("test").fd();
    defer files.close(other);
    try std.testing.expectError(error.Corrupt, attach(other, &control));
    try std.testing.expect(files.ftruncate(other, layout.page_bytes).ok());
    try std.testing.expectError(error.Corrupt, attach(other, &control));
    try std.testing.expectError(error.Corrupt, attach(9999, &control));
}
