//! The 64-bit words that hold every decision that must be made once; one compare-and-swap makes each. All of
//! them are packed structs, so any bit pattern that a hostile process writes is a legal value of the type,
//! and ordinary code judges it.

const std = @import("std");

/// The index of a participant in the table.
pub const ParticipantIndex = u10;

/// The state of one slot, which is the state of its call.
///
/// ```
/// free → draft → queued → held → ready → free        a call that is answered
///                posted → posted_held → free         a one-way request
///        queued → free, held → abandoned → free      cancelled, timed out, its client dead
/// ```
pub const SlotState = enum(u3) {
    free,
    /// A client writes the request.
    draft,
    queued,
    /// A server works on it; the holder is that server.
    held,
    /// The client has left. The slot waits for its server, whose view of the request stays valid.
    abandoned,
    /// The answer waits for its client; the holder field contains the `AnswerKind`.
    ready,
    posted,
    posted_held,
};

/// The kind of a `ready` slot's answer. It stands in the word, not beside it, because a repairer that was
/// stopped for a long time must not write it into a later call.
pub const AnswerKind = enum(u10) {
    bytes = 0,
    text = 1,
    /// The handler failed: the answer is the serialised error.
    remote_error = 2,
    server_died = 3,
    timed_out = 4,
    _,
};

pub const Generation = u46;
pub const Delivery = u5;

pub const SlotWord = packed struct(u64) {
    state: SlotState = .free,
    /// The client in `draft`, the server in `held`, `posted_held` and `abandoned`, the
    /// `AnswerKind` in `ready`, 0 otherwise.
    holder: ParticipantIndex = 0,
    /// The number of earlier deliveries.
    delivery: Delivery = 0,
    /// Incremented at every acquire; together with the slot number it is the id of the call.
    generation: Generation = 0,

    pub fn ready(word: SlotWord, kind: AnswerKind) SlotWord {
        return .{ .state = .ready, .holder = @backingInt(kind), .delivery = word.delivery, .generation = word.generation };
    }

    pub fn freed(word: SlotWord) SlotWord {
        return .{ .generation = word.generation };
    }

    pub fn answer_kind(word: SlotWord) AnswerKind {
        return @fromBackingInt(word.holder);
    }
};

/// A slot whose generation has reached this is never acquired again, so that ids never repeat. At five
/// million calls a second on one slot that takes five months; the other slots continue. A channel whose slots
/// have all reached it has none left: `BUSY`, for ever.
pub const generation_max: Generation = std.math.maxInt(Generation);

/// A cell of the ring. The lap of the cell's position makes a late compare-and-swap of a stopped process
/// fail. A few bits of the generation are enough, because a server relies only on the slot word.
///
/// The lap repeats after at least 2^40 positions, which take days at full load. A compare-and-swap would have
/// to be late by exactly this number to find its cell unchanged.
pub const Cell = packed struct(u64) {
    full: bool = false,
    slot: u16 = 0,
    generation: u14 = 0,
    delivery: Delivery = 0,
    lap: u28 = 0,
};

pub const ParticipantState = enum(u2) { free, joining, joined, invalid };

pub const Epoch = u54;

/// An entry of the table whose epoch has reached this is never reused, because the lock offsets have room for
/// this many epochs and each participant needs one of its own. At a thousand joins a second in one entry that
/// takes 35,000 years; the other entries continue.
pub const epoch_max: Epoch = (1 << 50) - 1;

pub const ParticipantWord = packed struct(u64) {
    state: ParticipantState = .free,
    unused: u8 = 0,
    /// Only grows: together with the index it identifies one participant.
    epoch: Epoch = 0,
};

/// The participant that acquired a slot.
pub const Owner = packed struct(u64) {
    index: ParticipantIndex,
    epoch: Epoch,
};

pub const WaitState = enum(u2) {
    awake,
    /// Asleep in a futex on the low half of this word.
    futex,
    /// The event loop sleeps until its bell rings.
    bell,
    rung,
};

/// How a participant waits. `number` is incremented at every sleep, so that a ringer that was stopped cannot
/// mark a later sleep as rung. It does not repeat in practice.
pub const WaitWord = packed struct(u64) {
    state: WaitState = .awake,
    number: u62 = 0,

    pub fn asleep(word: WaitWord) bool {
        return word.state == .futex or word.state == .bell;
    }
};

/// How busy a server is. A hint: other servers decide by it which of them takes the next request.
pub const LoadWord = packed struct(u64) {
    /// The requests that it has taken and not answered.
    calls: u16 = 0,
    /// It takes another request if there is one.
    accepts: bool = false,
    /// Incremented whenever it looks for a request, and at each join. A server whose number stays the same
    /// does not look.
    looks: u47 = 0,
};

pub const NotifyState = enum(u2) { none, armed, rung, invalid };

/// Whether a participant has a notify descriptor, and whether it was rung since the last drain.
pub const NotifyWord = packed struct(u32) {
    state: NotifyState = .none,
    /// Related processes share the descriptor, and it has no path.
    adopted: bool = false,
    /// Incremented whenever it is armed, so that a ringer that was stopped cannot mark a later arming. It
    /// repeats after half a billion drains, at least an hour; a mark would have to be late by exactly this
    /// number.
    number: u29 = 0,
};

test "words are 64 bits wide and zero is the initial value of each" {
    inline for (.{ SlotWord, Cell, ParticipantWord, WaitWord, LoadWord }) |Word| {
        try std.testing.expectEqual(64, @bitSizeOf(Word));
        try std.testing.expectEqual(@as(u64, 0), @as(u64, @bitCast(Word{})));
    }
}

test "the futex half of the wait word holds the state" {
    const sleeping: WaitWord = .{ .state = .futex, .number = 1 << 40 };
    const low: u32 = @truncate(@as(u64, @bitCast(sleeping)));
    try std.testing.expectEqual(@as(u32, 1), low & 3);
}
