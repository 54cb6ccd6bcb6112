//! What is done for a participant that has died, and by one that leaves. Anybody may repair, any
//! number at once, without a lock: each slot is settled by one compare-and-swap from an exact
//! value, so one that dies or is stopped on the way holds nobody up.

const std = @import("std");
const words = @import("../memory/words.zig");
const Error = @import("../abi.zig").Error;
const Handle = @import("../handle.zig").Handle;
const layout = @import("../memory/layout.zig");
const Role = layout.Role;
const ParticipantsType = @import("participants.zig").ParticipantsType;
const RingType = @import("ring.zig").RingType;
const SlotsType = @import("slots.zig").SlotsType;
const WaitType = @import("wait.zig").WaitType;

const SlotWord = words.SlotWord;

pub fn RepairType(comptime Shared: type) type {
    return struct {
        const Participants = ParticipantsType(Shared);
        const Ring = RingType(Shared);
        const Slots = SlotsType(Shared);
        const Wait = WaitType(Shared);

        /// How long one operation goes on repairing. Who waits for something else has a deadline, and
        /// a scribbling process can make a thousand dead who all have to be settled and rung.
        pub const Budget = struct {
            started_ns: u64 = 0,

            const limit_ns = 10 * std.time.ns_per_ms;

            /// Asked after each repair. True: the others have to wait for another operation.
            pub fn spent(budget: *Budget) bool {
                const now_ns = Shared.now_ns();
                if (budget.started_ns == 0) budget.started_ns = now_ns;
                return now_ns -% budget.started_ns > limit_ns;
            }
        };

        /// Looks at everybody and repairs the dead. True: somebody was.
        pub fn sweep(handle: *Handle) bool {
            var any = false;
            var budget: Budget = .{};
            const used = Participants.used_count(handle);
            for (0..used) |_| {
                // From where the last one stopped, so that all have their turn.
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

        /// Of one participant: repairs it if it is dead.
        pub fn check(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) Checked {
            // As in `Participants.dead`.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            if (word.state != .joined or word.epoch != epoch) return .left;
            if (!Participants.dead_epoch(handle, index, epoch)) return .unsettled;
            if (repair(handle, index, word)) return .dead;
            // In a full ring there may have been no room for what it held, and then its entry stands.
            // mutant:unfinished-repair-taken-for-done
            return if (present(handle, .{ .index = index, .epoch = epoch })) .unsettled else .dead;
        }

        fn repair(handle: *Handle, index: words.ParticipantIndex, word: words.ParticipantWord) bool {
            const entry = handle.map.participant(index);
            // Handed over with the word; used only by who frees exactly that entry.
            const role = Shared.load(u32, &entry.role, .monotonic);
            const gone: words.Owner = .{ .index = index, .epoch = word.epoch };
            const complete = settle_all(handle, gone, .died);
            // All sleepers are rung before the entry is free: otherwise a repairer that is stopped
            // in between leaves a sleeper that was just lying down without any event. They are rung
            // as well where the ring had no room, since it is they who make some.
            // mutant:full-ring-rings-no-sleeper begin
            Wait.wake_all(handle);
            if (!complete) return false;
            // mutant:full-ring-rings-no-sleeper end
            // As long as the entry is not: what a repairer that dies on the way leaves, another finds.
            Shared.forget_bells(&handle.bells, Participants.identity(handle, index, word.epoch));
            const freed: words.ParticipantWord = .{ .epoch = word.epoch };
            // Exact. Release: everything is settled before anybody else can take the entry, or see that it
            // is free.
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
            const gone = handle.owner();
            // A full ring refuses redeliveries until a server takes something: give the request
            // back as failed then, rather than wait for somebody.
            if (!settle_all(handle, gone, .left)) _ = settle_all(handle, gone, .left_in_a_hurry);
            Wait.wake_all(handle);
        }

        const Departure = enum { died, left, left_in_a_hurry };

        /// False: the ring was full and something is left to do.
        fn settle_all(handle: *Handle, gone: words.Owner, departure: Departure) bool {
            var complete = true;
            for (0..Slots.used_count(handle)) |index| {
                if (!settle(handle, @intCast(index), gone, departure)) complete = false;
            }
            return complete;
        }

        fn settle(handle: *Handle, index: u32, gone: words.Owner, departure: Departure) bool {
            const slot = handle.map.slot(index);
            // A word changes few times while its participant is gone; more mean that somebody
            // scribbles, and then the slot is left as it is.
            for (0..64) |_| {
                // By *kernel* the word is at least as new as the last that the dead wrote. Each load is an
                // acquire, so that the next comes after it, and the second look at the word after all.
                const word = Shared.load(SlotWord, &slot.word, .acquire);
                const owner = Shared.load(words.Owner, &slot.owner, .acquire);
                const flags = Shared.load(u32, &slot.request_flags, .acquire);
                if (Shared.load(SlotWord, &slot.word, .acquire) != word) continue;
                if (word.state == .free) return true;
                // Still its entry: so what stands in the word was written by it and not by a
                // successor at the same index. Else another repairer has finished.
                // mutant:successor-taken-for-the-dead
                if (!present(handle, gone)) return true;
                const owned = owner == gone;
                const target: SlotWord = switch (word.state) {
                    .free => return true,
                    // mutant:draft-not-given-back
                    .draft => if (word.holder == gone.index) word.freed() else return true,
                    .queued, .ready => if (owned) word.freed() else return true,
                    .posted => {
                        // Its sender may have died between publishing and inserting. An entry too
                        // many is only a hint too many.
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
            // After the slot's word, an acquire: a successor that wrote that has handed over with it that
            // its predecessor's entry is free.
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            return word.state == .joined and word.epoch == gone.epoch;
        }

        /// The word of a request whose server is gone: for the next server, or failed.
        /// Null: the ring has no room.
        fn hand_on(handle: *Handle, index: u32, word: SlotWord, flags: u32, departure: Departure) ?SlotWord {
            // A server that is told of the removal may leave before the remover has come to this slot: the
            // call is cancelled all the same. Hint: the remover cancels what is not seen here.
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
                // Inserted first: a repairer that dies before its compare-and-swap has lost
                // nothing, and a taker finishes what it began.
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
                    // Its client waits for the answer still.
                    if (word.state == .held) Wait.wake(handle, owner.index);
                    if (owner == handle.owner()) handle.push_hint(index);
                    Wait.wake_room(handle);
                },
                .ready => {
                    Wait.count(handle, "failures");
                    Wait.wake(handle, owner.index);
                },
                .queued, .posted => _ = Wait.wake_server(handle),
                .abandoned => Wait.wake(handle, target.holder),
                .draft, .held, .posted_held => {},
            }
        }
    };
}
