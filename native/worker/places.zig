//! The worker's private half of its record: which handle a call came through, and until when its client
//! waits. No other process can write here, so a decision to kill is based on this memory and on the entry's
//! word alone.

const std = @import("std");
const record = @import("record.zig");
const words = @import("../memory/words.zig");
const Running = record.Running;
const Sequence = record.Sequence;

pub const Place = struct {
    /// 1: a call has the entry.
    is_taken: u32,
    /// The address of the handle; 0: it is closed.
    handle: usize,
    slot: u32,
    generation: u64,
    since_ns: u64,
    /// 0: none.
    deadline_ns: u64,
    owner: words.Owner,
    /// The sequence of the call in progress. Only the thread that ends it looks.
    sequence: u64,

    /// Of the guard: when it has noticed that no client waits for the call of this sequence any more.
    noticed_sequence: Sequence,
    noticed_ns: u64,
};

/// What the guard has to know about a call.
pub const Call = struct {
    handle: usize,
    slot: u32,
    generation: words.Generation,
    since_ns: u64,
    deadline_ns: u64,
    /// The client, as a participant whose entry exists.
    owner: words.Owner,
};

pub fn PlacesType(comptime Shared: type) type {
    return struct {
        const Record = record.RecordType(Shared);

        /// Takes a place for a call; `first` is tried first. Null: all are taken.
        pub fn take(places: []Place, first: u32) ?u32 {
            for (0..places.len) |turn| {
                const index = (first + turn) % places.len;
                if (Shared.cas(u32, &places[index].is_taken, 0, 1, .acquire)) return @intCast(index);
            }
            return null;
        }

        pub fn give_back(place: *Place) void {
            Shared.store(u32, &place.is_taken, 0, .release);
        }

        /// Null: the entry is damaged.
        pub fn begin(place: *Place, entry: *record.Entry, call: Call, method: u32) ?void {
            // In the order of `Record.begin`: the word comes last, and each store is a release.
            // mutant:described-after-announced begin
            describe(place, call);
            const sequence = Record.begin(entry, running(call, method)) orelse return null;
            // mutant:described-after-announced end
            // Own.
            Shared.store(u64, &place.sequence, sequence, .monotonic);
        }

        /// The call ends. False: the worker has been condemned for it and must do nothing more.
        pub fn end(place: *Place, entry: *record.Entry) bool {
            return Record.end(entry, @truncate(Shared.load(u64, &place.sequence, .monotonic)));
        }

        fn describe(place: *Place, call: Call) void {
            Shared.store(usize, &place.handle, call.handle, .release);
            Shared.store(u32, &place.slot, call.slot, .release);
            Shared.store(u64, &place.generation, call.generation, .release);
            Shared.store(u64, &place.since_ns, call.since_ns, .release);
            Shared.store(u64, &place.deadline_ns, call.deadline_ns, .release);
            Shared.store(words.Owner, &place.owner, call.owner, .release);
        }

        fn running(call: Call, method: u32) Running {
            return .{ .slot = call.slot, .generation = call.generation, .method = method, .since_ns = call.since_ns };
        }

        /// The call that has this word; null: the word has changed meanwhile.
        pub fn read(place: *Place, entry: *record.Entry, word: record.Word) ?Call {
            const call: Call = .{
                .handle = Shared.load(usize, &place.handle, .acquire),
                .slot = Shared.load(u32, &place.slot, .acquire),
                .generation = @truncate(Shared.load(u64, &place.generation, .acquire)),
                .since_ns = Shared.load(u64, &place.since_ns, .acquire),
                .deadline_ns = Shared.load(u64, &place.deadline_ns, .acquire),
                .owner = Shared.load(words.Owner, &place.owner, .acquire),
            };
            // mutant:place-read-once
            return if (Record.word_of(entry, .acquire) == word) call else null;
        }

        /// The handle is about to close. Its calls go on without one.
        pub fn forget(places: []Place, handle: usize) void {
            for (places) |*place| _ = Shared.cas(usize, &place.handle, handle, 0, .acq_rel);
        }
    };
}
