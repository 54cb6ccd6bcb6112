//! Tests of deaths, of leaving, and of the table of participants, within one process.

const std = @import("std");
const testing = std.testing;
const abi = @import("../abi.zig");
const channel = @import("../channel.zig");
const layout = @import("../memory/layout.zig");
const slots = @import("../protocol/slots.zig");
const words = @import("../memory/words.zig");
const world_of_tests = @import("test_world.zig");
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Participants = @import("../protocol/participants.zig").ParticipantsType(Shared);
const Repair = @import("../protocol/repair.zig").RepairType(Shared);
const Ring = @import("../protocol/ring.zig").RingType(Shared);
const Roster = @import("../protocol/roster.zig").RosterType(Shared);
const Slots = slots.SlotsType(Shared);
const Stats = @import("../protocol/stats.zig").StatsType(Shared);

const World = world_of_tests.World;
const die = world_of_tests.die;
const expect_all_free = world_of_tests.expect_all_free;
const expect_answer = world_of_tests.expect_answer;
const receive = world_of_tests.receive;
const send = world_of_tests.send;

test "a server dies with a request in hand" {
    const world = try World.init(2, 3);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const once = try send(client, "once", 1);
    const twice = try send(client, "twice", 2);
    for (0..2) |round| {
        const victim = try world.server();
        if (round == 0) try testing.expectEqual(once, try receive(victim));
        try testing.expectEqual(twice, try receive(victim));
        die(victim);
        try testing.expect(Repair.sweep(client));
        try testing.expect(!Repair.sweep(client));
    }
    for ([_]slots.Call{ once, twice }) |call| {
        try testing.expectEqual(words.AnswerKind.server_died, (try Slots.answer(client, call)).kind);
        try testing.expect(Slots.release(client, call));
    }
    var numbers: [@import("../protocol/stats.zig").field_count]f64 = undefined;
    Stats.read(client, &numbers);
    try testing.expectEqual(2, numbers[@backingInt(abi.StatField.server_deaths)]);
    try testing.expectEqual(1, numbers[@backingInt(abi.StatField.redelivered)]);
    try testing.expectEqual(1, numbers[@backingInt(abi.StatField.servers)]);
    try expect_all_free(client);
}

test "a repairer dies between inserting and handing on" {
    const world = try World.init(2, 2);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const call = try send(client, "a", 2);
    const victim = try world.server();
    try testing.expectEqual(call, try receive(victim));
    die(victim);
    var next = Shared.load(words.SlotWord, &client.map.slot(call.slot).word, .acquire);
    next.delivery = 1;
    try testing.expectEqual(.done, try Ring.insert(client, call.slot, next));
    // The entry is enough for the next server.
    try testing.expectEqual(call, try receive(world.first));
    try testing.expect(Repair.sweep(client));
    try testing.expect(try Slots.reply(world.first, call, "z", 1, .bytes));
    try expect_answer(client, call, "z");
}

test "a server is stopped as it leaves, between inserting and handing on" {
    const world = try World.init(2, 2);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const call = try send(client, "a", 2);
    const leaving = try world.server();
    try testing.expectEqual(call, try receive(leaving));
    var next = Shared.load(words.SlotWord, &client.map.slot(call.slot).word, .acquire);
    next.delivery = 1;
    try testing.expectEqual(.done, try Ring.insert(leaving, call.slot, next));
    // The server is alive, and yet the entry must not be taken for stale: it will be the only one.
    try testing.expectEqual(call, try receive(world.first));
    channel.close(leaving, .unmap);
    try testing.expect(try Slots.reply(world.first, call, "z", 1, .bytes));
    try expect_answer(client, call, "z");
}

test "a death is not settled while the ring has no room for what the dead server held" {
    const world = try World.init(2, 2);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const victim = try world.server();
    const held = try send(client, "held", 2);
    try testing.expectEqual(held, try receive(victim));
    const queued = try send(client, "queued", 2);
    const word = Shared.load(words.SlotWord, &client.map.slot(queued.slot).word, .acquire);
    while (try Ring.insert(client, queued.slot, word) == .done) {}
    die(victim);
    try testing.expectEqual(.unsettled, Repair.check(client, victim.index, victim.epoch));
    try testing.expectEqual(queued, try receive(world.first));
    try testing.expectEqual(.dead, Repair.check(client, victim.index, victim.epoch));
    try testing.expectEqual(held, try receive(world.first));
    for ([_]slots.Call{ held, queued }) |call| {
        try testing.expect(try Slots.reply(world.first, call, "z", 1, .bytes));
        try expect_answer(client, call, "z");
    }
}

