//! Shared by the tests of the protocol: an anonymous channel whose handles are all in this process. Each is a
//! participant with a lock of its own, and a death is the loss of that lock without any other step.

const std = @import("std");
const testing = std.testing;
const abi = @import("../abi.zig");
const ageing = @import("ageing.zig");
const channel = @import("../channel.zig");
const layout = @import("../memory/layout.zig");
const segment = @import("../memory/segment.zig");
const slots = @import("../protocol/slots.zig");
const files = @import("../platform/sys/files.zig");
const mappings = @import("../platform/sys/mappings.zig");
const target = @import("../platform/target.zig");
const words = @import("../memory/words.zig");
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Terms = @import("../calls/limit/terms.zig").TermsType(Shared);
const Slots = slots.SlotsType(Shared);

/// One anonymous channel and its handles.
pub const World = struct {
    first: *Handle,

    pub fn init(slot_count: f64, max_deliveries: f64) !World {
        return init_sizes(slot_count, max_deliveries, 4096);
    }

    pub fn init_sizes(slot_count: f64, max_deliveries: f64, payload_bytes: f64) !World {
        const options: abi.Options = .{
            .slots = slot_count,
            .max_request_bytes = payload_bytes,
            .max_response_bytes = payload_bytes,
            .max_deliveries = max_deliveries,
        };
        return .{ .first = try open("test", abi.open_anonymous | abi.open_role_server, &options) };
    }

    /// A channel that has been in use for a long time.
    pub fn init_old(slot_count: u64, max_deliveries: u64, age: ageing.Age) !World {
        var control: abi.Control = .{};
        const options: segment.Options = .{
            .kind = .bytes,
            .slots = slot_count,
            .max_request_bytes = 4096,
            .max_response_bytes = 4096,
            .max_deliveries = max_deliveries,
            .mode = segment.Options.mode_default,
        };
        const made = try segment.open_anonymous("test", &options, &control);
        defer made.close();
        ageing.set(&made.map, age);
        return .{ .first = try open_fd(made.fd, abi.open_role_server) };
    }

    /// A concurrency limit with so many places.
    pub fn init_limit(max: u32) !World {
        const world: World = .{ .first = try open("test", abi.open_anonymous | abi.open_kind_limit, &.{}) };
        var control: abi.Control = .{};
        try Terms.want(world.first, max, 0, &control);
        return world;
    }

    /// Another contender.
    pub fn contender(world: World) !*Handle {
        return world.join(abi.open_kind_limit);
    }

    fn open(name: []const u8, operation: u32, options: *const abi.Options) !*Handle {
        var control: abi.Control = .{};
        var location: target.Location = undefined;
        return channel.open(name, operation, options, &control, &location);
    }

    fn join(world: World, role: u32) !*Handle {
        return open_fd(world.first.fd, role);
    }

    fn open_fd(fd: i32, role: u32) !*Handle {
        const options: abi.Options = .{ .fd = @floatFromInt(fd) };
        return open("", abi.open_from_fd | role, &options);
    }

    pub fn client(world: World) !*Handle {
        return world.join(0);
    }

    pub fn server(world: World) !*Handle {
        return world.join(abi.open_role_server);
    }

    pub fn deinit(world: World) void {
        channel.close(world.first, .unmap);
    }
};

/// Simulates the death of a killed process: its descriptors and its mapping go, and nothing else happens. The
/// mapping matters, because it holds the description, and with it the lock.
pub fn die(handle: *Handle) void {
    if (handle.public_fd >= 0) files.close(handle.public_fd);
    files.close(handle.fd);
    mappings.unmap(@intFromPtr(handle.map.base), handle.map.geometry.file_bytes);
    if (handle.bells.life >= 0) files.close(handle.bells.life);
    handle.bells.close_folders();
}

/// As `die`, and also frees everything that is left of it in this process; the handle is gone.
pub fn bury(handle: *Handle) void {
    die(handle);
    for (&handle.bells.cache) |*cached| if (cached.fd >= 0) files.close(cached.fd);
    handle.destroy();
}

pub fn send(client: *Handle, bytes: []const u8, max_deliveries: u8) !slots.Call {
    const request: slots.Request = .{ .max_deliveries = max_deliveries };
    return (try Calls.send(client, bytes, request, false)) orelse error.NoSlot;
}

pub fn receive(server: *Handle) !slots.Call {
    const received = (try Calls.receive(server, 0, false)) orelse return error.NothingThere;
    return .{ .slot = received.slot, .generation = received.word.generation };
}

pub fn expect_answer(client: *Handle, call: slots.Call, expected: []const u8) !void {
    var buffer: [4096]u8 = undefined;
    const answer = try Slots.answer(client, call);
    try testing.expectEqual(words.AnswerKind.bytes, answer.kind);
    try Slots.get(client, call, answer, &buffer);
    try testing.expectEqualStrings(expected, buffer[0..answer.length]);
}

pub fn expect_all_free(handle: *Handle) !void {
    for (0..Slots.used_count(handle)) |index| {
        const word = Shared.load(words.SlotWord, &handle.map.slot(@intCast(index)).word, .acquire);
        try testing.expectEqual(words.SlotState.free, word.state);
    }
}
