//! The protocol through the production functions, in one process: each handle is a participant with
//! a lock of its own, and a death is the loss of that lock without a word.

const std = @import("std");
const testing = std.testing;
const abi = @import("abi.zig");
const channel = @import("channel.zig");
const layout = @import("layout.zig");
const slots = @import("slots.zig");
const sys = @import("sys.zig");
const words = @import("words.zig");
const Handle = @import("handle.zig").Handle;
const Shared = @import("shared.zig").Chosen;
const Calls = @import("calls.zig").CallsType(Shared);
const Repair = @import("repair.zig").RepairType(Shared);
const Ring = @import("ring.zig").RingType(Shared);
const Slots = slots.SlotsType(Shared);
const Stats = @import("stats.zig").StatsType(Shared);

const nothing = std.math.nan(f64);

/// One anonymous channel and its handles.
const World = struct {
    first: *Handle,

    fn init(slot_count: f64, max_deliveries: f64) !World {
        const options: abi.Options = .{
            .slots = slot_count,
            .max_request_bytes = 4096,
            .max_response_bytes = 4096,
            .max_deliveries = max_deliveries,
            .mode = nothing,
            .fd = nothing,
        };
        return .{ .first = try open("test", abi.open_anonymous | abi.open_role_server, &options) };
    }

    fn open(name: []const u8, operation: u32, options: *const abi.Options) !*Handle {
        var control: abi.Control = .{};
        return (try channel.open(name, operation, options, &control)).handle;
    }

    fn join(world: World, role: u32) !*Handle {
        const options: abi.Options = .{
            .slots = nothing,
            .max_request_bytes = nothing,
            .max_response_bytes = nothing,
            .max_deliveries = nothing,
            .mode = nothing,
            .fd = @floatFromInt(world.first.fd),
        };
        return open("", abi.open_from_fd | role, &options);
    }

    fn client(world: World) !*Handle {
        return world.join(0);
    }

    fn server(world: World) !*Handle {
        return world.join(abi.open_role_server);
    }

    fn deinit(world: World) void {
        channel.close(world.first, .unmap);
    }
};

/// As a process that is killed: its descriptors and its mapping go, and nothing else happens. The
/// mapping counts: it holds the description, and with it the lock, as long as it is there.
fn die(handle: *Handle) void {
    sys.close(handle.fd);
    sys.munmap(@intFromPtr(handle.map.base), handle.map.geometry.file_bytes);
    if (handle.bells.life >= 0) sys.close(handle.bells.life);
    if (handle.bells.directory >= 0) sys.close(handle.bells.directory);
}

fn send(client: *Handle, bytes: []const u8, max_deliveries: u8) !slots.Call {
    const request: slots.Request = .{ .max_deliveries = max_deliveries };
    return (try Calls.send(client, bytes, request, false)) orelse error.NoSlot;
}

fn receive(server: *Handle) !slots.Call {
    const received = (try Calls.receive(server, 0, false)) orelse return error.NothingThere;
    return .{ .slot = received.slot, .generation = received.word.generation };
}

fn expect_answer(client: *Handle, call: slots.Call, expected: []const u8) !void {
    var buffer: [4096]u8 = undefined;
    const answer = try Slots.answer(client, call);
    try testing.expectEqual(words.AnswerKind.bytes, answer.kind);
    try Slots.get(client, call, answer, &buffer);
    try testing.expectEqualStrings(expected, buffer[0..answer.length]);
}

fn expect_all_free(handle: *Handle) !void {
    for (0..Slots.used_count(handle)) |index| {
        const word = Shared.load(words.SlotWord, &handle.map.slot(@intCast(index)).word, .acquire);
        try testing.expectEqual(words.SlotState.free, word.state);
    }
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
    // Their server has them still: the slots wait for it.
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
    var numbers: [@import("stats.zig").field_count]f64 = undefined;
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
    // The entry alone is enough for the next server.
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
    // It is alive, and yet the entry must not be taken for stale: it will be the only one.
    try testing.expectEqual(call, try receive(world.first));
    channel.close(leaving, .unmap);
    try testing.expect(try Slots.reply(world.first, call, "z", 1, .bytes));
    try expect_answer(client, call, "z");
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

test "1,024 participants, and one more is told so" {
    const world = try World.init(1, 1);
    defer world.deinit();
    var handles: [layout.participants_max]*Handle = undefined;
    var count: usize = 0;
    defer for (handles[0..count]) |handle| channel.close(handle, .unmap);
    while (true) {
        handles[count] = world.client() catch |err| {
            // Where descriptors run out first there is nothing to see here.
            if (err == error.NoSpace) return error.SkipZigTest;
            try testing.expectEqual(error.Busy, err);
            break;
        };
        count += 1;
    }
    try testing.expectEqual(layout.participants_max - 1, count);
}