test "a client dies: its slots come back, its posted requests live" {
    const world = try World.init(4, 1);
    defer world.deinit();
    const other = try world.client();
    defer channel.close(other, .unmap);
    const victim = try world.client();
    const held = try send(victim, "held", 1);
    try testing.expectEqual(held, try receive(world.first));
    _ = try send(victim, "queued", 1);
    const posted = (try Calls.send(victim, "posted", .{ .one_way = true }, false)).?;
    _ = (try Calls.allocate(victim, 5)).?;
    die(victim);
    try testing.expect(Repair.sweep(other));
    try testing.expectEqual(posted, try receive(world.first));
    try testing.expectError(error.NothingThere, receive(world.first));
    try testing.expectEqual(Slots.Held.abandoned, Slots.held(world.first, held));
    try testing.expect(!try Slots.reply(world.first, held, "x", 1, .bytes));
    try testing.expect(try Slots.reply(world.first, posted, "", 0, .bytes));
    try expect_all_free(other);
}

test "a request that its server keeps for itself is not handed on" {
    const world = try World.init(4, 3);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    for ([_]bool{ true, false }) |dies| {
        const call = try send(client, "once", 3);
        const first = try world.server();
        const taken = try receive(first);
        Slots.last_delivery(first, taken);
        if (dies) {
            die(first);
            try testing.expect(Repair.sweep(client));
        } else channel.close(first, .unmap);
        try testing.expectEqual(words.AnswerKind.server_died, (try Slots.answer(client, call)).kind);
        try testing.expect(Slots.release(client, call));
    }
    // It does not touch calls that it does not hold.
    const call = try send(client, "twice", 3);
    const first = try world.server();
    Slots.last_delivery(first, call);
    _ = try receive(first);
    die(first);
    try testing.expect(Repair.sweep(client));
    const again = try receive(world.first);
    try testing.expectEqual(call, again);
    try testing.expect(try Slots.reply(world.first, again, "yes", 3, .bytes));
    try expect_answer(client, call, "yes");
    try expect_all_free(client);
}

test "a posted request whose sender died before inserting it is inserted by the repairer" {
    const world = try World.init(2, 1);
    defer world.deinit();
    const victim = try world.client();
    const call = (try Calls.allocate(victim, 0)).?;
    const slot = victim.map.slot(call.slot);
    Shared.store(u32, &slot.request_length, 0, .monotonic);
    Shared.store(u64, &slot.deadline_ns, 0, .monotonic);
    const word: words.SlotWord = .{ .state = .posted, .generation = call.generation };
    Shared.store(words.SlotWord, &slot.word, word, .release);
    die(victim);
    try testing.expectEqual(null, try Slots.receive(world.first));
    try testing.expect(Repair.sweep(world.first));
    try testing.expectEqual(call, try receive(world.first));
    try testing.expect(try Slots.reply(world.first, call, "", 0, .bytes));
    try expect_all_free(world.first);
}

test "closing hands back what is held" {
    const world = try World.init(2, 2);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const call = try send(client, "a", 2);
    const server = try world.server();
    try testing.expectEqual(call, try receive(server));
    channel.close(server, .unmap);
    try testing.expectEqual(call, try receive(world.first));
    try testing.expect(try Slots.reply(world.first, call, "b", 1, .bytes));
    try expect_answer(client, call, "b");
}

test "a late participant at the index of a dead one is not mistaken for it" {
    const world = try World.init(2, 1);
    defer world.deinit();
    const victim = try world.client();
    const index = victim.index;
    die(victim);
    try testing.expect(Repair.sweep(world.first));
    const successor = try world.client();
    defer channel.close(successor, .unmap);
    try testing.expectEqual(index, successor.index);
    try testing.expect(successor.epoch > victim.epoch);
    _ = try send(successor, "a", 1);
    try testing.expectEqual(.left, Repair.check(world.first, index, victim.epoch));
    try testing.expect(!Repair.sweep(world.first));
    _ = try receive(world.first);
}

