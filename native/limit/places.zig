//! The places of a limit. A place is reserved first and then handed over, each by one compare-and-swap, and any
//! participant can do the second step. A reservation that leads to nothing is void, and anyone frees it.

const Handle = @import("../handle.zig").Handle;
const limit_words = @import("../memory/limit_words.zig");
const contenders = @import("contenders.zig");
const PlaceWord = limit_words.PlaceWord;
const Seen = contenders.Seen;

pub const Place = struct { number: u10, word: PlaceWord };

pub const Survey = struct {
    occupied: u32 = 0,
    /// The lowest free place.
    free: ?Place = null,
    /// A place that is open for sharers.
    shared: ?Place = null,
    /// A place changed all the time.
    is_unsure: bool = false,
};

pub fn PlacesType(comptime Shared: type) type {
    return struct {
        const Contenders = contenders.ContendersType(Shared);

        /// Whoever changes a place looks afterwards, so a place that changes all the time may be left to them.
        const turns_max = 16;

        pub fn used(handle: *Handle) u32 {
            // Raised before the terms that need it. Sequentially consistent as those.
            const shared = Shared.load(u64, &handle.map.limit().places_used, .seq_cst);
            return @intCast(@min(shared, limit_words.places_max));
        }

        /// Looks at every place, also at those above `max`; hands over what is reserved, and frees what is
        /// void. What it counts as occupied was held at one moment of the survey: if its holder leaves later,
        /// that holder looks, or whoever repairs it.
        pub fn survey(handle: *Handle) Survey {
            var found: Survey = .{};
            for (0..used(handle)) |position| {
                const number: u10 = @intCast(position);
                const word = standing(handle, number) orelse {
                    found.is_unsure = true;
                    found.occupied += 1;
                    continue;
                };
                const place: Place = .{ .number = number, .word = word };
                if (word.state == .free) {
                    if (found.free == null) found.free = place;
                    continue;
                }
                found.occupied += 1;
                if (word.state == .shared and found.shared == null) found.shared = place;
            }
            return found;
        }

        /// The word of a place that is free or held. Null: it changed all the time.
        pub fn standing(handle: *Handle, number: u10) ?PlaceWord {
            const place = &handle.map.limit().places[number];
            for (0..turns_max) |_| {
                const word = Shared.load(PlaceWord, place, .seq_cst);
                if (word.state == .free) return word;
                hand_over(handle, number, word);
                // mutant:void-place-counts
                if (stands(handle, number, word)) return word;
                // Exact. A contender that has left this ticket never comes back to it, and every sharer that
                // joins changes the word first.
                const freed = word.freed();
                if (Shared.cas(PlaceWord, place, word, freed, .seq_cst)) return freed;
            }
            return null;
        }

        /// The second step of a grant.
        pub fn hand_over(handle: *Handle, number: u10, word: PlaceWord) void {
            const contender = Contenders.word_of(handle, word.index);
            if (contender.state != .waiting or contender.ticket != word.ticket) return;
            // If it fails, somebody else was first, with this place or with another one.
            if (Contenders.change(handle, word.index, contender, contender.held(number))) {
                Contenders.wake(handle, word.index);
            }
        }

        fn stands(handle: *Handle, number: u10, word: PlaceWord) bool {
            const contender = Contenders.word_of(handle, word.index);
            if (contender.state == .held and contender.ticket == word.ticket and contender.place == number) return true;
            if (word.state != .shared) return false;
            // mutant:shared-place-freed-with-its-last-sharer
            return has_sharer(handle, number);
        }

        fn has_sharer(handle: *Handle, number: u10) bool {
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.word.state == .held and seen.word.shared and seen.word.place == number) return true;
            }
            return false;
        }

        /// Reserves a place for a waiter and hands it over. The word of a shared place is overwritten only when
        /// its last sharer has been handed the place.
        /// False: another participant has changed the place.
        pub fn grant(handle: *Handle, place: Place, waiter: Seen) bool {
            const taken = place.word.taken(waiter.index, waiter.word);
            // Exact: of all who grant at once, one gets the place.
            // mutant:place-taken-by-a-store
            if (!Shared.cas(PlaceWord, &handle.map.limit().places[place.number], place.word, taken, .seq_cst)) return false;
            hand_over(handle, place.number, taken);
            return true;
        }

        /// Frees a place that this contender has left, unless others share it.
        pub fn leave(handle: *Handle, number: u10) void {
            _ = standing(handle, number);
        }
    };
}
