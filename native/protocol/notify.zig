//! Notify descriptors are readable when there is something to take. They serve other event loops and native
//! code, whatever the thread of the handle is doing. They are separate from the bells, which the runtime's
//! own loop reads.
//!
//! An armed descriptor is rung once. Then it stays readable until it is drained, and draining looks again.

const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Error = @import("../abi.zig").Error;
const TableBoundsType = @import("table_bounds.zig").TableBoundsType;
const Handle = @import("../handle.zig").Handle;
const ParticipantsType = @import("participants.zig").ParticipantsType;
const WakerType = @import("../waiting/waker.zig").WakerType;

pub fn NotifyType(comptime Shared: type) type {
    return struct {
        const TableBounds = TableBoundsType(Shared);
        const Participants = ParticipantsType(Shared);
        const Waker = WakerType(Shared);

        /// Announces that this participant wants to be rung.
        pub fn enable(handle: *Handle, adopted: bool) void {
            set(handle, .armed, adopted);
            if (handle.role != .server) return;
            const word = &handle.map.header().notified_servers[handle.index / 64];
            _ = Shared.fetch_or(word, @as(u64, 1) << @truncate(handle.index), .seq_cst);
        }

        /// Comes before the last look of a drain.
        pub fn arm(handle: *Handle) void {
            // Own: others mark it as rung and leave the rest.
            const word = Shared.load(words.NotifyWord, &handle.map.participant(handle.index).notify, .monotonic);
            set(handle, .armed, word.adopted);
        }

        fn set(handle: *Handle, state: words.NotifyState, adopted: bool) void {
            const notify = &handle.map.participant(handle.index).notify;
            // Own.
            const old = Shared.load(words.NotifyWord, notify, .monotonic);
            const word: words.NotifyWord = .{ .state = state, .adopted = adopted, .number = old.number +% 1 };
            Shared.store(words.NotifyWord, notify, word, .seq_cst);
        }

        /// At the end of the participant. Its successor at the index requests its own descriptor.
        pub fn disable(handle: *Handle) void {
            set(handle, .none, false);
            const word = &handle.map.header().notified_servers[handle.index / 64];
            // A hint, as in wait.zig.
            _ = Shared.fetch_and(word, ~(@as(u64, 1) << @truncate(handle.index)), .acq_rel);
        }

        /// After a publish. Rings all of them, because it is unknown which server will look.
        pub inline fn ring_servers(handle: *Handle) void {
            const used = Participants.used_count(handle);
            for (handle.map.header().notified_servers[0 .. (used + 63) / 64], 0..) |*word, word_index| {
                var bits = Shared.load(u64, word, .seq_cst);
                while (bits != 0) : (bits &= bits - 1) {
                    ring(handle, @intCast(word_index * 64 + @ctz(bits)));
                }
            }
        }

        /// Rings one participant if its descriptor is armed.
        pub inline fn ring(handle: *Handle, index: words.ParticipantIndex) void {
            if (!TableBounds.has_participant(handle, index)) return;
            const entry = handle.map.participant(index);
            const word = Shared.load(words.NotifyWord, &entry.notify, .seq_cst);
            if (word.state == .armed) ring_armed(handle, index, word);
        }

        fn ring_armed(handle: *Handle, index: words.ParticipantIndex, word: words.NotifyWord) void {
            const entry = handle.map.participant(index);
            // Handed over with the notify word that was seen: the participant that armed it had joined.
            const participant = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            if (participant.state != .joined) return;
            const rung = if (word.adopted)
                Shared.write_notify(handle.peer_notify_fd)
            else
                Shared.ring_notify(&handle.bells, Participants.identity(handle, index, participant.epoch));
            if (!rung) {
                handle.has_failed_ring = true;
                // If no process hears the knock, the word stays unmarked, and the next ringer tries again.
                // mutant:failed-notify-ring-dropped
                if (!Waker.knock(entry)) return;
            }
            var marked = word;
            marked.state = .rung;
            // Exact. Release: a ringer that sees the mark does not ring, so the ring must have happened.
            _ = Shared.cas(words.NotifyWord, &entry.notify, word, marked, .acq_rel);
        }
    };
}
