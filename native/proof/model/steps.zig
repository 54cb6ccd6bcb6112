//! The events that can happen in a state, and their effects: a step of a process, answered by memory and by
//! the kernel; a death, a stop, the kernel's release of a dead process's lock, the passing of time. It also
//! checks what must never happen.

const std = @import("std");
const words = @import("../../memory/words.zig");
const local = @import("local.zig");
const memory = @import("memory.zig");
const participant = @import("participant.zig");
const limit_rules = @import("limit_rules.zig");
const setup = @import("setup.zig");
const reductions = @import("reductions.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const Events = rq.Events;
const Request = rq.Request;
const event = rq.event;
const get = state.get;
const set = state.set;

/// Why the last step is a violation.
pub var violation: ?[]const u8 = null;

fn violated(what: []const u8) void {
    if (violation == null) violation = what;
}

pub fn request_of(process: usize) *const Request {
    return &local.nodes.items[get(state.process(process, .program))].request;
}

pub fn doing(process: usize) rq.Doing {
    return local.nodes.items[get(state.process(process, .program))].doing;
}

const default_variant: u32 = 1;
const slice_bit: u32 = 1 << event.slice;
/// Events that depend on a user's choice.
pub const optional_bits: u32 = 1 << event.abort | 1 << event.close;

/// The possible steps of a process, a bit each. A request other than for an event uses `default_variant`, and
/// its slice `slice_bit`.
pub fn enabled(process: usize) u32 {
    if (state.status(process) != .running) return 0;
    const request = request_of(process);
    switch (request.kind) {
        .left, .checkpoint => return 0,
        .futex_wait => {
            const sleep = get(state.process(process, .futex));
            if (sleep == 0 or sleep == state.woken) return default_variant;
            // A waker sleeps until it is woken; no slice of time ends its sleep.
            return if (setup.plans[process].waker_of == null) slice_bit else 0;
        },
        .event => return enabled_events(process, request),
        // Patience is for servers that are gone: among others, it is never needed.
        .has_passed => return if (any_server_is_gone()) default_variant | 1 << event.failure else 1 << event.failure,
        .ring_bell, .ring_notify => {
            const may_fail_too = get(state.single(.failures_left)) > 0;
            return if (may_fail_too) default_variant | 1 << event.failure else default_variant;
        },
        else => return default_variant,
    }
}

fn enabled_events(process: usize, request: *const Request) u32 {
    var wanted: Events = @bitCast(@as(u32, @truncate(request.a)));
    const index: u8 = @truncate(request.b);
    if (wanted.bell and !bell_rung(index, request.b >> 8)) wanted.bell = false;
    if (wanted.expire and get(state.single(.clock)) == 0) wanted.expire = false;
    if (wanted.handled and any_is_queued()) wanted.handled = false;
    if (wanted.notify and get(state.process(process, .notified)) == 0) wanted.notify = false;
    var hung_up: u6 = 0;
    for (0..state.indices) |other| {
        const epoch: u8 = @truncate(request.c >> @intCast(other * 8));
        if (epoch != 0 and listener(other, epoch) == null) hung_up |= @as(u6, 1) << @intCast(other);
    }
    wanted.hangup &= hung_up;
    wanted.asleep = false;
    wanted.idle = false;
    return wanted.bits();
}

fn any_server_is_gone() bool {
    for (setup.plans, 0..) |*plan, process| {
        if (plan.role == .server and state.status(process) != .running) return true;
    }
    return false;
}

fn any_is_queued() bool {
    for (0..state.slots) |slot| switch (state.word(words.SlotWord, state.slot(slot, "word")).state) {
        .queued, .posted => return true,
        else => {},
    };
    return false;
}

/// The live process that these bells belong to.
fn listener(index: usize, epoch: u64) ?usize {
    for (0..state.processes) |process| {
        if (!state.is_there(process)) continue;
        if (get(state.process(process, .identity)) == epoch << 8 | (index + 1)) return process;
    }
    return null;
}

fn bell_rung(index: usize, epoch: u64) bool {
    const process = listener(index, epoch) orelse return false;
    return get(state.process(process, .rung)) != 0;
}

// ---- a step of a process -----------------------------------------------------------------------

pub fn step(process: usize, variant: u5) void {
    const number: u32 = @intCast(get(state.process(process, .program)));
    const request = local.nodes.items[number].request;
    const answer = answer_to(process, &request, variant) orelse return;
    go_on(process, number, answer);
    run_on(process);
}

fn go_on(process: usize, number: u32, answer: u64) void {
    const edge = local.next(number, answer);
    set(state.process(process, .program), edge.target);
    if (edge.remark_count == 0) return;
    for (local.remarks.items[edge.remarks..][0..edge.remark_count]) |remark| hear(process, remark);
}

/// Runs through accesses that are no steps, see `reductions.zig`.
fn run_on(process: usize) void {
    while (reductions.surprise == null) {
        const number: u32 = @intCast(get(state.process(process, .program)));
        const request = local.nodes.items[number].request;
        if (!reductions.is_no_step(process, &request)) return;
        go_on(process, number, answer_to(process, &request, 0).?);
    }
}

/// Runs to the first step of the exploration.
pub fn set_up(process: usize, stage: u64) void {
    while (true) {
        const number: u32 = @intCast(get(state.process(process, .program)));
        const request = local.nodes.items[number].request;
        if (request.kind == .checkpoint) {
            if (request.a >= stage) return;
            go_on(process, number, 0);
        } else {
            const answer = answer_to(process, &request, 0).?;
            go_on(process, number, answer);
        }
    }
}

pub fn begin(process: usize) void {
    const number: u32 = @intCast(get(state.process(process, .program)));
    go_on(process, number, 0);
    run_on(process);
}

fn access(process: usize, request: *const Request) u64 {
    const variable = request.variable;
    if (request.kind == .load) reductions.note_read(process, variable);
    const old = get(variable);
    switch (request.kind) {
        .load => return old,
        .store => {
            check_store(process, variable);
            write(process, variable, request.a);
            return 0;
        },
        .cas => {
            if (old != request.a) return 0;
            write(process, variable, request.b);
            return 1;
        },
        .fetch_or => write(process, variable, old | request.a),
        .fetch_and => write(process, variable, old & request.a),
        .fetch_add => write(process, variable, old +% request.a),
        else => unreachable,
    }
    return old;
}

/// A draft is published by a store, while compare-and-swaps decide everything else: the draft has to be
/// present still.
fn check_store(process: usize, variable: u16) void {
    const place = state.slot_part(variable) orelse return;
    if (place.field != state.slot_field("word")) return;
    const word = state.word(words.SlotWord, variable);
    const identity = get(state.process(process, .identity));
    if (word.state == .draft and @as(u64, word.holder) + 1 == (identity & 0xff)) return;
    violated("a draft was taken from its writer");
}

fn write(process: usize, variable: u16, value: u64) void {
    reductions.note_write(process, variable, value);
    const before = get(variable);
    set(variable, value);
    if (setup.contends()) if (limit_rules.judge(process, variable, before)) |what| violated(what);
    if (state.slot_part(variable)) |place| {
        // The contents of a free slot are worthless: a process that reads them is detected.
        if (place.field == 0 and state.word(words.SlotWord, variable).state == .free) poison(place.slot);
    }
}

pub fn poison(slot: usize) void {
    const nobody_sends = 0xdead;
    inline for (.{ "request_inline", "request_inline + 8", "response_inline", "response_inline + 8" }) |field| {
        set(state.slot(slot, field), nobody_sends);
    }
}

/// An operation only ever compares a wait word's number with one that it has read there before, see
/// protocol/wait.zig. If no operation under way has read the present number, it may as well be the successor
/// of the highest number that was read. Otherwise each state would exist once for each number of earlier
/// sleeps.
pub fn renumber() void {
    var highest: [8]u8 = @splat(0);
    var present: [8]bool = @splat(false);
    for (0..state.processes) |process| {
        if (state.status(process) != .running) continue;
        const held = local.nodes.items[get(state.process(process, .program))].held_numbers;
        if (@as(u64, @bitCast(held)) == 0) continue;
        for (0..state.indices) |index| {
            highest[index] = @max(highest[index], held[index]);
            if (held[index] == 0) continue;
            const word = state.word(words.WaitWord, state.participant(index, "wait"));
            if (held[index] - 1 == word.number) present[index] = true;
        }
    }
    for (0..state.indices) |index| {
        const variable = state.participant(index, "wait");
        const word = state.word(words.WaitWord, variable);
        if (word.number == highest[index] or present[index]) continue;
        set(variable, @bitCast(words.WaitWord{ .state = word.state, .number = highest[index] }));
    }
}

/// Null: the process has gone to sleep.
fn answer_to(process: usize, request: *const Request, variant: u5) ?u64 {
    const is_ring = request.kind == .ring_bell or request.kind == .ring_notify;
    if (is_ring and variant == event.failure) {
        set(state.single(.failures_left), get(state.single(.failures_left)) - 1);
        return 0;
    }
    switch (request.kind) {
        .load, .store, .cas, .fetch_or, .fetch_and, .fetch_add => return access(process, request),
        .write_half => return write_half(process, request),
        .read_half => return read_half(process, request),
        .has_passed => return @intFromBool(variant != event.failure),
        .now => return if (get(state.single(.clock)) == 0) participant.time_before else participant.time_after,
        .lock_byte => {
            if (locked(process, request.a)) violated("two processes lock the same byte");
            set(state.process(process, .lock), request.a);
            return 1;
        },
        .unlock_byte => {
            if (get(state.process(process, .lock)) == request.a) set(state.process(process, .lock), 0);
            return 0;
        },
        .byte_locked => return @intFromBool(locked(process, request.a)),
        .futex_wait => return futex_wait(process, request),
        .futex_wake => {
            for (0..state.processes) |other| {
                const sleep = state.process(other, .futex);
                if (get(sleep) == @as(u64, request.variable) + 1) set(sleep, state.woken);
            }
            return 0;
        },
        .ring_bell => {
            const other = listener(request.a, request.b) orelse return 0;
            set(state.process(other, .rung), 1);
            return 1;
        },
        .ring_notify => {
            const other = listener(request.a, request.b) orelse return 0;
            set(state.process(other, .notified), 1);
            return 1;
        },
        .lose_file => {
            set(state.single(.file_is_lost), 1);
            return 0;
        },
        .file_is_lost => return get(state.single(.file_is_lost)),
        .ring_own_bell => {
            if (get(state.process(request.a, .identity)) != 0) set(state.process(request.a, .rung), 1);
            return 0;
        },
        .write_notify => {
            set(state.process(request.a, .notified), 1);
            return 1;
        },
        .drain_notify => {
            set(state.process(request.a, .notified), 0);
            return 0;
        },
        .watch_life => return @intFromBool(listener(request.a, request.b) != null),
        .announce_life => {
            set(state.process(process, .identity), request.b << 8 | (request.a + 1));
            return 0;
        },
        .close_bells => {
            set(state.process(process, .identity), 0);
            return 0;
        },
        .event => return take_event(process, variant),
        .checkpoint, .left => unreachable,
    }
}

fn locked(asker: usize, offset: u64) bool {
    for (0..state.processes) |other| {
        if (other != asker and get(state.process(other, .lock)) == offset) return true;
    }
    return false;
}

fn futex_wait(process: usize, request: *const Request) ?u64 {
    const sleep = state.process(process, .futex);
    if (get(sleep) == 0) {
        if (@as(u32, @truncate(get(request.variable))) != request.a) return 0;
        set(sleep, @as(u64, request.variable) + 1);
        return null;
    }
    set(sleep, 0);
    return 0;
}

fn take_event(process: usize, variant: u5) u64 {
    switch (variant) {
        // A loop that is awake reads its bell and ignores it.
        event.turn, event.bell => set(state.process(process, .rung), 0),
        else => {},
    }
    return variant;
}

// ---- payloads -----------------------------------------------------------------------------------

fn write_half(process: usize, request: *const Request) u64 {
    reductions.note_write(process, request.variable, request.a);
    const area = state.area_of(request.variable);
    const writer = state.area(area, .writer);
    const me = process + 1;
    if (get(writer) != 0 and get(writer) != me) violated("two processes write to the same payload area");
    if (get(state.area(area, .readers)) & ~(@as(u64, 1) << @intCast(process)) != 0) {
        violated("a payload area is written while another process reads it");
    }
    set(writer, if (request.b == 0) me else 0);
    set(request.variable, request.a);
    return 0;
}

fn read_half(process: usize, request: *const Request) u64 {
    reductions.note_read(process, request.variable);
    const area = state.area_of(request.variable);
    if (get(state.area(area, .writer)) != 0) violated("a payload area is read while another process writes to it");
    const readers = state.area(area, .readers);
    const me = @as(u64, 1) << @intCast(process);
    set(readers, if (request.b == 0) get(readers) | me else get(readers) & ~me);
    return get(request.variable);
}

// ---- what programs say --------------------------------------------------------------------------

const sent = 1;
const over = 2;
const is_posted = 3;

fn hear(process: usize, remark: rq.Remark) void {
    switch (remark) {
        .sent => |call| {
            set(state.call(call, .progress), sent);
            set(state.process(process, .in_flight), get(state.process(process, .in_flight)) + 1);
        },
        .ended => |end| {
            if (get(state.call(end.call, .progress)) != sent) violated("a call ends twice, or was never sent");
            set(state.call(end.call, .progress), over);
            set(state.process(process, .in_flight), get(state.process(process, .in_flight)) - 1);
            switch (end.ending) {
                .server_died => if (get(state.single(.server_has_gone)) == 0) {
                    violated("a client is told that its server died, and none has");
                },
                .cancelled => if (!may_cancel()) violated("a call was cancelled, although no process cancels"),
                .timed_out => if (get(state.single(.clock)) == 0) violated("a call timed out before its time"),
                .answered => if (get(state.call(end.call, .handed_out)) == 0) {
                    violated("a call was answered that no server was handed");
                },
                .aborted, .busy, .closed => {},
            }
        },
        .posted => |call| set(state.call(call, .progress), is_posted),
        .received => |request| {
            const handed_out = state.call(request.call, .handed_out);
            set(handed_out, get(handed_out) + 1);
            if (get(handed_out) > request.allowed) violated("a request is handed out more often than allowed");
            for (0..state.processes) |other| {
                if (!state.is_there(other)) continue;
                if (get(state.process(other, .holding)) & bit_of(request.call) != 0) {
                    violated("two live servers hold the same request");
                }
            }
            set(state.process(process, .holding), get(state.process(process, .holding)) | bit_of(request.call));
        },
        .begun_for_good => |call| set(state.call(call, .handed_out), std.math.maxInt(u8)),
        .replied => |call| set(state.process(process, .holding), get(state.process(process, .holding)) & ~bit_of(call)),
        .leaving => {
            set(state.process(process, .holding), 0);
            release_areas(process);
            if (setup.plans[process].role == .server) set(state.single(.server_has_gone), 1);
        },
        .wrong => |what| violated(what),
        .wanted, .refused, .granted, .releasing => if (limit_rules.hear(process, remark)) |what| violated(what),
    }
}

fn bit_of(call: u8) u64 {
    return @as(u64, 1) << @intCast(call);
}

fn may_cancel() bool {
    inline for (.{ .clear, .cancel, .remove, .lose_file }) |action| if (setup.has(action)) return true;
    return false;
}

fn release_areas(process: usize) void {
    for (0..@as(usize, state.slots) * 2) |area| {
        const writer = state.area(area, .writer);
        if (get(writer) == process + 1) set(writer, 0);
        const readers = state.area(area, .readers);
        set(readers, get(readers) & ~(@as(u64, 1) << @intCast(process)));
    }
}

// ---- what befalls a process ---------------------------------------------------------------------

pub fn may_fail(process: usize) bool {
    // A waker ends with the process that it belongs to.
    if (setup.plans[process].waker_of != null) return false;
    return state.status(process) == .running and request_of(process).kind != .left;
}

/// The kernel closes its descriptors: its connections hang up, and its bell is deaf. The lock may be released
/// later.
pub fn die(process: usize) void {
    set(state.single(.deaths_left), get(state.single(.deaths_left)) - 1);
    const has_lock = get(state.process(process, .lock)) != 0;
    limit_rules.end_use(process);
    set(state.process(process, .status), @backingInt(if (has_lock) state.Status.dying else .dead));
    set(state.process(process, .futex), 0);
    set(state.process(process, .identity), 0);
    set(state.process(process, .rung), 0);
    set(state.process(process, .notified), 0);
    set(state.process(process, .holding), 0);
    release_areas(process);
    if (setup.plans[process].role == .server) set(state.single(.server_has_gone), 1);
    end_waker(process, .dead);
}

/// Ends the other thread of a process that has died or was stopped.
fn end_waker(process: usize, status: state.Status) void {
    for (setup.plans, 0..) |*plan, other| {
        if ((plan.waker_of orelse continue) != process) continue;
        set(state.process(other, .status), @backingInt(status));
        if (status == .dead) set(state.process(other, .futex), 0);
    }
}

pub fn unlock_dead(process: usize) void {
    set(state.process(process, .lock), 0);
    set(state.process(process, .status), @backingInt(state.Status.dead));
}

pub fn stop(process: usize) void {
    set(state.single(.stops_left), get(state.single(.stops_left)) - 1);
    set(state.process(process, .status), @backingInt(state.Status.stopped));
    end_waker(process, .stopped);
}
