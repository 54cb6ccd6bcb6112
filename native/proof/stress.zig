//! Many threads, each a participant with handles of its own, perform every operation of the protocol at
//! random, and sometimes die. If a processor's memory model allows something that the source does not expect,
//! it shows here as a wrong byte, a call that ends twice, or a call that never ends.
//!
//! Threads see each other's memory as processes do. The machine determines the order of events: a seed
//! repeats each thread's decisions, not how they meet.

const std = @import("std");
const abi = @import("../abi.zig");
const channel = @import("../channel.zig");
const slots = @import("../protocol/slots.zig");
const clock = @import("../platform/sys/clock.zig");
const words = @import("../memory/words.zig");
const world_of_tests = @import("test_world.zig");
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Repair = @import("../protocol/repair.zig").RepairType(Shared);
const Slots = slots.SlotsType(Shared);
const World = world_of_tests.World;

pub const Options = struct {
    seconds: u64,
    /// The number of threads in each role.
    threads: u32 = 2,
    seed: u64 = 1,
};

pub const threads_max = 64;

const slot_count = 8;
const deliveries_max = 3;
/// Longer than the space beside the slot word, in both directions.
const payload_bytes_max = 300;

/// The totals of all threads.
pub const Summary = struct {
    calls: u64 = 0,
    answered: u64 = 0,
    server_died: u64 = 0,
    cancelled: u64 = 0,
    timed_out: u64 = 0,
    posted: u64 = 0,
    served: u64 = 0,
    redelivered: u64 = 0,
    deaths: u64 = 0,

    fn add(summary: *Summary, other: Summary) void {
        inline for (comptime std.meta.fieldNames(Summary)) |name| @field(summary, name) += @field(other, name);
    }
};

/// Violations of the protocol. Each is a bug.
pub const Failure = error{
    /// A request or an answer differs from the bytes that were written.
    WrongBytes,
    /// An answer belongs to another call.
    WrongAnswer,
    /// Two living servers hold the same request.
    HeldTwice,
    /// More servers than allowed got it.
    DeliveredTooOften,
    /// A call ended in a way that has no cause.
    WrongEnd,
    /// A call did not end although servers take all requests.
    NeverEnded,
    /// Something is left at the end.
    NotFree,
};

/// What the threads share beside the channel; none of it orders their accesses to the channel.
const Stage = struct {
    world: World,
    options: Options,
    stop: std.atomic.Value(bool) = .init(false),
    clients_at_work: std.atomic.Value(u32),
    failure: std.atomic.Value(u16) = .init(0),
    /// By slot: how many living servers hold its request.
    holders: [slot_count]std.atomic.Value(u32) = @splat(.init(0)),

    fn fail(stage: *Stage, failure: anyerror) void {
        _ = stage.failure.cmpxchgStrong(0, @intFromError(failure), .monotonic, .monotonic);
        stage.stop.store(true, .monotonic);
    }

    fn stopped(stage: *Stage) bool {
        return stage.stop.load(.monotonic);
    }
};

pub fn run(options: Options) !Summary {
    var stage: Stage = .{
        .world = try World.init(slot_count, deliveries_max),
        .options = options,
        .clients_at_work = .init(options.threads),
    };
    defer stage.world.deinit();
    var summaries: [2 * threads_max]Summary = @splat(.{});
    var threads: [2 * threads_max]std.Thread = undefined;
    const count = 2 * options.threads;
    for (0..count) |index| {
        const body = if (index < options.threads) &client_thread else &server_thread;
        threads[index] = try std.Thread.spawn(.{ .stack_size = 1 << 20 }, thread, .{ body, &stage, index, &summaries[index] });
    }
    const end_ns = Shared.now_ns() + options.seconds * std.time.ns_per_s;
    while (Shared.now_ns() < end_ns and !stage.stopped()) clock.sleep_ns(std.time.ns_per_ms);
    stage.stop.store(true, .monotonic);
    var summary: Summary = .{};
    for (threads[0..count], summaries[0..count]) |*each, own| {
        each.join();
        summary.add(own);
    }
    const failure = stage.failure.load(.monotonic);
    if (failure != 0) return @errorFromInt(failure);
    try expect_rest(stage.world.first, &summary);
    return summary;
}

fn thread(
    body: *const fn (*Stage, std.Random, u64, *Summary) anyerror!void,
    stage: *Stage,
    index: usize,
    summary: *Summary,
) void {
    var random: std.Random.DefaultPrng = .init(stage.options.seed *% 0x9e3779b97f4a7c15 +% index);
    body(stage, random.random(), index, summary) catch |err| stage.fail(err);
}

