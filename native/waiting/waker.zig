//! The way to a sleeper that needs neither a path nor a descriptor. Who cannot ring a bell knocks: adds
//! one to a count in the sleeper's entry, and wakes those who sleep on it. That is a thread of the
//! sleeper's own process, the waker (waker_thread.zig), which rings the bell from within.
//!
//! A ringer may have no descriptor left, lack the right to the folder, see another folder, or find the
//! bell's file removed. None of these keeps a process from writing to memory that it has mapped.

const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");

/// What the waker knows of one participant, in private memory.
pub const Sleeper = struct {
    entry: *layout.Participant,
    /// Knocks up to this one have been answered.
    knocks: u64,
    /// For which sleep the bell was rung last, and for which arming the notify descriptor: once is
    /// enough for each, however often others knock.
    rung_sleep: ?@FieldType(words.WaitWord, "number") = null,
    rung_notify: ?@FieldType(words.NotifyWord, "number") = null,
};

pub fn WakerType(comptime Shared: type) type {
    return struct {
        /// Where a ring has failed. False: the sleeper has no waker, and looks at the end of its slice.
        pub fn knock(entry: *layout.Participant) bool {
            // First the count, then the wake-up: the kernel lets no thread sleep that has not seen the count.
            // mutant:wake-before-the-count begin
            _ = Shared.fetch_add(&entry.knocks, 1, .seq_cst);
            // mutant:knock-without-wake
            Shared.futex_wake(futex(entry));
            // mutant:wake-before-the-count end
            // Written before the sleep was announced that the caller has seen.
            return Shared.load(u32, &entry.waker, .acquire) == layout.waker_sleeps;
        }

        /// Rings what others could not, and returns the count to sleep on.
        ///
        /// The count is read first. A knock that comes later finds the waker asleep on an older count,
        /// and wakes it. The load acquires what the knocker has seen: the sleep that it knocked for, or a
        /// later state of that participant, which is awake then and has looked, or has announced
        /// another sleep.
        pub fn answer(sleeper: *Sleeper, bells: anytype) u64 {
            const entry = sleeper.entry;
            // mutant:sleep-read-before-the-count begin
            const knocks = Shared.load(u64, &entry.knocks, .seq_cst);
            if (knocks == sleeper.knocks) return knocks;
            sleeper.knocks = knocks;
            const wait = Shared.load(words.WaitWord, &entry.wait, .seq_cst);
            // mutant:sleep-read-before-the-count end
            // mutant:one-ring-for-all-sleeps
            if (wait.state != .awake and sleeper.rung_sleep != wait.number) {
                sleeper.rung_sleep = wait.number;
                bells.ring_bell();
            }
            const notify = Shared.load(words.NotifyWord, &entry.notify, .seq_cst);
            if (notify.state != .none and sleeper.rung_notify != notify.number) {
                sleeper.rung_notify = notify.number;
                bells.ring_notify();
            }
            // mutant:count-read-after-the-look
            return knocks;
        }

        /// The low half of the count.
        pub fn futex(entry: *layout.Participant) *const u32 {
            return @ptrCast(&entry.knocks);
        }
    };
}