test "a roll finds who has gone as soon as that is counted" {
    const world = try World.init(1, 1);
    defer world.deinit();
    const victim = try world.client();
    const other = try world.server();
    defer channel.close(other, .unmap);
    var rolled: [2 + 3 * 8]u32 = @splat(0);
    try testing.expectEqual(3, Roster.roll(world.first, &rolled));
    for ([_]*const Handle{ world.first, victim, other }) |handle| {
        try testing.expectEqual(@as(u32, @truncate(handle.epoch)), rolled[2 + 3 * @as(usize, handle.index)]);
    }
    die(victim);
    // As by a repairer that is stopped before the entry is free.
    _ = Shared.fetch_add(&world.first.map.header().departures, 1, .seq_cst);
    _ = Roster.roll(world.first, &rolled);
    try testing.expectEqual(0, rolled[2 + 3 * @as(usize, victim.index)]);
    try testing.expect(rolled[2 + 3 * @as(usize, other.index)] != 0);
    _ = Roster.roll(world.first, &rolled);
    try testing.expectEqual(0, rolled[2 + 3 * @as(usize, victim.index)]);
    try testing.expect(Repair.sweep(world.first));
}

test "the lock of a dying process goes before its life hangs up" {
    const world = try World.init(1, 1);
    defer world.deinit();
    const handle = try world.server();
    defer channel.close(handle, .unmap);
    if (handle.bells.life < 0) return error.SkipZigTest;
    // The kernel closes the highest first.
    try testing.expect(handle.fd > handle.bells.life);
    try testing.expectEqual(.unsettled, Repair.check(world.first, handle.index, handle.epoch));
}

test "1,024 participants fill the table; when they die at once, a newcomer finds room" {
    const world = try World.init(1, 1);
    defer world.deinit();
    var handles: [layout.participants_max]*Handle = undefined;
    var count: usize = 0;
    while (true) {
        handles[count] = world.client() catch |err| {
            if (err == error.Busy) break;
            for (handles[0..count]) |handle| channel.close(handle, .unmap);
            // If descriptors run out first, the test shows nothing.
            return if (err == error.NoSpace) error.SkipZigTest else err;
        };
        count += 1;
    }
    try testing.expectEqual(layout.participants_max - 1, count);
    for (handles[0..count]) |handle| die(handle);
    // No participant is left that would have noticed.
    const client = try world.client();
    defer channel.close(client, .unmap);
    try testing.expectEqual(1, Stats.count_role(client, .client));
}

test "many participants that die at once are repaired gradually" {
    const world = try World.init(1, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const map = &client.map;
    const used = layout.participants_max;
    // All of them sleep, so each repair knocks at all others.
    for (10..used) |index| {
        const entry = map.participant(@intCast(index));
        Shared.store(words.WaitWord, &entry.wait, .{ .state = .bell }, .monotonic);
        Shared.store(u32, &entry.bell, abi.bell_fifo, .monotonic);
        Shared.store(words.ParticipantWord, &entry.word, .{ .state = .joined, .epoch = 77 }, .monotonic);
    }
    Shared.store(u64, &map.header().participants_used, used, .monotonic);
    var sweeps: u32 = 0;
    while (Repair.sweep(client)) sweeps += 1;
    try testing.expect(sweeps > 1);
    for (10..used) |index| try testing.expect(!Participants.dead(client, @intCast(index)));
}

test "a newcomer skips an entry whose byte another participant holds" {
    const world = try World.init(1, 1);
    defer world.deinit();
    // The entry as it was before the first participant joined; that participant is still there.
    const entry = world.first.map.participant(world.first.index);
    const before: words.ParticipantWord = .{ .epoch = world.first.epoch - 1 };
    Shared.store(words.ParticipantWord, &entry.word, before, .monotonic);
    const client = try world.client();
    defer channel.close(client, .unmap);
    try testing.expect(client.index != world.first.index);
}
