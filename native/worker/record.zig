//! The record of a worker: its calls in progress, in memory that the worker shares with its supervisor. The
//! supervisor reads it, also when the worker has died.
//!
//! The word of an entry decides, once, between the end of a call and the end of its worker:
//!
//! ```
//! free → running → free                    the call has ended
//!        running → timed_out, hung         the worker is killed for this very call
//! ```
//!
//! The worker itself makes the first two steps; its guard or its supervisor makes the last one. Each is a
//! compare-and-swap from the exact word, whose sequence names the call. The reason is a part of the word, so
//! no process can die between the decision and the reason.

const std = @import("std");
const words = @import("../memory/words.zig");

pub const State = enum(u2) { free, running, timed_out, hung };

/// Why a worker is killed.
pub const Reason = enum(u2) {
    timed_out = @backingInt(State.timed_out),
    hung = @backingInt(State.hung),
};

pub const Word = packed struct(u64) {
    state: State = .free,
    reserved: u12 = 0,
    /// Incremented at every call. A double holds it exactly. It repeats after a quadrillion calls.
    sequence: Sequence = 0,

    pub fn running(sequence: Sequence) Word {
        return .{ .state = .running, .sequence = sequence };
    }

    /// A word that no step makes describes no call either.
    fn has_call(word: Word) bool {
        return word.state != .free and word.reserved == 0;
    }

    pub fn is_condemned(word: Word) bool {
        return word.state == .timed_out or word.state == .hung;
    }
};

pub const Sequence = u50;

/// "TANDEMW" and a byte that text editors do not preserve.
pub const magic: u64 = 0x574d45444e4154ff;

pub const Header = extern struct {
    magic: u64,
    entries: u64,
    /// The calls that have ended, and those of them that failed.
    calls: u64,
    failures: u64,
    reserved: [4]u64,

    comptime {
        std.debug.assert(@sizeOf(Header) == 64);
    }
};

/// One for each call that the worker can handle at once. Each has a line of its own.
pub const Entry = extern struct {
    word: Word,
    /// When the call began, in nanoseconds of the machine's monotonic clock.
    since_ns: u64,
    generation: u64,
    slot: u32,
    /// The worker's number for the method.
    method: u32,
    reserved: [4]u64,

    comptime {
        std.debug.assert(@sizeOf(Entry) == 64);
    }
};

/// A call, as its entry describes it.
pub const Running = struct {
    slot: u32 = 0,
    generation: words.Generation = 0,
    method: u32 = 0,
    since_ns: u64 = 0,
};

pub fn RecordType(comptime Shared: type) type {
    return struct {
        /// The worker begins with a call. Null: the entry is not free, because another process scribbles.
        pub fn begin(entry: *Entry, call: Running) ?Sequence {
            // Own: nobody else changes the word of a free entry.
            const word = Shared.load(Word, &entry.word, .monotonic);
            if (word.state != .free) return null;
            // Release, so that a reader that sees a part of this call also sees the end of the one before.
            Shared.store(u64, &entry.since_ns, call.since_ns, .release);
            Shared.store(u64, &entry.generation, call.generation, .release);
            Shared.store(u32, &entry.slot, call.slot, .release);
            Shared.store(u32, &entry.method, call.method, .release);
            // mutant:sequence-not-raised
            const sequence = word.sequence +% 1;
            // Sequentially consistent, because a look for a sleeping guard follows.
            return if (Shared.cas(Word, &entry.word, word, .running(sequence), .seq_cst)) sequence else null;
        }

        /// The call ends. False: its worker has been condemned for it and must do nothing more.
        pub fn end(entry: *Entry, sequence: Sequence) bool {
            // mutant:call-ended-by-a-store
            return Shared.cas(Word, &entry.word, .running(sequence), .{ .sequence = sequence }, .acq_rel);
        }

        /// Decides that the worker is killed for this call. False: the call has ended, or somebody else has
        /// decided it.
        pub fn condemn(entry: *Entry, sequence: Sequence, reason: Reason) bool {
            const condemned: Word = .{ .state = @fromBackingInt(@backingInt(reason)), .sequence = sequence };
            // mutant:condemned-without-its-sequence
            return Shared.cas(Word, &entry.word, .running(sequence), condemned, .acq_rel);
        }

        pub fn word_of(entry: *Entry, comptime order: std.lang.AtomicOrder) Word {
            return Shared.load(Word, &entry.word, order);
        }

        pub const Seen = struct { word: Word, call: Running };

        /// What an entry says, all of one moment. The word is free if there is no call.
        pub fn read(entry: *Entry) Seen {
            // The word of a call changes twice; more turns mean that a process scribbles.
            for (0..16) |_| {
                const word = Shared.load(Word, &entry.word, .acquire);
                if (!word.has_call()) break;
                // Acquire, so that the second look at the word comes after them.
                const call: Running = .{
                    .since_ns = Shared.load(u64, &entry.since_ns, .acquire),
                    .generation = @truncate(Shared.load(u64, &entry.generation, .acquire)),
                    .slot = Shared.load(u32, &entry.slot, .acquire),
                    .method = Shared.load(u32, &entry.method, .acquire),
                };
                // mutant:record-read-once
                if (Shared.load(Word, &entry.word, .acquire) == word) return .{ .word = word, .call = call };
            }
            return .{ .word = .{}, .call = .{} };
        }

        /// Counts a call that has ended.
        pub fn count(header: *Header, has_failed: bool) void {
            _ = Shared.fetch_add(&header.calls, 1, .monotonic);
            if (has_failed) _ = Shared.fetch_add(&header.failures, 1, .monotonic);
        }
    };
}

const Record = RecordType(@import("../memory/shared.zig").Real);

test "a call ends once, and no worker is condemned for a call that has ended" {
    var entry = std.mem.zeroes(Entry);
    const first = Record.begin(&entry, .{ .slot = 3, .generation = 7, .method = 2, .since_ns = 5 }).?;
    try std.testing.expectEqual(null, Record.begin(&entry, .{}));
    try std.testing.expectEqual(Running{ .slot = 3, .generation = 7, .method = 2, .since_ns = 5 }, Record.read(&entry).call);
    try std.testing.expect(Record.end(&entry, first));
    try std.testing.expect(!Record.end(&entry, first));
    const second = Record.begin(&entry, .{}).?;
    try std.testing.expect(first != second);
    try std.testing.expect(!Record.condemn(&entry, first, .hung));
    try std.testing.expect(Record.condemn(&entry, second, .timed_out));
    try std.testing.expect(!Record.condemn(&entry, second, .hung));
    try std.testing.expect(!Record.end(&entry, second));
    try std.testing.expectEqual(null, Record.begin(&entry, .{}));
    try std.testing.expectEqual(State.timed_out, Record.read(&entry).word.state);
}

test "every word that another process writes is read" {
    var entry = std.mem.zeroes(Entry);
    const bytes = std.mem.asBytes(&entry);
    var prng: std.Random.DefaultPrng = .init(7);
    for (0..10_000) |_| {
        prng.random().bytes(bytes);
        entry.word.reserved &= prng.random().int(u1);
        const seen = Record.read(&entry);
        if (seen.word.state != .running) continue;
        try std.testing.expect(seen.word == entry.word);
        try std.testing.expect(Record.condemn(&entry, seen.word.sequence, .hung));
    }
}
