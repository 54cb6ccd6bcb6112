//! Whom a waiter watches while it sleeps, see limit/departure.zig, and how it goes to sleep.

const abi = @import("../../abi.zig");
const Handle = @import("../../handle.zig").Handle;
const watched_max = @import("../../handle.zig").watched_max;
const layout = @import("../../memory/layout.zig");
const words = @import("../../memory/words.zig");
const contenders = @import("../../limit/contenders.zig");
const departure = @import("../../limit/departure.zig");
const LookType = @import("../../limit/look.zig").LookType;
const LifetimeType = @import("../lifetime.zig").LifetimeType;
const DeathWatchType = @import("../death_watch.zig").DeathWatchType;
const AttemptsType = @import("attempts.zig").AttemptsType;
const TermsType = @import("terms.zig").TermsType;
const ParticipantsType = @import("../../protocol/participants.zig").ParticipantsType;
const RepairType = @import("../../protocol/repair.zig").RepairType;
const WaitType = @import("../../protocol/wait.zig").WaitType;
const Seen = contenders.Seen;

pub fn WatchingType(comptime Shared: type) type {
    return struct {
        const Attempts = AttemptsType(Shared);
        const Contenders = contenders.ContendersType(Shared);
        const DeathWatch = DeathWatchType(Shared);
        const Lifetime = LifetimeType(Shared);
        const Look = LookType(Shared);
        const Participants = ParticipantsType(Shared);
        const Repair = RepairType(Shared);
        const Terms = TermsType(Shared);
        const Wait = WaitType(Shared);

        /// So many watches that are not needed now may stay: the same contenders often meet again.
        const spare_max = 8;
        const turns_max = 64;
        const entitled_max = 4;

        /// Those ahead that this waiter has to watch, the nearest first.
        const Needed = struct {
            count: u32 = 0,
            units: [departure.units_max]words.ParticipantIndex = undefined,
            /// There are more.
            is_cut: bool = false,
            /// Those ahead do not keep this waiter from a place: some have gone since the last look.
            is_entitled: bool = false,

            noinline fn find(needed: *Needed, handle: *Handle) void {
                const own: Seen = .{ .index = handle.index, .word = Contenders.own_word(handle) };
                needed.* = .{};
                if (own.word.state != .waiting) return;
                var collection: Contenders.Collection = .{};
                const all = collection.collect(handle);
                const terms = Terms.current(handle);
                needed.is_entitled = own.word.shared and can_join(all, own, terms.newest);
                var last = own;
                var has_sharer = false;
                while (needed.count < terms.places()) {
                    var nearest: ?Seen = null;
                    for (all) |seen| {
                        if (seen.index == own.index or (has_sharer and seen.word.shared)) continue;
                        if (!is_ahead(seen, last, terms.newest)) continue;
                        if (nearest) |other| if (!is_ahead(other, seen, terms.newest)) continue;
                        nearest = seen;
                    }
                    last = nearest orelse {
                        needed.is_entitled = true;
                        return;
                    };
                    if (needed.count == needed.units.len) {
                        needed.is_cut = true;
                        return;
                    }
                    // mutant:sharers-count-for-each
                    if (last.word.shared) has_sharer = true;
                    needed.units[needed.count] = last.index;
                    needed.count += 1;
                }
            }

            /// Whether a sharer has no waiter ahead, but another sharer with a place.
            fn can_join(all: []const Seen, own: Seen, newest: bool) bool {
                var has_place = false;
                for (all) |seen| {
                    if (seen.word.state == .held) {
                        if (seen.word.shared) has_place = true;
                    } else if (is_ahead(seen, own, newest)) return false;
                }
                return has_place;
            }

            /// Holders come first, in the order of their tickets, then the waiters as they are served.
            fn is_ahead(one: Seen, other: Seen, newest: bool) bool {
                if (one.word.state != other.word.state) return one.word.state == .held;
                if (one.word.state == .held) return one.word.ticket < other.word.ticket;
                return one.word.goes_before(other.word, newest);
            }

            fn has(needed: *const Needed, index: words.ParticipantIndex) bool {
                for (needed.units[0..needed.count]) |unit| if (unit == index) return true;
                return false;
            }
        };

        pub const Next = union(enum) {
            fd: struct { fd: i32, index: words.ParticipantIndex },
            /// Need not be watched any more.
            drop: words.ParticipantIndex,
            complete,
            incomplete,
        };

        /// Sets up the watch over one more contender.
        pub fn watch_next(handle: *Handle) Next {
            for (0..turns_max) |_| {
                var needed: Needed = .{};
                needed.find(handle);
                if (surplus(handle, &needed)) |index| {
                    DeathWatch.forget(handle, index);
                    return .{ .drop = index };
                }
                switch (watch_one(handle, &needed)) {
                    .changed => {},
                    .fd => |watch| return .{ .fd = .{ .fd = watch.fd, .index = watch.index } },
                    .complete => return .complete,
                    .incomplete => return .incomplete,
                }
            }
            return .incomplete;
        }

        fn surplus(handle: *Handle, needed: *const Needed) ?words.ParticipantIndex {
            const kept_max = @min(needed.count + spare_max, watched_max);
            if (handle.watched_count < kept_max) return null;
            for (0..layout.participants_max) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                if (handle.watched[index] != 0 and !needed.has(index)) return index;
            }
            return null;
        }

        const One = union(enum) {
            fd: struct { fd: i32, index: words.ParticipantIndex },
            /// Somebody has died or left.
            changed,
            complete,
            incomplete,
        };

        fn watch_one(handle: *Handle, needed: *const Needed) One {
            var is_incomplete = needed.is_cut;
            for (needed.units[0..needed.count]) |index| {
                const epoch = epoch_of(handle, index) orelse return .changed;
                if (handle.watched[index] == epoch) continue;
                if (is_unwatchable(handle, index, epoch)) {
                    is_incomplete = true;
                    continue;
                }
                if (Repair.check(handle, index, epoch) != .unsettled) return .changed;
                if (Shared.watch_life(&handle.bells, Participants.identity(handle, index, epoch))) |fd| {
                    if (handle.watched[index] == 0) handle.watched_count += 1;
                    handle.watched[index] = epoch;
                    return .{ .fd = .{ .fd = fd, .index = index } };
                }
                // It may have died or left just now.
                if (Repair.check(handle, index, epoch) != .unsettled) return .changed;
                handle.unwatchable[index] = epoch;
                is_incomplete = true;
            }
            return if (is_incomplete) .incomplete else .complete;
        }

        /// Null: the participant has left.
        fn epoch_of(handle: *Handle, index: words.ParticipantIndex) ?words.Epoch {
            if (index >= Participants.used_count(handle)) return null;
            // As in `Participants.dead`.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            return if (word.state == .joined) word.epoch else null;
        }

        fn is_unwatchable(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) bool {
            return handle.unwatchable[index] == epoch;
        }

        const Covered = enum { all, unwatched, unsure, entitled };

        /// Whether every contender that has to be watched is watched.
        fn covered(handle: *Handle) Covered {
            var needed: Needed = .{};
            needed.find(handle);
            // mutant:entitled-and-asleep
            if (needed.is_entitled) return .entitled;
            var is_unsure = needed.is_cut;
            for (needed.units[0..needed.count]) |index| {
                // It has just left, and rings; or a process scribbles.
                const epoch = epoch_of(handle, index) orelse {
                    is_unsure = true;
                    continue;
                };
                if (handle.watched[index] == epoch) continue;
                if (!is_unwatchable(handle, index, epoch)) return .unwatched;
                is_unsure = true;
            }
            return if (is_unsure) .unsure else .all;
        }

        /// As `EventLoop.arm`. A waiter sleeps until it has a place, a holder until it has lost it.
        pub fn arm(handle: *Handle) i32 {
            if (Lifetime.lost(handle)) return abi.arm_work;
            Wait.announce(handle, .bell, .{});
            // mutant:no-last-look-at-the-limit
            const result = last_look(handle);
            if (result != abi.armed and result != abi.armed_unsure) Wait.awake(handle);
            return result;
        }

        pub fn last_look(handle: *Handle) i32 {
            // Whoever has gone between the look and the search for those ahead may die before it rings, and nobody
            // watches one that has gone. More turns mean that the words make no sense.
            for (0..entitled_max) |_| {
                const is_sure = Look.run(handle, null);
                const state = Contenders.own_word(handle).state;
                if (state != handle.contention.known) return abi.arm_work;
                // As in `EventLoop.arm`.
                const asleep = if (is_sure and Shared.has_waker(handle)) abi.armed else abi.armed_unsure;
                if (state != .waiting) return asleep;
                if (Attempts.is_replaced(handle) or Lifetime.is_removed(handle)) return abi.arm_work;
                switch (covered(handle)) {
                    .entitled => {},
                    // mutant:waiter-watches-nobody
                    .unwatched => return abi.arm_newcomer,
                    .unsure => return abi.armed_unsure,
                    .all => return asleep,
                }
            }
            return abi.armed_unsure;
        }
    };
}
