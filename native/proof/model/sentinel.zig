//! What sentinels do.

const abi = @import("../../abi.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const library = @import("library.zig");
const event_loop = @import("event_loop.zig");
const lifetime = @import("lifetime.zig");
const participant = @import("participant.zig");
const state = @import("state.zig");
const event = rq.event;
const say = memory.say;

noinline fn begin() void {
    participant.begin(.watch);
    library.tandem_keep_watch(participant.address());
}

pub fn watch_over(may_close: bool) noreturn {
    begin();
    watch_on(may_close);
}

pub fn watch_on(may_close: bool) noreturn {
    while (true) if (event_loop.fall_asleep(0)) {
        _ = sleep(true, may_close);
    } else next_turn();
}

/// As the listener of a handle: it looks when its loop has chosen again whom it watches, and when a watch has ended.
/// All have to learn of the departure, so to sleep on is no good end. What has departed is gone for all who look.
pub fn await_departure() noreturn {
    begin();
    await_first(departures);
    if (count_living() == state.processes) say(.{ .wrong = "a participant has departed, and is still there" });
    watch_on(false);
}

pub noinline fn await_board() void {
    participant.begin(.watch);
    library.tandem_follow_boards(participant.address());
    await_first(boards);
}

noinline fn await_first(count: *const fn () f64) void {
    const own = participant.self();
    while (count() == 0) {
        while (true) {
            own.has_chosen = false;
            if (!event_loop.fall_asleep(0)) {
                next_turn();
                continue;
            }
            if (own.has_chosen and count() != 0) {
                event_loop.disarm();
                break;
            }
            if (!sleep(false, false)) break;
        }
    }
}

noinline fn boards() f64 {
    participant.begin(.look);
    return library.tandem_boards(participant.address());
}

noinline fn departures() f64 {
    participant.begin(.look);
    return library.tandem_departures(participant.address());
}

noinline fn count_living() u32 {
    participant.begin(.look);
    var living: u32 = 0;
    var control: abi.Control = .{};
    for (0..state.indices) |position| {
        if (library.tandem_participant(participant.address(), @intCast(position), &control) > 0) living += 1;
    }
    return living;
}

/// Whether only its bell has ended the sleep.
noinline fn sleep(may_last: bool, may_close: bool) bool {
    const own = participant.self();
    while (true) {
        participant.begin(.sleep);
        const woken_by = event_loop.wait(.{ .asleep = may_last, .bell = true, .slice = own.needs_slices or own.is_unsure, .close = may_close });
        const wakes = switch (woken_by) {
            event.bell => true,
            event.close => lifetime.close(),
            event.slice => wakes: {
                participant.begin(.sweep);
                _ = library.tandem_sweep(participant.address());
                break :wakes true;
            },
            else => event_loop.in_background(woken_by),
        };
        if (!wakes) continue;
        event_loop.disarm();
        return woken_by == event.bell;
    }
}

noinline fn next_turn() void {
    while (true) {
        const woken_by = event_loop.wait(.{ .turn = true });
        if (woken_by == event.turn) return;
        _ = event_loop.in_background(woken_by);
    }
}
