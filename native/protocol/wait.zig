//! Sleeping and waking. A sleeper announces that it lies down, looks again, sleeps; who publishes
//! looks for sleepers afterwards. Both sides are sequentially consistent, so one sees the other.
//!
//! A ringer rings first and marks the sleeper as rung then: marked first, a ringer that is stopped
//! in between would hide the sleeper from everybody else.
//!
//! A ring of a bell may fail, for want of a descriptor, a right or a path. Then the ringer knocks: see
//! waker.zig.

const std = @import("std");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const ExtentType = @import("table_bounds.zig").ExtentType;
const Handle = @import("../handle.zig").Handle;
const NotifyType = @import("notify.zig").NotifyType;
const ParticipantsType = @import("participants.zig").ParticipantsType;
const WakerType = @import("../waker/waker.zig").WakerType;

/// A spin hit costs 0.1 µs and a wake-up 25–30 µs on a virtual machine. 200 pauses (5.6 µs) and 50
/// yields behave well both alone and when there are more processes than processors.
///
/// Where both sides share a processor every pause keeps the other one from answering, so the spin
/// shrinks while answers come only after a yield. It has a floor, above the round trip between two
/// processors, or one bad moment would turn it off for ever.
pub const spin_turns_max = 200;
const spin_turns_min = 16;

/// Each look at a word takes its line from whoever is to write it, so between the first look for an
/// answer and the second so many pauses pass as answers have taken of late. A look that comes too early
/// adds one; one that finds the answer takes off an eighth: so one look in nine or so is too early, and
/// what is waited too long stays near one pause.
const quiet_turns_max = 64;
const quiet_parts = 8;

/// Where sleeps are so short that they cost more than they spare, the next wait yields more often before
/// it sleeps, up to so many times: 50 yields take 20 µs, a sleep and its wake-up 50 to 100, and a peer
/// that fills a megabyte in place 25.
const patience_max = 8;
const short_sleep_ns = 200 * std.time.ns_per_us;

/// Sleeps of a blocking wait. At the end of each it looks for the dead: 50 ms are 20 wake-ups a
/// second, little enough for a process that waits for hours.
const slices_ms = [_]u32{ 5, 10, 20, 50 };

pub const For = packed struct(u2) {
    requests: bool = false,
    room: bool = false,
};