/// All others are gone: no slot is taken, and only this participant is in the table.
fn expect_rest(handle: *Handle, summary: *Summary) !void {
    for (0..4) |_| _ = Repair.sweep(handle);
    while (try Calls.receive(handle, 0, false)) |left| {
        // Posted by clients that have died since.
        _ = try Slots.reply(handle, .{ .slot = left.slot, .generation = left.word.generation }, "", 0, .bytes);
        summary.served += 1;
    }
    for (0..Slots.used_count(handle)) |index| {
        const word = Shared.load(words.SlotWord, &handle.map.slot(@intCast(index)).word, .seq_cst);
        if (word.state != .free) return error.NotFree;
    }
    for (0..1024) |index| {
        const word = Shared.load(words.ParticipantWord, &handle.map.participant(@intCast(index)).word, .seq_cst);
        if (word.state != .free and index != handle.index) return error.NotFree;
    }
}

/// The call determines every byte of its message, so a message of another call shows.
const Message = struct {
    /// Numbers the calls of one thread.
    number: u64,
    client: u64,
    length: u32,

    const head_bytes = 2 * @sizeOf(u64);

    fn write(message: Message, salt: u8, buffer: *[payload_bytes_max]u8) []const u8 {
        std.mem.writeInt(u64, buffer[0..8], message.number, .little);
        std.mem.writeInt(u64, buffer[8..16], message.client, .little);
        for (buffer[head_bytes..message.length], head_bytes..) |*each, index| each.* = message.byte(salt, index);
        return buffer[0..message.length];
    }

    fn byte(message: Message, salt: u8, index: usize) u8 {
        const mixed = (message.number *% 131 +% message.client *% 31 +% index) *% 0x9e3779b97f4a7c15;
        return @as(u8, @truncate(mixed >> 56)) ^ salt;
    }

    fn read(bytes: []const u8, salt: u8) Failure!Message {
        if (bytes.len < head_bytes) return error.WrongBytes;
        const message: Message = .{
            .number = std.mem.readInt(u64, bytes[0..8], .little),
            .client = std.mem.readInt(u64, bytes[8..16], .little),
            .length = @intCast(bytes.len),
        };
        for (bytes[head_bytes..], head_bytes..) |each, index| {
            if (each != message.byte(salt, index)) return error.WrongBytes;
        }
        return message;
    }
};

const request_salt = 0x5a;
const answer_salt = 0xa5;

// ---- clients -------------------------------------------------------------------------------------

const OpenCall = struct { call: slots.Call, message: Message };

const Client = struct {
    stage: *Stage,
    random: std.Random,
    summary: *Summary,
    handle: *Handle,
    id: u64,
    number: u64 = 0,
    open: [3]OpenCall = undefined,
    open_count: usize = 0,
    buffer: [payload_bytes_max]u8 = undefined,

    fn step(client: *Client) !void {
        switch (client.random.uintLessThan(u32, 1000)) {
            0...549 => try client.send(),
            550...799 => try client.finish(),
            800...869 => try client.cancel(),
            870...929 => try client.post(),
            930...959 => if (try Calls.allocate(client.handle, 20)) |draft| Slots.discard(client.handle, draft),
            960...989 => _ = Repair.sweep(client.handle),
            990...994 => {
                // It leaves in good order, which ends its calls.
                channel.close(client.handle, .unmap);
                try client.join();
            },
            else => {
                world_of_tests.bury(client.handle);
                client.summary.deaths += 1;
                try client.join();
            },
        }
    }

    fn join(client: *Client) !void {
        client.open_count = 0;
        client.handle = try client.stage.world.client();
    }

    fn next_message(client: *Client) Message {
        client.number += 1;
        const length = client.random.intRangeAtMost(u32, Message.head_bytes, payload_bytes_max);
        return .{ .number = client.number, .client = client.id, .length = length };
    }

    fn send(client: *Client) !void {
        if (client.open_count == client.open.len) return client.finish();
        const message = client.next_message();
        const bytes = message.write(request_salt, &client.buffer);
        var request: slots.Request = .{ .max_deliveries = client.random.intRangeAtMost(u8, 1, deliveries_max) };
        // Occasionally a call has a short deadline, possibly before any server has taken it.
        const is_short = client.random.uintLessThan(u32, 20) == 0;
        if (is_short) request.deadline_ns = Shared.now_ns() + client.random.uintLessThan(u64, 50_000);
        const may_wait = client.random.boolean() and client.open_count == 0;
        const sent = Calls.send(client.handle, bytes, request, may_wait) catch |err| switch (err) {
            error.Busy => if (is_short) return else return err,
            else => return err,
        };
        const call = sent orelse return;
        client.summary.calls += 1;
        client.open[client.open_count] = .{ .call = call, .message = message };
        client.open_count += 1;
    }

    fn take_open(client: *Client) ?OpenCall {
        if (client.open_count == 0) return null;
        const index = client.random.uintLessThan(usize, client.open_count);
        const taken = client.open[index];
        client.open_count -= 1;
        client.open[index] = client.open[client.open_count];
        return taken;
    }

    /// Waits for an answer. Servers take all requests, so a call that takes longer than this is lost.
    fn finish(client: *Client) !void {
        const open = client.take_open() orelse return;
        const long_ns = 60 * std.time.ns_per_s;
        while (true) {
            Calls.wait_ready(client.handle, open.call, Shared.now_ns() + long_ns) catch |err| switch (err) {
                error.Timeout => {
                    if (!client.is_over(open)) return error.NeverEnded;
                    client.summary.timed_out += 1;
                    return;
                },
                // No other participant ends a call of this handle.
                error.Cancelled => return error.WrongEnd,
                else => return err,
            };
            return client.get(open);
        }
    }

    fn is_over(client: *Client, open: OpenCall) bool {
        return Slots.progress(client.handle, open.call) == .gone;
    }

    fn get(client: *Client, open: OpenCall) !void {
        const answer = try Slots.answer(client.handle, open.call);
        switch (answer.kind) {
            .bytes => {},
            .server_died => client.summary.server_died += 1,
            .timed_out => client.summary.timed_out += 1,
            else => return error.WrongEnd,
        }
        if (answer.length > payload_bytes_max) return error.WrongBytes;
        try Slots.get(client.handle, open.call, answer, &client.buffer);
        if (answer.kind != .bytes) return;
        const message = try Message.read(client.buffer[0..answer.length], answer_salt);
        if (!std.meta.eql(message, open.message)) return error.WrongAnswer;
        client.summary.answered += 1;
    }

    fn cancel(client: *Client) !void {
        const open = client.take_open() orelse return;
        for (0..client.random.uintLessThan(u32, 200)) |_| Shared.pause();
        if (!Slots.cancel(client.handle, open.call)) return client.get(open);
        client.handle.remove_call(open.call.slot, open.call.generation);
        client.summary.cancelled += 1;
    }

    fn post(client: *Client) !void {
        const bytes = client.next_message().write(request_salt, &client.buffer);
        const request: slots.Request = .{ .one_way = true, .max_deliveries = deliveries_max };
        if (try Calls.send(client.handle, bytes, request, false)) |_| client.summary.posted += 1;
    }
};

