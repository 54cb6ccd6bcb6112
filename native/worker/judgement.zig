//! When a worker has to be killed for a call.

const std = @import("std");
const Reason = @import("record.zig").Reason;

pub const Limits = struct {
    /// How long a call may go on when no client waits for it any more. Null: for ever.
    abort_grace_ns: ?u64,
    /// How long a call may take. Null: for ever.
    hung_ns: ?u64,

    /// How often the guard looks whether clients have left. It cannot be told: the event loop, which others
    /// ring, may be what hangs.
    pub fn look_ns(limits: Limits) u64 {
        const shortest = 5 * std.time.ns_per_ms;
        return @max((limits.abort_grace_ns orelse return never) / 4, shortest);
    }
};

pub const never = std.math.maxInt(u64);

/// What the guard has found out about a call.
pub const Facts = struct {
    since_ns: u64,
    /// Until when its client waits; 0: for ever.
    deadline_ns: u64,
    /// When the guard noticed that no client waits any more; null: one does.
    noticed_ns: ?u64,
    /// Its handle is closed, so no guard can know whether a client waits.
    is_forgotten: bool,
};

pub const Judgement = union(enum) {
    condemn: Reason,
    /// It may go on at least until then.
    until_ns: u64,
};

pub fn judge(facts: Facts, limits: Limits, now_ns: u64) Judgement {
    var until_ns: u64 = never;
    if (limits.hung_ns) |hung_ns| {
        const hung_at = facts.since_ns +| hung_ns;
        if (now_ns >= hung_at) return .{ .condemn = .hung };
        until_ns = hung_at;
    }
    const abort_grace_ns = limits.abort_grace_ns orelse return .{ .until_ns = until_ns };
    if (facts.noticed_ns) |noticed_ns| {
        const killed_at = noticed_ns +| abort_grace_ns;
        if (now_ns >= killed_at) return .{ .condemn = .timed_out };
        return .{ .until_ns = @min(until_ns, killed_at) };
    }
    if (facts.is_forgotten) return .{ .until_ns = until_ns };
    // The deadline is known. Whether the client leaves before, only a look can tell.
    if (facts.deadline_ns > now_ns) until_ns = @min(until_ns, facts.deadline_ns);
    return .{ .until_ns = @min(until_ns, now_ns +| limits.look_ns()) };
}

const ms = std.time.ns_per_ms;
const usual: Limits = .{ .abort_grace_ns = 100 * ms, .hung_ns = 1000 * ms };

fn expect(expected: Judgement, facts: Facts, limits: Limits, now_ns: u64) !void {
    try std.testing.expectEqual(expected, judge(facts, limits, now_ns));
}

test "a call with a client is looked at now and then, and exactly at its deadline and its limit" {
    const call: Facts = .{ .since_ns = 0, .deadline_ns = 90 * ms, .noticed_ns = null, .is_forgotten = false };
    try expect(.{ .until_ns = 25 * ms }, call, usual, 0);
    try expect(.{ .until_ns = 90 * ms }, call, usual, 70 * ms);
    try expect(.{ .until_ns = 1000 * ms }, call, usual, 990 * ms);
    try expect(.{ .condemn = .hung }, call, usual, 1000 * ms);
    const quick: Limits = .{ .abort_grace_ns = 0, .hung_ns = null };
    try expect(.{ .until_ns = 5 * ms }, call, quick, 0);
}

test "a call without a client goes on for the grace after that was noticed" {
    const call: Facts = .{ .since_ns = 0, .deadline_ns = 0, .noticed_ns = 300 * ms, .is_forgotten = false };
    try expect(.{ .until_ns = 400 * ms }, call, usual, 300 * ms);
    try expect(.{ .until_ns = 400 * ms }, call, usual, 400 * ms - 1);
    try expect(.{ .condemn = .timed_out }, call, usual, 400 * ms);
    try expect(.{ .condemn = .timed_out }, call, .{ .abort_grace_ns = 0, .hung_ns = null }, 300 * ms);
}

test "no limit, and a closed handle: nothing to look for" {
    const call: Facts = .{ .since_ns = 0, .deadline_ns = 0, .noticed_ns = null, .is_forgotten = true };
    try expect(.{ .until_ns = 1000 * ms }, call, usual, 0);
    try expect(.{ .until_ns = never }, call, .{ .abort_grace_ns = 0, .hung_ns = null }, 0);
    const noticed: Facts = .{ .since_ns = 0, .deadline_ns = 0, .noticed_ns = 0, .is_forgotten = false };
    try expect(.{ .until_ns = never }, noticed, .{ .abort_grace_ns = null, .hung_ns = null }, 1000 * ms);
}
