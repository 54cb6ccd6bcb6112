//! Sleeping and waking. A participant announces that it will sleep, looks for work once more, and sleeps. A
//! participant that publishes something looks for sleepers afterwards. Both sides are sequentially
//! consistent, so one of them sees the other.
//!
//! A ringer rings first and then marks the sleeper as rung. In the other order, a ringer that is stopped in
//! between would hide the sleeper from all others.
//!
//! Ringing a bell may fail for lack of a descriptor, a permission or a path. The ringer knocks instead: see
//! waiting/waker.zig.

const std = @import("std");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const TableBoundsType = @import("table_bounds.zig").TableBoundsType;
const Handle = @import("../handle.zig").Handle;
const NotifyType = @import("notify.zig").NotifyType;
const ParticipantsType = @import("participants.zig").ParticipantsType;
const PacingType = @import("../waiting/pacing.zig").PacingType;
const WakerType = @import("../waiting/waker.zig").WakerType;

/// The slices of a blocking wait. At the end of each slice the participant searches for the dead. 50 ms mean
/// 20 wake-ups a second, little enough for a process that waits for hours.
const slices_ms = [_]u32{ 5, 10, 20, 50 };

/// What ends a sleep, beside the answer to a call of the sleeper's.
pub const Awaited = struct {
    requests: bool = false,
    room: bool = false,
};

