//! Notify descriptors: readable when there is something to take, for other event loops and native
//! code, whatever the thread of the handle is doing. They are apart from the doorbells of the
//! runtime's own loop, which reads those.
//!
//! Armed, a descriptor is rung once; then it is readable until it is drained, which looks again.

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

        /// Before the last look of a drain.
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

        /// At the end of the participant; its successor at the index wants nothing yet.
        pub fn disable(handle: *Handle) void {
            set(handle, .none, false);
            const word = &handle.map.header().notified_servers[handle.index / 64];
            // A hint, as in wait.zig.
            _ = Shared.fetch_and(word, ~(@as(u64, 1) << @truncate(handle.index)), .acq_rel);
        }

        /// After a publish. All of them: which will look is not known here.
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
                // Left unmarked where no process hears it: the next ringer tries again.
                // mutant:failed-notify-ring-dropped
                if (!Waker.knock(entry)) return;
            }
            var marked = word;
            marked.state = .rung;
            // Exact. Release: who sees the mark leaves it at that, so the ring must have been.
            _ = Shared.cas(words.NotifyWord, &entry.notify, word, marked, .acq_rel);
        }
    };
}
