//! Tests of the concurrency limit, within one process.

const std = @import("std");
const testing = std.testing;
const abi = @import("../abi.zig");
const channel = @import("../channel.zig");
const world_of_tests = @import("test_world.zig");
const files = @import("../platform/sys/files.zig");
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
    // Anonymous limits have life pipes, too.
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

test "garbage in the memory of a limit neither crashes nor hangs anyone" {
    const group = try Group(3).init(2);
    defer group.deinit();
    const a, const b, const c = group.all;
    const area = a.map.limit();
    var prng: std.Random.DefaultPrng = .init(11);
    const random = prng.random();
    var control: abi.Control = .{};
    var out: [8 * listing.field_count]f64 = undefined;
    for (0..60) |turn| {
        // Sometimes everything, sometimes a few words, so that the rest makes sense.
        const bytes = std.mem.asBytes(area);
        if (turn % 3 == 0) random.bytes(bytes);
        for (0..random.uintLessThan(u32, 40)) |_| {
            const offset = random.uintLessThan(usize, bytes.len / 8) * 8;
            random.bytes(bytes[offset..][0..8]);
        }
        // Few contenders, many places and the reverse.
        if (turn % 2 == 0) area.contending = @splat(random.int(u64));
        if (turn % 4 == 0) area.queue.next = random.int(u20);
        for ([_]*Handle{ a, b, c }) |handle| {
            Terms.want(handle, random.uintLessThan(u32, 3), random.uintLessThan(u32, 3), &control) catch {};
            _ = request(handle, attempts.Request{
                .shared = random.uintLessThan(u32, 2) == 0,
                .steal = random.uintLessThan(u32, 2) == 0,
                .brief = random.uintLessThan(u32, 2) == 0,
                .standby = random.uintLessThan(u32, 3),
            }) catch {};
            _ = Attempts.look(handle) catch {};
            _ = Watching.arm(handle);
            switch (Watching.watch_next(handle)) {
                .fd => |watch| files.close(watch.fd),
                else => {},
            }
            _ = Blocking.wait(handle, 1) catch {};
            _ = Listing.list(handle, &out, &control);
            Terms.resize(handle, random.uintLessThan(u32, 2000));
            _ = Attempts.heartbeat(handle);
            _ = Attempts.withdraw(handle);
            _ = Attempts.release(handle);
        }
    }
    area.* = std.mem.zeroes(@TypeOf(area.*));
}

/// What several threads do to one limit at random, and what must hold all the time.
const Crowd = struct {
    const max = 2;
    const members = 6;

    /// Sharers in the high half, exclusive holders in the low one: all of one moment.
    holders: u64 = 0,
    faults: u32 = 0,

    const one_sharer = 1 << 32;

    fn enter(crowd: *Crowd, is_shared: bool) void {
        const one: u64 = if (is_shared) one_sharer else 1;
        const now = @atomicRmw(u64, &crowd.holders, .Add, one, .seq_cst) + one;
        // Sharers occupy one place together.
        const exclusive: u32 = @truncate(now);
        if (exclusive + @intFromBool(now >= one_sharer) > max) crowd.fault();
    }

    fn leave(crowd: *Crowd, is_shared: bool) void {
        _ = @atomicRmw(u64, &crowd.holders, .Sub, if (is_shared) one_sharer else 1, .seq_cst);
    }

    fn fault(crowd: *Crowd) void {
        _ = @atomicRmw(u32, &crowd.faults, .Add, 1, .seq_cst);
    }

    fn run(crowd: *Crowd, handle: *Handle, seed: u64, turns: u32) void {
        var prng: std.Random.DefaultPrng = .init(seed);
        const random = prng.random();
        for (0..turns) |_| {
            const wanted: attempts.Request = .{
                .shared = random.uintLessThan(u32, 3) == 0,
                .brief = random.uintLessThan(u32, 5) == 0,
                .standby = if (random.uintLessThan(u32, 5) == 0) 2 else abi.limit_no_standby,
            };
            var outcome = request(handle, wanted) catch return crowd.fault();
            if (outcome == abi.limit_waits) {
                const patience_ns: u64 = if (random.uintLessThan(u32, 4) == 0) random.uintLessThan(u64, 50_000) else 0;
                const deadline_ns = if (patience_ns == 0) 0 else Shared.now_ns() + patience_ns;
                outcome = Blocking.wait(handle, deadline_ns) catch |err| switch (err) {
                    error.Timeout => Attempts.withdraw(handle),
                    else => return crowd.fault(),
                };
            }
            if (outcome <= 0) continue;
            if (outcome > max) crowd.fault();
            crowd.enter(wanted.shared);
            if (random.uintLessThan(u32, 3) == 0) std.Thread.yield() catch {};
            crowd.leave(wanted.shared);
            if (!Attempts.release(handle)) crowd.fault();
        }
    }
};

test "many threads, few places: never more holders, and no place is lost" {
    const group = try Group(Crowd.members).init(Crowd.max);
    defer group.deinit();
    var crowd: Crowd = .{};
    var threads: [Crowd.members]std.Thread = undefined;
    for (&threads, group.all, 0..) |*thread, handle, seed| {
        thread.* = try std.Thread.spawn(.{}, Crowd.run, .{ &crowd, handle, seed, 2000 });
    }
    for (threads) |thread| thread.join();
    try testing.expectEqual(0, crowd.faults);
    for (group.all) |handle| try testing.expectEqual(abi.limit_idle, Attempts.state(handle));
    try testing.expectEqual(1, try request(group.all[0], .{}));
    try testing.expectEqual(2, try request(group.all[1], .{}));
}
