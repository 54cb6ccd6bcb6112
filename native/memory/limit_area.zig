//! The memory of a concurrency limit. It lies where a channel has its ring and its slots, and has all its
//! pages from the beginning, so that no step of the protocol can run out of space.

const std = @import("std");
const limit_words = @import("limit_words.zig");

/// Two lines: see layout.zig.
const padding = 128;
const contenders_max = 1024;

/// One for each participant, at its index.
pub const Contender = extern struct {
    word: limit_words.ContenderWord,
    /// The fencing token; 0: not drawn yet. Only the contender writes it.
    token: u64,
    /// Since when it waits or holds, in milliseconds since the epoch, as the bits of a double. For display.
    since: u64,
    reserved: [40]u8,

    comptime {
        std.debug.assert(@sizeOf(Contender) == 64);
    }
};

pub const Area = extern struct {
    queue: limit_words.QueueWord,
    resize: limit_words.ResizeWord,
    /// The largest `max` that the limit ever had; it bounds every look at the places.
    places_used: u64,
    /// The last token that was drawn. It starts at the wall clock, in microseconds.
    tokens: u64,

    /// A bit for each contender that is not idle. Only the contender sets and clears its bit.
    contending: [contenders_max / 64]u64 align(padding),
    places: [limit_words.places_max]limit_words.PlaceWord align(padding),
    contenders: [contenders_max]Contender align(padding),
};