fn client_thread(stage: *Stage, random: std.Random, index: u64, summary: *Summary) !void {
    // Servers stay until no client sends any more.
    defer _ = stage.clients_at_work.fetchSub(1, .monotonic);
    var client: Client = .{
        .stage = stage,
        .random = random,
        .summary = summary,
        .handle = try stage.world.client(),
        .id = index,
    };
    while (!stage.stopped()) try client.step();
    while (client.open_count > 0) try client.finish();
    channel.close(client.handle, .unmap);
}

// ---- servers -------------------------------------------------------------------------------------

fn server_thread(stage: *Stage, random: std.Random, _: u64, summary: *Summary) !void {
    var handle = try stage.world.server();
    while (true) {
        const deadline_ns = Shared.now_ns() + 2 * std.time.ns_per_ms;
        const received = try Calls.receive(handle, deadline_ns, random.uintLessThan(u32, 8) != 0) orelse {
            // Only when no client is left, so that nothing stays behind.
            if (stage.clients_at_work.load(.monotonic) == 0 or stage.failure.load(.monotonic) != 0) break;
            continue;
        };
        if (received.word.delivery >= deliveries_max) return error.DeliveredTooOften;
        const holders = &stage.holders[received.slot];
        if (holders.fetchAdd(1, .monotonic) != 0) return error.HeldTwice;
        if (received.word.delivery > 0) summary.redelivered += 1;
        switch (random.uintLessThan(u32, 400)) {
            0 => {
                // It may die with half of the answer written.
                const target = handle.map.response(received.slot, payload_bytes_max);
                if (Shared.commit_response(handle, received.slot, payload_bytes_max)) {
                    Shared.copy_in(target, &@as([payload_bytes_max / 2]u8, @splat(0xdd)));
                } else |_| {}
                _ = holders.fetchSub(1, .monotonic);
                world_of_tests.bury(handle);
                summary.deaths += 1;
                handle = try stage.world.server();
            },
            1 => {
                // It leaves in good order, which hands the request on.
                _ = holders.fetchSub(1, .monotonic);
                channel.close(handle, .unmap);
                handle = try stage.world.server();
            },
            else => try serve(handle, received, holders, summary),
        }
    }
    channel.close(handle, .unmap);
}

fn serve(handle: *Handle, received: Slots.Received, holders: *std.atomic.Value(u32), summary: *Summary) !void {
    const request = handle.map.request(received.slot, received.length)[0..received.length];
    const message = try Message.read(request, request_salt);
    var buffer: [payload_bytes_max]u8 = undefined;
    const answer = message.write(answer_salt, &buffer);
    // Its request stays unchanged, whatever the client does.
    if (!std.meta.eql(message, try Message.read(request, request_salt))) return error.WrongBytes;
    _ = holders.fetchSub(1, .monotonic);
    const call: slots.Call = .{ .slot = received.slot, .generation = received.word.generation };
    _ = try Slots.reply(handle, call, answer, @intCast(answer.len), .bytes);
    summary.served += 1;
}

test "threads do everything at once, for a second" {
    const summary = try run(.{ .seconds = 1, .seed = std.testing.random_seed });
    try std.testing.expect(summary.answered > 0 and summary.deaths > 0);
}
