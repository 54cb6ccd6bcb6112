//! Good ends. From every state some path has to lead to one, without another death, stop or choice of a user.
//! Otherwise a participant sleeps for ever although its work is there, a slot or a participant leaks, or a
//! call never ends.
//!
//! If a process was stopped for ever, everything has to end except what that process itself holds. If no
//! server is left, requests may wait for one to come.

const std = @import("std");
const layout = @import("../../memory/layout.zig");
const words = @import("../../memory/words.zig");
const limit_rules = @import("limit_rules.zig");
const payloads = @import("payloads.zig");
const setup = @import("setup.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const steps = @import("steps.zig");
const get = state.get;

/// Why the state is not a good end; null: it is one.
pub fn fault() ?[]const u8 {
    for (0..state.processes) |process| {
        if (!is_at_rest(process)) return "a process is still running";
    }
    if (setup.contends()) return limit_rules.fault();
    if (any_watches()) {
        for (0..state.indices) |index| {
            if (!is_unrepaired(index) or has_only_joined(index)) continue;
            // There is no room for its requests, and no server that makes room.
            if (ring_is_full() and !server_is_live()) continue;
            return "a dead participant is never repaired";
        }
    }
    for (0..state.processes) |process| {
        if (state.status(process) != .running) continue;
        if (get(state.process(process, .holding)) != 0) return "a server keeps its request";
        if (!calls_are_over(process)) return "a call never ends";
    }
    const is_removed = get(state.header("removed")) != 0;
    if (is_removed and server_is_live()) return "a server waits on a channel that was removed";
    // Servers go back to sleep after each call.
    if (get(state.single(.file_is_lost)) != 0 and !is_removed and server_is_live()) return "a lost file is never noticed";
    for (0..state.slots) |slot| {
        if (!is_free(slot) and !may_stay(slot)) return "a slot is never free again";
    }
    if (server_is_live()) {
        // The next look drops stale entries of late repairers, but they must not fill the ring.
        if (ring_is_full() and !any_is_stopped()) return "the ring stays full";
        if (get(state.single(.server_has_gone)) == 0 and !clears() and !any_is_stopped()) {
            for (0..state.calls_max) |call| {
                const posted = 3;
                if (get(state.call(call, .progress)) == posted and get(state.call(call, .handed_out)) == 0) {
                    return "a posted request was lost";
                }
            }
        }
    }
    return null;
}

fn ring_is_full() bool {
    for (0..state.cells) |cell| if (!state.word(words.Cell, state.cell(cell)).full) return false;
    return true;
}

fn clears() bool {
    return setup.has(.clear) or setup.has(.remove) or setup.has(.lose_file);
}

fn is_at_rest(process: usize) bool {
    switch (state.status(process)) {
        .dead, .stopped => return true,
        .dying => return false,
        .running => {},
    }
    const request = steps.request_of(process);
    switch (request.kind) {
        .left => return true,
        .futex_wait => {
            const sleep = get(state.process(process, .futex));
            return sleep != 0 and sleep != state.woken;
        },
        .event => {
            const wanted: rq.Events = @bitCast(@as(u32, @truncate(request.a)));
            const has_nothing_to_await = setup.plans[process].has(.await_departure) and nobody_is_gone();
            if (!wanted.asleep and !wanted.idle and !has_nothing_to_await) return false;
            // Timers that may repeat and change nothing. No participant is dead, see below, so one that has
            // hung up and lives was stopped as it left.
            const timers: rq.Events = .{ .slice = true, .nudge = true, .retry = 0x3f, .last_retry = 0x3f };
            const harmless = steps.optional_bits | timers.bits();
            return steps.enabled(process) & ~harmless == 0;
        },
        else => return false,
    }
}

fn nobody_is_gone() bool {
    for (0..state.processes) |process| {
        if (!state.is_there(process) or steps.request_of(process).kind == .left) return false;
    }
    return true;
}

/// Whether a participant is left that learns of deaths.
fn any_watches() bool {
    for (0..state.processes) |process| {
        if (state.status(process) != .running or setup.plans[process].waker_of != null) continue;
        const request = steps.request_of(process);
        if (request.kind == .futex_wait) return true;
        const wanted: rq.Events = @bitCast(@as(u32, @truncate(request.a)));
        if (request.kind == .event and wanted.retry != 0) return true;
        if (request.kind == .event and wanted.asleep and !setup.plans[process].has(.serve_notify)) return true;
    }
    return false;
}

fn owner_of(process: usize) ?words.Owner {
    const lock = get(state.process(process, .lock));
    if (lock == 0) return null;
    return layout.lock_owner(lock);
}

/// A participant that dies before it has rung the sleepers is unwatched and owns nothing. Its entry is freed
/// whenever another participant looks.
fn has_only_joined(index: usize) bool {
    for (0..state.slots) |slot| {
        const word = state.word(words.SlotWord, state.slot(slot, "word"));
        const owner = state.word(words.Owner, state.slot(slot, "owner"));
        if (word.state != .free and (owner.index == index or word.holder == index)) return false;
    }
    for (0..state.processes) |process| {
        if (state.status(process) == .dead and steps.doing(process) == .join) return true;
    }
    return false;
}

fn is_unrepaired(index: usize) bool {
    const word = state.word(words.ParticipantWord, state.participant(index, "word"));
    if (word.state != .joined) return false;
    for (0..state.processes) |process| {
        const owner = owner_of(process) orelse continue;
        if (owner.index == index and owner.epoch == word.epoch) return false;
    }
    return true;
}

fn any_is_stopped() bool {
    for (0..state.processes) |process| if (state.status(process) == .stopped) return true;
    return false;
}

/// Whether a process that was stopped before it rang the client put the answer into a slot. A client that
/// waits for a stopped process's work keeps waiting, as if the process had been stopped one step earlier.
fn is_answered_by_stopped(slot: usize) bool {
    const word = state.word(words.SlotWord, state.slot(slot, "word"));
    if (word.state != .ready) return false;
    if (word.answer_kind() == .server_died) return is_stopped_at(.close);
    const call = payloads.call_of(get(state.slot(slot, "request_inline")));
    for (0..state.processes) |process| {
        if (state.status(process) != .stopped or steps.doing(process) != .reply) continue;
        if (get(state.process(process, .holding)) >> @intCast(call) & 1 != 0) return true;
    }
    return false;
}

fn is_stopped_at(operation: rq.Doing) bool {
    for (0..state.processes) |process| {
        if (state.status(process) == .stopped and steps.doing(process) == operation) return true;
    }
    return false;
}

fn is_stopped(index: usize) bool {
    for (0..state.processes) |process| {
        if (state.status(process) != .stopped) continue;
        const owner = owner_of(process) orelse continue;
        if (owner.index == index) return true;
    }
    return false;
}

fn server_is_live() bool {
    for (0..state.processes) |process| {
        if (state.status(process) != .running or setup.plans[process].role != .server) continue;
        if (steps.request_of(process).kind != .left) return true;
    }
    return false;
}

fn is_free(slot: usize) bool {
    return state.word(words.SlotWord, state.slot(slot, "word")).state == .free;
}

/// Whether a slot may stay taken.
fn may_stay(slot: usize) bool {
    const word = state.word(words.SlotWord, state.slot(slot, "word"));
    const owner = state.word(words.Owner, state.slot(slot, "owner"));
    const waits_for_server = switch (word.state) {
        .queued, .posted => !server_is_live(),
        else => false,
    };
    // Given back by a server that was stopped as it left, before it rang another.
    if (word.delivery > 0 and (word.state == .queued or word.state == .posted) and is_stopped_at(.close)) return true;
    const held_by_stopped = switch (word.state) {
        .draft, .held, .abandoned, .posted_held => is_stopped(word.holder),
        else => false,
    };
    if (is_answered_by_stopped(slot)) return true;
    const owned_by_stopped = switch (word.state) {
        .queued, .posted, .ready => is_stopped(owner.index),
        else => false,
    };
    // No participant needs it, and none looks.
    const left_by_dead = !server_is_live() and ring_is_full() and is_unrepaired(word.holder) or !any_watches() and is_unrepaired(owner.index) or
        (word.state == .held or word.state == .abandoned or word.state == .posted_held or word.state == .draft) and
            !any_watches() and is_unrepaired(word.holder);
    return waits_for_server or held_by_stopped or owned_by_stopped or left_by_dead;
}

/// Whether the calls of a process have ended or may wait.
fn calls_are_over(process: usize) bool {
    const in_flight = get(state.process(process, .in_flight));
    if (in_flight == 0) return true;
    const owner = owner_of(process) orelse return false;
    var excused: u64 = 0;
    var awaited: u64 = 0;
    var free: usize = 0;
    for (0..state.slots) |slot| {
        const word = state.word(words.SlotWord, state.slot(slot, "word"));
        if (word.state == .free) free += 1;
        const is_own = state.word(words.Owner, state.slot(slot, "owner")) == owner;
        const is_awaited = switch (word.state) {
            .queued, .held, .ready => true,
            .free, .draft, .abandoned, .posted, .posted_held => false,
        };
        if (!is_own or !is_awaited) continue;
        awaited += 1;
        if (may_stay(slot)) excused += 1;
    }
    // Ended by a process that was stopped before it rang their client.
    if (is_stopped_at(.cancel) or is_stopped_at(.clear)) excused += in_flight -| awaited;
    // One call may wait for a slot, or for a stopped process to report that it has freed one.
    const has_room = free > @intFromBool(any_stopped_freeing());
    if (excused + 1 == in_flight and !has_room and waits_for_room(process)) excused += 1;
    return excused == in_flight;
}

fn any_stopped_freeing() bool {
    for ([_]rq.Doing{ .get, .cancel, .clear, .reply }) |operation| if (is_stopped_at(operation)) return true;
    return false;
}

fn waits_for_room(process: usize) bool {
    const owner = owner_of(process) orelse return false;
    const waiting = get(state.header("waiting_for_room"));
    return waiting >> @intCast(owner.index) & 1 != 0;
}
