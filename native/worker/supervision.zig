//! The supervisor's side of a record. Its worker may write anything there.

const std = @import("std");
const abi = @import("../abi.zig");
const clock = @import("../platform/sys/clock.zig");
const mappings = @import("../platform/sys/mappings.zig");
const numbers = @import("../numbers.zig");
const record = @import("record.zig");
const record_memory = @import("record_memory.zig");
const Shared = @import("../memory/shared.zig").Chosen;
const Record = record.RecordType(Shared);

pub const Memory = record_memory.Memory;

pub fn create(entries: u32, control: *abi.Control) abi.Error!*const Memory {
    clock.learn();
    const own = mappings.map_private(@sizeOf(Memory));
    if (!own.ok()) return error.NoSpace;
    errdefer mappings.unmap(own.value, @sizeOf(Memory));
    const memory: *Memory = @ptrFromInt(own.value);
    memory.* = try record_memory.create(entries, control);
    return memory;
}

pub fn close(memory: *const Memory) void {
    memory.close();
    mappings.unmap(@intFromPtr(memory), @sizeOf(Memory));
}

const head = std.meta.fieldNames(abi.RecordField).len;
const row = std.meta.fieldNames(abi.EntryField).len;

/// Writes the numbers of a record, and those of each entry with a call. Returns how many have one.
pub fn read(memory: *const Memory, out: []f64) u32 {
    if (out.len < head) return 0;
    const header = memory.header();
    set(abi.RecordField, out, .entries, memory.entries);
    set(abi.RecordField, out, .calls, Shared.load(u64, &header.calls, .monotonic));
    set(abi.RecordField, out, .failures, Shared.load(u64, &header.failures, .monotonic));
    const now_ns = Shared.now_ns();
    var count: u32 = 0;
    for (0..memory.entries) |index| {
        const seen = Record.read(memory.entry(@intCast(index)));
        if (seen.word.state == .free) continue;
        const start = head + count * row;
        if (start + row > out.len) break;
        count += 1;
        const numbers_of_entry = out[start..][0..row];
        const generation: u64 = seen.call.generation;
        set(abi.EntryField, numbers_of_entry, .entry, index);
        set(abi.EntryField, numbers_of_entry, .state, @backingInt(seen.word.state));
        set(abi.EntryField, numbers_of_entry, .sequence, seen.word.sequence);
        set(abi.EntryField, numbers_of_entry, .method, seen.call.method);
        set(abi.EntryField, numbers_of_entry, .slot, seen.call.slot);
        set(abi.EntryField, numbers_of_entry, .generation_low, generation & std.math.maxInt(u32));
        set(abi.EntryField, numbers_of_entry, .generation_high, generation >> 32);
        const age_ns: f64 = @floatFromInt(now_ns -| seen.call.since_ns);
        numbers_of_entry[@backingInt(abi.EntryField.age)] = age_ns / std.time.ns_per_ms;
    }
    return count;
}

fn set(comptime Field: type, out: []f64, field: Field, value: u64) void {
    out[@backingInt(field)] = @floatFromInt(value);
}

pub fn condemn(memory: *const Memory, index: u32, sequence: f64, reason: u32) bool {
    if (index >= memory.entries) return false;
    const whole = numbers.whole(sequence) orelse return false;
    const exact = std.math.cast(record.Sequence, whole) orelse return false;
    const why: record.Reason = switch (reason) {
        @backingInt(record.Reason.timed_out) => .timed_out,
        @backingInt(record.Reason.hung) => .hung,
        else => return false,
    };
    return Record.condemn(memory.entry(index), exact, why);
}
