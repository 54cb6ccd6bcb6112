//! Every load and store of shared memory. The modules of the protocol are generic over a type with these
//! declarations. Production uses `Real`; the model checker and the crash build substitute their own, so that
//! they explore and kill the production code itself.
//!
//! Shared memory is hostile: a value is loaded once, checked, and only then used.
//!
//! ## Orders
//!
//! In some places one side writes and then looks for the other, while the other side does the reverse:
//! publish and look for sleepers, announce a sleep and look for work; join and look for sleepers, announce
//! and look for newcomers; remove and clear, publish and look for the removal. There, all four operations are
//! `seq_cst`: in the one order of all such operations, one of the two sides comes later and sees the other.
//! Every weaker order has its reason beside it, most often one of these:
//!
//! - *Hand-over*: a participant that has seen a release of a word with acquire sees everything that was
//!   written before it. Every change of a slot's word after its publishing is a compare-and-swap, which
//!   passes on earlier hand-overs.
//! - *Exact*: the value is only what a compare-and-swap expects. If it is old, that fails.
//! - *Own*: no other participant writes it, or others only mark it, so this participant sees its own last
//!   value in any order.
//! - *Hint*: the value, old or new, only says where to look, and a participant looks again.
//! - *Kernel*: a participant that finds another's byte unlocked, or its entry free, sees everything that the
//!   other one did. The kernel takes the same lock to release and to test a byte, and a process's stores are
//!   visible when its descriptors are closed.
//!
//! `seq_cst` loads and `acquire` loads are plain loads on x86-64. On arm64 the first are `ldar`, which does not
//! pass an earlier `stlr`, as announce-and-look needs. Payloads are copied by plain accesses, always between an
//! acquire and a release of their slot's word; neither the compiler nor the processor moves them across these.
//! (Stores within `rep movsb` may be seen in any order, but all of them before any later store.) JavaScript's
//! own accesses to payloads lie between two calls of this library.
//!
//! The model checker assumes sequentially consistent memory. For weaker memory, the reasons given here apply;
//! proof/stress.zig tests them, but only arm64 processors give its result any meaning.

const std = @import("std");
const builtin = @import("builtin");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const futex = @import("../platform/sys/futex.zig");
const locks = @import("../platform/sys/locks.zig");
const mappings = @import("../platform/sys/mappings.zig");
const process = @import("../platform/sys/process.zig");
const root = @import("root");
const Identity = @import("../platform/bells/names.zig").Identity;
const Error = @import("../abi.zig").Error;

/// The memory that the library uses: `Real`, unless the root file of a test build declares `SharedMemory`.
pub const Chosen = if (@hasDecl(root, "SharedMemory")) root.SharedMemory else Real;

