//! The calls of a client.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const slots = @import("../protocol/slots.zig");
const Control = abi.Control;
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);
const Ring = @import("../protocol/ring.zig").RingType(Shared);
const Slots = slots.SlotsType(Shared);
const Wait = @import("../protocol/wait.zig").WaitType(Shared);

pub fn request_of(flags: u32, deadline_ns: u64) slots.Request {
    return .{
        .text = flags & abi.send_text != 0,
        .one_way = flags & abi.send_one_way != 0,
        .forwarded = flags & abi.send_forwarded != 0,
        .watched = flags & abi.send_watched != 0,
        .max_deliveries = @truncate(flags >> abi.send_deliveries_shift),
        .deadline_ns = deadline_ns,
    };
}

/// 1: queued, the control block has the call; 2: as 1, and `tandem_nudge` is due after a while; 0: no slot is
/// free.
export fn tandem_send(
    handle_address: f64,
    bytes: [*]const u8,
    length: u32,
    flags: u32,
    timeout_ms: f64,
    control: *Control,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const request = request_of(flags, Calls.deadline_after(timeout_ms));
    defer Lifetime.look_after_ring(handle);
    const sent = Calls.send(handle, bytes[0..length], request, flags & abi.send_block != 0) catch |err|
        return arguments.failed(err);
    const call = sent orelse return 0;
    arguments.set_call(control, call);
    return sent_result(handle);
}

fn sent_result(handle: *const Handle) i32 {
    return if (handle.responsible) 2 else 1;
}

/// Sends, waits and gets. Returns the length of the answer, which is in `out` if it fits.
export fn tandem_request(
    handle_address: f64,
    bytes: [*]const u8,
    length: u32,
    flags: u32,
    timeout_ms: f64,
    out: [*]u8,
    out_bytes: u32,
    control: *Control,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const request = request_of(flags, Calls.deadline_after(timeout_ms));
    const call = (Calls.send(handle, bytes[0..length], request, true) catch |err| return arguments.failed(err)).?;
    arguments.set_call(control, call);
    Lifetime.look_after_ring(handle);
    Calls.wait_ready(handle, call, 0) catch |err| return arguments.failed(err);
    return take_answer(handle, call, out, out_bytes, control);
}

/// Copies an answer out and frees its slot. `longer`: it does not fit and stays.
fn take_answer(handle: *Handle, call: slots.Call, out: [*]u8, out_bytes: u32, control: *Control) i32 {
    const answer = Slots.answer(handle, call) catch |err| {
        handle.remove_call(call.slot, call.generation);
        return arguments.failed(err);
    };
    control.flags = @backingInt(answer.kind);
    control.length = answer.length;
    if (answer.length > out_bytes) return abi.Status.longer.result();
    Slots.get(handle, call, answer, out[0..out_bytes]) catch |err| return arguments.failed(err);
    return answer_result(handle, answer);
}

fn answer_result(handle: *Handle, answer: Slots.Answer) i32 {
    return switch (answer.kind) {
        .bytes, .text => @intCast(answer.length),
        .remote_error => abi.Status.remote.result(),
        .server_died => abi.Status.server_died.result(),
        .timed_out => {
            Wait.count(handle, "timeouts");
            return abi.Status.timeout.result();
        },
        _ => abi.Status.corrupt.result(),
    };
}

/// Gets the answer of an own call. A time-out of 0 tries once: `not_yet`.
export fn tandem_get(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    timeout_ms: f64,
    out: [*]u8,
    out_bytes: u32,
    control: *Control,
) i32 {
    const handle = arguments.handle_at(handle_address);
    return take(handle, arguments.call_of(slot, generation_low, generation_high), timeout_ms, out, out_bytes, control);
}

/// As `tandem_get`.
pub fn take(handle: *Handle, call: slots.Call, timeout_ms: f64, out: [*]u8, out_bytes: u32, control: *Control) i32 {
    const status = wait(handle, call, timeout_ms);
    if (status != 0) return status;
    return take_answer(handle, call, out, out_bytes, control);
}

fn wait(handle: *Handle, call: slots.Call, timeout_ms: f64) i32 {
    if (timeout_ms == 0) {
        const ready = Calls.is_ready(handle, call) catch |err| return arguments.failed(err);
        return if (ready) 0 else abi.Status.not_yet.result();
    }
    Calls.wait_ready(handle, call, Calls.deadline_after(timeout_ms)) catch |err| return arguments.failed(err);
    return 0;
}

/// Waits for an own call's answer and leaves it in place; the control block describes it.
export fn tandem_ready(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    timeout_ms: f64,
    control: *Control,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.call_of(slot, generation_low, generation_high);
    const status = wait(handle, call, timeout_ms);
    if (status != 0) return status;
    const answer = Slots.answer(handle, call) catch |err| return arguments.failed(err);
    control.flags = @backingInt(answer.kind);
    control.length = answer.length;
    return answer_result(handle, answer);
}

/// Ends any participant's call that has no answer, or gives an own draft back. 1: it has ended now, and no
/// client will see an answer.
export fn tandem_cancel(handle_address: f64, slot: u32, generation_low: u32, generation_high: u32, mode: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    // The event loop may have slept for a long time until now.
    if (mode == abi.cancel_timed_out) _ = Lifetime.lost(handle);
    defer Lifetime.look_after_ring(handle);
    const call = arguments.known_call(handle, slot, generation_low, generation_high) orelse return 0;
    if (mode == abi.cancel_draft) {
        Slots.discard(handle, call);
        return 1;
    }
    if (mode == abi.cancel_timed_out) return @intFromBool(Calls.time_out(handle, call));
    if (Slots.cancel(handle, call)) {
        handle.remove_call(call.slot, call.generation);
        Wait.count(handle, "cancelled");
        return 1;
    }
    if (mode == abi.cancel_release) _ = Slots.release(handle, call);
    return 0;
}

/// 1: fewer than `limit` requests wait for a server; 0: that many or more, which counts as `busy`.
export fn tandem_has_room(handle_address: f64, limit: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    if (Ring.length(handle) < limit) return 1;
    Wait.count(handle, "busy");
    return 0;
}

/// The number of participants that have ever joined, without the quiet ones; below 0: the channel has ended.
export fn tandem_joins(handle_address: f64) f64 {
    const handle = arguments.handle_at(handle_address);
    if (Lifetime.is_removed(handle)) return -1;
    return @floatFromInt(Shared.load(u64, &handle.map.header().joins, .acquire));
}

/// 1: a draft for a request of that length; 0: no slot is free.
export fn tandem_allocate(handle_address: f64, length: u32, control: *Control) i32 {
    const allocated = Calls.allocate(arguments.handle_at(handle_address), length) catch |err| return arguments.failed(err);
    const call = allocated orelse return 0;
    arguments.set_call(control, call);
    return 1;
}

/// Sends a draft whose bytes are in place. 1, 2: as `tandem_send`; 0: the ring is full, and the draft is
/// gone.
export fn tandem_publish(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    length: u32,
    flags: u32,
    timeout_ms: f64,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.call_of(slot, generation_low, generation_high);
    const request = request_of(flags, Calls.deadline_after(timeout_ms));
    defer Lifetime.look_after_ring(handle);
    const sent = Slots.publish(handle, call, null, length, request) catch |err| return arguments.failed(err);
    return if (sent) sent_result(handle) else 0;
}
