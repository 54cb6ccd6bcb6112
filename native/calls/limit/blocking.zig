//! Waiting for a place in a thread that blocks.

const abi = @import("../../abi.zig");
const Error = abi.Error;
const Handle = @import("../../handle.zig").Handle;
const AttemptsType = @import("attempts.zig").AttemptsType;
const CallsType = @import("../calls.zig").CallsType;
const LifetimeType = @import("../lifetime.zig").LifetimeType;
const RepairType = @import("../../protocol/repair.zig").RepairType;
const WaitType = @import("../../protocol/wait.zig").WaitType;
const Outcome = @import("attempts.zig").Outcome;

pub fn BlockingType(comptime Shared: type) type {
    return struct {
        const Attempts = AttemptsType(Shared);
        const Lifetime = LifetimeType(Shared);
        const Repair = RepairType(Shared);
        const Wait = WaitType(Shared);

        /// Waits until the current attempt has an outcome. `Timeout`: it still waits.
        pub fn wait(handle: *Handle, deadline_ns: u64) Error!Outcome {
            var slice: u32 = 0;
            while (true) {
                if (Lifetime.lost(handle)) return error.Corrupt;
                Wait.announce(handle, .futex, .{});
                defer Wait.awake(handle);
                const outcome = try Attempts.look(handle);
                if (outcome != abi.limit_waits) return outcome;
                if (deadline_ns != 0 and Shared.now_ns() >= deadline_ns) return error.Timeout;
                _ = Wait.sleep(handle, &slice, deadline_ns);
                if (Lifetime.lost(handle)) return error.Corrupt;
                if (handle.interruption.is_due()) return error.Cancelled;
                _ = Repair.sweep(handle);
            }
        }
    };
}
