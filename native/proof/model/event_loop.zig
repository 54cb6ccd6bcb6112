//! A participant's event loop: src/channel/loop.ts without its budget. It sleeps as soon as a look finds
//! nothing, so the model only leaves out repeated looks.

const std = @import("std");
const abi = @import("../../abi.zig");
const layout = @import("../../memory/layout.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const library = @import("library.zig");
const participant = @import("participant.zig");
const pending_calls = @import("pending_calls.zig");
const setup = @import("setup.zig");
const Model = memory.Model;
const DeathWatch = @import("../../calls/death_watch.zig").DeathWatchType(Model);
const Event = rq.Event;
const Events = rq.Events;
const event = rq.event;

/// Until nothing is pending.
pub noinline fn run_loop() void {
    const own = participant.self();
    while (true) {
        const hit = poll();
        if (!pending_calls.is_pending()) return;
        if (!hit and fall_asleep(if (own.waits_for_room) abi.arm_room else 0)) {
            if (!sleep()) return;
        } else {
            if (!next_turn()) return;
        }
    }
}

noinline fn poll() bool {
    const own = participant.self();
    var hit = false;
    if (own.pending_count > 0) {
        participant.begin(.poll);
        var found: [participant.pending_max * 3]u32 = @splat(0);
        const count: usize = @intCast(library.tandem_poll(participant.address(), &found, found.len));
        for (0..count) |index| {
            for (own.pending[0..own.pending_count], 0..) |call, place| {
                const reported = found[index * 3 ..][0..3];
                if (call.slot != reported[0] or call.low != reported[1] or call.high != reported[2]) continue;
                pending_calls.settle(place);
                hit = true;
                break;
            }
        }
    }
    if (own.waits_for_room and pending_calls.try_send(own.room_call, abi.send_watched, false, false)) {
        own.waits_for_room = false;
        hit = true;
    }
    return hit;
}

/// True: it is asleep.
pub noinline fn fall_asleep(what: u32) bool {
    const own = participant.self();
    if (!own.has_bell) make_bell();
    while (true) {
        participant.begin(.arm);
        switch (library.tandem_arm(participant.address(), what)) {
            abi.armed, abi.armed_unsure => |result| {
                own.is_unsure = result == abi.armed_unsure;
                return true;
            },
            abi.arm_newcomer => watch_all(),
            else => return false,
        }
    }
}

pub fn make_bell() void {
    const own = participant.self();
    own.has_bell = true;
    const entry_ = own.handle.map.participant(own.handle.index);
    if (setup.rings_may_fail and setup.has_waker()) Model.store(u32, &entry_.waker, layout.waker_sleeps, .release);
    Model.store(u32, &entry_.bell, abi.bell_fifo, .release);
}

pub noinline fn watch_all() void {
    const own = participant.self();
    own.has_chosen = true;
    participant.begin(.watch);
    var control: abi.Control = .{};
    while (true) {
        const fd = library.tandem_watch_next(participant.address(), &control);
        if (fd == abi.watch_drop) {
            own.retries &= ~bit(control.slot);
            continue;
        }
        if (fd < 0) {
            own.needs_slices = fd == abi.watch_incomplete;
            return;
        }
        own.retries &= ~bit(control.slot);
    }
}

/// For a loop that waits for nothing any more: the others' deaths are no matter of its.
pub noinline fn unwatch() void {
    const own = participant.self();
    for (own.watched, 0..) |epoch, index| {
        if (epoch != 0) DeathWatch.forget(&own.handle, @intCast(index));
    }
    own.retries = 0;
}

fn bit(index: u32) u6 {
    return @as(u6, 1) << @intCast(index);
}

/// Sleeps until it is woken. False: nothing is pending any more.
noinline fn sleep() bool {
    const own = participant.self();
    while (true) {
        participant.begin(.sleep);
        const woken_by = wait(.{
            .asleep = true,
            .bell = true,
            .slice = own.needs_slices or own.is_unsure,
            .expire = pending_calls.pending_with("has_deadline"),
            .abort = pending_calls.pending_with("may_abort"),
        });
        const wakes = switch (woken_by) {
            event.bell => true,
            event.slice => wakes: {
                participant.begin(.sweep);
                _ = library.tandem_sweep(participant.address());
                break :wakes true;
            },
            event.expire, event.abort => wakes: {
                pending_calls.end_pending(woken_by);
                if (pending_calls.is_pending()) break :wakes false;
                disarm();
                return false;
            },
            else => in_background(woken_by),
        };
        if (wakes) {
            disarm();
            return true;
        }
    }
}

pub fn disarm() void {
    participant.begin(.disarm);
    library.tandem_disarm(participant.address());
}

/// What comes between two turns. False: nothing is pending any more.
noinline fn next_turn() bool {
    while (true) {
        const woken_by = wait(.{
            .turn = true,
            .expire = pending_calls.pending_with("has_deadline"),
            .abort = pending_calls.pending_with("may_abort"),
        });
        switch (woken_by) {
            event.turn => return true,
            event.expire, event.abort => {
                pending_calls.end_pending(woken_by);
                if (!pending_calls.is_pending()) return false;
            },
            else => _ = in_background(woken_by),
        }
    }
}

/// Waits for one of these events, or for those that any loop waits for.
pub noinline fn wait(wanted: Events) Event {
    memory.forget_numbers();
    const own = participant.self();
    var events = wanted;
    events.nudge = own.nudges;
    var epochs: u64 = 0;
    for (own.watched, 0..) |epoch, index| epochs |= @as(u64, @intCast(epoch)) << @intCast(index * 8);
    events.hangup = std.math.maxInt(u6) & ~own.retries;
    events.retry = own.retries;
    if (setup.may_give_up and !own.has_given_up) events.last_retry = own.retries;
    const identity = @as(u64, own.handle.index) | @as(u64, own.handle.epoch) << 8;
    return @intCast(memory.ask(.{ .kind = .event, .a = events.bits(), .b = identity, .c = epochs }));
}

/// True: a sleeping loop wakes up.
pub noinline fn in_background(woken_by: Event) bool {
    const own = participant.self();
    switch (woken_by) {
        event.nudge => {
            participant.begin(.nudge);
            own.nudges = library.tandem_nudge(participant.address()) == 1;
            return false;
        },
        event.hangup...event.hangup + 5 => return hung_up(woken_by - event.hangup, false),
        event.retry...event.retry + 5 => return hung_up(woken_by - event.retry, false),
        event.last_retry...event.last_retry + 5 => return hung_up(woken_by - event.last_retry, true),
        else => unreachable,
    }
}

fn hung_up(index: u32, is_last: bool) bool {
    const own = participant.self();
    participant.begin(.hung_up);
    const is_settled = library.tandem_hung_up(participant.address(), index, @intFromBool(is_last)) == 1;
    if (is_last) own.has_given_up = true;
    if (!is_settled and !is_last) {
        own.retries |= bit(index);
        return false;
    }
    own.retries &= ~bit(index);
    return true;
}

pub fn idle() noreturn {
    while (true) {
        participant.begin(.idle);
        _ = in_background(wait(.{ .idle = true }));
    }
}
