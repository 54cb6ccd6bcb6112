//! Who takes part in a channel, for display and for addressing. All of it is what the participants say of
//! themselves: no decision of the protocol depends on it.

const Control = @import("../abi.zig").Control;
const layout = @import("../memory/layout.zig");
const words = @import("../memory/words.zig");
const Handle = @import("../handle.zig").Handle;
const ParticipantsType = @import("participants.zig").ParticipantsType;

pub fn RosterType(comptime Shared: type) type {
    return struct {
        const Participants = ParticipantsType(Shared);

        /// Describes the last participant at `position`. Returns its role while it lives, 0 when it is gone,
        /// and -1 when no participant was ever there or at a later position.
        pub fn describe(handle: *Handle, position: u32, control: *Control) i32 {
            if (position >= Participants.used_count(handle)) return -1;
            const index: words.ParticipantIndex = @truncate(position);
            const entry = handle.map.participant(index);
            // Acquire, as in `Participants.dead`, and for the fields that the word hands over.
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            set_epoch(control, word.epoch);
            control.channel_low = @truncate(handle.bells.channel_id);
            control.channel_high = @truncate(handle.bells.channel_id >> 32);
            control.pid = Shared.load(u32, &entry.pid, .monotonic);
            control.uid = Shared.load(u32, &entry.uid, .monotonic);
            control.runtime = Shared.load(u32, &entry.runtime, .monotonic);
            control.board = @floatFromInt(Shared.load(u64, &entry.board, .acquire));
            control.calls = Shared.load(words.LoadWord, &entry.load, .monotonic).calls;
            const role: i32 = @intCast(Shared.load(u32, &entry.role, .monotonic) & 3);
            return if (lives(handle, index, word)) role else 0;
        }

        /// Writes how often a participant has gone, in two words, and then three words for each place of the table, as
        /// far as there is room: the epoch of the participant that lives there, or 0, and how many boards it has
        /// published. Returns how many places there are.
        ///
        /// `out` is zero, or as another roll of this channel has left it. As long as nobody has gone since, who lived
        /// there lives: each look at a lock is a system call.
        pub fn roll(handle: *Handle, out: []u32) u32 {
            const words_each = 3;
            // Before the looks: who goes meanwhile is found by the next roll. Acquire: who has gone by that count is seen
            // to have gone.
            const departures = Shared.load(u64, &handle.map.header().departures, .acquire);
            const counted: [2]u32 = .{ @truncate(departures), @truncate(departures >> 32) };
            const has_none_gone = out[0] == counted[0] and out[1] == counted[1];
            out[0..2].* = counted;
            const places = out[2..];
            const used = Participants.used_count(handle);
            for (0..@min(used, places.len / words_each)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                const entry = handle.map.participant(index);
                // As in `describe`.
                const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
                const board = Shared.load(u64, &entry.board, .acquire);
                const row = places[position * words_each ..][0..words_each];
                const is_known = has_none_gone and row[0] == @as(u32, @truncate(word.epoch)) and
                    row[1] == @as(u32, @truncate(@as(u64, word.epoch) >> 32)) and word.state == .joined and
                    Participants.traits(handle, index) & layout.trait_leaving == 0;
                const epoch: u64 = if (is_known or lives(handle, index, word)) word.epoch else 0;
                row.* = .{
                    @truncate(epoch),
                    @truncate(epoch >> 32),
                    @truncate(board),
                };
            }
            return used;
        }

        fn lives(handle: *Handle, index: words.ParticipantIndex, word: words.ParticipantWord) bool {
            const is_leaving = Participants.traits(handle, index) & layout.trait_leaving != 0;
            if (word.state != .joined or is_leaving or Participants.dead_epoch(handle, index, word.epoch)) return false;
            // Another participant may be there by now.
            return Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire) == word;
        }

        fn set_epoch(control: *Control, epoch: words.Epoch) void {
            control.epoch_low = @truncate(epoch);
            control.epoch_high = @truncate(epoch >> 32);
        }

        /// The position of the sender of a request that this handle holds; the control block has its epoch.
        pub fn sender(handle: *Handle, slot: u32, control: *Control) i32 {
            // Handed over with the request.
            const owner = Shared.load(words.Owner, &handle.map.slot(slot).owner, .monotonic);
            set_epoch(control, owner.epoch);
            return owner.index;
        }
    };
}
