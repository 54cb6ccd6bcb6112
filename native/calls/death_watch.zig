//! Watching over other participants: each death watch is a pipe on which the kernel hangs up when the process at the
//! other end dies.
//!
//! A participant watches all others, as far as it can: most participants watch nobody while nothing of theirs is
//! pending, so one that waits cannot rely on another.
//!
//! *Sentinels* can be relied on: their event loops watch for as long as they live. So a participant watches the others
//! in the order of the table, from its own place on and round the end, until it has passed enough sentinels. One that
//! lies beyond them is watched by each of them. It stays unnoticed only if all of these are stopped. A participant
//! chooses again when another has joined, and when one that it watches is gone: it may have relied on that one.

const std = @import("std");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Handle = @import("../handle.zig").Handle;
const watched_max = @import("../handle.zig").watched_max;
const BoardsType = @import("../protocol/boards.zig").BoardsType;
const ParticipantsType = @import("../protocol/participants.zig").ParticipantsType;
const RepairType = @import("../protocol/repair.zig").RepairType;

pub fn DeathWatchType(comptime Shared: type) type {
    return struct {
        const Boards = BoardsType(Shared);
        const Participants = ParticipantsType(Shared);
        const Repair = RepairType(Shared);

        pub const Watched = union(enum) {
            /// A pipe that the event loop has to watch.
            fd: struct { fd: i32, index: words.ParticipantIndex },
            /// Need not be watched any more.
            drop: words.ParticipantIndex,
            /// All chosen participants are watched.
            complete,
            /// A participant cannot be watched: the loop looks in slices of time instead.
            incomplete,
        };

        /// From now on others rely on this participant's watches.
        pub fn become_sentinel(handle: *Handle) void {
            Participants.add_trait(handle, layout.trait_sentinel);
            handle.watched_joins -%= 1;
        }

        /// Whether others are gone since this handle has chosen.
        pub noinline fn is_outdated(handle: *Handle) bool {
            return Shared.load(u64, &handle.map.header().departures, .seq_cst) != handle.watched_departures;
        }

        /// Sets up the watch over one more participant.
        pub fn watch_next(handle: *Handle) Watched {
            const joins = Shared.load(u64, &handle.map.header().joins, .seq_cst);
            const departures = Shared.load(u64, &handle.map.header().departures, .seq_cst);
            if (handle.follows_boards) handle.boards_seen = Boards.count(handle);
            // It has no descriptors to spare, and looks in slices while it waits for an answer.
            if (handle.has_trait(layout.trait_quiet)) {
                handle.watched_joins = joins;
                return .incomplete;
            }
            var chosen: std.StaticBitSet(layout.participants_max) = .empty;
            var sentinels: u32 = 0;
            var unwatchable = false;
            var has_missed_leaver = false;
            var budget: Repair.Budget = .{};
            const used = Participants.used_count(handle);
            const is_cut = for (1..used + 1) |distance| {
                const index: words.ParticipantIndex = @intCast((handle.index + distance) % used);
                if (index == handle.index) continue;
                if (sentinels >= Shared.sentinels_enough()) break true;
                // Every participant that had joined by the number of joins above is seen here, because that
                // load has acquired it. Its life was announced earlier still.
                const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
                if (word.state != .joined) continue;
                const traits = Participants.traits(handle, index);
                if (traits & layout.trait_quiet != 0) continue;
                if (handle.watches_servers_only) {
                    // Written before the word that says `joined`, and loaded after it.
                    const role = Shared.load(u32, &handle.map.participant(index).role, .monotonic);
                    if (role == @backingInt(layout.Role.client)) continue;
                }
                const is_leaving = traits & layout.trait_leaving != 0;
                if (handle.watched[index] != word.epoch) {
                    if (Repair.check(handle, index, word.epoch) != .unsettled) {
                        if (!budget.spent()) continue;
                        unwatchable = true;
                        break false;
                    }
                    if (handle.watched_count < watched_max) {
                        if (Shared.watch_life(&handle.bells, Participants.identity(handle, index, word.epoch))) |fd| {
                            if (handle.watched[index] == 0) handle.watched_count += 1;
                            handle.watched[index] = word.epoch;
                            handle.lend(fd, index);
                            return .{ .fd = .{ .fd = fd, .index = index } };
                        }
                    }
                    // It may have died or left just now.
                    if (Repair.check(handle, index, word.epoch) != .unsettled) continue;
                    unwatchable = true;
                    if (is_leaving) has_missed_leaver = true;
                }
                chosen.set(index);
                if (traits & layout.trait_sentinel != 0) sentinels += 1;
            } else false;
            if (is_cut) if (surplus(handle, &chosen)) |index| {
                forget(handle, index);
                handle.forget_lent(index);
                return .{ .drop = index };
            };
            if (handle.watched_departures != departures) {
                Shared.close_gone_bells(&handle.bells, Joined{ .handle = handle });
            }
            handle.watched_joins = joins;
            handle.watched_departures = departures;
            handle.has_missed_leaver = has_missed_leaver;
            return if (unwatchable) .incomplete else .complete;
        }

        /// The participants that have joined. The bell of one that leaves during the look stays open until the next one.
        const Joined = struct {
            handle: *Handle,

            pub fn has(joined: Joined, index: u32, epoch: u64) bool {
                const entry = joined.handle.map.participant(@intCast(index));
                const word = Shared.load(words.ParticipantWord, &entry.word, .monotonic);
                return word.state == .joined and word.epoch == epoch;
            }
        };

        fn surplus(handle: *Handle, chosen: *const std.StaticBitSet(layout.participants_max)) ?words.ParticipantIndex {
            for (0..Participants.used_count(handle)) |index| {
                if (handle.watched[index] != 0 and !chosen.isSet(index)) return @intCast(index);
            }
            return null;
        }

        /// At the end of a slice of time: one that leaves is gone soon, or dead.
        pub fn look_for_leavers(handle: *Handle) void {
            if (!handle.has_missed_leaver) return;
            handle.has_missed_leaver = false;
            handle.watched_joins -%= 1;
        }

        /// The kernel has hung up on a watched participant. `unsettled`: its lock is still held, as it is
        /// for a moment while the kernel takes the process apart, or its repair has to be tried again.
        pub fn hung_up(handle: *Handle, index: words.ParticipantIndex) Repair.Checked {
            const epoch = handle.watched[index];
            if (epoch == 0) return .left;
            const checked = Repair.check(handle, index, epoch);
            if (checked != .unsettled) forget(handle, index);
            return checked;
        }

        /// For a participant whose pipe is closed while its process lives: the loop has to look at it in
        /// slices.
        pub fn forget(handle: *Handle, index: words.ParticipantIndex) void {
            if (handle.watched[index] == 0) return;
            handle.watched[index] = 0;
            handle.watched_count -= 1;
            // So before its next sleep the loop chooses again.
            // mutant:gone-one-not-replaced
            handle.watched_joins -%= 1;
        }
    };
}
