//! Time that can be stopped: then it passes only while the process sleeps, and every sleep lasts as long as
//! allowed. So the number of wake-ups until a deadline, and with it the number of points, does not depend on
//! the load of the machine.

const point = @import("point.zig");
const clock = @import("../../platform/sys/clock.zig");
const futex = @import("../../platform/sys/futex.zig");

/// Null: time runs.
var stopped_at_ns: ?u64 = null;

pub fn stop() void {
    stopped_at_ns = clock.monotonic_ns();
}

pub fn now_ns() u64 {
    return stopped_at_ns orelse clock.monotonic_ns();
}

pub fn futex_wait(word: *const u32, expected: u32, timeout_ns: u64) void {
    const now = stopped_at_ns orelse return futex.wait(word, expected, timeout_ns);
    point.pass("futex");
    stopped_at_ns = now + timeout_ns;
}

pub fn sleep_ns(duration_ns: u64) void {
    const now = stopped_at_ns orelse return clock.sleep_ns(duration_ns);
    stopped_at_ns = now + duration_ns;
}