pub fn WaitType(comptime Shared: type) type {
    return struct {
        const TableBounds = TableBoundsType(Shared);
        const Participants = ParticipantsType(Shared);
        const Notify = NotifyType(Shared);
        const Waker = WakerType(Shared);
        pub const Pacing = PacingType(Shared);

        /// Announces a sleep; the caller looks once more before it sleeps.
        pub fn announce(handle: *Handle, state: words.WaitState, awaited: Awaited) void {
            const entry = handle.map.participant(handle.index);
            // Own: others mark it as rung and leave the number.
            const old = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            const header = handle.map.header();
            if (awaited.requests) set(&header.waiting_servers, handle.index);
            if (awaited.room) set(&header.waiting_for_room, handle.index);
            // mutant:no-sleep-number
            Shared.store(words.WaitWord, &entry.wait, .{ .state = state, .number = old.number +% 1 }, .seq_cst);
        }

        pub fn awake(handle: *Handle) void {
            const entry = handle.map.participant(handle.index);
            // Own. A mark that is not seen yet is overwritten, as it would be a moment later.
            const old = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            if (old.state != .awake) {
                Shared.store(words.WaitWord, &entry.wait, .{ .number = old.number }, .seq_cst);
            }
            const header = handle.map.header();
            clear(&header.waiting_servers, handle.index);
            clear(&header.waiting_for_room, handle.index);
        }

        /// True: the file of the channel was cut short. Reading or writing mapped memory beyond its end
        /// causes SIGBUS, which a library cannot prevent. So a participant asks this after each sleep, and
        /// before each rare operation.
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

        /// Sleeps until it is rung, its slice ends, or the deadline passes. Returns the time slept. It
        /// touches no shared memory afterwards, because the file may have been cut short meanwhile: see
        /// `lost`.
        pub fn sleep(handle: *Handle, slice: *u32, deadline_ns: u64) u64 {
            var duration_ns = @as(u64, slices_ms[slice.*]) * std.time.ns_per_ms;
            slice.* = @min(slice.* + 1, slices_ms.len - 1);
            if (deadline_ns != 0) duration_ns = @min(duration_ns, deadline_ns -| Shared.now_ns());
            const entry = handle.map.participant(handle.index);
            // Own; the kernel compares it once more before the thread sleeps.
            const word = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            if (word.state != .futex) return 0;
            const before_ns = if (Shared.yield_turns > 0) Shared.now_ns() else 0;
            Shared.futex_wait(futex(entry), @truncate(@as(u64, @bitCast(word))), duration_ns);
            return if (Shared.yield_turns > 0) Shared.now_ns() -% before_ns else 0;
        }

        /// Whether a ring has ended the sleep. A hint: the caller looks in any case.
        pub fn was_rung(handle: *Handle, slept_ns: u64) bool {
            // Own.
            const word = Shared.load(words.WaitWord, &handle.map.participant(handle.index).wait, .monotonic);
            const rung = word.state != .futex;
            // Without yields there is nothing to adapt.
            if (Shared.yield_turns == 0) return rung;
            handle.pacing.learn_sleep(rung, slept_ns);
            return rung;
        }

        /// Wakes one sleeping server. True: a server was rung, or had been rung and may not have looked yet,
        /// so the caller stays responsible for its request.
        pub fn wake_server(handle: *Handle) bool {
            Notify.ring_servers(handle);
            return wake_one(handle, &handle.map.header().waiting_servers);
        }

        /// A slot is free, so participants that wait for one should look. Event loops sleep until they are
        /// rung, and any of them may be stopped before it looks, so all of them are rung. Blocking waits look
        /// by themselves at the end of each slice, so ringing one of them is enough.
        pub fn wake_room(handle: *Handle) void {
            var targets: Targets = .all;
            var sleepers: Members = .of(handle, &handle.map.header().waiting_for_room);
            while (sleepers.next()) |index| {
                // mutant:free-slot-rings-one-event-loop
                if (ring(handle, index, targets) == .rung_blocking) targets = .event_loops;
            }
        }

        fn wake_one(handle: *Handle, set_words: *[layout.participants_max / 64]u64) bool {
            var seen_rung = false;
            var sleepers: Members = .of(handle, set_words);
            while (sleepers.next()) |index| {
                switch (ring(handle, index, .all)) {
                    .rung, .rung_blocking => return true,
                    .rung_before => seen_rung = true,
                    .not_asleep => {},
                }
            }
            return seen_rung;
        }

        /// The participants of a set. The set is read word by word.
        pub const Members = struct {
            set_words: []u64,
            word_index: usize = 0,
            bits: u64 = 0,

            pub fn of(handle: *Handle, set_words: *[layout.participants_max / 64]u64) Members {
                return .{ .set_words = set_words[0 .. (Participants.used_count(handle) + 63) / 64] };
            }

            pub fn next(members: *Members) ?words.ParticipantIndex {
                while (members.bits == 0) {
                    if (members.word_index == members.set_words.len) return null;
                    members.bits = Shared.load(u64, &members.set_words[members.word_index], .seq_cst);
                    members.word_index += 1;
                }
                const place = @ctz(members.bits);
                members.bits &= members.bits - 1;
                return @intCast((members.word_index - 1) * 64 + place);
            }
        };

        /// Wakes one participant if it sleeps.
        pub inline fn wake(handle: *Handle, index: words.ParticipantIndex) void {
            if (!TableBounds.has_participant(handle, index)) return;
            const word = Shared.load(words.WaitWord, &handle.map.participant(index).wait, .seq_cst);
            if (word.asleep()) _ = ring(handle, index, .all);
            Notify.ring(handle, index);
        }

        /// After a repair, and for a newcomer that sleepers have to watch. A participant seldom does this, so
        /// it keeps no bell open for it.
        pub fn wake_all(handle: *Handle) void {
            handle.bells.keeps_rung = false;
            defer handle.bells.keeps_rung = true;
            for (0..Participants.used_count(handle)) |index| wake_rarely(handle, @intCast(index));
        }

        /// As `wake`, in less code.
        pub noinline fn wake_rarely(handle: *Handle, index: words.ParticipantIndex) void {
            wake(handle, index);
        }

        const Targets = enum { all, event_loops };
        const Rung = enum { rung, rung_blocking, rung_before, not_asleep };

        fn ring(handle: *Handle, index: words.ParticipantIndex, targets: Targets) Rung {
            if (!TableBounds.has_participant(handle, index)) return .not_asleep;
            const entry = handle.map.participant(index);
            const word = Shared.load(words.WaitWord, &entry.wait, .seq_cst);
            // A participant that has left or was repaired may have left its word in a sleeping state. Handed
            // over with the wait word that was seen: the participant that sleeps had joined.
            const participant = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            if (participant.state != .joined) return .not_asleep;
            var comes_at_once = true;
            // mutant:marked-before-rung
            switch (word.state) {
                .awake => return .not_asleep,
                .rung => return .rung_before,
                .futex => if (targets == .all) Shared.futex_wake(futex(entry)) else return .not_asleep,
                .bell => {
                    // Written before that sleep was announced.
                    const bell = Shared.load(u32, &entry.bell, .acquire);
                    if (bell != 0 and Shared.ring_bell(&handle.bells, Participants.identity(handle, index, participant.epoch), bell)) {
                        handle.unreachable_epochs[index] = 0;
                    } else {
                        handle.unreachable_epochs[index] = participant.epoch;
                        handle.has_failed_ring = true;
                        // mutant:failed-ring-dropped
                        comes_at_once = Waker.knock(entry);
                    }
                },
            }
            // Exact. Release: a ringer that sees the mark does not ring, so the ring must have happened.
            const rung: words.WaitWord = .{ .state = .rung, .number = word.number };
            _ = Shared.cas(words.WaitWord, &entry.wait, word, rung, .acq_rel);
            count(handle, "wakeups");
            // The sleeper wakes only at the end of its slice; another server may be quicker.
            if (!comes_at_once) return .rung_before;
            return if (word.state == .futex) .rung_blocking else .rung;
        }

        pub fn count(handle: *Handle, comptime name: []const u8) void {
            // A participant that has not joined yet has no entry to count in.
            if (handle.epoch == 0) return;
            const counter = &@field(handle.map.participant(handle.index).counters, name);
            // Own, hence a load and a store instead of a locked instruction. Readers only want a number.
            const value = Shared.load(u64, counter, .monotonic);
            Shared.store(u64, counter, value +% 1, .monotonic);
        }

        /// Only the owner of an index touches its bit. A repairer that cleared the bit of a dead participant
        /// could be stopped and then clear its successor's bit.
        pub noinline fn set(set_words: *[layout.participants_max / 64]u64, index: words.ParticipantIndex) void {
            _ = Shared.fetch_or(&set_words[index / 64], bit(index), .seq_cst);
        }

        pub noinline fn clear(set_words: *[layout.participants_max / 64]u64, index: words.ParticipantIndex) void {
            const word = &set_words[index / 64];
            // Own, at least this bit. A hint to others: a participant that still sees it looks at the wait
            // word in vain, and one that misses it overlooks only a participant that is awake.
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