pub fn WaitType(comptime Shared: type) type {
    return struct {
        const Extent = ExtentType(Shared);
        const Participants = ParticipantsType(Shared);
        const Notify = NotifyType(Shared);
        const Waker = WakerType(Shared);

        /// The part of a blocking wait before it sleeps.
        pub const Patience = struct {
            turn: u32 = 0,
            spin_turns: u32,
            /// How many of these come before the second look; null: each is followed by one.
            quiet_turns: ?u32 = null,
            yield_turns: u32 = Shared.yield_turns,

            pub fn of(handle: *const Handle) Patience {
                return .{ .spin_turns = handle.spin_turns, .yield_turns = handle.patience * Shared.yield_turns };
            }

            pub fn for_answer(handle: *const Handle) Patience {
                var patience: Patience = .of(handle);
                patience.quiet_turns = @min(handle.quiet_parts / quiet_parts, patience.spin_turns);
                return patience;
            }

            /// Where a look is too dear to be taken in a tight loop.
            pub const yielding: Patience = .{ .spin_turns = 0 };

            /// True: look again; false: it is time to sleep.
            pub inline fn again(patience: *Patience) bool {
                if (patience.turn < patience.spin_turns) {
                    Shared.pause();
                    const quiet_turns = patience.quiet_turns orelse 0;
                    while (patience.turn + 1 < quiet_turns) : (patience.turn += 1) Shared.pause();
                } else if (patience.turn < patience.spin_turns + patience.yield_turns) {
                    Shared.yield();
                } else {
                    return false;
                }
                patience.turn += 1;
                return true;
            }

            /// What was waited for is there: remembers which part of the wait brought it.
            pub inline fn learn(patience: *const Patience, handle: *Handle) void {
                if (patience.turn == 0) return;
                if (patience.turn <= patience.spin_turns) {
                    if (patience.quiet_turns) |quiet_turns| learn_quiet(handle, patience.turn > @max(1, quiet_turns));
                    handle.spin_turns = @min(spin_turns_max, patience.spin_turns * 2);
                } else {
                    handle.spin_turns = @max(spin_turns_min, patience.spin_turns / 2);
                }
            }

            inline fn learn_quiet(handle: *Handle, was_early: bool) void {
                handle.quiet_parts = if (was_early)
                    @min(quiet_turns_max * quiet_parts, handle.quiet_parts + quiet_parts)
                else
                    handle.quiet_parts -| 1;
            }
        };

        /// Announces a sleep; the caller looks once more before it sleeps.
        pub fn announce(handle: *Handle, state: words.WaitState, what: For) void {
            const entry = handle.map.participant(handle.index);
            // Own: others mark it as rung and leave the number.
            const old = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            const header = handle.map.header();
            if (what.requests) set(&header.waiting_servers, handle.index);
            if (what.room) set(&header.waiting_for_room, handle.index);
            Shared.store(words.WaitWord, &entry.wait, .{ .state = state, .number = old.number +% 1 }, .seq_cst);
        }

        pub fn awake(handle: *Handle) void {
            const entry = handle.map.participant(handle.index);
            // Own; a mark that is not seen yet is overwritten, as it would be a moment later.
            const old = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            if (old.state != .awake) {
                Shared.store(words.WaitWord, &entry.wait, .{ .number = old.number }, .seq_cst);
            }
            const header = handle.map.header();
            clear(&header.waiting_servers, handle.index);
            clear(&header.waiting_for_room, handle.index);
        }

        /// True: the file of the channel was cut short. To touch what is mapped beyond its end is SIGBUS,
        /// which a library cannot prevent; so whoever has slept, and whoever begins something that is
        /// done seldom, asks first.
        pub fn lost(handle: *Handle) bool {
            if (handle.is_lost) return true;
            switch (Shared.file_state(handle)) {
                .whole => return false,
                .unlinked => {
                    handle.is_unlinked = true;
                    return false;
                },
                .short => {
                    Shared.abandon(handle);
                    handle.is_lost = true;
                    return true;
                },
            }
        }

        /// Sleeps until rung, or for the slice that is due, or until the deadline, and says for how long.
        /// It touches nothing afterwards: the file may have been cut short meanwhile, see `lost`.
        pub fn sleep(handle: *Handle, slice: *u32, deadline_ns: u64) u64 {
            var duration_ns = @as(u64, slices_ms[slice.*]) * std.time.ns_per_ms;
            slice.* = @min(slice.* + 1, slices_ms.len - 1);
            if (deadline_ns != 0) duration_ns = @min(duration_ns, deadline_ns -| Shared.now_ns());
            const entry = handle.map.participant(handle.index);
            // Own; the kernel compares it once more before it lets anybody sleep.
            const word = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            if (word.state != .futex) return 0;
            const before_ns = if (Shared.yield_turns > 0) Shared.now_ns() else 0;
            Shared.futex_wait(futex(entry), @truncate(@as(u64, @bitCast(word))), duration_ns);
            return if (Shared.yield_turns > 0) Shared.now_ns() -% before_ns else 0;
        }

        /// After a sleep: whether a ring has ended it. A hint: what was rung for is looked at in any case.
        pub fn was_rung(handle: *Handle, slept_ns: u64) bool {
            // Own.
            const word = Shared.load(words.WaitWord, &handle.map.participant(handle.index).wait, .monotonic);
            const rung = word.state != .futex;
            // Without yields there is nothing to have more of.
            if (Shared.yield_turns == 0) return rung;
            const was_short = rung and slept_ns < short_sleep_ns;
            handle.patience = if (was_short) @min(patience_max, handle.patience * 2) else @max(1, handle.patience / 2);
            return rung;
        }

        /// Wakes one server that sleeps. True: somebody was rung, or has been and may not have
        /// looked yet, so that the caller stays responsible for its request.
        pub fn wake_server(handle: *Handle) bool {
            Notify.ring_servers(handle);
            return wake_one(handle, &handle.map.header().waiting_servers);
        }

        /// A slot is free: whoever waits for one may look. Event loops sleep until they are rung, and one of
        /// them may be stopped before it looks: so all of them are rung. Blocking waits look by themselves
        /// at the end of each slice, and one of them is enough.
        pub fn wake_room(handle: *Handle) void {
            var who: Who = .anybody;
            var sleepers: Sleepers = .of(handle, &handle.map.header().waiting_for_room);
            while (sleepers.next()) |index| {
                if (ring(handle, index, who) == .rung_blocking) who = .event_loops;
            }
        }

        fn wake_one(handle: *Handle, set_words: *[layout.participants_max / 64]u64) bool {
            var seen_rung = false;
            var sleepers: Sleepers = .of(handle, set_words);
            while (sleepers.next()) |index| {
                switch (ring(handle, index, .anybody)) {
                    .rung, .rung_blocking => return true,
                    .rung_before => seen_rung = true,
                    .not_asleep => {},
                }
            }
            return seen_rung;
        }

        /// The participants of a set, which is looked at word by word.
        const Sleepers = struct {
            set_words: []u64,
            word_index: usize = 0,
            bits: u64 = 0,

            fn of(handle: *Handle, set_words: *[layout.participants_max / 64]u64) Sleepers {
                return .{ .set_words = set_words[0 .. (Participants.used_count(handle) + 63) / 64] };
            }

            fn next(sleepers: *Sleepers) ?words.ParticipantIndex {
                while (sleepers.bits == 0) {
                    if (sleepers.word_index == sleepers.set_words.len) return null;
                    sleepers.bits = Shared.load(u64, &sleepers.set_words[sleepers.word_index], .seq_cst);
                    sleepers.word_index += 1;
                }
                const place = @ctz(sleepers.bits);
                sleepers.bits &= sleepers.bits - 1;
                return @intCast((sleepers.word_index - 1) * 64 + place);
            }
        };

        /// Wakes one participant if it sleeps.
        pub inline fn wake(handle: *Handle, index: words.ParticipantIndex) void {
            if (!Extent.has_participant(handle, index)) return;
            const word = Shared.load(words.WaitWord, &handle.map.participant(index).wait, .seq_cst);
            if (word.asleep()) _ = ring(handle, index, .anybody);
            Notify.ring(handle, index);
        }

        /// After a repair, and for a newcomer that sleepers have to watch.
        pub fn wake_all(handle: *Handle) void {
            for (0..Participants.used_count(handle)) |index| wake(handle, @intCast(index));
        }

        const Who = enum { anybody, event_loops };
        const Rung = enum { rung, rung_blocking, rung_before, not_asleep };

        fn ring(handle: *Handle, index: words.ParticipantIndex, who: Who) Rung {
            if (!Extent.has_participant(handle, index)) return .not_asleep;
            const entry = handle.map.participant(index);
            const word = Shared.load(words.WaitWord, &entry.wait, .seq_cst);
            // One that has left or was repaired may have left its word as it slept. Handed over with the
            // wait word that was seen: the participant that sleeps had joined.
            const participant = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            if (participant.state != .joined) return .not_asleep;
            var comes_at_once = true;
            switch (word.state) {
                .awake => return .not_asleep,
                .rung => return .rung_before,
                .futex => if (who == .anybody) Shared.futex_wake(futex(entry)) else return .not_asleep,
                .bell => {
                    // Written before the sleep that was seen was announced.
                    const bell = Shared.load(u32, &entry.bell, .acquire);
                    if (bell != 0 and Shared.ring_bell(&handle.bells, index, participant.epoch, bell)) {
                        handle.unreachable_epochs[index] = 0;
                    } else {
                        handle.unreachable_epochs[index] = participant.epoch;
                        handle.has_failed_ring = true;
                        comes_at_once = Waker.knock(entry);
                    }
                },
            }
            // Exact. Release: who sees the mark leaves it at that, so the ring must have been.
            const rung: words.WaitWord = .{ .state = .rung, .number = word.number };
            _ = Shared.cas(words.WaitWord, &entry.wait, word, rung, .acq_rel);
            count(handle, "wakeups");
            // It comes at the end of its slice; another may be quicker.
            if (!comes_at_once) return .rung_before;
            return if (word.state == .futex) .rung_blocking else .rung;
        }

        pub fn count(handle: *Handle, comptime name: []const u8) void {
            // Who has not joined yet has no entry to count in.
            if (handle.epoch == 0) return;
            const counter = &@field(handle.map.participant(handle.index).counters, name);
            // Own, hence a load and a store, no locked instruction. Readers want a number and no more.
            const value = Shared.load(u64, counter, .monotonic);
            Shared.store(u64, counter, value +% 1, .monotonic);
        }

        /// Only the owner of an index touches its bit. A repairer that cleared the bit of a dead
        /// participant might be stopped and clear its successor's.
        fn set(set_words: *[layout.participants_max / 64]u64, index: words.ParticipantIndex) void {
            _ = Shared.fetch_or(&set_words[index / 64], bit(index), .seq_cst);
        }

        fn clear(set_words: *[layout.participants_max / 64]u64, index: words.ParticipantIndex) void {
            const word = &set_words[index / 64];
            // Own, the bit at least. A hint to others: who sees it too long looks at the wait word in vain,
            // and who misses it has to do with somebody who is awake and looks by himself.
            if (Shared.load(u64, word, .monotonic) & bit(index) == 0) return;
            _ = Shared.fetch_and(word, ~bit(index), .acq_rel);
        }
    };
}

