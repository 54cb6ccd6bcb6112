//! A way to reach a sleeper that needs neither a path nor a descriptor. A ringer that cannot ring a bell
//! knocks: it increments a count in the sleeper's entry and wakes the threads that sleep on it. One such
//! thread belongs to the sleeper's own process: the waker (waker_thread.zig), which rings the bell from
//! within.
//!
//! A ringer may have no descriptor left, lack access to the folder, see another folder, or find the bell's
//! file removed. None of these prevents it from writing to memory that it has mapped.

const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");

/// The waker's private knowledge of one participant.
pub const Sleeper = struct {
    entry: *layout.Participant,
    /// Knocks up to this number have been answered.
    knocks: u64,
    /// The sleep for which the bell was last rung, and the arming for which the notify descriptor was last
    /// rung: each is rung once, however often others knock.
    rung_sleep: ?@FieldType(words.WaitWord, "number") = null,
    rung_notify: ?@FieldType(words.NotifyWord, "number") = null,
};

pub fn WakerType(comptime Shared: type) type {
    return struct {
        /// After a failed ring. False: the sleeper has no waker, and looks at the end of its slice.
        pub fn knock(entry: *layout.Participant) bool {
            // The count changes first: the kernel lets no thread sleep that has not seen the new count.
            // mutant:wake-before-the-count begin
            _ = Shared.fetch_add(&entry.knocks, 1, .seq_cst);
            // mutant:knock-without-wake
            Shared.futex_wake(futex(entry));
            // mutant:wake-before-the-count end
            // Written before the participant announced the sleep that the caller has seen.
            return Shared.load(u32, &entry.waker, .acquire) == layout.waker_sleeps;
        }

        /// Rings in place of the knockers, and returns the count to sleep on.
        ///
        /// The count is read first. A later knock finds the waker asleep on an older count, and wakes it. The
        /// load acquires what the knocker has seen: the sleep that it knocked for, or a later state of that
        /// participant. In a later state the participant is awake and has looked, or has announced another
        /// sleep.
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
