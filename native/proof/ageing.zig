//! Makes a fresh channel look as if it had been in use for a long time, so that tests reach the limits of its
//! numbers. No participant may be attached to it in a role yet.

const std = @import("std");
const layout = @import("../memory/layout.zig");
const words = @import("../memory/words.zig");
const Shared = @import("../memory/shared.zig").Chosen;

/// Numbers that only grow, as they are before the next step.
pub const Age = extern struct {
    /// The generation of every slot.
    generation: u64 = 0,
    /// The position of the ring's head and tail.
    position: u64 = 0,
    /// The epoch of every entry of the table.
    epoch: u64 = 0,
    wait_number: u64 = 0,
    notify_number: u64 = 0,
    joins: u64 = 0,
};

/// A field that is narrower than its number gets the low bits, as counting would give it.
pub fn set(map: *const layout.Map, age: Age) void {
    const header = map.header();
    for (0..map.geometry.slots) |index| {
        const word: words.SlotWord = .{ .generation = @truncate(age.generation) };
        Shared.store(words.SlotWord, &map.slot(@intCast(index)).word, word, .seq_cst);
    }
    for (0..map.geometry.ring_cells) |offset| {
        const position = age.position +% offset;
        Shared.store(words.Cell, map.cell(position), .{ .lap = map.lap(position) }, .seq_cst);
    }
    Shared.store(u64, &header.head, age.position, .seq_cst);
    Shared.store(u64, &header.tail, age.position, .seq_cst);
    Shared.store(u64, &header.joins, age.joins, .seq_cst);
    for (0..layout.participants_max) |index| {
        const entry = map.participant(@intCast(index));
        Shared.store(words.ParticipantWord, &entry.word, .{ .epoch = @truncate(age.epoch) }, .seq_cst);
        Shared.store(words.WaitWord, &entry.wait, .{ .number = @truncate(age.wait_number) }, .seq_cst);
        Shared.store(words.NotifyWord, &entry.notify, .{ .number = @truncate(age.notify_number) }, .seq_cst);
    }
}
