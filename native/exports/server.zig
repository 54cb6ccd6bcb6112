//! The requests of a server.

const std = @import("std");
const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const words = @import("../memory/words.zig");
const Control = abi.Control;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);
const Roster = @import("../protocol/roster.zig").RosterType(Shared);
const Slots = @import("../protocol/slots.zig").SlotsType(Shared);
const Spread = @import("../protocol/spread.zig").SpreadType(Shared);
const Trim = @import("../protocol/trim.zig").TrimType(Shared);

/// 1: the control block describes a request; 0: none came within the time-out. A time-out of 0 tries once. One
/// below 0 is a look of a server that takes requests as they come: `receive_first`, and `receive_next` for those
/// that follow at once. `receive_stood_back`: a less busy server gets the request.
export fn tandem_receive(handle_address: f64, timeout_ms: f64, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    if (timeout_ms < 0) {
        if (Spread.stands_back(handle, timeout_ms == abi.receive_first)) return abi.receive_stood_back;
        return described(control, Calls.look(handle));
    }
    const may_wait = timeout_ms != 0;
    const deadline_ns = if (may_wait) Calls.deadline_after(timeout_ms) else 0;
    return described(control, Calls.receive(handle, deadline_ns, may_wait));
}

fn described(control: *Control, result: abi.Error!?Slots.Received) i32 {
    const found = result catch |err| return arguments.failed(err);
    const received = found orelse return 0;
    arguments.set_call(control, .{ .slot = received.slot, .generation = received.word.generation });
    control.length = received.length;
    control.flags = received.flags & (abi.request_text | abi.request_one_way | abi.request_forwarded);
    control.deliveries = @as(u32, received.word.delivery) + 1;
    return 1;
}

/// This server takes no request until it looks again.
export fn tandem_rest(handle_address: f64) void {
    Spread.rests(arguments.handle_at(handle_address));
}

/// 1: the answer goes to its client; 0: no client waits for it any more.
export fn tandem_reply(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    bytes: [*]const u8,
    length: u32,
    kind: u32,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.known_call(handle, slot, generation_low, generation_high) orelse return 0;
    const answer_kind: words.AnswerKind = @fromBackingInt(@as(u10, @truncate(kind)));
    defer Lifetime.look_after_ring(handle);
    const taken = Slots.reply(handle, call, bytes[0..length], length, answer_kind) catch |err| return arguments.failed(err);
    return @intFromBool(taken);
}

/// Makes response memory writable before JavaScript fills it in place.
export fn tandem_reserve(handle_address: f64, slot: u32, length: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    if (length > handle.map.geometry.max_response_bytes) return arguments.failed(error.TooLarge);
    Shared.commit_response(handle, slot, length) catch |err| return arguments.failed(err);
    return 0;
}

/// As `tandem_reserve`, in place of the request, which the server no longer needs: see `Trim.request_of`.
export fn tandem_reserve_instead(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    length: u32,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.known_call(handle, slot, generation_low, generation_high) orelse return 0;
    Trim.request_of(handle, call, length);
    return tandem_reserve(handle_address, slot, length);
}

/// The state of a request that this handle holds: `Held` in layout.ts, and the milliseconds left.
export fn tandem_held(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    control: *Control,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.known_call(handle, slot, generation_low, generation_high) orelse return @backingInt(Slots.Held.lost);
    // Handed over with the request. `held` reports whether this handle still holds it.
    const deadline_ns = Shared.load(u64, &handle.map.slot(slot).deadline_ns, .monotonic);
    control.time_remaining = if (deadline_ns == 0)
        std.math.inf(f64)
    else
        @as(f64, @floatFromInt(deadline_ns -| Shared.now_ns())) / std.time.ns_per_ms;
    return @backingInt(Slots.held(handle, call));
}

/// Finds the sender of a request that this handle has received: its position for `tandem_participant`, and its
/// epoch.
export fn tandem_sender(handle_address: f64, slot: u32, control: *Control) i32 {
    return Roster.sender(arguments.handle_at(handle_address), slot, control);
}

/// Prevents that a request which this handle holds is delivered to another server.
export fn tandem_last_delivery(handle_address: f64, slot: u32, generation_low: u32, generation_high: u32) void {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.known_call(handle, slot, generation_low, generation_high) orelse return;
    Slots.last_delivery(handle, call);
}
