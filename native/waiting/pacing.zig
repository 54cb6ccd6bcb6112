//! When a blocking wait polls and when it sleeps: it spins, then yields, then sleeps. Each handle adapts
//! the lengths of these phases to its earlier waits.

const std = @import("std");

/// A spin that succeeds costs 0.1 µs, and a wake-up 25–30 µs on a virtual machine. 200 pauses (5.6 µs) and
/// 50 yields behave well both alone and when there are more processes than processors.
///
/// Where both sides share a processor, every pause keeps the other side from answering. So the spin
/// shrinks while answers come only after a yield. Its minimum is above the round trip between two
/// processors: otherwise one bad moment would turn spinning off for ever.
pub const spin_turns_max = 200;
const spin_turns_min = 16;

/// Polling steals the cache line that the server is about to write. So between its first and its second
/// look for an answer, a client makes as many pauses as recent answers took. A look that comes too early
/// adds one pause, and a look that finds the answer removes an eighth: about one look in nine is too
/// early, and the unnecessary wait stays near one pause.
const quiet_turns_max = 64;
const eighths = 8;

/// If sleeps are so short that they cost more than they save, the next wait yields more often before it
/// sleeps, up to this factor. 50 yields take 20 µs, a sleep with its wake-up takes 50 to 100 µs, and a
/// peer needs 25 µs to fill a megabyte in place.
const yield_factor_max = 8;
const short_sleep_ns = 200 * std.time.ns_per_us;

/// What the waits of one handle have learned.
pub const Learned = struct {
    spin_turns: u32 = spin_turns_max,
    /// How long to wait for an answer before the second look, in eighths of a turn.
    quiet_eighths: u32 = 0,
    yield_factor: u32 = 1,

    pub fn learn_quiet(learned: *Learned, was_early: bool) void {
        learned.quiet_eighths = if (was_early)
            @min(quiet_turns_max * eighths, learned.quiet_eighths + eighths)
        else
            learned.quiet_eighths -| 1;
    }

    pub fn learn_sleep(learned: *Learned, was_rung: bool, slept_ns: u64) void {
        learned.yield_factor = if (was_rung and slept_ns < short_sleep_ns)
            @min(yield_factor_max, learned.yield_factor * 2)
        else
            @max(1, learned.yield_factor / 2);
    }
};

/// The part of a blocking wait before it sleeps.
pub fn PacingType(comptime Shared: type) type {
    return struct {
        const Pacing = @This();

        turn: u32 = 0,
        spin_turns: u32,
        /// The number of spin turns before the second look; null: a look follows each turn.
        quiet_turns: ?u32 = null,
        yield_turns: u32 = Shared.yield_turns,

        pub fn of(learned: *const Learned) Pacing {
            return .{ .spin_turns = learned.spin_turns, .yield_turns = learned.yield_factor * Shared.yield_turns };
        }

        pub fn for_answer(learned: *const Learned) Pacing {
            var pacing: Pacing = .of(learned);
            pacing.quiet_turns = @min(learned.quiet_eighths / eighths, pacing.spin_turns);
            return pacing;
        }

        /// For waits whose looks are too expensive for a tight loop.
        pub const yielding: Pacing = .{ .spin_turns = 0 };

        /// True: look again; false: it is time to sleep.
        pub inline fn again(pacing: *Pacing) bool {
            if (pacing.turn < pacing.spin_turns) {
                Shared.pause();
                const quiet_turns = pacing.quiet_turns orelse 0;
                while (pacing.turn + 1 < quiet_turns) : (pacing.turn += 1) Shared.pause();
            } else if (pacing.turn < pacing.spin_turns + pacing.yield_turns) {
                Shared.yield();
            } else {
                return false;
            }
            pacing.turn += 1;
            return true;
        }

        /// The wait has succeeded: remembers in which phase. An immediate hit says nothing about whether
        /// polling pays off.
        pub inline fn learn(pacing: *const Pacing, learned: *Learned) void {
            if (pacing.turn == 0) return;
            if (pacing.turn <= pacing.spin_turns) {
                if (pacing.quiet_turns) |quiet_turns| learned.learn_quiet(pacing.turn > @max(1, quiet_turns));
                learned.spin_turns = @min(spin_turns_max, pacing.spin_turns * 2);
            } else {
                learned.spin_turns = @max(spin_turns_min, pacing.spin_turns / 2);
            }
        }
    };
}

/// Takes no time.
const Spinning = PacingType(struct {
    const yield_turns = 50;
    fn pause() void {}
    fn yield() void {}
});

test "a spin shrinks while answers come only after a yield, and grows once they come before" {
    var learned: Learned = .{};
    for ([_]u32{ 100, 50, 25, spin_turns_min, spin_turns_min }) |expected| {
        var pacing: Spinning = .of(&learned);
        for (0..learned.spin_turns + 1) |_| try std.testing.expect(pacing.again());
        pacing.learn(&learned);
        try std.testing.expectEqual(expected, learned.spin_turns);
    }
    const at_once: Spinning = .of(&learned);
    at_once.learn(&learned);
    try std.testing.expectEqual(spin_turns_min, learned.spin_turns);
    for ([_]u32{ 32, 64, 128, spin_turns_max, spin_turns_max }) |expected| {
        var pacing: Spinning = .of(&learned);
        try std.testing.expect(pacing.again());
        pacing.learn(&learned);
        try std.testing.expectEqual(expected, learned.spin_turns);
    }
}

test "a wait yields more often after sleeps that rings ended soon, up to eight times as often" {
    var learned: Learned = .{};
    for ([_]u32{ 2, 4, yield_factor_max, yield_factor_max }) |expected| {
        learned.learn_sleep(true, short_sleep_ns - 1);
        try std.testing.expectEqual(expected, learned.yield_factor);
    }
    var pacing: Spinning = .of(&learned);
    for (0..spin_turns_max + yield_factor_max * 50) |_| try std.testing.expect(pacing.again());
    try std.testing.expect(!pacing.again());
    learned.learn_sleep(true, short_sleep_ns);
    try std.testing.expectEqual(yield_factor_max / 2, learned.yield_factor);
    for ([_]u32{ 2, 1, 1 }) |expected| {
        learned.learn_sleep(false, 0);
        try std.testing.expectEqual(expected, learned.yield_factor);
    }
}

test "the second look for an answer comes when recent answers came" {
    var learned: Learned = .{};
    const Calls = struct {
        /// Waits for `answers` answers that take `turns` each. Returns the mean looks and turns of the
        /// second half of them.
        fn wait_for(of: *Learned, turns: u32, answers: u32) struct { looks: u32, turns: u32 } {
            var looks: u32 = 0;
            var waited: u32 = 0;
            for (0..answers) |answer| {
                var pacing: Spinning = .for_answer(of);
                var seen: u32 = 1;
                while (pacing.turn < turns) : (seen += 1) std.debug.assert(pacing.again());
                pacing.learn(of);
                if (answer < answers / 2) continue;
                looks += seen;
                waited += pacing.turn;
            }
            return .{ .looks = looks / (answers / 2), .turns = waited / (answers / 2) };
        }
    };
    const fresh = Calls.wait_for(&learned, 20, 2);
    try std.testing.expect(fresh.looks > 10);
    for ([_]u32{ 20, 3, 40 }) |turns| {
        const after_learning = Calls.wait_for(&learned, turns, 2000);
        try std.testing.expectEqual(2, after_learning.looks);
        try std.testing.expectEqual(turns, after_learning.turns);
    }
}
