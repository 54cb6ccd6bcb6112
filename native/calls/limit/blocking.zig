//! Waiting for a place in a thread that blocks. It sleeps in the kernel on its bell and on the connections to
//! those that it watches, without any timer but the deadline.

const std = @import("std");
const abi = @import("../../abi.zig");
const Error = abi.Error;
const Handle = @import("../../handle.zig").Handle;
const AttemptsType = @import("attempts.zig").AttemptsType;
const LifetimeType = @import("../lifetime.zig").LifetimeType;
const RepairType = @import("../../protocol/repair.zig").RepairType;
const SleepType = @import("sleep.zig").SleepType;
const WaitType = @import("../../protocol/wait.zig").WaitType;
const WatchingType = @import("watching.zig").WatchingType;
const Outcome = @import("attempts.zig").Outcome;

pub fn BlockingType(comptime Shared: type) type {
    return struct {
        const Attempts = AttemptsType(Shared);
        const Lifetime = LifetimeType(Shared);
        const Repair = RepairType(Shared);
        const Sleep = SleepType(Shared);
        const Wait = WaitType(Shared);
        const Watching = WatchingType(Shared);

        /// Waits until the current attempt has an outcome. `Timeout`: it still waits.
        pub fn wait(handle: *Handle, deadline_ns: u64) Error!Outcome {
            const outcome = try Attempts.look(handle);
            if (outcome != abi.limit_waits) return outcome;
            var sleep: Sleep = undefined;
            sleep.begin(handle);
            defer sleep.end();
            defer Wait.awake(handle);
            while (true) {
                if (Lifetime.lost(handle)) return error.Corrupt;
                // mutant:blocking-sleep-not-announced
                Wait.announce(handle, if (sleep.bell < 0) .futex else .bell, .{});
                const armed = Watching.last_look(handle);
                if (armed == abi.arm_work) {
                    const now = try Attempts.look(handle);
                    if (now != abi.limit_waits) return now;
                } else if (armed == abi.arm_newcomer) {
                    sleep.watch();
                    continue;
                }
                if (deadline_ns != 0 and Shared.now_ns() >= deadline_ns) return error.Timeout;
                sleep.run(armed != abi.armed, deadline_ns);
                if (Lifetime.lost(handle)) return error.Corrupt;
                // No code of the program runs any more: the thread ends, and its end closes this handle.
                if (handle.interruption.is_due()) return error.Cancelled;
                if (sleep.is_blind) _ = Repair.sweep(handle);
            }
        }
    };
}
