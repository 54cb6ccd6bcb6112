//! Every load and store of shared memory. The modules of the protocol are generic over a type with
//! these declarations: production uses `Real`; the model checker and the crash build put theirs in
//! its place, so that what they explore and kill is the production code itself.
//!
//! Shared memory is hostile: a value is loaded once, checked, and only then used.
//!
//! ## Orders
//!
//! Where one side writes and then looks for the other, and the other does the same the other way round
//! (publish and look for sleepers, announce a sleep and look for work; join and look for sleepers,
//! announce and look for newcomers; remove and clear, publish and look whether it was removed), all
//! four are `seq_cst`, so that in the one order of all such operations one of the two comes later and
//! sees the other. Every order that is weaker has its reason beside it, most often one of these:
//!
//! - *Hand-over*: what was written before a word was changed with release is there for whoever has seen
//!   that change with acquire. Every change of a slot's word after its publishing is a
//!   compare-and-swap, which carries on what was handed over before.
//! - *Exact*: the value is no more than what a compare-and-swap expects. If it is old, that fails.
//! - *Own*: nobody else writes it, or all that others do is to mark it, so that this participant sees
//!   its own last value in any order.
//! - *Hint*: whatever is found, old or new, only says where to look, and somebody looks again.
//! - *Kernel*: who finds a participant's byte unlocked, or its entry free, sees all that this
//!   participant did: the kernel takes the same lock to release and to test a byte, and everything that
//!   a process has stored is there when its descriptors are closed.
//!
//! `seq_cst` loads and `acquire` loads are plain loads on x86-64; on arm64 the first are `ldar`, which
//! does not pass an earlier `stlr`, as announce-and-look needs. Payloads are copied by plain accesses,
//! always between an acquire and a release of their slot's word, across which neither the compiler nor
//! the processor moves them. (Within `rep movsb` stores may be seen in any order, but all of them before
//! any later store.) JavaScript's own accesses to payloads lie between two calls of this library.
//!
//! The model checker assumes sequentially consistent memory. What weaker memory adds is covered by the
//! reasons given here, and tried by stress.zig, which means something on arm64 processors only.

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

/// What the library itself runs on: `Real`, unless the root file of a test build declares
/// `SharedMemory`.
pub const Chosen = if (@hasDecl(root, "SharedMemory")) root.SharedMemory else Real;

pub const Real = struct {
    pub inline fn load(comptime T: type, pointer: *T, comptime order: std.lang.AtomicOrder) T {
        return @bitCast(@atomicLoad(Bits(T), bits(T, pointer), order));
    }

    pub inline fn store(comptime T: type, pointer: *T, value: T, comptime order: std.lang.AtomicOrder) void {
        @atomicStore(Bits(T), bits(T, pointer), @bitCast(value), order);
    }

    /// True: `expected` was there and is now `desired`. Where it fails nothing is learned, so that case
    /// has no order.
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

    /// Payload into shared memory.
    pub inline fn copy_in(target: [*]u8, source: []const u8) void {
        copy(target, source.ptr, source.len);
    }

    /// Payload out of shared memory. Torn or changing bytes are possible and harmless: nothing is
    /// decided by them here.
    pub inline fn copy_out(target: []u8, source: [*]const u8) void {
        copy(target.ptr, source, target.len);
    }

    /// Brings a cache line here before it is needed; for `write`, as one that may be written to, where a
    /// look would bring a copy and the write would have to ask again. Lines that are asked for in a row
    /// travel together; what follows a compare-and-swap waits for it. Nothing happens at an address
    /// where nothing is.
    pub inline fn prefetch(pointer: anytype, comptime use: enum { read, write }) void {
        // The compiler's own hint would become one for reading here: processors of before 2005 know no
        // other, and pass over this one. (Its quick backend, for tests, cannot assemble it.)
        if (use == .write and builtin.cpu.arch == .x86_64 and builtin.zig_backend == .stage2_llvm) {
            asm volatile ("prefetchw (%[pointer])"
                :
                : [pointer] "r" (pointer),
            );
        } else @prefetch(pointer, .{ .rw = if (use == .write) .write else .read });
    }

    /// A look at what may be worth a `prefetch`. It is no step of the protocol, and nothing else may come
    /// of it.
    pub inline fn glance(comptime T: type, pointer: *T) T {
        return load(T, pointer, .monotonic);
    }

    /// A hint to the processor that this is a spin loop.
    pub inline fn pause() void {
        std.atomic.spinLoopHint();
    }

    /// Each turn of a loop of the ring that fails means that somebody else came further, so this many
    /// in a row mean that the words make no sense.
    pub const turns_max = 1 << 20;

    // The kernel, as far as the protocol asks it: it stands here because a model of the memory
    // needs a model of locks, sleeps and bells beside it.

    /// Of a blocking wait before it sleeps, see `wait.zig`; a model that tries every order of events
    /// needs none.
    pub const yield_turns = 50;

    pub const yield = process.sched_yield;
    pub const processor = process.processor;
    pub const now_ns = clock.monotonic_ns;
    pub const futex_wait = futex.wait;
    pub const futex_wake = futex.wake_all;
    pub const byte_locked = locks.byte_locked;
    pub const unlock_byte = locks.unlock_byte;
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
        /// Shorter than what is mapped of it.
        short,
    };

    pub fn file_state(handle: anytype) FileState {
        return switch (files.stat(handle.fd, "")) {
            .info => |info| if (info.size < handle.map.geometry.file_bytes)
                .short
            else if (info.links == 0 and handle.is_named)
                .unlinked
            else
                .whole,
            .errno => .whole,
        };
    }

    /// Whether a knock reaches this handle's event loop.
    pub fn has_waker(handle: anytype) bool {
        const waker = handle.waker orelse return false;
        return waker.can_ring_bell();
    }

    /// What was mapped reads as zeros from now on, and nobody else sees what is written there.
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
};

/// Without libc there is no tuned memcpy: for more than a few lines the string instruction of
/// x86-64 runs at the speed of memory on every processor of the last ten years (ERMS), and below
/// that a few overlapping moves are quickest.
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
    // Loaded before anything is stored: a reply may stand further back in the area that it is
    // moved to the front of.
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
