//! The ring: slot numbers in the order in which requests were queued. Its entries are hints, and any of them
//! may be stale or double; only the slot word is authoritative. The compare-and-swap that claims a cell also
//! fills it, so a producer cannot die between claim and publish. A participant that finds a position behind
//! its cell pushes it forward.
//!
//! Derived from Dmitry Vyukov's bounded queue (1024cores.net), whose producer can die there.

const std = @import("std");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Error = @import("../abi.zig").Error;
const TableBoundsType = @import("table_bounds.zig").TableBoundsType;
const Handle = @import("../handle.zig").Handle;

/// The maximum of turns that neither remove nor add an entry: they help a participant that has not yet pushed
/// a position, or look once more. Each position has at most one participant to help, so usually a few turns
/// suffice; a repairer may have to go through this for every slot.
const helps_max = 1 << 14;

/// Each squeeze makes room for one entry. A few mean that others were quicker; more mean that the words make
/// no sense. A squeeze may walk the whole ring.
const squeezes_max = 16;

pub const Insertion = enum { done, full };

pub fn RingType(comptime Shared: type) type {
    return struct {
        const TableBounds = TableBoundsType(Shared);

        // Orders. Positions are pushed with acquire-release and loaded with acquire: a participant that
        // pushes one has seen the content of the cell before it, and so has a participant that finds it
        // pushed. Otherwise a cell could be seen behind its position, which is taken for scribbling. Cells
        // are filled and emptied with acquire-release, and loaded with acquire, because an entry hands over
        // the slot word that was published before it. A server that saw the entry with the word before that
        // would take it for stale, and the call would be lost.

        /// Appends an entry. `full`: every cell is taken, and the oldest request still waits.
        pub fn insert(handle: *Handle, slot: u32, word: words.SlotWord) Error!Insertion {
            const map = &handle.map;
            const header = map.header();
            var squeezes: u32 = 0;
            var helps: u32 = 0;
            for (0..Shared.turns_max) |_| {
                if (helps == helps_max) break;
                const position = Shared.load(u64, &header.tail, .acquire);
                const cell = map.cell(position);
                Shared.prefetch(cell, .write);
                const value = Shared.load(words.Cell, cell, .acquire);
                const lap = map.lap(position);
                const ahead: i28 = @bitCast(value.lap -% lap);
                if (ahead == 0 and !value.full) {
                    const filled: words.Cell = .{
                        .full = true,
                        .slot = @intCast(slot),
                        .generation = @truncate(word.generation),
                        .delivery = word.delivery,
                        .lap = lap,
                    };
                    // Sequentially consistent: in the one order of all such operations, the search for
                    // sleepers comes after it, as a sleeper's last look comes after its announcement. So one
                    // of the two sees the other.
                    if (Shared.cas(words.Cell, cell, value, filled, .seq_cst)) {
                        _ = Shared.cas(u64, &header.tail, position, position +% 1, .acq_rel);
                        return .done;
                    }
                    // mutant:no-help-of-a-tail-behind-its-cell
                } else if (ahead >= 0) {
                    // The cell is filled, or was filled and taken already, by a participant that has not
                    // pushed the position yet and may be dead.
                    helps += 1;
                    _ = Shared.cas(u64, &header.tail, position, position +% 1, .acq_rel);
                } else switch (drop_stale_head(handle)) {
                    .dropped => {},
                    .helped => helps += 1,
                    .squeezed => {
                        squeezes += 1;
                        if (squeezes == squeezes_max) return .full;
                    },
                    .nothing_stale => return .full,
                }
            }
            return error.Corrupt;
        }

        /// Takes the oldest waiting request for this server. Null: there is none.
        pub fn take(handle: *Handle) Error!?Taken {
            const map = &handle.map;
            const header = map.header();
            var helps: u32 = 0;
            for (0..Shared.turns_max) |_| {
                if (helps == helps_max) break;
                const position = Shared.load(u64, &header.head, .acquire);
                const cell = map.cell(position);
                // Sequentially consistent for a sleeper's last look, see `insert`.
                const value = Shared.load(words.Cell, cell, .seq_cst);
                const ahead: i28 = @bitCast(value.lap -% map.lap(position));
                if (ahead == 0 and !value.full) return null;
                if (ahead > 0) {
                    helps += 1;
                    _ = Shared.cas(u64, &header.head, position, position +% 1, .acq_rel);
                    continue;
                }
                if (ahead < 0) {
                    // The cell is behind its position: the head was pushed past it, or a process scribbled.
                    if (Shared.load(u64, &header.head, .acquire) == position) return error.Corrupt;
                    continue;
                }
                Shared.prefetch(cell, .write);
                fetch_request(handle, value);
                // Fetches the next request while this one is served.
                fetch_request(handle, Shared.glance(words.Cell, map.cell(position +% 2)));
                switch (claim(handle, value)) {
                    .again => continue,
                    .stale => remove(handle, position, cell, value),
                    .taken => |word| {
                        remove(handle, position, cell, value);
                        return .{ .slot = value.slot, .word = word };
                    },
                }
            }
            return error.Corrupt;
        }

        /// Prefetches the request of an entry, and the place of its answer.
        inline fn fetch_request(handle: *const Handle, entry: words.Cell) void {
            if (!entry.full or entry.slot >= handle.map.geometry.slots) return;
            const slot = handle.map.slot(entry.slot);
            Shared.prefetch(&slot.word, .write);
            Shared.prefetch(&slot.response_length, .write);
        }

        /// True: a request may be waiting. A cheap look for spinning and before sleeping.
        pub fn occupied(handle: *Handle) bool {
            const map = &handle.map;
            const position = Shared.load(u64, &map.header().head, .seq_cst);
            const value = Shared.load(words.Cell, map.cell(position), .seq_cst);
            return value.full or value.lap != map.lap(position);
        }

        /// The number of entries, of which some may be stale. A hint: others add and take at the same time.
        pub fn length(handle: *Handle) u64 {
            const header = handle.map.header();
            const head = Shared.load(u64, &header.head, .acquire);
            return Shared.load(u64, &header.tail, .monotonic) -| head;
        }

        /// Frees the head's position although its entry is live. The live entries before the first stale one
        /// move up by one position, the last of them onto the stale one. Their order stays, and each is in
        /// the ring once or twice at every moment, so the participant may die or be stopped on the way.
        /// False: no entry is stale.
        fn squeeze(handle: *Handle, head: u64) bool {
            const map = &handle.map;
            var position = head +% 1;
            var expected: words.Cell = undefined;
            while (position -% head < map.geometry.ring_cells) : (position +%= 1) {
                expected = Shared.load(words.Cell, map.cell(position), .acquire);
                // The ring is no longer full, or the head has moved: look again.
                if (!expected.full or expected.lap != map.lap(position)) return true;
                if (!live_entry(handle, expected)) break;
            } else return false;
            while (position != head) : (position -%= 1) {
                const source = Shared.load(words.Cell, map.cell(position -% 1), .acquire);
                if (!source.full or source.lap != map.lap(position -% 1)) return true;
                var copy = source;
                copy.lap = map.lap(position);
                // Exact: from the entry that was found stale, or from one whose copy already stands behind
                // it.
                if (!Shared.cas(words.Cell, map.cell(position), expected, copy, .acq_rel)) return true;
                expected = source;
            }
            remove(handle, head, map.cell(head), expected);
            return true;
        }

        fn live_entry(handle: *Handle, entry: words.Cell) bool {
            if (!TableBounds.has_slot(handle, entry.slot)) return false;
            const slot = handle.map.slot(entry.slot);
            return live(handle, entry, Shared.load(words.SlotWord, &slot.word, .acquire));
        }

        pub const Taken = struct { slot: u32, word: words.SlotWord };

        const Claim = union(enum) { taken: words.SlotWord, stale, again };

        fn claim(handle: *Handle, entry: words.Cell) Claim {
            if (!TableBounds.has_slot(handle, entry.slot)) return .stale;
            const slot = handle.map.slot(entry.slot);
            const word = Shared.load(words.SlotWord, &slot.word, .acquire);
            if (!live(handle, entry, word)) return .stale;
            var mine = word;
            mine.holder = handle.index;
            switch (word.state) {
                .queued => mine.state = .held,
                .posted => mine.state = .posted_held,
                else => mine.delivery = entry.delivery,
            }
            // The request is handed over to this server. Any later look at its holder is exact.
            if (!Shared.cas(words.SlotWord, &slot.word, word, mine, .acq_rel)) return .again;
            return .{ .taken = mine };
        }

        /// Whether an entry stands for a request that can be taken. An entry of an earlier call of the slot
        /// would work as well, but out of turn: the request would overtake others.
        fn live(handle: *Handle, entry: words.Cell, word: words.SlotWord) bool {
            if (entry.generation != @as(u14, @truncate(word.generation))) return false;
            return switch (word.state) {
                .queued, .posted => true,
                // mutant:redelivery-in-progress-skipped
                .held, .posted_held => redelivers(handle, entry, word),
                .free, .draft, .abandoned, .ready => false,
            };
        }

        /// The entry announces the next delivery of a request whose server is gone. A repairer, or the server
        /// itself as it leaves, inserts first and changes the word afterwards; it may have died or been
        /// stopped in between. Only these two insert such an entry, and one delivery has one holder, so this
        /// need not ask whether the holder is alive. That answer could be wrong: the holder may have left in
        /// good order, and the entry would be dropped together with the call.
        fn redelivers(handle: *Handle, entry: words.Cell, word: words.SlotWord) bool {
            if (word.delivery == std.math.maxInt(words.Delivery)) return false;
            // mutant:redelivery-of-the-dead-only
            return entry.delivery == word.delivery + 1 and word.holder != handle.index;
        }

        fn remove(handle: *Handle, position: u64, cell: *words.Cell, value: words.Cell) void {
            const emptied: words.Cell = .{ .lap = value.lap +% 1 };
            // mutant:cell-emptied-by-a-store
            if (!Shared.cas(words.Cell, cell, value, emptied, .acq_rel)) {
                // Another participant has emptied it, or `squeeze` has put another entry here.
                if (Shared.load(words.Cell, cell, .acquire).lap == value.lap) return;
            }
            _ = Shared.cas(u64, &handle.map.header().head, position, position +% 1, .acq_rel);
        }

        const Dropped = enum { dropped, helped, squeezed, nothing_stale };

        /// Makes room in a full ring if anything in it is stale.
        fn drop_stale_head(handle: *Handle) Dropped {
            const map = &handle.map;
            const header = map.header();
            const position = Shared.load(u64, &header.head, .acquire);
            const cell = map.cell(position);
            const value = Shared.load(words.Cell, cell, .acquire);
            const ahead: i28 = @bitCast(value.lap -% map.lap(position));
            if (ahead > 0) {
                _ = Shared.cas(u64, &header.head, position, position +% 1, .acq_rel);
                return .helped;
            }
            if (ahead < 0 or !value.full) return .helped;
            if (live_entry(handle, value)) return if (squeeze(handle, position)) .squeezed else .nothing_stale;
            remove(handle, position, cell, value);
            return .dropped;
        }
    };
}
