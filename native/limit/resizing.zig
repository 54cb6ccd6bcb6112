//! Changing the number of places while the limit is in use. A wish stands in shared memory until everything
//! that follows from it is done, and every look takes part: it rings all waiters, applies the wish, grants, and
//! only then clears it. So a waiter that profits was either rung before the change or sees the wish when it
//! looks for the last time before it sleeps.

const Handle = @import("../handle.zig").Handle;
const limit_words = @import("../memory/limit_words.zig");
const ContendersType = @import("contenders.zig").ContendersType;
const QueueWord = limit_words.QueueWord;
const ResizeWord = limit_words.ResizeWord;

pub fn ResizingType(comptime Shared: type) type {
    return struct {
        const Contenders = ContendersType(Shared);

        /// A turn fails only because another contender draws a ticket or wishes something else.
        const turns_max = 1 << 16;

        pub fn wish(handle: *Handle) ResizeWord {
            // Sequentially consistent: a wisher stores it and rings; a waiter announces its sleep and looks here.
            return Shared.load(ResizeWord, &handle.map.limit().resize, .seq_cst);
        }

        pub fn state(handle: *Handle, max: u11) void {
            for (0..turns_max) |_| {
                const old = wish(handle);
                const new: ResizeWord = .{ .max = max, .number = old.number +% 1 };
                if (Shared.cas(ResizeWord, &handle.map.limit().resize, old, new, .seq_cst)) return;
            }
        }

        /// Applies the wish that stands.
        pub fn begin(handle: *Handle) ?ResizeWord {
            const stands = wish(handle);
            if (stands.max == 0) return null;
            // Before the change: whoever changes it may die before it grants.
            // mutant:resize-rings-no-sleeper
            Contenders.wake_waiters(handle);
            raise_places(handle, stands.max);
            const queue = &handle.map.limit().queue;
            for (0..turns_max) |_| {
                const terms = Shared.load(QueueWord, queue, .seq_cst);
                if (terms.max == stands.max or wish(handle) != stands) break;
                if (set_terms(handle, terms, stands.max, terms.newest)) break;
            }
            return stands;
        }

        /// After everything was granted. True: another wish came meanwhile.
        pub fn finish(handle: *Handle, begun: ?ResizeWord) bool {
            const stands = begun orelse return false;
            const cleared: ResizeWord = .{ .number = stands.number };
            // Exact: a later wish stays.
            return !Shared.cas(ResizeWord, &handle.map.limit().resize, stands, cleared, .seq_cst) and wish(handle).max != 0;
        }

        /// Every scan of the places goes as far as the terms allow.
        pub fn raise_places(handle: *Handle, max: u11) void {
            const used = &handle.map.limit().places_used;
            for (0..turns_max) |_| {
                const old = Shared.load(u64, used, .seq_cst);
                if (old >= max or Shared.cas(u64, used, old, max, .seq_cst)) return;
            }
        }

        pub fn set_terms(handle: *Handle, from: QueueWord, max: u11, newest: bool) bool {
            const to: QueueWord = .{ .next = from.next, .max = max, .newest = newest, .version = from.version +% 1 };
            // Exact: fails if anybody has drawn a ticket since.
            return Shared.cas(QueueWord, &handle.map.limit().queue, from, to, .seq_cst);
        }
    };
}
