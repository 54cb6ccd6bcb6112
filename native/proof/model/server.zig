//! What servers do.

const abi = @import("../../abi.zig");
const words = @import("../../memory/words.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const library = @import("library.zig");
const event_loop = @import("event_loop.zig");
const lifetime = @import("lifetime.zig");
const participant = @import("participant.zig");
const payloads = @import("payloads.zig");
const setup = @import("setup.zig");
const Model = memory.Model;
const event = rq.event;
const say = memory.say;
const NotifyDescriptor = @import("../../calls/notify_descriptor.zig").NotifyDescriptorType(Model);

pub fn serve(may_close: bool) noreturn {
    while (true) if (!serve_one(may_close)) rest(may_close);
}

/// False: there is nothing to serve.
noinline fn serve_one(may_close: bool) bool {
    participant.begin(.receive);
    var control: abi.Control = .{};
    const status = library.tandem_receive(participant.address(), 0, &control);
    if (status == abi.Status.not_found.result()) lifetime.close();
    if (status < 0) say(.{ .wrong = "a server could not receive" });
    if (status != 1) return false;
    const first = begin_request(&control);
    if (setup.plans[setup.current].has(.serve_last)) begin_for_good(&control, first);
    // The handler is asynchronous.
    while (may_close) {
        const woken_by = event_loop.wait(.{ .turn = true, .close = true });
        if (woken_by == event.turn) break;
        if (woken_by == event.close) lifetime.close();
        _ = event_loop.in_background(woken_by);
    }
    answer_request(&control, first);
    return true;
}

noinline fn rest(may_close: bool) void {
    const own = participant.self();
    if (!event_loop.fall_asleep(abi.arm_requests)) {
        while (true) {
            const woken_by = event_loop.wait(.{ .turn = true });
            if (woken_by == event.turn) return;
            _ = event_loop.in_background(woken_by);
        }
    }
    while (true) {
        participant.begin(.sleep);
        const woken_by = event_loop.wait(.{ .asleep = true, .bell = true, .slice = own.needs_slices or own.is_unsure, .close = may_close });
        const wakes = switch (woken_by) {
            event.bell => true,
            event.slice => wakes: {
                participant.begin(.sweep);
                _ = library.tandem_sweep(participant.address());
                break :wakes true;
            },
            event.close => lifetime.close(),
            else => event_loop.in_background(woken_by),
        };
        if (wakes) break;
    }
    event_loop.disarm();
}

pub fn serve_block() noreturn {
    while (true) _ = receive_and_answer(participant.no_timeout);
}

noinline fn receive_and_answer(timeout: f64) bool {
    participant.begin(.receive);
    var control: abi.Control = .{};
    const status = library.tandem_receive(participant.address(), timeout, &control);
    if (status == abi.Status.not_found.result()) lifetime.close();
    if (status < 0) say(.{ .wrong = "a server could not receive" });
    if (status != 1) return false;
    const first = begin_request(&control);
    answer_request(&control, first);
    return true;
}

/// As a foreign event loop: it looks when the descriptor is readable.
pub fn serve_notify() noreturn {
    const own = participant.self();
    participant.begin(.notify);
    NotifyDescriptor.set(&own.handle, memory.notify_fd_first + @as(i32, setup.current), false);
    while (true) {
        participant.begin(.sleep);
        const woken_by = event_loop.wait(.{ .asleep = true, .notify = true });
        if (woken_by != event.notify) {
            _ = event_loop.in_background(woken_by);
            continue;
        }
        while (receive_and_answer(0)) {}
        participant.begin(.notify);
        library.tandem_drain_notify(participant.address());
    }
}

/// Half of the request is read on delivery, and half just before the answer; it must not change in between.
noinline fn begin_request(control: *const abi.Control) u64 {
    const own = participant.self();
    participant.begin(.read_request);
    if (control.length != memory.payload_bytes) say(.{ .wrong = "a request of another length" });
    const first = memory.read_half(own.handle.map.request(control.slot, memory.payload_bytes), 0);
    const call = payloads.call_of(first);
    if (first != payloads.half_of(payloads.request_mark, call, 0, 0)) {
        say(.{ .wrong = "a server got a request that no client sent" });
    } else {
        say(.{ .received = .{ .call = call, .allowed = setup.max_deliveries } });
    }
    return first;
}

noinline fn begin_for_good(control: *const abi.Control, first: u64) void {
    participant.begin(.reply);
    library.tandem_last_delivery(participant.address(), control.slot, control.generation_low, control.generation_high);
    say(.{ .begun_for_good = payloads.call_of(first) });
}

noinline fn answer_request(control: *const abi.Control, first: u64) void {
    const own = participant.self();
    participant.begin(.read_request);
    const second = memory.read_half(own.handle.map.request(control.slot, memory.payload_bytes), 1);
    if (second != first + 1) say(.{ .wrong = "a server got a torn request, or its bytes have changed" });
    participant.begin(.reply);
    const bytes = payloads.payload(payloads.response_mark, payloads.call_of(first), setup.current);
    const status = library.tandem_reply(
        participant.address(),
        control.slot,
        control.generation_low,
        control.generation_high,
        &bytes,
        bytes.len,
        @backingInt(words.AnswerKind.bytes),
    );
    if (status < 0) say(.{ .wrong = "a server could not answer" });
    say(.replied);
}
