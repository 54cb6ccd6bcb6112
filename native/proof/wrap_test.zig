//! Numbers that reach a limit: of 32 bits, of the integers in a double (2^53), of 63 and 64 bits, and of
//! their own fields. A channel is made old enough, and then lives across the limit.

const std = @import("std");
const testing = std.testing;
const abi = @import("../abi.zig");
const ageing = @import("ageing.zig");
const channel = @import("../channel.zig");
const layout = @import("../memory/layout.zig");
const slots = @import("../protocol/slots.zig");
const words = @import("../memory/words.zig");
const world_of_tests = @import("test_world.zig");
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const NotifyDescriptor = @import("../calls/notify_descriptor.zig").NotifyDescriptorType(Shared);
const EventLoop = @import("../calls/event_loop.zig").EventLoopType(Shared);
const DeathWatch = @import("../calls/death_watch.zig").DeathWatchType(Shared);
const Repair = @import("../protocol/repair.zig").RepairType(Shared);
const Slots = slots.SlotsType(Shared);
const Wait = @import("../protocol/wait.zig").WaitType(Shared);
const World = world_of_tests.World;
const die = world_of_tests.die;
const expect_all_free = world_of_tests.expect_all_free;
const expect_answer = world_of_tests.expect_answer;
const receive = world_of_tests.receive;
const send = world_of_tests.send;

/// Common limits, and one more for each field's own width.
fn borders(comptime own_bits: u7) [6]u64 {
    const own: u128 = 1 << own_bits;
    return .{ 1 << 31, 1 << 32, 1 << 53, 1 << 63, 0, @truncate(own) };
}

const slot_count = 4;

/// How far below the limit a number starts, and how far beyond it it goes at least.
const margin = 3;

fn before(border: u64) u64 {
    return border -% margin;
}

/// Every operation of a channel, several times, including deaths.
fn live(world: World) !void {
    const client = try world.client();
    defer channel.close(client, .unmap);
    var last_id: [slot_count]u64 = @splat(0);
    for (0..2 * margin) |_| {
        const answered = try send(client, "answered", 1);
        try testing.expectEqual(answered, try receive(world.first));
        try expect_newer(&last_id, answered);
        try testing.expect(try Slots.reply(world.first, answered, "yes", 3, .bytes));
        try testing.expect(!try Slots.reply(world.first, answered, "yes", 3, .bytes));
        try expect_answer(client, answered, "yes");
        try testing.expectError(error.Cancelled, Slots.answer(client, answered));

        const cancelled = try send(client, "cancelled", 1);
        try expect_newer(&last_id, cancelled);
        try testing.expect(Slots.cancel(client, cancelled));

        // Servers skip the cancelled request; the order of the others stays.
        const abandoned = try send(client, "abandoned", 1);
        const posted = (try Calls.send(client, "posted", .{ .one_way = true }, false)).?;
        try testing.expectEqual(abandoned, try receive(world.first));
        try testing.expectEqual(posted, try receive(world.first));
        try testing.expect(Slots.cancel(client, abandoned));
        try testing.expect(!try Slots.reply(world.first, abandoned, "no", 2, .bytes));
        try testing.expect(try Slots.reply(world.first, posted, "", 0, .bytes));

        try redeliver(world, client);
        try reclaim(world, client);
        try testing.expectError(error.NothingThere, receive(world.first));
    }
    try expect_all_free(client);
}

/// For every slot, each call's id is above the earlier ones.
fn expect_newer(last_id: *[slot_count]u64, call: slots.Call) !void {
    try testing.expect(call.generation > last_id[call.slot]);
    last_id[call.slot] = call.generation;
}

fn redeliver(world: World, client: *Handle) !void {
    const call = try send(client, "redelivered", 2);
    const victim = try world.server();
    try testing.expectEqual(call, try receive(victim));
    die(victim);
    try testing.expect(Repair.sweep(client));
    try testing.expect(!Repair.sweep(client));
    try testing.expectEqual(call, try receive(world.first));
    try testing.expect(try Slots.reply(world.first, call, "second", 6, .bytes));
    try expect_answer(client, call, "second");
}

