//! The calls that a participant has sent as promises.

const std = @import("std");
const abi = @import("../../abi.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const library = @import("library.zig");
const participant = @import("participant.zig");
const payloads = @import("payloads.zig");
const setup = @import("setup.zig");
const Event = rq.Event;
const event = rq.event;
const say = memory.say;

pub fn send_flags(flags: u32) u32 {
    return flags | @as(u32, setup.max_deliveries) << abi.send_deliveries_shift;
}

/// False: no slot is free.
pub noinline fn try_send(call: u8, flags: u32, has_deadline: bool, may_abort: bool) bool {
    const own = participant.self();
    participant.begin(.send);
    var control: abi.Control = .{};
    const bytes = payloads.payload(payloads.request_mark, call, 0);
    const timeout: f64 = if (has_deadline) participant.timeout_ms else participant.no_timeout;
    const status = library.tandem_send(participant.address(), &bytes, bytes.len, send_flags(flags), timeout, &control);
    if (status == 0) return false;
    if (status == abi.Status.not_found.result()) {
        if (flags & abi.send_one_way == 0) participant.ended(call, .cancelled);
        return true;
    }
    if (status < 0) {
        say(.{ .wrong = "a request could not be sent" });
        return true;
    }
    if (status == 2) own.nudges = true;
    if (flags & abi.send_one_way != 0) return true;
    add_pending(call, &control, has_deadline, may_abort);
    return true;
}

pub fn add_pending(call: u8, control: *const abi.Control, has_deadline: bool, may_abort: bool) void {
    const own = participant.self();
    // Others have ended the earlier call in this slot, and its end is not reported any more.
    for (own.pending[0..own.pending_count], 0..) |known, place| {
        if (known.slot != control.slot) continue;
        if (library.tandem_watch_call(participant.address(), known.slot, known.low, known.high) == 0) settle(place);
        break;
    }
    own.pending[own.pending_count] = .{
        .call = call,
        .slot = control.slot,
        .low = control.generation_low,
        .high = control.generation_high,
        .may_abort = may_abort,
        .has_deadline = has_deadline,
    };
    own.pending_count += 1;
}

pub noinline fn drop_pending(place: usize) participant.Pending {
    const own = participant.self();
    const found = own.pending[place];
    own.pending_count -= 1;
    own.pending[place] = own.pending[own.pending_count];
    own.pending[own.pending_count] = std.mem.zeroes(participant.Pending);
    return found;
}

/// A call has ended: gets its answer.
pub noinline fn settle(place: usize) void {
    participant.begin(.get);
    const call = drop_pending(place);
    var control: abi.Control = .{};
    var bytes: [memory.payload_bytes]u8 = @splat(0);
    const status = library.tandem_get(participant.address(), call.slot, call.low, call.high, 0, &bytes, bytes.len, &control);
    participant.ended_with(call.call, status, &bytes);
}

pub fn is_pending() bool {
    return participant.self().pending_count > 0 or participant.self().waits_for_room;
}

pub fn pending_with(comptime field: []const u8) bool {
    const own = participant.self();
    for (own.pending[0..own.pending_count]) |call| if (@field(call, field)) return true;
    return false;
}

pub noinline fn end_pending(why: Event) void {
    const own = participant.self();
    var place: usize = 0;
    while (place < own.pending_count) {
        const call = own.pending[place];
        if (!(if (why == event.expire) call.has_deadline else call.may_abort)) {
            place += 1;
            continue;
        }
        participant.begin(if (why == event.expire) .time_out else .cancel);
        const mode = if (why == event.expire) abi.cancel_timed_out else abi.cancel_release;
        const is_ended = library.tandem_cancel(participant.address(), call.slot, call.low, call.high, mode) == 1;
        // Answered in the last moment.
        if (why == event.expire and !is_ended) {
            settle(place);
        } else {
            _ = drop_pending(place);
            participant.ended(call.call, if (why == event.expire) .timed_out else .aborted);
        }
    }
}
