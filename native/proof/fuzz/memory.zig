//! The shared memory of the fuzzer. Every access is checked against its mapping, any access may find a word
//! that was just scribbled over, and time is a number that grows while a participant waits.

const std = @import("std");
const linux = std.os.linux;
const fields = @import("fields.zig");
const layout = @import("../../memory/layout.zig");
const kernel = @import("../../platform/sys/kernel.zig");
const Identity = @import("../../platform/bells/names.zig").Identity;
const Error = @import("../../abi.zig").Error;
const Real = @import("../../memory/shared.zig").Real;

/// Between mappings, never accessible. Larger than any area of the channels here.
const guard_bytes: u64 = 1 << 28;

const mappings_max = 16;

const Mapping = struct {
    address: u64 = 0,
    length: u64 = 0,
    /// Null while the channel is being opened.
    geometry: ?layout.Geometry = null,
};

/// One process, one thread: the private state of this module.
pub const State = struct {
    mappings: [mappings_max]Mapping = @splat(.{}),
    random: std.Random = undefined,
    /// The mapping that the scribbling uses.
    map: ?layout.Map = null,
    /// One access in so many finds a changed word; 0: none does.
    scribble_every: u32 = 0,
    /// How often each field was changed.
    scribbles: []u64 = &.{},
    /// The cost of the current operation: one for an access, more for a system call.
    work: u64 = 0,
    /// An operation with more work than this does not end.
    work_max: u64 = std.math.maxInt(u64),
    now_ns: u64 = 1 << 40,
};

pub var state: State = .{};

/// Once the channel is open, the layout of its mapping is known.
pub fn know(map: *const layout.Map) void {
    for (&state.mappings) |*mapping| {
        if (mapping.address == @intFromPtr(map.base)) mapping.geometry = map.geometry;
    }
}

pub fn scribble() void {
    const map = state.map orelse return;
    state.scribbles[fields.mutate(&map, state.random, null)] += 1;
}

/// Replaces the library's own mappings, with guard pages on both sides.
pub const Mappings = struct {
    pub fn map_shared(fd: i32, length: u64) kernel.Result {
        const whole = std.mem.alignForward(u64, length, layout.page_bytes);
        const none: linux.PROT = .{};
        const flags: linux.MAP = .{ .TYPE = .PRIVATE, .ANONYMOUS = true, .NORESERVE = true };
        const reserved = linux.mmap(null, whole + 2 * guard_bytes, none, flags, -1, 0);
        if (linux.errno(reserved) != .SUCCESS) return .{ .errno = linux.errno(reserved) };
        const address = reserved + guard_bytes;
        const both: linux.PROT = .{ .READ = true, .WRITE = true };
        const mapped = linux.mmap(@ptrFromInt(address), length, both, .{ .TYPE = .SHARED, .FIXED = true }, fd, 0);
        if (linux.errno(mapped) != .SUCCESS) {
            _ = linux.munmap(@ptrFromInt(reserved), whole + 2 * guard_bytes);
            return .{ .errno = linux.errno(mapped) };
        }
        for (&state.mappings) |*mapping| {
            if (mapping.length != 0) continue;
            mapping.* = .{ .address = address, .length = length };
            return .{ .value = address };
        }
        @panic("more mappings than the fuzzer makes handles");
    }

    pub fn unmap(address: usize, length: u64) void {
        for (&state.mappings) |*mapping| {
            if (mapping.address != address or mapping.length == 0) continue;
            // Unmapping one part of a mapping would leave the rest unguarded.
            if (mapping.length != length) @panic("unmapped with another length than mapped");
            _ = linux.munmap(@ptrFromInt(address - guard_bytes), std.mem.alignForward(u64, length, layout.page_bytes) + 2 * guard_bytes);
            mapping.* = .{};
            return;
        }
        _ = linux.munmap(@ptrFromInt(address), length);
    }
};

fn mapping_of(address: u64, length: u64) ?Mapping {
    for (state.mappings) |mapping| {
        if (address >= mapping.address and address - mapping.address < mapping.length) {
            if (length > mapping.length - (address - mapping.address)) break;
            return mapping;
        }
    }
    return null;
}

/// Before each access to a word.
fn touch(address: u64, length: u64) void {
    const mapping = mapping_of(address, length) orelse @panic("a word outside of the mapping");
    if (mapping.geometry) |geometry| {
        const offset = address - mapping.address;
        if (offset + length > geometry.dense_bytes) @panic("a word among the payloads");
    }
    pass();
}

fn pass() void {
    spend(1);
    if (state.scribble_every != 0 and state.random.uintLessThan(u32, state.scribble_every) == 0) scribble();
}

fn spend(work: u64) void {
    state.work += work;
    state.now_ns += work * access_ns;
    if (state.work > state.work_max) @panic("an operation that does not end");
}