/// A client dies with a request in every state, and nothing of it stays.
fn reclaim(world: World, client: *Handle) !void {
    const victim = try world.client();
    const held = try send(victim, "held", 1);
    try testing.expectEqual(held, try receive(world.first));
    _ = try send(victim, "queued", 1);
    _ = (try Calls.allocate(victim, 5)).?;
    die(victim);
    try testing.expect(Repair.sweep(client));
    try testing.expectEqual(Slots.Held.abandoned, Slots.held(world.first, held));
    try testing.expect(!try Slots.reply(world.first, held, "x", 1, .bytes));
}

test "generations across every border but their last" {
    for (borders(@bitSizeOf(words.Generation))[0..2] ++ [_]u64{ 1 << 14, 1 << 45 }) |border| {
        const world = try World.init_old(slot_count, 2, .{ .generation = before(border) });
        defer world.deinit();
        try live(world);
        const word = Shared.load(words.SlotWord, &world.first.map.slot(0).word, .acquire);
        try testing.expect(word.generation >= border);
    }
}

test "a slot at its last generation is used once more, and never again" {
    const world = try World.init_old(1, 2, .{ .generation = words.generation_max - 2 });
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    for ([_]words.Generation{ words.generation_max - 1, words.generation_max }) |generation| {
        const call = try send(client, "a", 2);
        try testing.expectEqual(generation, call.generation);
        const victim = try world.server();
        try testing.expectEqual(call, try receive(victim));
        die(victim);
        try testing.expect(Repair.sweep(client));
        try testing.expectEqual(call, try receive(world.first));
        try testing.expect(try Slots.reply(world.first, call, "b", 1, .bytes));
        try expect_answer(client, call, "b");
    }
    // Behaves as if all slots were taken: null immediately, and BUSY at the deadline of a wait.
    try testing.expectError(error.NoSlot, send(client, "c", 1));
    const soon: slots.Request = .{ .deadline_ns = Shared.now_ns() + std.time.ns_per_ms };
    try testing.expectError(error.Busy, Calls.send(client, "c", soon, true));
    try testing.expect(!Repair.sweep(client));
    try expect_all_free(client);
}

test "slots that are younger go on when others have come to their last generation" {
    const world = try World.init_old(2, 1, .{ .generation = words.generation_max });
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    try testing.expectError(error.NoSlot, send(client, "a", 1));
    Shared.store(words.SlotWord, &client.map.slot(1).word, .{ .generation = 7 }, .seq_cst);
    for (8..20) |generation| {
        const call = try send(client, "a", 1);
        try testing.expectEqual(slots.Call{ .slot = 1, .generation = @intCast(generation) }, call);
        try testing.expect(try Slots.reply(world.first, try receive(world.first), "b", 1, .bytes));
        try expect_answer(client, call, "b");
    }
}

test "positions of the ring across every border, and their laps" {
    const cells_bits = 12;
    for (borders(@bitSizeOf(@FieldType(words.Cell, "lap")) + cells_bits)) |border| {
        const world = try World.init_old(slot_count, 2, .{ .position = before(border) });
        defer world.deinit();
        try testing.expectEqual(1 << cells_bits, world.first.map.geometry.ring_cells);
        try live(world);
        const header = world.first.map.header();
        for ([_]*u64{ &header.head, &header.tail }) |position| {
            const beyond = Shared.load(u64, position, .acquire) -% border;
            try testing.expect(beyond >= margin and beyond < 1 << 32);
        }
    }
}

