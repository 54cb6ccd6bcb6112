//! What a good end is. From every state some way has to lead to one, without another death, stop or
//! choice of a user: else somebody sleeps for ever while what it waits for is there, a slot or a
//! participant leaks, a call never ends.
//!
//! Where a process was stopped for ever, everything must end but what that process itself holds. Where
//! nobody is left who serves, requests may wait for somebody to come.

const std = @import("std");
const words = @import("../words.zig");
const programs = @import("programs.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const steps = @import("steps.zig");
const get = state.get;

/// Why the state is no good end; null: it is one.
pub fn fault() ?[]const u8 {
    for (0..state.processes) |process| {
        if (!is_at_rest(process)) return "somebody is still under way";
    }
    if (someone_watches()) {
        for (0..state.indices) |index| {
            if (is_unrepaired(index)) return "a dead participant is never repaired";
        }
    }
    for (0..state.processes) |process| {
        if (state.status(process) != .running) continue;
        if (get(state.process(process, .holding)) != 0) return "a server keeps its request";
        if (!calls_are_over(process)) return "a call never ends";
    }
    for (0..state.slots) |slot| {
        if (!is_free(slot) and !may_stay(slot)) return "a slot is never free again";
    }
    if (server_is_live()) {
        for (0..state.cells) |cell| {
            // Who was stopped before it rang has a request there.
            if (anybody_is_stopped()) break;
            if (state.word(words.Cell, state.cell(cell)).full) return "a ring cell is never emptied";
        }
        if (get(state.single(.server_has_gone)) == 0 and !clears()) {
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

fn clears() bool {
    for (programs.plans) |*plan| if (plan.has(.clear)) return true;
    return false;
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
            if (!wanted.asleep and !wanted.idle) return false;
            // A timer that may come again and again, and changes nothing.
            const harmless = steps.optional_bits | steps.slice_bit | (rq.Events{ .nudge = true }).bits();
            return steps.enabled(process) & ~harmless == 0;
        },
        else => return false,
    }
}

/// Whether anybody is left who learns of deaths.
fn someone_watches() bool {
    for (0..state.processes) |process| {
        if (state.status(process) != .running) continue;
        const request = steps.request_of(process);
        if (request.kind == .futex_wait) return true;
        const wanted: rq.Events = @bitCast(@as(u32, @truncate(request.a)));
        if (request.kind == .event and wanted.asleep and !programs.plans[process].has(.serve_notify)) return true;
    }
    return false;
}

fn owner_of(process: usize) ?words.Owner {
    const lock = get(state.process(process, .lock));
    if (lock == 0) return null;
    return .{ .index = @truncate(lock >> 50), .epoch = @intCast(lock & ((1 << 50) - 1)) };
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

fn anybody_is_stopped() bool {
    for (0..state.processes) |process| if (state.status(process) == .stopped) return true;
    return false;
}

/// Whether somebody was stopped after it has ended a call and before it has woken its client: who waits
/// for what the stopped one did waits for it, as he would had it been stopped a step earlier.
fn is_stopped_before_ringing() bool {
    for (0..state.processes) |process| {
        if (state.status(process) != .stopped) continue;
        const node = @import("local.zig").nodes.items[get(state.process(process, .program))];
        switch (node.doing) {
            .reply, .cancel, .clear, .close => return true,
            else => {},
        }
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
        if (state.status(process) != .running or programs.plans[process].role != .server) continue;
        if (steps.request_of(process).kind != .left) return true;
    }
    return false;
}

fn is_free(slot: usize) bool {
    return state.word(words.SlotWord, state.slot(slot, "word")).state == .free;
}

/// Whether a slot that is taken is nobody's fault.
fn may_stay(slot: usize) bool {
    const word = state.word(words.SlotWord, state.slot(slot, "word"));
    const owner = state.word(words.Owner, state.slot(slot, "owner"));
    const waits_for_server = switch (word.state) {
        .queued, .posted => !server_is_live(),
        else => false,
    };
    const held_by_stopped = switch (word.state) {
        .draft, .held, .abandoned, .posted_held => is_stopped(word.holder),
        else => false,
    };
    if (word.state == .ready and is_stopped_before_ringing()) return true;
    const owned_by_stopped = switch (word.state) {
        .queued, .posted, .ready => is_stopped(owner.index),
        else => false,
    };
    // Nobody needs it and nobody looks.
    const left_by_dead = !someone_watches() and is_unrepaired(owner.index) or
        (word.state == .held or word.state == .abandoned or word.state == .posted_held or word.state == .draft) and
            !someone_watches() and is_unrepaired(word.holder);
    return waits_for_server or held_by_stopped or owned_by_stopped or left_by_dead;
}

/// What it has sent has ended, or may wait.
fn calls_are_over(process: usize) bool {
    const in_flight = get(state.process(process, .in_flight));
    if (in_flight == 0) return true;
    const owner = owner_of(process) orelse return false;
    var excused: u64 = 0;
    var has_room = false;
    for (0..state.slots) |slot| {
        const word = state.word(words.SlotWord, state.slot(slot, "word"));
        if (word.state == .free) has_room = true;
        const is_own = state.word(words.Owner, state.slot(slot, "owner")) == owner;
        if (is_own and word.state != .free and may_stay(slot)) excused += 1;
    }
    if (is_stopped_before_ringing()) return true;
    // One may wait for a slot.
    if (excused + 1 == in_flight and !has_room and waits_for_room(process)) excused += 1;
    return excused == in_flight;
}

fn waits_for_room(process: usize) bool {
    const owner = owner_of(process) orelse return false;
    const waiting = get(state.header("waiting_for_room"));
    return waiting >> @intCast(owner.index) & 1 != 0;
}
