//! What contenders for a limit do, as src/limit puts the library's exports together.

const abi = @import("../../abi.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const library = @import("library.zig");
const event_loop = @import("event_loop.zig");
const participant = @import("participant.zig");
const setup = @import("setup.zig");
const event = rq.event;
const say = memory.say;

fn flags_of(action: setup.Action) u32 {
    return switch (action) {
        .share, .share_timeout => abi.limit_shared,
        .try_acquire => abi.limit_try,
        .try_share => abi.limit_try | abi.limit_shared,
        .steal => abi.limit_steal,
        else => 0,
    };
}

fn is_shared(action: setup.Action) bool {
    return flags_of(action) & abi.limit_shared != 0;
}

fn has_deadline(action: setup.Action) bool {
    return action == .acquire_timeout or action == .share_timeout or action == .acquire_sync_timeout;
}

/// As a promise.
pub noinline fn acquire(action: setup.Action) void {
    var result = request(action, if (action == .stand_by) 1 else abi.limit_no_standby);
    while (result == 0) {
        if (event_loop.fall_asleep(0) and !sleep(has_deadline(action))) {
            result = withdraw(action);
        } else {
            result = look(action);
        }
    }
    if (result == abi.limit_lost) release_lost();
}

pub noinline fn attempt(action: setup.Action) void {
    const result = request(action, abi.limit_no_standby);
    if (result == 0) say(.{ .wrong = "an attempt waits" });
}

pub noinline fn acquire_sync(action: setup.Action) void {
    const result = request(action, abi.limit_no_standby);
    if (result != 0) return;
    participant.begin(.wait_for_answer);
    var control: abi.Control = .{};
    const timeout: f64 = if (action == .acquire_sync_timeout) participant.timeout_ms else participant.no_timeout;
    const waited = library.tandem_limit_wait(participant.address(), timeout, &control);
    if (waited == 0) say(.{ .wrong = "a wait ends without a result" });
    const has_expired = waited == abi.Status.timeout.result() and action == .acquire_sync_timeout;
    if (has_expired) _ = withdraw(action) else note(action, waited, &control);
}

noinline fn request(action: setup.Action, standby: u32) i32 {
    participant.begin(.send);
    say(.wanted);
    var control: abi.Control = .{};
    const result = library.tandem_limit_request(participant.address(), flags_of(action), standby, &control);
    note(action, result, &control);
    return result;
}

noinline fn look(action: setup.Action) i32 {
    participant.begin(.look);
    var control: abi.Control = .{};
    const result = library.tandem_limit_look(participant.address(), &control);
    note(action, result, &control);
    return result;
}

noinline fn withdraw(action: setup.Action) i32 {
    participant.begin(.withdraw);
    var control: abi.Control = .{};
    const result = library.tandem_limit_withdraw(participant.address(), &control);
    note(action, result, &control);
    return result;
}

noinline fn release_lost() void {
    participant.begin(.release);
    _ = library.tandem_limit_release(participant.address());
}

/// What an attempt has come to; 0: nothing yet.
fn note(action: setup.Action, result: i32, control: *const abi.Control) void {
    switch (result) {
        0 => {},
        abi.limit_refused_full => {
            if (action != .stand_by) say(.{ .wrong = "a contender is refused for others that stand by" });
            say(.refused);
        },
        abi.limit_refused_replaced => {
            if (!setup.is_newest) say(.{ .wrong = "a contender is replaced where the oldest comes first" });
            say(.refused);
        },
        abi.limit_not_now => {
            if (flags_of(action) & abi.limit_try == 0) say(.{ .wrong = "a contender is told to go, and would have waited" });
            say(.refused);
        },
        abi.limit_idle => {
            if (!has_deadline(action)) say(.{ .wrong = "a contender that waits is told that it does not" });
            say(.refused);
        },
        abi.limit_lost => {
            if (!setup.has(.steal)) say(.{ .wrong = "a place is lost that no contender steals" });
            say(.refused);
        },
        abi.Status.mismatch.result() => {
            if (!setup.changes_terms()) say(.{ .wrong = "a contender finds other terms, and there are none" });
            say(.refused);
        },
        else => if (result > 0) {
            const token = @as(u64, control.generation_high) << 32 | control.generation_low;
            say(.{ .granted = .{ .place = @intCast(result), .is_shared = is_shared(action), .token = token } });
            participant.self().has_place = true;
            event_loop.unwatch();
        } else say(.{ .wrong = "an error that cannot be" }),
    }
}

/// Sleeps until it is woken. False: the deadline passes.
noinline fn sleep(may_expire: bool) bool {
    const own = participant.self();
    while (true) {
        participant.begin(.sleep);
        const woken_by = event_loop.wait(.{
            .asleep = true,
            .bell = true,
            .slice = own.needs_slices or own.is_unsure,
            .expire = may_expire,
        });
        const wakes = switch (woken_by) {
            event.bell, event.expire => true,
            event.slice => wakes: {
                participant.begin(.sweep);
                _ = library.tandem_sweep(participant.address());
                break :wakes true;
            },
            else => event_loop.in_background(woken_by),
        };
        if (!wakes) continue;
        event_loop.disarm();
        return woken_by != event.expire;
    }
}

/// A timer looks now and then: a thief may have died before it rang.
pub noinline fn listen() void {
    const own = participant.self();
    if (!own.has_place) return;
    while (true) {
        if (event_loop.fall_asleep(0)) {
            participant.begin(.sleep);
            const woken_by = event_loop.wait(.{ .asleep = true, .bell = true, .slice = true, .close = true });
            if (woken_by != event.bell and woken_by != event.slice and woken_by != event.close) {
                _ = event_loop.in_background(woken_by);
            }
            event_loop.disarm();
            if (woken_by == event.close) return;
        }
        if (!still_holds()) break;
    }
    own.has_place = false;
    release_lost();
}

noinline fn still_holds() bool {
    participant.begin(.look);
    var control: abi.Control = .{};
    const result = library.tandem_limit_look(participant.address(), &control);
    if (result > 0) return true;
    if (result != abi.limit_lost or !setup.has(.steal)) say(.{ .wrong = "a place is gone, and no contender has stolen it" });
    return false;
}

pub noinline fn release() void {
    const own = participant.self();
    if (!own.has_place) return;
    own.has_place = false;
    participant.begin(.release);
    say(.releasing);
    const is_released = library.tandem_limit_release(participant.address()) == 1;
    if (!is_released and !setup.has(.steal)) say(.{ .wrong = "a place is gone before its release" });
}

pub noinline fn resize(max: u32) void {
    participant.begin(.resize);
    if (library.tandem_limit_resize(participant.address(), max) < 0) say(.{ .wrong = "a limit could not be resized" });
}

/// As a contender that is made with these terms, and is not refused if others are there.
pub noinline fn adopt(max: u32) void {
    participant.begin(.adopt);
    var control: abi.Control = .{};
    const result = library.tandem_limit_terms(participant.address(), max, 0, &control);
    if (result != 0 and result != abi.Status.mismatch.result()) say(.{ .wrong = "terms are neither adopted nor refused" });
}
