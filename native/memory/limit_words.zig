//! The words of a concurrency limit. As those of a channel, all of them are packed structs, so that any bit
//! pattern that a hostile process writes is a legal value of the type.

const std = @import("std");
const words = @import("words.zig");
const ParticipantIndex = words.ParticipantIndex;

/// The number of an attempt to get a place: drawn once, never twice.
pub const Ticket = u46;

/// No attempt draws a ticket beyond this one, so that a drawing never carries into the terms. At five million
/// attempts a second that takes five months. Then the limit refuses everyone: `BUSY`, for ever.
pub const ticket_max: Ticket = std.math.maxInt(Ticket) - (1 << 20);

/// Places are numbered from 0 here, from 1 for users.
pub const places_max = 1024;

/// Drawing a ticket adds one, and returns the terms of the same moment. The terms change by a
/// compare-and-swap of the whole word, so never while another contender draws.
pub const QueueWord = packed struct(u64) {
    /// The next ticket; 0 is never drawn.
    next: Ticket = 0,
    max: u11 = 0,
    newest: bool = false,
    /// Incremented whenever the terms change.
    version: u6 = 0,

    pub fn places(word: QueueWord) u32 {
        return std.math.clamp(word.max, 1, places_max);
    }
};

/// The wish to change `max`. It stands until everyone who may profit from it was rung and it was applied.
pub const ResizeWord = packed struct(u64) {
    /// 0: no wish stands.
    max: u11 = 0,
    /// Incremented at every wish.
    number: u53 = 0,
};

pub const PlaceState = enum(u2) {
    free,
    /// Held by, or reserved for, one contender.
    exclusive,
    /// Held by all contenders that say so; the word names the one that joined last.
    shared,
    invalid,
};

/// A free place keeps its last contender and ticket, and `version` is incremented at every change. So a late
/// compare-and-swap of a stopped process fails.
pub const PlaceWord = packed struct(u64) {
    state: PlaceState = .free,
    index: ParticipantIndex = 0,
    ticket: Ticket = 0,
    version: u6 = 0,

    pub fn taken(word: PlaceWord, index: ParticipantIndex, contender: ContenderWord) PlaceWord {
        return .{
            .state = if (contender.shared) .shared else .exclusive,
            .index = index,
            .ticket = contender.ticket,
            .version = word.version +% 1,
        };
    }

    pub fn freed(word: PlaceWord) PlaceWord {
        return .{ .index = word.index, .ticket = word.ticket, .version = word.version +% 1 };
    }
};

/// ```
/// idle → choosing → waiting → held → idle        an attempt that gets a place
///                   waiting → idle               one that is given up
///                             held → lost → idle  a thief has taken the place
/// ```
pub const ContenderState = enum(u3) {
    idle,
    /// It is about to draw a ticket; the word still has the ticket before. Whoever sees this draws one for it.
    choosing,
    waiting,
    held,
    lost,
    _,
};

/// With its ticket, a word of an attempt never recurs.
pub const ContenderWord = packed struct(u64) {
    state: ContenderState = .idle,
    shared: bool = false,
    /// It takes the places of all holders, before all others that wait.
    urgent: bool = false,
    /// It gives up at once if it gets no place, so it is no standby.
    brief: bool = false,
    /// Of `held` and `lost`.
    place: u10 = 0,
    ticket: Ticket = 0,
    unused: u2 = 0,

    pub fn waiting(word: ContenderWord, ticket: Ticket) ContenderWord {
        var next = word;
        next.state = .waiting;
        next.ticket = ticket;
        return next;
    }

    pub fn held(word: ContenderWord, place: u10) ContenderWord {
        var next = word;
        next.state = .held;
        next.place = place;
        return next;
    }

    pub fn lost(word: ContenderWord) ContenderWord {
        var next = word;
        next.state = .lost;
        return next;
    }

    pub fn idle(word: ContenderWord) ContenderWord {
        return .{ .ticket = word.ticket };
    }

    /// It holds a place or waits for one.
    pub fn contends(word: ContenderWord) bool {
        return word.state == .waiting or word.state == .held;
    }

    /// Whether a waiter is served before another one.
    pub fn goes_before(word: ContenderWord, other: ContenderWord, newest: bool) bool {
        if (word.urgent != other.urgent) return word.urgent;
        return if (newest) word.ticket > other.ticket else word.ticket < other.ticket;
    }
};

test "words are 64 bits wide and zero is the initial value of each" {
    inline for (.{ QueueWord, ResizeWord, PlaceWord, ContenderWord }) |Word| {
        try std.testing.expectEqual(64, @bitSizeOf(Word));
        try std.testing.expectEqual(@as(u64, 0), @as(u64, @bitCast(Word{})));
    }
}

test "urgent waiters go first, then the order of the limit decides" {
    const old: ContenderWord = .{ .ticket = 1 };
    const new: ContenderWord = .{ .ticket = 2 };
    const thief: ContenderWord = .{ .ticket = 3, .urgent = true };
    try std.testing.expect(old.goes_before(new, false));
    try std.testing.expect(new.goes_before(old, true));
    for ([_]bool{ false, true }) |newest| {
        try std.testing.expect(thief.goes_before(old, newest));
        try std.testing.expect(!new.goes_before(thief, newest));
    }
}
