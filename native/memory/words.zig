//! The 64-bit words on which everything that must be decided once is decided, each by one
//! compare-and-swap. All of them are packed structs, so that any bit pattern a hostile process
//! writes is a legal value of the type and is judged by ordinary code.

const std = @import("std");

/// Index of a participant in the table; `participant_count_max` of them.
pub const ParticipantIndex = u10;

/// The state of one slot, which is the state of one call.
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
    /// The client has left; the slot waits for its server, whose view of the request stays true.
    abandoned,
    /// The answer waits for its client; the holder field carries the `AnswerKind`.
    ready,
    posted,
    posted_held,
};

/// What a `ready` slot holds. It stands in the word and not beside it because a repairer that was
/// stopped for long must not be able to write it into a later call.
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
    /// How many servers were handed the request before this one.
    delivery: Delivery = 0,
    /// One up at every acquire; with the slot number it is the id of the call.
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

/// A slot whose generation has come this far is never acquired again, so that ids never come
/// back. At five million calls a second on one slot that is five months; the other slots go on. A
/// channel all of whose slots have come there has none left: `BUSY`, for good.
pub const generation_max: Generation = std.math.maxInt(Generation);

/// A cell of the ready ring. The lap of the position that the cell is for makes a late
/// compare-and-swap of a process that was stopped fail; of the generation a few bits are enough,
/// since a taker believes the slot word alone.
///
/// The lap comes round after at least 2^40 positions, days at full load: a compare-and-swap would have
/// to be late by exactly so many to find its cell as it was.
pub const Cell = packed struct(u64) {
    full: bool = false,
    slot: u16 = 0,
    generation: u14 = 0,
    delivery: Delivery = 0,
    lap: u28 = 0,
};

pub const ParticipantState = enum(u2) { free, joining, joined, invalid };

pub const Epoch = u54;

/// An entry of the table whose epoch has come this far is never used again: the byte that its
/// participants lock has room for so many, and each has one that nobody else ever had. At a thousand
/// joins a second in one entry that is 35,000 years; the other entries go on.
pub const epoch_max: Epoch = (1 << 50) - 1;

pub const ParticipantWord = packed struct(u64) {
    state: ParticipantState = .free,
    unused: u8 = 0,
    /// Grows for ever: with the index it is the identity of one participant.
    epoch: Epoch = 0,
};

/// Who acquired a slot.
pub const Owner = packed struct(u64) {
    index: ParticipantIndex,
    epoch: Epoch,
};

pub const WaitState = enum(u2) {
    awake,
    /// Asleep in a futex on the low half of this word.
    futex,
    /// The event loop sleeps until its doorbell rings.
    bell,
    rung,
};

/// How a participant waits. `number` is one up at every sleep, so that a ringer that was stopped
/// cannot mark a later sleep as rung. It comes round after more sleeps than there can be.
pub const WaitWord = packed struct(u64) {
    state: WaitState = .awake,
    number: u62 = 0,

    pub fn asleep(word: WaitWord) bool {
        return word.state == .futex or word.state == .bell;
    }
};

pub const NotifyState = enum(u2) { none, armed, rung, invalid };

/// Whether a participant has a notify descriptor, and whether it was rung since it was last drained.
pub const NotifyWord = packed struct(u32) {
    state: NotifyState = .none,
    /// It is a descriptor that relatives share, and has no path.
    adopted: bool = false,
    /// One up whenever it is armed, so that a ringer that was stopped cannot mark a later one. It
    /// comes round after half a billion drains, an hour at the very least; a mark would have to be
    /// late by exactly so many.
    number: u29 = 0,
};

test "words are 64 bits wide and zero is the initial value of each" {
    inline for (.{ SlotWord, Cell, ParticipantWord, WaitWord }) |Word| {
        try std.testing.expectEqual(64, @bitSizeOf(Word));
        try std.testing.expectEqual(@as(u64, 0), @as(u64, @bitCast(Word{})));
    }
}

test "the futex half of the wait word holds the state" {
    const sleeping: WaitWord = .{ .state = .futex, .number = 1 << 40 };
    const low: u32 = @truncate(@as(u64, @bitCast(sleeping)));
    try std.testing.expectEqual(@as(u32, 1), low & 3);
}
