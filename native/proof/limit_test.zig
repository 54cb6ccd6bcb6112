//! Tests of the concurrency limit, within one process.

const std = @import("std");
const testing = std.testing;
const abi = @import("../abi.zig");
const channel = @import("../channel.zig");
const world_of_tests = @import("test_world.zig");
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const limit_words = @import("../memory/limit_words.zig");
const attempts = @import("../calls/limit/attempts.zig");
const listing = @import("../calls/limit/listing.zig");
const Attempts = attempts.AttemptsType(Shared);
const Blocking = @import("../calls/limit/blocking.zig").BlockingType(Shared);
const Listing = listing.ListingType(Shared);
const Repair = @import("../protocol/repair.zig").RepairType(Shared);
const Terms = @import("../calls/limit/terms.zig").TermsType(Shared);
const Watching = @import("../calls/limit/watching.zig").WatchingType(Shared);
const World = world_of_tests.World;

fn request(handle: *Handle, wanted: attempts.Request) !i32 {
    var control: abi.Control = .{};
    return Attempts.request(handle, wanted, &control);
}

/// A limit and some contenders; the first one is the world's.
fn Group(comptime count: usize) type {
    return struct {
        const Self = @This();

        world: World,
        all: [count]*Handle,

        fn init(max: u32) !Self {
            const world = try World.init_limit(max);
            var all: [count]*Handle = undefined;
            all[0] = world.first;
            for (all[1..]) |*handle| handle.* = try world.contender();
            return .{ .world = world, .all = all };
        }

        fn deinit(group: *const Self) void {
            for (group.all[1..]) |handle| channel.close(handle, .unmap);
            group.world.deinit();
        }
    };
}

test "places are granted from 1, in the order of the tickets" {
    const group = try Group(4).init(2);
    defer group.deinit();
    const a, const b, const c, const d = group.all;
    try testing.expectEqual(1, try request(a, .{}));
    try testing.expectEqual(1, try request(a, .{}));
    try testing.expectEqual(2, try request(b, .{}));
    try testing.expectEqual(abi.limit_waits, try request(c, .{}));
    try testing.expectEqual(abi.limit_waits, try request(d, .{}));
    try testing.expectEqual(abi.limit_waits, try Attempts.look(d));
    try testing.expect(Attempts.release(a));
    try testing.expect(!Attempts.release(a));
    try testing.expectEqual(abi.limit_waits, try Attempts.look(d));
    try testing.expectEqual(1, try Attempts.look(c));
    try testing.expect(Attempts.release(b));
    try testing.expectEqual(2, try Attempts.look(d));
    try testing.expect(Attempts.release(d));
    try testing.expect(Attempts.release(c));
    try testing.expectEqual(abi.limit_idle, Attempts.state(c));
}

test "tokens grow, and begin at the wall clock" {
    const group = try Group(2).init(1);
    defer group.deinit();
    const a, const b = group.all;
    _ = try request(a, .{});
    const first = a.contention.token;
    try testing.expect(first > 1_700_000_000_000_000);
    try testing.expectEqual(abi.limit_waits, try request(b, .{}));
    _ = Attempts.release(a);
    try testing.expectEqual(1, try Attempts.look(b));
    try testing.expectEqual(first + 1, b.contention.token);
}

test "a try overtakes no waiter, and leaves nothing behind" {
    const group = try Group(3).init(1);
    defer group.deinit();
    const a, const b, const c = group.all;
    try testing.expectEqual(1, try request(a, .{ .brief = true }));
    try testing.expectEqual(abi.limit_not_now, try request(b, .{ .brief = true }));
    try testing.expectEqual(abi.limit_waits, try request(b, .{}));
    try testing.expectEqual(abi.limit_not_now, try request(c, .{ .brief = true }));
    _ = Attempts.release(a);
    try testing.expectEqual(abi.limit_not_now, try request(c, .{ .brief = true }));
    try testing.expectEqual(1, Attempts.withdraw(b));
    try testing.expectEqual(1, Attempts.state(b));
    _ = Attempts.release(b);
    try testing.expectEqual(1, try request(c, .{ .brief = true }));
}

test "sharers have one place, and wait behind an exclusive waiter" {
    const group = try Group(5).init(1);
    defer group.deinit();
    const a, const b, const c, const d, const e = group.all;
    try testing.expectEqual(1, try request(a, .{ .shared = true }));
    try testing.expectEqual(1, try request(b, .{ .shared = true }));
    try testing.expectEqual(abi.limit_waits, try request(c, .{}));
    try testing.expectEqual(abi.limit_waits, try request(d, .{ .shared = true }));
    try testing.expectEqual(abi.limit_waits, try request(e, .{ .shared = true }));
    _ = Attempts.release(b);
    try testing.expectEqual(abi.limit_waits, try Attempts.look(c));
    _ = Attempts.release(a);
    try testing.expectEqual(1, try Attempts.look(c));
    try testing.expectEqual(abi.limit_waits, try Attempts.look(d));
    _ = Attempts.release(c);
    try testing.expectEqual(1, try Attempts.look(d));
    try testing.expectEqual(1, try Attempts.look(e));
}

