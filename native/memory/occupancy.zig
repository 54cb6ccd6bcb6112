//! Whether a channel is in use that this process cannot use because its options differ. It is read through
//! the file only, and checked as data that other processes could have written.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("layout.zig");
const files = @import("../platform/sys/files.zig");
const locks = @import("../platform/sys/locks.zig");
const words = @import("words.zig");
const Control = abi.Control;

/// Whether no participant is attached and no request waits. Reports the participants in the control block.
pub fn is_unused(fd: i32, geometry: *const layout.Geometry, control: *Control) bool {
    var header: layout.Header = undefined;
    if (!read(fd, std.mem.asBytes(&header), 0)) return false;
    const participants: u32 = @intCast(@min(header.participants_used, layout.participants_max));
    const slots: u32 = @intCast(@min(header.slots_used, geometry.slots));
    control.attached = 0;
    const no_one = !any(layout.Participant, fd, layout.page_bytes, participants, control, is_attached);
    return no_one and !any(layout.Slot, fd, geometry.slots_offset, slots, control, waits);
}

fn read(fd: i32, buffer: []u8, offset: u64) bool {
    const result = files.pread(fd, buffer, offset);
    return result.ok() and result.value == buffer.len;
}

const Look = struct { fd: i32, index: u32, control: *Control };

/// Whether `ask` is true for an entry of a table; it is called for all of them.
fn any(
    comptime Entry: type,
    fd: i32,
    table: u64,
    count: u32,
    control: *Control,
    comptime ask: fn (look: Look, entry: *const Entry) bool,
) bool {
    var found = false;
    for (0..count) |position| {
        var entry: Entry = undefined;
        // An entry that cannot be read may be in use.
        if (!read(fd, std.mem.asBytes(&entry), table + position * @sizeOf(Entry))) return true;
        if (ask(.{ .fd = fd, .index = @intCast(position), .control = control }, &entry)) found = true;
    }
    return found;
}

fn is_attached(look: Look, entry: *const layout.Participant) bool {
    if (entry.word.state == .free) return false;
    const is_locked = locks.byte_locked(look.fd, layout.lock_offset(@intCast(look.index), entry.word.epoch)) orelse true;
    if (!is_locked) return false;
    const control = look.control;
    if (control.attached < control.attached_pids.len) {
        control.attached_pids[control.attached] = entry.pid;
        if (entry.role == @backingInt(layout.Role.server)) control.attached_servers |= @as(u32, 1) << @intCast(control.attached);
    }
    control.attached += 1;
    return true;
}

/// Only a posted request outlives its client.
fn waits(_: Look, entry: *const layout.Slot) bool {
    return entry.word.state == .posted or entry.word.state == .posted_held;
}
