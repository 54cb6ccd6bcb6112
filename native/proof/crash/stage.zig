//! States of a channel that are rare or need many processes, produced immediately and, as far as possible,
//! through the production functions.

const std = @import("std");
const layout = @import("../../memory/layout.zig");
const participants = @import("../../protocol/participants.zig");
const slots = @import("../../protocol/slots.zig");
const files = @import("../../platform/sys/files.zig");
const locks = @import("../../platform/sys/locks.zig");
const words = @import("../../memory/words.zig");
const Handle = @import("../../handle.zig").Handle;
const Shared = @import("../../memory/shared.zig").Chosen;
const Calls = @import("../../calls/calls.zig").CallsType(Shared);
const Participants = participants.ParticipantsType(Shared);
const Ring = @import("../../protocol/ring.zig").RingType(Shared);
const Slots = slots.SlotsType(Shared);

pub const Call = struct {
    slot: u32,
    low: u32,
    high: u32,
    /// The length of its request, for the server that received it.
    length: u32,

    fn generation(call: Call) words.Generation {
        return @truncate(@as(u64, call.high) << 32 | call.low);
    }
};

/// Sends and cancels `count` calls: each leaves a stale entry in the ring.
pub fn churn(handle: *Handle, count: u32) !i64 {
    for (0..count) |_| {
        const call = try Calls.send(handle, "", .{}, false) orelse return error.NoSlot;
        if (!Slots.cancel(handle, call)) return error.NotCancelled;
        handle.remove_call(call.slot, call.generation);
    }
    return count;
}

/// Inserts a call's entry repeatedly, at most `count` times; 0 when the ring is full.
pub fn repeat(handle: *Handle, call: Call, count: u32) !i64 {
    const word = Shared.load(words.SlotWord, &handle.map.slot(call.slot).word, .acquire);
    for (0..count) |left| {
        if (try Ring.insert(handle, call.slot, word) == .full) return 0;
        if (left + 1 == count) return count;
    }
    return 0;
}

/// How many participants have announced a sleep that no ring has ended.
pub fn sleepers(handle: *Handle) i64 {
    var count: i64 = 0;
    for (0..Participants.used_count(handle)) |position| {
        const entry = handle.map.participant(@intCast(position));
        if (Shared.load(words.ParticipantWord, &entry.word, .acquire).state != .joined) continue;
        if (Shared.load(words.WaitWord, &entry.wait, .acquire).asleep()) count += 1;
    }
    return count;
}

/// The leftover of a repairer that dies before its compare-and-swap, for a request that is handed on.
pub fn insert_next(handle: *Handle, call: Call) !i64 {
    var next = Shared.load(words.SlotWord, &handle.map.slot(call.slot).word, .acquire);
    next.delivery += 1;
    return if (try Ring.insert(handle, call.slot, next) == .done) 1 else 0;
}

/// The leftover of a sender that dies between publishing and inserting its draft.
pub fn post_uninserted(handle: *Handle, call: Call) i64 {
    const slot = handle.map.slot(call.slot);
    Shared.store(u32, &slot.request_length, 0, .monotonic);
    Shared.store(u32, &slot.request_flags, @as(u32, 1) << 8 | @import("../../abi.zig").request_one_way, .monotonic);
    Shared.store(u64, &slot.deadline_ns, 0, .monotonic);
    const posted: words.SlotWord = .{ .state = .posted, .generation = call.generation() };
    Shared.store(words.SlotWord, &slot.word, posted, .release);
    return 1;
}

/// Fills the table of participants with entries in `state`. `dead` of them are dead; this process holds the
/// locks of the others.
pub fn crowd(handle: *Handle, state: words.ParticipantState, dead: u32) !i64 {
    const table = layout.page_bytes;
    const bytes = layout.participants_max * @sizeOf(layout.Participant);
    if (!files.fallocate(handle.fd, table, bytes).ok()) return error.NoSpace;
    var buffer: [32]u8 = undefined;
    const own = std.fmt.bufPrintSentinel(&buffer, "/proc/self/fd/{d}", .{handle.fd}, 0) catch unreachable;
    // Never closed: it holds the locks.
    const description = files.open(own, files.o_rdwr | files.o_cloexec, 0);
    if (!description.ok()) return error.NoDescriptor;
    const used = Participants.used_count(handle);
    Shared.store(u64, &handle.map.header().participants_used, layout.participants_max, .seq_cst);
    for (used..layout.participants_max) |position| {
        const index: words.ParticipantIndex = @intCast(position);
        const word: words.ParticipantWord = .{ .state = state, .epoch = 1 };
        if (position >= used + dead) {
            const offset = layout.lock_offset(index, word.epoch);
            if (!locks.lock_byte(description.fd(), offset).ok()) return error.NoLock;
        }
        Shared.store(words.ParticipantWord, &handle.map.participant(index).word, word, .seq_cst);
    }
    return 0;
}