pub const Real = struct {
    pub inline fn load(comptime T: type, pointer: *T, comptime order: std.lang.AtomicOrder) T {
        return @bitCast(@atomicLoad(Bits(T), bits(T, pointer), order));
    }

    pub inline fn store(comptime T: type, pointer: *T, value: T, comptime order: std.lang.AtomicOrder) void {
        @atomicStore(Bits(T), bits(T, pointer), @bitCast(value), order);
    }

    /// True: `expected` was there and is now `desired`. A failure needs no order, because the code learns
    /// nothing from it.
    pub inline fn cas(
        comptime T: type,
        pointer: *T,
        expected: T,
        desired: T,
        comptime order: std.lang.AtomicOrder,
    ) bool {
        return @cmpxchgStrong(
            Bits(T),
            bits(T, pointer),
            @bitCast(expected),
            @bitCast(desired),
            order,
            .monotonic,
        ) == null;
    }

    pub inline fn fetch_or(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        return @atomicRmw(u64, pointer, .Or, mask, order);
    }

    pub inline fn fetch_and(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        return @atomicRmw(u64, pointer, .And, mask, order);
    }

    pub inline fn fetch_add(pointer: *u64, addend: u64, comptime order: std.lang.AtomicOrder) u64 {
        return @atomicRmw(u64, pointer, .Add, addend, order);
    }

    /// Copies a payload into shared memory.
    pub inline fn copy_in(target: [*]u8, source: []const u8) void {
        copy(target, source.ptr, source.len);
    }

    /// Copies a payload out of shared memory. Torn or changing bytes are harmless, because no decision
    /// depends on them here.
    pub inline fn copy_out(target: []u8, source: [*]const u8) void {
        copy(target.ptr, source, target.len);
    }

    /// Fetches a cache line before it is needed. With `write`, the line arrives ready to be written; a load
    /// would fetch a copy, and the write would have to ask again. Lines that are requested in a row travel
    /// together; a request after a compare-and-swap waits for it. An invalid address has no effect.
    pub inline fn prefetch(pointer: anytype, comptime use: enum { read, write }) void {
        // The compiler's own hint would become a read prefetch here. Processors of before 2005 only know
        // those, and ignore this one. (The compiler's quick backend, for tests, cannot assemble it.)
        if (use == .write and builtin.cpu.arch == .x86_64 and builtin.zig_backend == .stage2_llvm) {
            asm volatile ("prefetchw (%[pointer])"
                :
                : [pointer] "r" (pointer),
            );
        } else @prefetch(pointer, .{ .rw = if (use == .write) .write else .read });
    }

    /// The number of a server's next look, see protocol/spread.zig.
    pub inline fn next_look(look: u47) u47 {
        return look +% 1;
    }

    /// Whether a server has waited long enough for another one.
    pub inline fn is_over(waited_ns: u64, grace_ns: u64) bool {
        return waited_ns > grace_ns;
    }

    /// Loads a word only to decide on a `prefetch`. It is no step of the protocol, and nothing else may
    /// depend on it.
    pub inline fn glance(comptime T: type, pointer: *T) T {
        return load(T, pointer, .monotonic);
    }

    /// Informs the processor that this is a spin loop.
    pub inline fn pause() void {
        std.atomic.spinLoopHint();
    }

    /// A turn of a ring's loop fails only if another participant made progress, so this many failures in a
    /// row mean that the words make no sense.
    pub const turns_max = 1 << 20;

    /// Behind so many sentinels, the death watches of a participant may end. Most of them may be stopped.
    pub inline fn sentinels_enough() u32 {
        return 32;
    }

    /// The most contenders of a limit that a look can collect in private memory.
    pub const contenders_max = 1024;

    // The protocol's questions to the kernel stand here too, because a model of the memory needs a model of
    // locks, sleeps and bells.

    /// Yields of a blocking wait before it sleeps, see waiting/pacing.zig. A model that tries every order of
    /// events needs none.
    pub const yield_turns = 50;

    pub const yield = process.sched_yield;
    pub const processor = process.processor;
    pub const now_ns = clock.monotonic_ns;
    pub const wall_ms = clock.wall_ms;
    pub const futex_wait = futex.wait;
    pub const futex_wake = futex.wake_all;
    pub const byte_locked = locks.byte_locked;
    pub const unlock_byte = locks.unlock_byte;
    pub const poll = files.poll;
    pub const drain = files.drain;
    pub const close = files.close;

    pub fn lock_byte(fd: i32, offset: u64) bool {
        return locks.lock_byte(fd, offset).ok();
    }

    pub fn allocate(fd: i32, offset: u64, length: u64) bool {
        return files.fallocate(fd, offset, length).ok();
    }

    pub const FileState = enum {
        whole,
        /// It has no name any more.
        unlinked,
        /// Shorter than its mapping.
        short,
    };

    pub fn file_state(handle: anytype) FileState {
        return switch (files.stat(handle.fd, "")) {
            .info => |info| if (info.size < handle.map.geometry.file_bytes)
                .short
            else if (handle.is_named and (info.links == 0 or is_moved(handle, &info)))
                .unlinked
            else
                .whole,
            .errno => .whole,
        };
    }

    /// Whoever opens the name of a limit that was moved makes another one, whose places have other holders.
    fn is_moved(handle: anytype, own: *const files.FileInfo) bool {
        return handle.map.geometry.kind == .limit and handle.bells.has_lost_name(own);
    }

    /// Whether a knock reaches this handle's event loop.
    pub fn has_waker(handle: anytype) bool {
        const waker = handle.waker orelse return false;
        return waker.can_ring_bell();
    }

    /// From now on the mapping reads as zeros, and no other process sees what is written there.
    pub fn abandon(handle: anytype) void {
        _ = mappings.map_over(@intFromPtr(handle.map.base), handle.map.geometry.file_bytes);
    }

    pub fn commit_slot_head(handle: anytype, slot: u32) Error!void {
        return handle.commit_slot_head(slot);
    }

    pub fn commit_request(handle: anytype, slot: u32, length: u32) Error!void {
        return handle.commit_request(slot, length, load(u32, &handle.map.slot(slot).trims, .monotonic));
    }

    pub fn commit_response(handle: anytype, slot: u32, length: u32) Error!void {
        return handle.commit_response(slot, length, load(u32, &handle.map.slot(slot).trims, .monotonic));
    }

    pub const punch = files.punch;

    pub fn ring_bell(bells: anytype, other: Identity, kind: u32) bool {
        return bells.ring(other, kind);
    }

    pub fn ring_notify(bells: anytype, other: Identity) bool {
        return bells.ring_notify(other);
    }

    pub fn write_notify(fd: i32) bool {
        return fd >= 0 and files.write_counter(fd);
    }

    pub fn watch_life(bells: anytype, other: Identity) ?i32 {
        return bells.watch_life(other);
    }

    pub fn forget_bells(bells: anytype, other: Identity) void {
        bells.forget(other);
    }

    pub fn close_gone_bells(bells: anytype, living: anytype) void {
        bells.close_gone(living);
    }
};