fn bit(index: words.ParticipantIndex) u64 {
    return @as(u64, 1) << @truncate(index);
}

/// The low half of the wait word, which holds its state.
fn futex(entry: *layout.Participant) *const u32 {
    return @ptrCast(&entry.wait);
}

test "the second look for an answer comes when answers have come of late" {
    const Wait = WaitType(@import("../memory/shared.zig").Real);
    var handle: Handle = undefined;
    handle.spin_turns = spin_turns_max;
    handle.patience = 1;
    handle.quiet_parts = 0;
    const Calls = struct {
        /// Waits for so many answers that take `turns`; how many looks each took, and turns, at the end.
        fn wait_for(of: *Handle, turns: u32, answers: u32) struct { looks: u32, turns: u32 } {
            var looks: u32 = 0;
            var waited: u32 = 0;
            for (0..answers) |answer| {
                var patience: Wait.Patience = .for_answer(of);
                var seen: u32 = 1;
                while (patience.turn < turns) : (seen += 1) std.debug.assert(patience.again());
                patience.learn(of);
                if (answer < answers / 2) continue;
                looks += seen;
                waited += patience.turn;
            }
            return .{ .looks = looks / (answers / 2), .turns = waited / (answers / 2) };
        }
    };
    const fresh = Calls.wait_for(&handle, 20, 2);
    try std.testing.expect(fresh.looks > 10);
    for ([_]u32{ 20, 3, 40 }) |turns| {
        const learned = Calls.wait_for(&handle, turns, 2000);
        try std.testing.expectEqual(2, learned.looks);
        try std.testing.expectEqual(turns, learned.turns);
    }
}