test "a full ring across every border: what is stale makes room, what waits keeps its order" {
    for (borders(@bitSizeOf(@FieldType(words.Cell, "lap")) + 12)) |border| {
        const world = try World.init_old(slot_count, 2, .{ .position = before(border) });
        defer world.deinit();
        const client = try world.client();
        defer channel.close(client, .unmap);
        var waiting: [slot_count - 1]slots.Call = undefined;
        for (&waiting) |*call| {
            call.* = try send(client, "waits", 1);
            for (0..client.map.geometry.ring_cells / 2 + 1) |_| {
                try testing.expect(Slots.cancel(client, try send(client, "cancelled", 1)));
            }
        }
        for (waiting) |call| try testing.expectEqual(call, try receive(world.first));
        try testing.expectError(error.NothingThere, receive(world.first));
    }
}

test "epochs across every border but their last" {
    for (borders(@bitSizeOf(words.Epoch))[0..2] ++ [_]u64{1 << 49}) |border| {
        const world = try World.init_old(slot_count, 2, .{ .epoch = before(border) });
        defer world.deinit();
        try live(world);
        // The same entries as the participants that died, one after the other.
        const word = Shared.load(words.ParticipantWord, &world.first.map.participant(2).word, .acquire);
        try testing.expect(word.epoch >= border);
    }
}

test "an entry at its last epoch is used once more, and never again" {
    const world = try World.init_old(slot_count, 2, .{ .epoch = words.epoch_max - 1 });
    defer world.deinit();
    try testing.expectEqual(words.epoch_max, world.first.epoch);
    var previous: ?words.ParticipantIndex = null;
    for (0..4) |_| {
        // Its death is noticed like any other.
        const victim = try world.server();
        try testing.expectEqual(words.epoch_max, victim.epoch);
        if (previous) |index| try testing.expectEqual(index + 1, victim.index);
        previous = victim.index;
        die(victim);
        try testing.expect(Repair.sweep(world.first));
        try testing.expect(!Repair.sweep(world.first));
    }
    const map = &world.first.map;
    for (0..layout.participants_max) |index| {
        const entry = map.participant(@intCast(index));
        if (index == world.first.index) continue;
        Shared.store(words.ParticipantWord, &entry.word, .{ .epoch = words.epoch_max }, .seq_cst);
    }
    try testing.expectError(error.Busy, world.client());
    // Numbers that counting cannot reach do not bypass the limit either.
    const beyond: words.ParticipantWord = .{ .epoch = std.math.maxInt(words.Epoch) };
    Shared.store(words.ParticipantWord, &map.participant(5).word, beyond, .seq_cst);
    try testing.expectError(error.Busy, world.client());
}

test "numbers of sleeps across every border: late ringers mark nothing" {
    const futex_bits = 32 - 2;
    for (borders(@bitSizeOf(@FieldType(words.WaitWord, "number"))) ++ [_]u64{1 << futex_bits}) |border| {
        const world = try World.init_old(slot_count, 2, .{ .wait_number = before(border) });
        defer world.deinit();
        try live(world);
        const client = try world.client();
        defer channel.close(client, .unmap);
        const server = try world.server();
        defer channel.close(server, .unmap);
        const wait = &server.map.participant(server.index).wait;
        for (0..2 * margin) |_| {
            Wait.announce(server, .futex, .{ .requests = true });
            const asleep = Shared.load(words.WaitWord, wait, .seq_cst);
            try testing.expect(asleep.asleep());
            try testing.expect(Wait.wake_server(client));
            try testing.expectEqual(words.WaitState.rung, Shared.load(words.WaitWord, wait, .seq_cst).state);
            Wait.awake(server);
            Wait.announce(server, .futex, .{ .requests = true });
            // A ringer that was stopped before the last sleep.
            const rung: words.WaitWord = .{ .state = .rung, .number = asleep.number };
            try testing.expect(!Shared.cas(words.WaitWord, wait, asleep, rung, .acq_rel));
            try testing.expect(Wait.wake_server(client));
            Wait.awake(server);
            // Then real sleeps, in the kernel.
            try testing.expectEqual(null, try Calls.receive(server, Shared.now_ns() + 1000, true));
        }
        const number = Shared.load(words.WaitWord, wait, .seq_cst).number;
        const beyond = number -% @as(@TypeOf(number), @truncate(border));
        try testing.expect(beyond >= margin and beyond < 1 << 20);
    }
}