test "standbys beyond the number are refused" {
    const group = try Group(4).init(1);
    const a, const b, const c, const d = group.all;
    try testing.expectEqual(1, try request(a, .{ .standby = 0 }));
    try testing.expectEqual(abi.limit_refused_full, try request(b, .{ .standby = 0 }));
    try testing.expectEqual(abi.limit_waits, try request(b, .{ .standby = 1 }));
    try testing.expectEqual(abi.limit_refused_full, try request(c, .{ .standby = 1 }));
    // A dead standby counts no more, although nobody watches it.
    world_of_tests.bury(b);
    try testing.expectEqual(abi.limit_waits, try request(c, .{ .standby = 1 }));
    try testing.expectEqual(abi.limit_refused_full, try request(d, .{ .standby = 1 }));
    channel.close(c, .unmap);
    channel.close(d, .unmap);
    group.world.deinit();
}

test "newest first: older standbys retire" {
    const group = try Group(4).init(1);
    defer group.deinit();
    var control: abi.Control = .{};
    for (group.all) |handle| try Terms.want(handle, 1, abi.limit_newest, &control);
    const a, const b, const c, const d = group.all;
    try testing.expectEqual(1, try request(a, .{}));
    try testing.expectEqual(abi.limit_waits, try request(b, .{}));
    try testing.expectEqual(abi.limit_waits, try request(c, .{ .standby = 2 }));
    try testing.expectEqual(abi.limit_refused_replaced, try Attempts.look(b));
    try testing.expectEqual(abi.limit_waits, try request(d, .{}));
    try testing.expectEqual(abi.limit_waits, try Attempts.look(c));
    _ = Attempts.release(a);
    try testing.expectEqual(1, try Attempts.look(d));
    _ = Attempts.release(d);
    try testing.expectEqual(1, try Attempts.look(c));
}

test "a thief takes all places, before all that wait" {
    const group = try Group(4).init(2);
    defer group.deinit();
    const a, const b, const c, const d = group.all;
    _ = try request(a, .{});
    _ = try request(b, .{});
    try testing.expectEqual(abi.limit_waits, try request(c, .{}));
    const token = b.contention.token;
    try testing.expectEqual(1, try request(d, .{ .steal = true }));
    try testing.expect(d.contention.token > token);
    for ([_]*Handle{ a, b }) |victim| {
        try testing.expectEqual(abi.limit_lost, Attempts.heartbeat(victim));
        try testing.expectEqual(abi.limit_lost, try Attempts.look(victim));
        try testing.expect(!Attempts.release(victim));
        try testing.expectEqual(abi.limit_idle, Attempts.state(victim));
    }
    try testing.expectEqual(2, try Attempts.look(c));
}

test "the dead free their places, and those that wait watch those that hold" {
    const group = try Group(3).init(1);
    const a, const b, const c = group.all;
    try testing.expectEqual(1, try request(b, .{}));
    try testing.expectEqual(abi.limit_waits, try request(a, .{}));
    try testing.expectEqual(abi.limit_waits, try request(c, .{}));
    // Anonymous limits have life sockets, too.
    const watch = Watching.watch_next(c);
    try testing.expectEqual(a.index, watch.fd.index);
    try testing.expectEqual(.complete, Watching.watch_next(c));
    try testing.expectEqual(b.index, Watching.watch_next(a).fd.index);
    a.contention.known = .waiting;
    world_of_tests.bury(b);
    try testing.expect(Repair.sweep(a));
    try testing.expectEqual(1, try Attempts.look(a));
    try testing.expectEqual(abi.limit_waits, try Attempts.look(c));
    channel.close(a, .unmap);
    try testing.expectEqual(1, try Attempts.look(c));
    channel.close(c, .unmap);
}

test "a holder that died unwatched does not stop a try" {
    const group = try Group(3).init(1);
    const a, const b, const c = group.all;
    try testing.expectEqual(1, try request(b, .{}));
    world_of_tests.bury(b);
    try testing.expectEqual(1, try request(c, .{ .brief = true }));
    channel.close(c, .unmap);
    channel.close(a, .unmap);
}

test "other terms are refused while others contend, and adopted otherwise" {
    const group = try Group(2).init(2);
    defer group.deinit();
    const a, const b = group.all;
    var control: abi.Control = .{};
    _ = try request(a, .{});
    try testing.expectError(error.Mismatch, Terms.want(b, 3, 0, &control));
    try testing.expectEqual(@backingInt(abi.Detail.limit_max), control.detail);
    try testing.expectEqual(2, control.found);
    try testing.expectEqual(3, control.wanted);
    try testing.expectError(error.Mismatch, Terms.want(b, 2, abi.limit_newest, &control));
    _ = Attempts.release(a);
    try Terms.want(b, 3, abi.limit_newest, &control);
    try testing.expectEqual(1, try request(b, .{}));
    try testing.expectError(error.Mismatch, request(a, .{}));
    try testing.expectEqual(abi.limit_idle, Attempts.state(a));
    _ = Attempts.release(b);
    try testing.expectEqual(1, try request(a, .{}));
}

