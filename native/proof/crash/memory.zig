//! Shared memory in which every store is a point of death. A copy is three: before it, half-way, and after
//! it. A compare-and-swap is one point, whether it succeeds or not. Requests to the kernel have their points
//! in kernel.zig.

const std = @import("std");
const clock = @import("clock.zig");
const point = @import("point.zig");
const Real = @import("../../memory/shared.zig").Real;

pub const Memory = struct {
    pub const load = Real.load;
    pub const copy_out = Real.copy_out;

    pub inline fn store(comptime T: type, pointer: *T, value: T, comptime order: std.lang.AtomicOrder) void {
        point.pass("a store of " ++ @typeName(T));
        Real.store(T, pointer, value, order);
    }

    pub inline fn cas(
        comptime T: type,
        pointer: *T,
        expected: T,
        desired: T,
        comptime order: std.lang.AtomicOrder,
    ) bool {
        point.pass("a compare-and-swap of " ++ @typeName(T));
        return Real.cas(T, pointer, expected, desired, order);
    }

    pub inline fn fetch_or(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        point.pass("setting a bit");
        return Real.fetch_or(pointer, mask, order);
    }

    pub inline fn fetch_and(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        point.pass("clearing a bit");
        return Real.fetch_and(pointer, mask, order);
    }

    pub inline fn fetch_add(pointer: *u64, addend: u64, comptime order: std.lang.AtomicOrder) u64 {
        point.pass("adding");
        return Real.fetch_add(pointer, addend, order);
    }

    /// Copies from the front, so that a source that overlaps further back is whole until it is read.
    pub fn copy_in(target: [*]u8, source: []const u8) void {
        if (source.len == 0) return;
        const half = source.len / 2;
        point.pass("a copy");
        Real.copy_in(target, source[0..half]);
        point.pass("the second half of a copy");
        Real.copy_in(target + half, source[half..]);
        point.pass("what follows a copy");
    }

    /// A processor that no other participant has: the test must not depend on the duration of a yield. Nor does a machine
    /// with fewer than 31 processors use its place in the header, where stores depend on who waited there before.
    pub fn processor() u32 {
        return 1 << 20 | 30;
    }

    pub const prefetch = Real.prefetch;
    pub const glance = Real.glance;
    pub const next_look = Real.next_look;
    pub const is_over = Real.is_over;
    pub const pause = Real.pause;
    pub const yield = Real.yield;
    pub const now_ns = clock.now_ns;
    pub const wall_ms = Real.wall_ms;
    pub const contenders_max = Real.contenders_max;
    pub const sentinels_enough = Real.sentinels_enough;
    pub const futex_wait = clock.futex_wait;
    pub const futex_wake = Real.futex_wake;
    pub const byte_locked = Real.byte_locked;
    pub const unlock_byte = Real.unlock_byte;
    pub const poll = Real.poll;
    pub const drain = Real.drain;
    pub const close = Real.close;
    pub const lock_byte = Real.lock_byte;
    pub const allocate = Real.allocate;
    pub const commit_slot_head = Real.commit_slot_head;
    pub const commit_request = Real.commit_request;
    pub const commit_response = Real.commit_response;
    pub const turns_max = Real.turns_max;
    pub const yield_turns = Real.yield_turns;
    pub const punch = Real.punch;
    pub const FileState = Real.FileState;
    pub const file_state = Real.file_state;
    pub const has_waker = Real.has_waker;
    pub const abandon = Real.abandon;
    pub const ring_bell = Real.ring_bell;
    pub const ring_notify = Real.ring_notify;
    pub const write_notify = Real.write_notify;
    pub const watch_life = Real.watch_life;
    pub const forget_bells = Real.forget_bells;
    pub const close_gone_bells = Real.close_gone_bells;
};
