//! Tests of the protocol between living participants, within one process.

const std = @import("std");
const testing = std.testing;
const abi = @import("../abi.zig");
const channel = @import("../channel.zig");
const slots = @import("../protocol/slots.zig");
const files = @import("../platform/sys/files.zig");
const words = @import("../memory/words.zig");
const world_of_tests = @import("test_world.zig");
const Handle = @import("../handle.zig").Handle;
const keep_bytes = @import("../handle.zig").keep_bytes;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);
const EventLoop = @import("../calls/event_loop.zig").EventLoopType(Shared);
const Slots = slots.SlotsType(Shared);
const Spread = @import("../protocol/spread.zig").SpreadType(Shared);
const Trim = @import("../protocol/trim.zig").TrimType(Shared);

const World = world_of_tests.World;
const expect_all_free = world_of_tests.expect_all_free;
const expect_answer = world_of_tests.expect_answer;
const receive = world_of_tests.receive;
const send = world_of_tests.send;

fn committed(handle: *Handle) u64 {
    return files.stat(handle.fd, "").info.blocks * 512;
}

test "a call, short and long" {
    const world = try World.init(4, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    var long: [3000]u8 = undefined;
    for (&long, 0..) |*byte, index| byte.* = @truncate(index * 7);
    for ([_][]const u8{ "hello", "", &long }) |bytes| {
        const call = try send(client, bytes, 1);
        const taken = try receive(world.first);
        try testing.expectEqual(call, taken);
        const length: u32 = @intCast(bytes.len);
        const request = world.first.map.request(taken.slot, length)[0..length];
        try testing.expectEqualStrings(bytes, request);
        try testing.expect(try Slots.reply(world.first, taken, request, length, .bytes));
        try testing.expect(!try Slots.reply(world.first, taken, request, length, .bytes));
        try expect_answer(client, call, bytes);
        try testing.expectError(error.Cancelled, Slots.answer(client, call));
    }
    try expect_all_free(client);
}

test "requests come in the order in which they were queued, and slots run out" {
    const world = try World.init(3, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    var calls: [3]slots.Call = undefined;
    for (&calls, "abc") |*call, letter| call.* = try send(client, &.{letter}, 1);
    try testing.expectError(error.NoSlot, send(client, "d", 1));
    try testing.expectEqual(3, Calls.pending(client));
    for (calls) |call| try testing.expectEqual(call, try receive(world.first));
    try testing.expectError(error.NothingThere, receive(world.first));
    for (calls) |call| try testing.expect(Slots.cancel(client, call));
    // Their server still has them: the slots wait for it.
    try testing.expectError(error.NoSlot, send(client, "d", 1));
    for (calls) |call| try testing.expect(!try Slots.reply(world.first, call, "x", 1, .bytes));
    try expect_all_free(client);
}

test "a cancelled request is never handed out" {
    const world = try World.init(2, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const cancelled = try send(client, "a", 1);
    try testing.expect(Slots.cancel(client, cancelled));
    try testing.expect(!Slots.cancel(client, cancelled));
    const wanted = try send(client, "b", 1);
    try testing.expectEqual(wanted, try receive(world.first));
    try testing.expectError(error.NothingThere, receive(world.first));
    try testing.expect(try Slots.reply(world.first, wanted, "y", 1, .bytes));
    try expect_answer(client, wanted, "y");
}

test "stale entries do not fill the ring for good" {
    const world = try World.init(1, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    for (0..2 * client.map.geometry.ring_cells) |_| {
        try testing.expect(Slots.cancel(client, try send(client, "a", 1)));
    }
    const wanted = try send(client, "b", 1);
    try testing.expectEqual(wanted, try receive(world.first));
}

test "any number of calls is cancelled behind those that wait, and these keep their order" {
    const world = try World.init(5, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    var waiting: [4]slots.Call = undefined;
    for (&waiting) |*call| {
        call.* = try send(client, "waits", 1);
        for (0..client.map.geometry.ring_cells) |_| {
            try testing.expect(Slots.cancel(client, try send(client, "cancelled", 1)));
        }
    }
    for (waiting) |call| try testing.expectEqual(call, try receive(world.first));
    try testing.expectError(error.NothingThere, receive(world.first));
}

test "time-outs end a call or find its answer" {
    const world = try World.init(2, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const call = try send(client, "a", 1);
    try testing.expectError(error.Timeout, Calls.wait_ready(client, call, 1));
    try testing.expect(Calls.time_out(client, call));
    const answered = try send(client, "b", 1);
    try testing.expect(try Slots.reply(world.first, try receive(world.first), "c", 1, .bytes));
    try testing.expect(!Calls.time_out(client, answered));
    try expect_answer(client, answered, "c");
    const expired = (try Calls.send(client, "d", .{ .deadline_ns = 1 }, false)).?;
    try testing.expectError(error.NothingThere, receive(world.first));
    try testing.expectEqual(words.AnswerKind.timed_out, (try Slots.answer(client, expired)).kind);
}

test "clear ends everything but drafts" {
    const world = try World.init(4, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const held = try send(client, "a", 1);
    try testing.expectEqual(held, try receive(world.first));
    const queued = try send(client, "b", 1);
    const draft = (try Calls.allocate(client, 1)).?;
    try testing.expectEqual(2, Slots.clear(world.first));
    for ([_]slots.Call{ held, queued }) |call| {
        try testing.expectEqual(Slots.Progress.gone, Slots.progress(client, call));
    }
    try testing.expect(try Slots.publish(client, draft, null, 1, .{}));
    try testing.expectEqual(draft, try receive(world.first));
}

test "memory of long messages is given back, and known to be gone" {
    const length = 1 << 20;
    const world = try World.init_sizes(4, 1, length);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const before = committed(client);
    const bytes = try testing.allocator.alloc(u8, length);
    defer testing.allocator.free(bytes);
    @memset(bytes, 7);
    for (0..3) |_| {
        const call = try send(client, bytes, 1);
        const taken = try receive(world.first);
        try testing.expect(try Slots.reply(world.first, taken, bytes, length, .bytes));
        try testing.expect(committed(client) >= before + 2 * length);
        // Not while the slot is in use, and not before it was idle for a while.
        Trim.all(world.first);
        try testing.expect(committed(client) >= before + 2 * length);
        const answer = try Slots.answer(client, call);
        try Slots.get(client, call, answer, bytes);
        try testing.expectEqual(7, bytes[length - 1]);
        try testing.expect(Trim.idle(client));
        try testing.expect(committed(client) >= before + 2 * length);
        Trim.all(client);
        try testing.expect(!Trim.idle(client));
        try testing.expect(committed(client) <= before + 4 * keep_bytes);
        // Memory that either of them knew to be allocated is allocated again, as `committed` above shows.
    }
    try expect_all_free(client);
}

test "an event loop lingers until there is something to take" {
    const world = try World.init(4, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const server = world.first;
    try testing.expectEqual(abi.linger_nothing, EventLoop.linger(client, 0));
    // A participant that had nothing to look for has not reported its processor.
    try testing.expectEqual(0, client.map.participant(client.index).processor);
    try testing.expect(EventLoop.linger(server, abi.arm_requests) != abi.linger_work);
    try testing.expect(server.map.participant(server.index).processor != 0);

    const call = try send(client, "hello", 1);
    // Other processes may have used the processor during the yield above.
    server.yield_after_ns = 0;
    try testing.expectEqual(abi.linger_work, EventLoop.linger(server, abi.arm_requests));
    try testing.expect(EventLoop.watch(client, call));
    try testing.expect(EventLoop.linger(client, 0) != abi.linger_work);
    try testing.expect(try Slots.reply(server, try receive(server), "hi", 2, .bytes));
    client.yield_after_ns = 0;
    try testing.expectEqual(abi.linger_work, EventLoop.linger(client, 0));
    try testing.expect(EventLoop.linger(server, abi.arm_requests) != abi.linger_work);
    try expect_answer(client, call, "hi");
}

/// As if this participant's event loop had waited on the processor of this thread.
fn wait_here(handle: *Handle) void {
    const own = Shared.processor() + 1;
    const waited_last = &handle.map.header().waited_last;
    Shared.store(u32, &handle.entry().processor, own, .monotonic);
    Shared.store(u32, &waited_last[2 * (own % (waited_last.len / 2))], @as(u32, handle.index) + 1, .monotonic);
}

test "a loop that shares a processor with a peer does not linger while a yield would serve others" {
    const world = try World.init(4, 1);
    defer world.deinit();
    // The loop looks at each peer, however many participants have joined before it.
    var others: [20]*Handle = undefined;
    for (&others) |*other| other.* = try world.client();
    defer for (others) |other| channel.close(other, .unmap);
    const client = try world.client();
    defer channel.close(client, .unmap);
    const server = world.first;
    server.yield_after_ns = std.math.maxInt(u64);
    // This thread may be moved between the two lines.
    for (0..1000) |_| {
        wait_here(client);
        if (EventLoop.linger(server, abi.arm_requests) == abi.linger_crowded) break;
    } else return error.NeverCrowded;
    // It has moved, and one that has left shares nothing.
    wait_here(client);
    Shared.store(u32, &client.entry().processor, 0, .monotonic);
    try testing.expectEqual(abi.linger_nothing, EventLoop.linger(server, abi.arm_requests));
    const another = try world.server();
    wait_here(another);
    channel.close(another, .unmap);
    try testing.expectEqual(abi.linger_nothing, EventLoop.linger(server, abi.arm_requests));
    // Whatever another process writes there, it is a hint.
    for ([_]u32{ 1024, 1025, std.math.maxInt(u32) }) |garbage| {
        @memset(&server.map.header().waited_last, garbage);
        try testing.expectEqual(abi.linger_nothing, EventLoop.linger(server, abi.arm_requests));
    }
}

test "a loop whose peers wait on other channels finds them among the participants of a third" {
    const hall = try World.init(1, 1);
    defer hall.deinit();
    const peer = try hall.server();
    defer channel.close(peer, .unmap);
    const mailbox = try World.init(1, 1);
    defer mailbox.deinit();
    const server = mailbox.first;
    server.yield_after_ns = std.math.maxInt(u64);
    // This thread may be moved between the two lines.
    for (0..1000) |_| {
        wait_here(peer);
        if (EventLoop.linger_among(server, abi.arm_requests, hall.first) == abi.linger_crowded) break;
    } else return error.NeverCrowded;
    try testing.expectEqual(abi.linger_nothing, EventLoop.linger(server, abi.arm_requests));
    const client = try mailbox.client();
    defer channel.close(client, .unmap);
    _ = try send(client, "hello", 1);
    server.yield_after_ns = 0;
    try testing.expectEqual(abi.linger_work, EventLoop.linger_among(server, abi.arm_requests, hall.first));
}

test "a draft of a channel that is removed is not sent" {
    const world = try World.init(2, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const draft = (try Calls.allocate(client, 1)).?;
    Lifetime.remove(world.first);
    try testing.expectError(error.NotFound, Slots.publish(client, draft, null, 1, .{}));
    try testing.expectError(error.NotFound, Calls.allocate(client, 1));
    try expect_all_free(client);
}

test "a ring whose words make no sense delays no participant" {
    const world = try World.init(2, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const call = try send(client, "a", 1);
    const map = &client.map;
    const cells = map.geometry.ring_cells;
    const word = Shared.load(words.SlotWord, &map.slot(call.slot).word, .acquire);
    // Half of the cells have an entry of one request, the others none, and the tail is far beyond them: each
    // look walks the live half and finds nothing that would help.
    for (0..cells) |position| {
        const entry: words.Cell = .{
            .full = position < cells / 2,
            .slot = @intCast(call.slot),
            .generation = @truncate(word.generation),
            .lap = map.lap(position),
        };
        Shared.store(words.Cell, map.cell(position), entry, .monotonic);
    }
    Shared.store(u64, &map.header().head, 0, .monotonic);
    Shared.store(u64, &map.header().tail, cells * 10, .monotonic);
    try testing.expectError(error.NoSlot, send(client, "b", 1));
    // Requests that could not be queued have given their slots back.
    try testing.expectEqual(1, Calls.pending(client));
    try testing.expect((try Calls.allocate(client, 1)) != null);
}

test "an entry that cannot be queued gives its slot back" {
    const world = try World.init(1, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    // The next cell to be filled is behind its position, and the oldest is empty.
    Shared.store(u64, &client.map.header().tail, client.map.geometry.ring_cells * 5, .monotonic);
    try testing.expectError(error.Corrupt, send(client, "a", 1));
    try expect_all_free(client);
    try testing.expectEqual(0, Calls.pending(client));
}

test "a server publishes how many requests it works on" {
    const world = try World.init(4, 1);
    defer world.deinit();
    const client = try world.client();
    defer channel.close(client, .unmap);
    const load = &client.map.participant(world.first.index).load;
    for (0..3) |_| _ = try send(client, "a", 1);
    const first = try receive(world.first);
    const second = try receive(world.first);
    try testing.expectEqual(2, Shared.load(words.LoadWord, load, .monotonic).calls);
    // Whether or not its client still waits.
    try testing.expect(Slots.cancel(client, first));
    try testing.expect(!try Slots.reply(world.first, first, "x", 1, .bytes));
    try testing.expectEqual(1, Shared.load(words.LoadWord, load, .monotonic).calls);
    // The same request may still be answered.
    try testing.expectError(error.TooLarge, Slots.reply(world.first, second, null, 1 << 20, .bytes));
    try testing.expectEqual(1, Shared.load(words.LoadWord, load, .monotonic).calls);
    try testing.expect(try Slots.reply(world.first, second, "x", 1, .bytes));
    try testing.expectEqual(0, Shared.load(words.LoadWord, load, .monotonic).calls);
}

test "a server that works on a request leaves the next one to an idle server" {
    const world = try World.init(16, 1);
    defer world.deinit();
    const busy = world.first;
    const idle = try world.server();
    const client = try world.client();
    defer channel.close(client, .unmap);
    _ = try send(client, "a", 1);
    // It works on nothing, so it takes what there is.
    Spread.looks(idle);
    try testing.expect(!Spread.stands_back(busy, true));
    const first = try receive(busy);
    try testing.expect(!Spread.stands_back(busy, true));
    _ = try send(client, "b", 1);
    try testing.expect(Spread.stands_back(busy, true));
    // Not for a server that has no room, that never looks, or that is as busy.
    Spread.rests(idle);
    try testing.expect(!Spread.stands_back(busy, true));
    Spread.looks(idle);
    try testing.expect(!Spread.stands_back(idle, true));
    const second = try receive(idle);
    _ = try send(client, "c", 1);
    try testing.expect(!Spread.stands_back(busy, true));
    try testing.expect(!Spread.stands_back(idle, true));
    // With an answer it is idle again.
    _ = try Slots.reply(idle, second, "x", 1, .bytes);
    try testing.expect(Spread.stands_back(busy, true));
    try testing.expect(try Slots.reply(busy, first, "x", 1, .bytes));
    try testing.expect(!Spread.stands_back(busy, true));
    channel.close(idle, .unmap);
}

test "a burst is shared equally, in few looks" {
    const world = try World.init(16, 1);
    defer world.deinit();
    const other = try world.server();
    defer channel.close(other, .unmap);
    const client = try world.client();
    defer channel.close(client, .unmap);
    for ([_]*Handle{ world.first, other }) |server| Spread.looks(server);
    for (0..10) |_| _ = try send(client, "a", 1);
    for ([_]*Handle{ world.first, other }) |server| {
        var taken: u32 = 0;
        while (!Spread.stands_back(server, taken == 0)) : (taken += 1) _ = receive(server) catch break;
        try testing.expectEqual(5, taken);
    }
}

test "a server that does not take what is left to it is waited for once" {
    const world = try World.init(16, 1);
    defer world.deinit();
    const busy = world.first;
    const stopped = try world.server();
    defer channel.close(stopped, .unmap);
    const client = try world.client();
    defer channel.close(client, .unmap);
    Spread.looks(stopped);
    for (0..4) |_| _ = try send(client, "a", 1);
    _ = try receive(busy);
    _ = try receive(busy);
    try testing.expect(Spread.stands_back(busy, true));
    busy.patience.waited_ns += 50 * std.time.ns_per_ms;
    try testing.expect(!Spread.stands_back(busy, true));
    // Not for the next request either, until it has looked.
    _ = try receive(busy);
    try testing.expect(!Spread.stands_back(busy, true));
    Spread.looks(stopped);
    try testing.expect(Spread.stands_back(busy, true));
    // A further request gets the whole time.
    busy.patience.waited_ns += 50 * std.time.ns_per_ms;
    _ = try receive(stopped);
    _ = try send(client, "b", 1);
    try testing.expect(Spread.stands_back(busy, true));
}

test "whatever load words say, a request waits for one grace at most" {
    const world = try World.init(16, 1);
    defer world.deinit();
    const busy = world.first;
    const other = try world.server();
    defer channel.close(other, .unmap);
    const client = try world.client();
    defer channel.close(client, .unmap);
    var random = std.Random.DefaultPrng.init(1);
    for (0..2_000) |_| {
        const load = &client.map.participant(other.index).load;
        Shared.store(words.LoadWord, load, @bitCast(random.random().int(u64)), .monotonic);
        client.map.header().serving_servers = @splat(random.random().int(u64));
        const first = try send(client, "a", 1);
        const second = try send(client, "b", 1);
        try testing.expectEqual(first, try receive(busy));
        if (Spread.stands_back(busy, true)) {
            busy.patience.waited_ns += 50 * std.time.ns_per_ms;
            try testing.expect(!Spread.stands_back(busy, true));
        }
        try testing.expectEqual(second, try receive(busy));
        for ([_]slots.Call{ first, second }) |call| {
            try testing.expect(try Slots.reply(busy, call, "x", 1, .bytes));
            try expect_answer(client, call, "x");
        }
    }
}