test "a resize counts for all, and grants at once" {
    const group = try Group(5).init(1);
    defer group.deinit();
    const a, const b, const c, const d, const e = group.all;
    var control: abi.Control = .{};
    for (group.all) |handle| try Terms.want(handle, 1, 0, &control);
    try testing.expectEqual(1, try request(a, .{}));
    for ([_]*Handle{ b, c, d }) |waiter| try testing.expectEqual(abi.limit_waits, try request(waiter, .{}));
    Terms.resize(a, 3);
    try testing.expectEqual(2, Attempts.state(b));
    try testing.expectEqual(3, Attempts.state(c));
    try testing.expectEqual(abi.limit_waits, Attempts.state(d));
    try testing.expectEqual(abi.limit_waits, try request(e, .{}));
    Terms.resize(e, 2);
    _ = Attempts.release(a);
    try testing.expectEqual(abi.limit_waits, try Attempts.look(d));
    _ = try Attempts.look(c);
    _ = Attempts.release(c);
    try testing.expectEqual(1, try Attempts.look(d));
}

test "a list has those that hold and those that wait" {
    const group = try Group(3).init(1);
    defer group.deinit();
    const a, const b, const c = group.all;
    _ = try request(b, .{});
    _ = try request(c, .{ .shared = true });
    _ = try request(a, .{});
    var out: [3 * listing.field_count]f64 = undefined;
    var control: abi.Control = .{};
    try testing.expectEqual(3, Listing.list(a, &out, &control));
    try testing.expectEqual(1, control.list_holders);
    try testing.expectEqual(2, control.list_waiters);
    for ([_]*Handle{ b, c, a }, 0..) |handle, position| {
        const index = out[position * listing.field_count + @backingInt(abi.LimitField.index)];
        try testing.expectEqual(@as(f64, @floatFromInt(handle.index)), index);
    }
    try testing.expectEqual(3, Listing.list(a, out[0..5], &control));
}

test "a thread waits until its deadline, or has the place" {
    const group = try Group(2).init(1);
    defer group.deinit();
    const a, const b = group.all;
    _ = try request(a, .{});
    _ = try request(b, .{});
    try testing.expectError(error.Timeout, Blocking.wait(b, Shared.now_ns() + std.time.ns_per_ms));
    const release = struct {
        fn run(handle: *Handle) void {
            _ = Attempts.release(handle);
        }
    }.run;
    const releaser = try std.Thread.spawn(.{}, release, .{a});
    try testing.expectEqual(1, try Blocking.wait(b, 0));
    releaser.join();
}

test "a thread that waits notices a death" {
    const group = try Group(3).init(1);
    const a, const b, const c = group.all;
    _ = try request(b, .{});
    _ = try request(c, .{});
    const die = struct {
        fn run(handle: *Handle) void {
            // The wait has its bell when it is about to sleep.
            while (Shared.load(u32, &handle.map.participant(2).bell, .acquire) == 0) std.Thread.yield() catch {};
            world_of_tests.die(handle);
        }
    }.run;
    const killer = try std.Thread.spawn(.{}, die, .{b});
    try testing.expectEqual(1, try Blocking.wait(c, 0));
    killer.join();
    b.destroy();
    channel.close(c, .unmap);
    channel.close(a, .unmap);
}

test "many threads, few places: never more holders, and no place is lost" {
    const max = 2;
    const group = try Group(6).init(max);
    defer group.deinit();
    const Counts = struct { holders: u32 = 0, most: u32 = 0 };
    var counts: Counts = .{};
    const work = struct {
        fn run(handle: *Handle, shared: *Counts) !void {
            for (0..3000) |_| {
                if (try request(handle, .{}) == abi.limit_waits) _ = try Blocking.wait(handle, 0);
                const now = @atomicRmw(u32, &shared.holders, .Add, 1, .seq_cst) + 1;
                _ = @atomicRmw(u32, &shared.most, .Max, now, .seq_cst);
                _ = @atomicRmw(u32, &shared.holders, .Sub, 1, .seq_cst);
                try testing.expect(Attempts.release(handle));
            }
        }
    }.run;
    var threads: [6]std.Thread = undefined;
    for (&threads, group.all) |*thread, handle| thread.* = try std.Thread.spawn(.{}, work, .{ handle, &counts });
    for (threads) |thread| thread.join();
    try testing.expect(counts.most <= max);
    for (group.all) |handle| try testing.expectEqual(abi.limit_idle, Attempts.state(handle));
    try testing.expectEqual(1, try request(group.all[0], .{}));
    try testing.expectEqual(2, try request(group.all[1], .{}));
}
