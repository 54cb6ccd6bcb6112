//! The control: the runtimes' channel, called and served by native code through the functions behind the
//! library's exports.

const std = @import("std");
const abi = @import("../abi.zig");
const channel = @import("../channel.zig");
const driver = @import("driver.zig");
const slots = @import("../protocol/slots.zig");
const words = @import("../memory/words.zig");
const Handle = @import("../handle.zig").Handle;
const Location = @import("../platform/target.zig").Location;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Slots = slots.SlotsType(Shared);

fn open_handle(target: []const u8, role: u32) !*Handle {
    const options: abi.Options = .{};
    var control: abi.Control = .{};
    var location: Location = undefined;
    return channel.open(target, role, &options, &control, &location);
}

/// Waits for an answer and leaves it in place.
inline fn answer_of(handle: *Handle, call: slots.Call, length: usize) !Slots.Answer {
    try Calls.wait_ready(handle, call, 0);
    const answer = try Slots.answer(handle, call);
    if (answer.kind != .bytes or answer.length != length) return error.NotAnEcho;
    return answer;
}

/// As `tandem_request` does it.
pub const Echo = struct {
    handle: *Handle,

    pub fn open(target: []const u8) !Echo {
        return .{ .handle = try open_handle(target, 0) };
    }

    pub inline fn call(echo: *Echo, payload: []const u8, out: []u8) !void {
        const handle = echo.handle;
        const request: slots.Request = .{ .deadline_ns = Calls.deadline_after(std.math.inf(f64)) };
        const sent = (try Calls.send(handle, payload, request, true)).?;
        try Slots.get(handle, sent, try answer_of(handle, sent, out.len), out);
    }
};

/// Keeps many calls under way, like an event loop with many promises: it waits for the oldest and sends
/// another.
pub const Window = struct {
    handle: *Handle,
    outstanding: []Sent,
    next: usize = 0,

    const Sent = struct { call: ?slots.Call = null, mark: u8 = 0 };
    pub const outstanding_max = 1024;
    var memory: [outstanding_max]Sent = @splat(.{});

    pub fn open(target: []const u8, outstanding: usize) !Window {
        return .{ .handle = try open_handle(target, 0), .outstanding = memory[0..outstanding] };
    }

    pub inline fn call(window: *Window, payload: []const u8, out: []u8) !void {
        const handle = window.handle;
        const location = &window.outstanding[window.next];
        window.next = if (window.next + 1 == window.outstanding.len) 0 else window.next + 1;
        if (location.call) |oldest| {
            try Slots.get(handle, oldest, try answer_of(handle, oldest, out.len), out);
            if (out[0] != location.mark) return error.NotAnEcho;
        }
        location.* = .{ .call = try Calls.send(handle, payload, .{}, true), .mark = payload[0] };
        // The conductor's loop checks this; the echo of this payload comes later.
        out[0] = payload[0];
    }
};

/// Writes the payload where it is read, both ways.
pub const InPlace = struct {
    handle: *Handle,

    pub fn open(target: []const u8) !InPlace {
        return .{ .handle = try open_handle(target, 0) };
    }

    pub fn call(in_place: *InPlace, payload: []const u8, out: []u8) !void {
        const handle = in_place.handle;
        const length: u32 = @intCast(payload.len);
        const draft = (try Calls.allocate(handle, length)).?;
        @memcpy(handle.map.request(draft.slot, length), payload);
        if (!try Slots.publish(handle, draft, null, length, .{})) return error.Full;
        _ = try answer_of(handle, draft, length);
        const bytes = handle.map.response(draft.slot, length);
        out[0] = bytes[0];
        if (bytes[length - 1] != payload[length - 1]) return error.NotAnEcho;
        _ = Slots.release(handle, draft);
    }
};

/// As `tandem_receive` and `tandem_reply`. Ends with the process that started it.
pub fn serve(target: []const u8) !void {
    driver.end_with_parent(.KILL);
    const handle = try open_handle(target, abi.open_role_server);
    try driver.say_ready();
    while (true) {
        const received = (try Calls.receive(handle, 0, true)).?;
        const call: slots.Call = .{ .slot = received.slot, .generation = received.word.generation };
        const bytes = handle.map.request(received.slot, received.length);
        _ = try Slots.reply(handle, call, bytes[0..received.length], received.length, .bytes);
    }
}

/// Attaches and does nothing else.
pub fn attach(target: []const u8, as_server: bool) !void {
    const handle = try open_handle(target, if (as_server) abi.open_role_server else 0);
    try driver.wait_for_end();
    channel.close(handle, .unmap);
}
