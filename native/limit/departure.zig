//! How a contender leaves: it gives back its place or its turn, or it has died. Then those that may have relied
//! on it are rung, and whatever can be granted is granted.
//!
//! A sleeping waiter watches the nearest contenders ahead of it, until they are as many as there are places; all
//! sharers together count as one. While all of these stand, the waiter cannot be entitled to a place. So
//! whoever leaves rings the sleepers behind it with fewer contenders in between than there are places.

const Handle = @import("../handle.zig").Handle;
const words = @import("../memory/words.zig");
const limit_words = @import("../memory/limit_words.zig");
const contenders = @import("contenders.zig");
const LookType = @import("look.zig").LookType;
const PlacesType = @import("places.zig").PlacesType;
const WaitType = @import("../protocol/wait.zig").WaitType;
const ContenderWord = limit_words.ContenderWord;
const QueueWord = limit_words.QueueWord;
const Seen = contenders.Seen;

/// How many others a waiter watches at most. With more places, it looks in slices of time instead.
pub const units_max = 63;

pub fn DepartureType(comptime Shared: type) type {
    return struct {
        const Contenders = contenders.ContendersType(Shared);
        const Look = LookType(Shared);
        const Places = PlacesType(Shared);
        const Wait = WaitType(Shared);

        /// Gives back this contender's place. False: it holds none, or it has lost it.
        pub fn release(handle: *Handle) bool {
            const word = Contenders.own_word(handle);
            const has_held = word.state == .held and Contenders.change(handle, handle.index, word, word.idle());
            if (!has_held) {
                const now = Contenders.own_word(handle);
                if (now.state != .lost or !Contenders.change(handle, handle.index, now, now.idle())) return false;
            }
            leave(handle, word);
            return has_held;
        }

        /// Gives up waiting. False: this contender does not wait; it may have a place.
        pub fn withdraw(handle: *Handle) bool {
            const word = Contenders.own_word(handle);
            if (word.state != .waiting or !Contenders.change(handle, handle.index, word, word.idle())) return false;
            leave(handle, word);
            return true;
        }

        /// The contender at this handle is idle now; its word was `word`.
        fn leave(handle: *Handle, word: ContenderWord) void {
            handle.contention.token = 0;
            if (word.state == .held) Places.leave(handle, word.place);
            // The bit stays: the next attempt would only set it again, and nobody else looks at it.
            if (!Contenders.has_others(handle)) return;
            Wait.clear(&handle.map.limit().contending, handle.index);
            do_duty(handle, word);
        }

        /// Everything that this handle's contender has.
        pub fn settle_own(handle: *Handle) void {
            // The second turn is for a place that was granted meanwhile.
            for (0..2) |_| if (withdraw(handle) or release(handle)) break;
            Wait.clear(&handle.map.limit().contending, handle.index);
        }

        /// Everything that a dead contender has. Any number of participants may do it at once. Afterwards the
        /// entry may be freed.
        pub fn settle_dead(handle: *Handle, gone: words.Owner) void {
            const word = settle_word(handle, gone) orelse return;
            // Also if another participant has settled the word, because that one may have died since.
            do_duty(handle, word);
        }

        /// The last word. Null: another participant has repaired it.
        fn settle_word(handle: *Handle, gone: words.Owner) ?ContenderWord {
            // The word changes few times while its contender is gone. More changes mean that a process
            // scribbles; the word is then left as it is.
            for (0..64) |_| {
                const word = Contenders.settled_word(handle, gone.index);
                // The entry is still present, so the dead contender wrote the word, and not a successor.
                // mutant:successor-taken-for-the-dead-contender
                if (!is_present(handle, gone)) return null;
                if (word.state == .idle) return word;
                if (Contenders.change(handle, gone.index, word, word.idle())) return word;
            }
            return null;
        }

        fn is_present(handle: *Handle, gone: words.Owner) bool {
            // Comes after the load of the contender's word: a successor that wrote that word has handed over
            // with it that its predecessor's entry is free.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(gone.index).word, .acquire);
            return word.state == .joined and word.epoch == gone.epoch;
        }

        /// After a contender whose word was this one has left.
        noinline fn do_duty(handle: *Handle, word: ContenderWord) void {
            // mutant:leaver-rings-no-sleeper
            ring_behind(handle, word);
            _ = Look.run(handle, null);
        }

        /// Rings the sleepers that may watch a contender whose word was this one.
        fn ring_behind(handle: *Handle, gone: ContenderWord) void {
            var collection: Contenders.Collection = .{};
            const all = collection.collect(handle);
            const terms = Shared.load(QueueWord, &handle.map.limit().queue, .seq_cst);
            const follows_tickets = !terms.newest and !gone.urgent and !has_urgent(all);
            const last = if (follows_tickets) last_watcher(all, gone.ticket, terms.places()) else null;
            for (all) |seen| {
                if (seen.index == handle.index or !Contenders.sleeps_for_a_place(handle, seen)) continue;
                if (last) |limit| if (seen.word.ticket > limit) continue;
                // Of a contender that is idle already, it is unknown whether it was a thief.
                if (follows_tickets and gone.state != .idle and seen.word.ticket < gone.ticket) continue;
                Contenders.wake(handle, seen.index);
            }
        }

        fn has_urgent(all: []const Seen) bool {
            for (all) |seen| if (seen.word.urgent) return true;
            return false;
        }

        /// The ticket of the exclusive contender that has all but one of the units before it: whoever is
        /// behind that one has enough others to watch. Served in the order of tickets, all contenders stand
        /// in that order. Null: there are fewer.
        fn last_watcher(all: []const Seen, after: limit_words.Ticket, places: u32) ?limit_words.Ticket {
            var ticket = after;
            for (0..@min(places, units_max)) |_| {
                var next: ?limit_words.Ticket = null;
                for (all) |seen| {
                    if (seen.word.shared or seen.word.ticket <= ticket) continue;
                    if (next == null or seen.word.ticket < next.?) next = seen.word.ticket;
                }
                ticket = next orelse return null;
            }
            return ticket;
        }
    };
}
