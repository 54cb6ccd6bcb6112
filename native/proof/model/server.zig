//! What servers do.

const std = @import("std");
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

/// Its handlers are asynchronous, and it takes another request while it works on one.
pub fn serve_busy() noreturn {
    const own = participant.self();
    while (true) {
        if (own.held_count == participant.held_max) {
            participant.begin(.receive);
            library.tandem_rest(participant.address());
            await_turn(false);
        } else switch (take_in_turn()) {
            1 => {},
            abi.receive_stood_back => await_turn(true),
            else => if (event_loop.fall_asleep(abi.arm_requests)) rest_busy() else await_turn(true),
        }
    }
}

noinline fn take_in_turn() i32 {
    const own = participant.self();
    participant.begin(.receive);
    var control: abi.Control = .{};
    const status = library.tandem_receive(participant.address(), abi.receive_first, &control);
    // The plans have two servers of this kind.
    if (status == abi.receive_stood_back and memory.patience_is_over.* != 0) {
        say(.{ .wrong = "a server leaves a request to one that did not take it in time" });
    }
    memory.patience_is_over.* = 0;
    if (status < 0) say(.{ .wrong = "a server could not receive" });
    if (status != 1) return status;
    const first = begin_request(&control);
    own.held[own.held_count] = .{ .slot = control.slot, .low = control.generation_low, .high = control.generation_high, .first = first };
    own.held_count += 1;
    return 1;
}

/// A handler may end before the next look.
noinline fn await_turn(may_look: bool) void {
    const is_busy = participant.self().held_count > 0;
    while (true) {
        const woken_by = event_loop.wait(.{ .turn = may_look, .handled = is_busy });
        if (woken_by == event.turn) return;
        if (woken_by == event.handled) return end_handler();
        _ = event_loop.in_background(woken_by);
    }
}

noinline fn rest_busy() void {
    const own = participant.self();
    while (true) {
        participant.begin(.sleep);
        const woken_by = event_loop.wait(.{
            .asleep = true,
            .bell = true,
            .slice = own.needs_slices or own.is_unsure,
            .handled = own.held_count > 0,
        });
        const wakes = switch (woken_by) {
            event.bell, event.handled => true,
            event.slice => wakes: {
                participant.begin(.sweep);
                _ = library.tandem_sweep(participant.address());
                break :wakes true;
            },
            else => event_loop.in_background(woken_by),
        };
        if (!wakes) continue;
        event_loop.disarm();
        if (woken_by == event.handled) end_handler();
        return;
    }
}

noinline fn end_handler() void {
    const own = participant.self();
    const held = own.held[0];
    own.held_count -= 1;
    own.held[0] = if (own.held_count > 0) own.held[1] else std.mem.zeroes(participant.HeldRequest);
    own.held[own.held_count] = std.mem.zeroes(participant.HeldRequest);
    const control: abi.Control = .{ .slot = held.slot, .generation_low = held.low, .generation_high = held.high };
    answer_request(&control, held.first);
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
        const is_forwarded = control.flags & abi.request_forwarded != 0;
        if (is_forwarded != setup.forwards(call)) say(.{ .wrong = "a request has lost the flag of forwarded ones, or got it" });
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
    say(.{ .replied = payloads.call_of(first) });
}
