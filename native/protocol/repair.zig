//! Repair of dead participants, and what a leaving participant settles of its own. Any number of participants
//! may repair at once, without a lock: one compare-and-swap from an exact value settles each slot. So a
//! repairer that dies or is stopped on the way delays no other.

const std = @import("std");
const words = @import("../memory/words.zig");
const Error = @import("../abi.zig").Error;
const Handle = @import("../handle.zig").Handle;
const layout = @import("../memory/layout.zig");
const Role = layout.Role;
const DepartureType = @import("../limit/departure.zig").DepartureType;
const BoardsType = @import("boards.zig").BoardsType;
const ParticipantsType = @import("participants.zig").ParticipantsType;
const RingType = @import("ring.zig").RingType;
const SlotsType = @import("slots.zig").SlotsType;
const SpreadType = @import("spread.zig").SpreadType;
const WaitType = @import("wait.zig").WaitType;

const SlotWord = words.SlotWord;

pub fn RepairType(comptime Shared: type) type {
    return struct {
        const Boards = BoardsType(Shared);
        const LimitDeparture = DepartureType(Shared);
        const Participants = ParticipantsType(Shared);
        const Ring = RingType(Shared);
        const Slots = SlotsType(Shared);
        const Spread = SpreadType(Shared);
        const Wait = WaitType(Shared);

        /// How long one operation may repair. The caller waits for something else and has a deadline, while a
        /// scribbling process can fake a thousand dead participants that all have to be settled and rung.
        pub const Budget = struct {
            started_ns: u64 = 0,

            const limit_ns = 10 * std.time.ns_per_ms;

            /// Called after each repair. True: the remaining ones have to wait for another operation.
            pub fn spent(budget: *Budget) bool {
                const now_ns = Shared.now_ns();
                if (budget.started_ns == 0) budget.started_ns = now_ns;
                return now_ns -% budget.started_ns > limit_ns;
            }
        };

        /// Looks at all participants and repairs the dead. True: at least one was dead.
        pub fn sweep(handle: *Handle) bool {
            var any = false;
            var budget: Budget = .{};
            const used = Participants.used_count(handle);
            for (0..used) |_| {
                // Starts where the last sweep stopped, so that all get their turn.
                if (handle.sweep_next >= used) handle.sweep_next = 0;
                const index: words.ParticipantIndex = @intCast(handle.sweep_next);
                handle.sweep_next += 1;
                const entry = handle.map.participant(index);
                // As in `Participants.dead`.
                const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
                if (word.state != .joined) continue;
                if (!Participants.dead_epoch(handle, index, word.epoch)) continue;
                if (repair(handle, index, word)) any = true;
                if (budget.spent()) break;
            }
            return any;
        }

        pub const Checked = enum {
            /// Alive, or dead and not repaired yet: look again.
            unsettled,
            dead,
            left,
        };

        /// Repairs one participant if it is dead.
        pub fn check(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) Checked {
            // As in `Participants.dead`.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            if (word.state != .joined or word.epoch != epoch) return .left;
            if (!Participants.dead_epoch(handle, index, epoch)) return .unsettled;
            if (repair(handle, index, word)) return .dead;
            // A full ring may have had no room for its requests; then its entry still stands.
            // mutant:unfinished-repair-taken-for-done
            return if (present(handle, .{ .index = index, .epoch = epoch })) .unsettled else .dead;
        }

        fn repair(handle: *Handle, index: words.ParticipantIndex, word: words.ParticipantWord) bool {
            const entry = handle.map.participant(index);
            // Handed over with the word; used only by the participant that frees exactly that entry.
            const role = Shared.load(u32, &entry.role, .monotonic);
            const gone: words.Owner = .{ .index = index, .epoch = word.epoch };
            const is_limit = handle.map.geometry.kind == .limit;
            if (is_limit) LimitDeparture.settle_dead(handle, gone);
            const complete = is_limit or settle_all(handle, gone, .died);
            // All sleepers are rung before the entry is free: otherwise a repairer that is stopped in between
            // would leave a sleeper that was just falling asleep without any event. They are also rung if the
            // ring had no room, because they make room.
            // A quiet participant cannot remove the files of others, so it leaves the rest to one that can.
            const is_quiet = Participants.traits(handle, index) & layout.trait_quiet != 0;
            const is_whole = complete and (is_quiet or !handle.has_trait(layout.trait_quiet));
            // mutant:full-ring-rings-no-sleeper begin
            if (!is_limit) {
                // Who is rung finds the dead one unlocked, and so sees that it is gone.
                // mutant:departure-counted-after-the-ring begin
                if (is_whole) count_departure(handle);
                Wait.wake_all(handle);
                // mutant:departure-counted-after-the-ring end
            }
            if (!is_whole) return false;
            // mutant:full-ring-rings-no-sleeper end
            // Comes before the entry is free: another repairer finds what a dead repairer leaves.
            if (!is_quiet) Shared.forget_bells(&handle.bells, Participants.identity(handle, index, word.epoch));
            const freed: words.ParticipantWord = .{ .epoch = word.epoch };
            // Exact. Release: everything is settled before another participant can take the entry or see that
            // it is free.
            if (!Shared.cas(words.ParticipantWord, &entry.word, word, freed, .acq_rel)) return false;
            if (role == @backingInt(Role.server)) {
                Wait.count(handle, "server_deaths");
            } else {
                Wait.count(handle, "client_deaths");
            }
            return true;
        }

        /// Ends or hands back everything of this handle's participant.
        pub fn settle_own(handle: *Handle) void {
            if (handle.map.geometry.kind == .limit) return LimitDeparture.settle_own(handle);
            const gone = handle.owner();
            Spread.rests(handle);
            Spread.forget(handle);
            Boards.forget(handle);
            // A full ring refuses redeliveries until a server takes something. In that case the requests
            // fail, because leaving must not wait for others.
            if (!settle_all(handle, gone, .left)) _ = settle_all(handle, gone, .left_in_a_hurry);
            // Handed over by the count: who is rung sees that this participant is gone, although it is still in the
            // table. If it dies before it has left, it is repaired.
            // mutant:leaver-not-marked
            Participants.add_trait(handle, layout.trait_leaving);
            count_departure(handle);
            Wait.wake_all(handle);
        }

        /// Sequentially consistent, as `joins`: it comes before the search for sleepers, who announce their sleep and
        /// then look here.
        fn count_departure(handle: *Handle) void {
            // mutant:departure-not-counted
            _ = Shared.fetch_add(&handle.map.header().departures, 1, .seq_cst);
        }

        const Departure = enum { died, left, left_in_a_hurry };

        /// False: the ring was full, and something remains to be settled.
        fn settle_all(handle: *Handle, gone: words.Owner, departure: Departure) bool {
            var complete = true;
            for (0..Slots.used_count(handle)) |index| {
                if (!settle(handle, @intCast(index), gone, departure)) complete = false;
            }
            return complete;
        }

        fn settle(handle: *Handle, index: u32, gone: words.Owner, departure: Departure) bool {
            const slot = handle.map.slot(index);
            // The word changes few times while its participant is gone. More changes mean that a process
            // scribbles; the slot is then left as it is.
            for (0..64) |_| {
                // By *kernel*, the word is at least as new as the dead participant's last store. Each load is
                // an acquire, so that the next one comes after it, and the second look at the word comes
                // after all.
                const word = Shared.load(SlotWord, &slot.word, .acquire);
                const owner = Shared.load(words.Owner, &slot.owner, .acquire);
                const flags = Shared.load(u32, &slot.request_flags, .acquire);
                if (Shared.load(SlotWord, &slot.word, .acquire) != word) continue;
                if (word.state == .free) return true;
                // The entry is still present, so the dead participant wrote the word, and not a successor at
                // the same index. If it is not, another repairer has finished.
                // mutant:successor-taken-for-the-dead
                if (!present(handle, gone)) return true;
                const owned = owner == gone;
                const target: SlotWord = switch (word.state) {
                    .free => return true,
                    // mutant:draft-not-given-back
                    .draft => if (word.holder == gone.index) word.freed() else return true,
                    .queued, .ready => if (owned) word.freed() else return true,
                    .posted => {
                        // Its sender may have died between publishing and inserting. A surplus entry is only
                        // a surplus hint.
                        if (!owned or departure != .died) return true;
                        // mutant:posted-request-not-inserted-again
                        return try_insert(handle, index, word);
                    },
                    .held => if (word.holder == gone.index)
                        (hand_on(handle, index, word, flags, departure) orelse return false)
                    else if (owned) abandoned: {
                        var abandoned = word;
                        abandoned.state = .abandoned;
                        break :abandoned abandoned;
                    } else return true,
                    .posted_held => if (word.holder == gone.index)
                        (hand_on(handle, index, word, flags, departure) orelse return false)
                    else
                        return true,
                    .abandoned => if (word.holder == gone.index) word.freed() else return true,
                };
                // mutant:repair-by-a-store
                if (!Shared.cas(SlotWord, &slot.word, word, target, .seq_cst)) continue;
                note(handle, index, word, target, owner);
                return true;
            }
            return true;
        }

        fn present(handle: *Handle, gone: words.Owner) bool {
            const entry = handle.map.participant(gone.index);
            // Comes after the acquire of the slot's word: a successor that wrote that word has handed over
            // with it that its predecessor's entry is free.
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            return word.state == .joined and word.epoch == gone.epoch;
        }

        /// The new word of a request whose server is gone: queued for the next server, or failed. Null: the
        /// ring has no room.
        fn hand_on(handle: *Handle, index: u32, word: SlotWord, flags: u32, departure: Departure) ?SlotWord {
            // A server that learns of the removal may leave before the remover comes to this slot; the call
            // is then cancelled here. Hint: the remover cancels calls that this load overlooks.
            if (Shared.load(u64, &handle.map.header().removed, .acquire) != 0) return word.freed();
            const one_way = word.state == .posted_held;
            const allowed = @min(flags >> 8, handle.map.geometry.max_deliveries);
            // mutant:one-delivery-too-many
            if (@as(u32, word.delivery) + 1 < allowed and departure != .left_in_a_hurry) {
                const next: SlotWord = .{
                    .state = if (one_way) .posted else .queued,
                    .delivery = word.delivery + 1,
                    .generation = word.generation,
                };
                // Inserted first: a repairer that dies before its compare-and-swap has lost nothing, and a
                // server that takes the entry finishes the work.
                // mutant:handed-on-before-inserted
                return if (try_insert(handle, index, next)) next else null;
            }
            return if (one_way) word.freed() else word.ready(.server_died);
        }

        fn try_insert(handle: *Handle, index: u32, word: SlotWord) bool {
            const insertion = Ring.insert(handle, index, word) catch return true;
            return insertion == .done;
        }

        fn note(handle: *Handle, index: u32, word: SlotWord, target: SlotWord, owner: words.Owner) void {
            switch (target.state) {
                .free => {
                    Wait.count(handle, "reclaimed");
                    if (word.state == .posted_held) Wait.count(handle, "failures");
                    // Its client still waits for the answer.
                    if (word.state == .held) Wait.wake_rarely(handle, owner.index);
                    if (owner == handle.owner()) handle.push_hint(index);
                    Wait.wake_room(handle);
                },
                .ready => {
                    Wait.count(handle, "failures");
                    Wait.wake_rarely(handle, owner.index);
                },
                .queued, .posted => _ = Wait.wake_server(handle),
                .abandoned => Wait.wake_rarely(handle, target.holder),
                .draft, .held, .posted_held => {},
            }
        }
    };
}