/// A payload lies within one area of one slot; private memory is not checked.
pub fn check_payload(address: u64, length: u64) void {
    if (length == 0) return;
    const mapping = mapping_of(address, 1) orelse return;
    if (mapping_of(address, length) == null) @panic("a payload that ends outside of the mapping");
    const geometry = mapping.geometry orelse return;
    const offset = address - mapping.address;
    if (offset >= geometry.dense_bytes) {
        const in_slot = (offset - geometry.dense_bytes) % geometry.area_stride;
        const request_bytes = geometry.request_area_bytes;
        const end = if (in_slot < request_bytes) request_bytes else geometry.area_stride;
        if (in_slot + length > end) @panic("a payload that runs into the next area");
        return;
    }
    if (offset < geometry.slots_offset) @panic("a payload outside of the slots");
    const in_head = (offset - geometry.slots_offset) % @sizeOf(layout.Slot);
    const places = [_][2]u64{
        .{ @offsetOf(layout.Slot, "request_inline"), layout.inline_request_bytes },
        .{ @offsetOf(layout.Slot, "response_inline"), layout.inline_response_bytes },
    };
    for (places) |place| {
        if (in_head >= place[0] and in_head + length <= place[0] + place[1]) return;
    }
    @panic("a payload over the words of a slot");
}

/// About the duration of an access, so that work takes time.
const access_ns = 5;

/// About how many accesses take as long as one system call.
const system_call_work = 50;

pub const SharedMemory = struct {
    pub fn load(comptime T: type, pointer: *T, comptime order: std.lang.AtomicOrder) T {
        touch(@intFromPtr(pointer), @sizeOf(T));
        return Real.load(T, pointer, order);
    }

    pub fn store(comptime T: type, pointer: *T, value: T, comptime order: std.lang.AtomicOrder) void {
        touch(@intFromPtr(pointer), @sizeOf(T));
        Real.store(T, pointer, value, order);
    }

    pub fn cas(
        comptime T: type,
        pointer: *T,
        expected: T,
        desired: T,
        comptime order: std.lang.AtomicOrder,
    ) bool {
        touch(@intFromPtr(pointer), @sizeOf(T));
        return Real.cas(T, pointer, expected, desired, order);
    }

    pub fn fetch_or(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        touch(@intFromPtr(pointer), @sizeOf(u64));
        return Real.fetch_or(pointer, mask, order);
    }

    pub fn fetch_and(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        touch(@intFromPtr(pointer), @sizeOf(u64));
        return Real.fetch_and(pointer, mask, order);
    }

    pub fn fetch_add(pointer: *u64, addend: u64, comptime order: std.lang.AtomicOrder) u64 {
        touch(@intFromPtr(pointer), @sizeOf(u64));
        return Real.fetch_add(pointer, addend, order);
    }

    pub fn copy_in(target: [*]u8, source: []const u8) void {
        copy(@intFromPtr(target), @intFromPtr(source.ptr), source.len);
        Real.copy_in(target, source);
    }

    pub fn copy_out(target: []u8, source: [*]const u8) void {
        copy(@intFromPtr(target.ptr), @intFromPtr(source), target.len);
        Real.copy_out(target, source);
    }

    fn copy(target: u64, source: u64, length: u64) void {
        check_payload(target, length);
        check_payload(source, length);
        pass();
    }

    pub const prefetch = Real.prefetch;
    pub const glance = Real.glance;
    pub const next_look = Real.next_look;
    pub const is_over = Real.is_over;

    pub fn pause() void {
        state.now_ns += 30;
        pass();
    }

    pub fn processor() u32 {
        return 0;
    }

    pub fn yield() void {
        state.now_ns += 1_000;
        pass();
    }

    pub fn now_ns() u64 {
        state.now_ns += 100;
        return state.now_ns;
    }

    /// No other process runs, so a sleep lasts as long as allowed.
    pub fn futex_wait(word: *const u32, expected: u32, timeout_ns: u64) void {
        touch(@intFromPtr(word), @sizeOf(u32));
        if (@atomicLoad(u32, word, .seq_cst) == expected) state.now_ns += timeout_ns;
    }

    pub fn poll(watched: anytype, timeout_ns: ?u64) void {
        spend(system_call_work);
        for (watched) |*one| one.found = 0;
        state.now_ns += timeout_ns orelse @panic("a sleep without an end");
    }

    pub fn futex_wake(word: *const u32) void {
        spend(system_call_work);
        touch(@intFromPtr(word), @sizeOf(u32));
        Real.futex_wake(word);
    }

    pub fn byte_locked(fd: i32, offset: u64) ?bool {
        spend(system_call_work);
        return Real.byte_locked(fd, offset);
    }

    pub fn ring_bell(bells: anytype, other: Identity, kind: u32) bool {
        spend(6 * system_call_work);
        return Real.ring_bell(bells, other, kind);
    }

    pub fn ring_notify(bells: anytype, other: Identity) bool {
        spend(6 * system_call_work);
        return Real.ring_notify(bells, other);
    }

    pub const unlock_byte = Real.unlock_byte;
    pub const lock_byte = Real.lock_byte;
    pub const drain = Real.drain;
    pub const close = Real.close;
    pub const allocate = Real.allocate;
    pub const FileState = Real.FileState;
    pub const file_state = Real.file_state;
    pub const has_waker = Real.has_waker;
    pub const abandon = Real.abandon;
    pub const commit_slot_head = Real.commit_slot_head;
    pub const commit_request = Real.commit_request;
    pub const commit_response = Real.commit_response;
    pub const turns_max = Real.turns_max;
    pub const wall_ms = Real.wall_ms;
    pub const contenders_max = Real.contenders_max;
    pub const sentinels_enough = Real.sentinels_enough;
    pub const yield_turns = Real.yield_turns;
    pub const punch = Real.punch;
    pub const write_notify = Real.write_notify;
    pub const watch_life = Real.watch_life;
    pub const forget_bells = Real.forget_bells;
    pub const close_gone_bells = Real.close_gone_bells;
};