test "numbers of notify descriptors across their border" {
    const own_bits = @bitSizeOf(@FieldType(words.NotifyWord, "number"));
    const world = try World.init_old(slot_count, 2, .{ .notify_number = (1 << own_bits) - margin });
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const server = world.first;
    const word = &server.map.participant(server.index).notify;
    NotifyDescriptor.set(server, server.bells.make_fifo('n') orelse return error.NoBell, false);
    for (0..2 * margin) |_| {
        const call = try send(client, "a", 1);
        const rung = Shared.load(words.NotifyWord, word, .seq_cst);
        try testing.expectEqual(words.NotifyState.rung, rung.state);
        try testing.expect(Slots.cancel(client, call));
        try testing.expectError(error.NothingThere, receive(server));
        NotifyDescriptor.drain(server);
        const armed = Shared.load(words.NotifyWord, word, .seq_cst);
        try testing.expectEqual(words.NotifyState.armed, armed.state);
        try testing.expectEqual(rung.number +% 1, armed.number);
    }
    try testing.expect(Shared.load(words.NotifyWord, word, .seq_cst).number < 1 << 20);
}

test "the number of joins across every border: newcomers are seen" {
    for (borders(64)) |border| {
        const world = try World.init_old(slot_count, 2, .{ .joins = before(border) });
        defer world.deinit();
        const server = world.first;
        for (0..2 * margin) |_| {
            // Each newcomer is looked at before the next sleep, and none twice.
            const newcomer = try world.client();
            defer channel.close(newcomer, .unmap);
            try testing.expectEqual(abi.arm_newcomer, EventLoop.arm(server, abi.arm_requests));
            while (true) switch (DeathWatch.watch_next(server)) {
                .fd => |watch| {
                    try testing.expectEqual(newcomer.index, watch.index);
                    @import("../platform/sys/files.zig").close(watch.fd);
                },
                .drop, .complete, .incomplete => break,
            };
            // No process can ring a bell here, because this participant has none.
            try testing.expectEqual(abi.armed_unsure, EventLoop.arm(server, abi.arm_requests));
            Wait.awake(server);
            DeathWatch.forget(server, newcomer.index);
            server.watched_joins +%= 1;
        }
        const beyond = Shared.load(u64, &server.map.header().joins, .seq_cst) -% border;
        try testing.expect(beyond >= margin and beyond < 1 << 20);
    }
}

test "deliveries up to the last that there can be" {
    const world = try World.init_old(slot_count, layout.deliveries_max, .{});
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const call = try send(client, "a", layout.deliveries_max);
    for (0..layout.deliveries_max) |delivery| {
        const victim = try world.server();
        const received = (try Calls.receive(victim, 0, false)) orelse return error.NothingThere;
        try testing.expectEqual(delivery, received.word.delivery);
        die(victim);
        try testing.expect(Repair.sweep(client));
    }
    try testing.expectError(error.NothingThere, receive(world.first));
    try testing.expectEqual(words.AnswerKind.server_died, (try Slots.answer(client, call)).kind);
    try testing.expect(Slots.release(client, call));
    try expect_all_free(client);
}

test "everything at once, just below its border" {
    for (borders(64)[0..4]) |border| {
        const world = try World.init_old(slot_count, 3, .{
            .generation = @min(before(border), (1 << 45) - margin),
            .position = before(border),
            .epoch = @min(before(border), (1 << 49) - margin),
            .wait_number = before(border),
            .notify_number = before(border),
            .joins = before(border),
        });
        defer world.deinit();
        try live(world);
    }
}
