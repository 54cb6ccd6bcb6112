//! The terms of a limit: how many places there are, and in which order waiters are served. They stand in the
//! file. Other terms are adopted while no other contender holds or waits, and refused otherwise.

const abi = @import("../../abi.zig");
const Error = abi.Error;
const Control = abi.Control;
const Handle = @import("../../handle.zig").Handle;
const limit_words = @import("../../memory/limit_words.zig");
const words = @import("../../memory/words.zig");
const ContendersType = @import("../../limit/contenders.zig").ContendersType;
const LookType = @import("../../limit/look.zig").LookType;
const ResizingType = @import("../../limit/resizing.zig").ResizingType;
const ParticipantsType = @import("../../protocol/participants.zig").ParticipantsType;
const RepairType = @import("../../protocol/repair.zig").RepairType;
const QueueWord = limit_words.QueueWord;

pub fn TermsType(comptime Shared: type) type {
    return struct {
        const Contenders = ContendersType(Shared);
        const Look = LookType(Shared);
        const Participants = ParticipantsType(Shared);
        const Repair = RepairType(Shared);
        const Resizing = ResizingType(Shared);

        const turns_max = 64;

        pub fn current(handle: *Handle) QueueWord {
            return Shared.load(QueueWord, &handle.map.limit().queue, .seq_cst);
        }

        /// From now on this handle wants these terms; 0: those of the file.
        pub fn want(handle: *Handle, max: u32, order: u32, control: *Control) Error!void {
            const own = &handle.contention;
            own.max = @intCast(@min(max, limit_words.places_max));
            own.order = order;
            if (Resizing.wish(handle).max != 0) _ = Look.run(handle, null);
            own.resizes_seen = Resizing.wish(handle).number;
            return agree(handle, control);
        }

        /// Whether this handle can contend on the terms of the file.
        pub inline fn agreed(handle: *const Handle, terms: QueueWord) bool {
            const own = &handle.contention;
            if (own.max != 0 and own.max != terms.max) return false;
            return own.order == 0 or (own.order == abi.limit_newest) == terms.newest;
        }

        /// Follows the terms of the file, or changes them. `Mismatch`: others contend on them. `Busy`: the terms
        /// changed all the time.
        pub fn agree(handle: *Handle, control: *Control) Error!void {
            for (0..turns_max) |_| {
                follow_resizes(handle);
                const terms = current(handle);
                if (agreed(handle, terms)) return;
                // mutant:terms-changed-under-contenders begin
                // The search comes after the load of the terms. Whoever draws a ticket later changes the word.
                if (has_rival(handle)) {
                    compare(handle, terms, control);
                    return error.Mismatch;
                }
                // mutant:terms-changed-under-contenders end
                const own = &handle.contention;
                const max: u11 = if (own.max != 0) own.max else @intCast(terms.places());
                const newest = if (own.order != 0) own.order == abi.limit_newest else terms.newest;
                Resizing.raise_places(handle, max);
                if (Resizing.set_terms(handle, terms, max, newest)) return;
            }
            return error.Busy;
        }

        /// A resize counts for all open handles.
        fn follow_resizes(handle: *Handle) void {
            const own = &handle.contention;
            const wish = Resizing.wish(handle);
            if (wish.number == own.resizes_seen) return;
            if (wish.max != 0) _ = Look.run(handle, null);
            own.resizes_seen = wish.number;
            if (own.max != 0) own.max = @intCast(current(handle).places());
        }

        fn compare(handle: *Handle, terms: QueueWord, control: *Control) void {
            const own = &handle.contention;
            if (own.max != 0 and own.max != terms.max) {
                control.compare(.limit_max, terms.max, own.max);
            } else {
                control.compare(.limit_order, order_of(terms), own.order);
            }
        }

        pub fn order_of(terms: QueueWord) u32 {
            return if (terms.newest) abi.limit_newest else abi.limit_oldest;
        }

        /// Whether another living contender holds or waits.
        fn has_rival(handle: *Handle) bool {
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.index == handle.index or !seen.word.contends()) continue;
                if (!repaired(handle, seen.index)) return true;
            }
            return false;
        }

        /// True: that participant was dead, and everything that it had is settled.
        pub fn repaired(handle: *Handle, index: words.ParticipantIndex) bool {
            if (!Participants.dead(handle, index)) return false;
            // As in `Participants.dead`.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            return Repair.check(handle, index, word.epoch) != .unsettled;
        }

        /// Changes the number of places for all handles.
        pub fn resize(handle: *Handle, max: u32) void {
            const wanted: u11 = @intCast(@min(@max(max, 1), limit_words.places_max));
            Resizing.state(handle, wanted);
            _ = Look.run(handle, null);
            follow_resizes(handle);
        }
    };
}
