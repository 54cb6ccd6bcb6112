//! What clients do.

const abi = @import("../../abi.zig");
const memory = @import("memory.zig");
const library = @import("library.zig");
const event_loop = @import("event_loop.zig");
const participant = @import("participant.zig");
const payloads = @import("payloads.zig");
const pending_calls = @import("pending_calls.zig");
const setup = @import("setup.zig");
const Model = memory.Model;
const say = memory.say;

pub noinline fn request(action: setup.Action) void {
    const own = participant.self();
    const call = participant.new_call();
    say(.{ .sent = call });
    const flags = abi.send_watched | if (action == .forward) abi.send_forwarded else 0;
    const sent = pending_calls.try_send(call, flags, action == .request_timeout, action == .request_abort);
    if (sent) return;
    own.waits_for_room = true;
    own.room_call = call;
    // This loop also settles other pending calls of this handle.
    event_loop.run_loop();
}

pub noinline fn post() void {
    const call = participant.new_call();
    // Without a free slot it is not sent.
    if (pending_calls.try_send(call, abi.send_one_way, false, false)) say(.{ .posted = call });
}

pub noinline fn block(has_deadline: bool) void {
    participant.begin(.wait_for_answer);
    const call = participant.new_call();
    say(.{ .sent = call });
    var control: abi.Control = .{};
    var answer: [memory.payload_bytes]u8 = @splat(0);
    const bytes = payloads.payload(payloads.request_mark, call, 0);
    const timeout: f64 = if (has_deadline) participant.timeout_ms else participant.no_timeout;
    const status = library.tandem_request(participant.address(), &bytes, bytes.len, pending_calls.send_flags(0), timeout, &answer, answer.len, &control);
    participant.ended_with(call, status, &answer);
}

/// The operations that never wait.
pub noinline fn attempt() void {
    const own = participant.self();
    const call = participant.new_call();
    say(.{ .sent = call });
    if (!pending_calls.try_send(call, 0, false, false)) return participant.ended(call, .busy);
    participant.begin(.get);
    const place = own.pending_count - 1;
    const known = own.pending[place];
    var control: abi.Control = .{};
    var bytes: [memory.payload_bytes]u8 = @splat(0);
    const status = library.tandem_get(participant.address(), known.slot, known.low, known.high, 0, &bytes, bytes.len, &control);
    if (status != abi.Status.not_yet.result()) {
        _ = pending_calls.drop_pending(place);
        return participant.ended_with(call, status, &bytes);
    }
    participant.begin(.cancel);
    const is_cancelled = library.tandem_cancel(participant.address(), known.slot, known.low, known.high, abi.cancel_release) == 1;
    _ = pending_calls.drop_pending(place);
    participant.ended(call, if (is_cancelled) .aborted else .answered);
}

pub noinline fn draft() void {
    const own = participant.self();
    participant.begin(.draft);
    const call = participant.new_call();
    say(.{ .sent = call });
    var control: abi.Control = .{};
    if (library.tandem_allocate(participant.address(), memory.payload_bytes, &control) != 1) return participant.ended(call, .busy);
    const bytes = payloads.payload(payloads.request_mark, call, 0);
    Model.copy_in(own.handle.map.request(control.slot, bytes.len), &bytes);
    const flags = pending_calls.send_flags(abi.send_watched);
    const status = library.tandem_publish(
        participant.address(),
        control.slot,
        control.generation_low,
        control.generation_high,
        bytes.len,
        flags,
        participant.no_timeout,
    );
    if (status == 0) return participant.ended(call, .busy);
    if (status < 0) return say(.{ .wrong = "a draft could not be sent" });
    if (status == 2) own.nudges = true;
    pending_calls.add_pending(call, &control, false, false);
    event_loop.run_loop();
}

pub noinline fn discard() void {
    participant.begin(.draft);
    var control: abi.Control = .{};
    if (library.tandem_allocate(participant.address(), memory.payload_bytes, &control) != 1) return;
    _ = library.tandem_cancel(participant.address(), control.slot, control.generation_low, control.generation_high, abi.cancel_draft);
}