/// Without libc there is no tuned memcpy. For more than a few lines, the string instruction of x86-64 runs at
/// the speed of memory on every processor of the last ten years (ERMS); below that, a few overlapping moves
/// are fastest.
inline fn copy(target: [*]u8, source: [*]const u8, len: usize) void {
    if (len <= 16) return copy_small(target, source, len);
    if (len <= 128 or builtin.cpu.arch != .x86_64) return copy_vector(target, source, len);
    asm volatile ("rep movsb"
        :
        : [target] "{rdi}" (target),
          [source] "{rsi}" (source),
          [len] "{rcx}" (len),
        : .{ .rdi = true, .rsi = true, .rcx = true, .memory = true });
}

inline fn copy_small(target: [*]u8, source: [*]const u8, len: usize) void {
    if (len >= 8) return copy_ends(u64, target, source, len);
    if (len >= 4) return copy_ends(u32, target, source, len);
    if (len >= 2) return copy_ends(u16, target, source, len);
    if (len == 1) target[0] = source[0];
}

/// Two moves that may overlap cover every length from one to two words.
inline fn copy_ends(comptime Word: type, target: [*]u8, source: [*]const u8, len: usize) void {
    const size = @sizeOf(Word);
    const first: Word = @as(*align(1) const Word, @ptrCast(source)).*;
    const last: Word = @as(*align(1) const Word, @ptrCast(source + len - size)).*;
    @as(*align(1) Word, @ptrCast(target)).* = first;
    @as(*align(1) Word, @ptrCast(target + len - size)).* = last;
}

fn copy_vector(target: [*]u8, source: [*]const u8, len: usize) void {
    const Vector = @Vector(16, u8);
    // Loaded before anything is stored, because an answer may lie further back in the area and move to its
    // front.
    const last = @as(*align(1) const Vector, @ptrCast(source + len - 16)).*;
    var index: usize = 0;
    while (index + 16 <= len) : (index += 16) {
        @as(*align(1) Vector, @ptrCast(target + index)).* = @as(*align(1) const Vector, @ptrCast(source + index)).*;
    }
    // The last vector overlaps the one before it; len > 16 here.
    @as(*align(1) Vector, @ptrCast(target + len - 16)).* = last;
}

fn Bits(comptime T: type) type {
    return @Int(.unsigned, @bitSizeOf(T));
}

inline fn bits(comptime T: type, pointer: *T) *Bits(T) {
    return @ptrCast(pointer);
}

test "a copy towards the front may overlap its source" {
    for ([_]usize{ 1, 8, 15, 16, 17, 40 }) |distance| {
        for (1..300) |len| {
            var memory: [400]u8 = undefined;
            for (&memory, 0..) |*byte, index| byte.* = @truncate(index *% 31 +% 7);
            const expected = memory;
            Real.copy_in(&memory, memory[distance..][0..len]);
            try std.testing.expectEqualSlices(u8, expected[distance..][0..len], memory[0..len]);
        }
    }
}

test "copies of every length are exact and touch nothing else" {
    var source: [400]u8 = undefined;
    for (&source, 0..) |*byte, index| byte.* = @truncate(index *% 31 +% 7);
    for (0..300) |len| {
        var target: [400]u8 = @splat(0xee);
        Real.copy_in(target[3..].ptr, source[5..][0..len]);
        try std.testing.expectEqualSlices(u8, source[5..][0..len], target[3..][0..len]);
        for (target[0..3]) |byte| try std.testing.expectEqual(@as(u8, 0xee), byte);
        for (target[3 + len ..]) |byte| try std.testing.expectEqual(@as(u8, 0xee), byte);
    }
}
