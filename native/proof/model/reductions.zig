//! Accesses that are no steps of their own: they are performed together with the step before them. This is
//! right if it makes no difference whether the access comes before or after the steps of other processes
//! until its process's next step, and if no process can see it. There are three kinds.
//!
//! 1. Constants: memory that no process ever changes.
//! 2. Reads of the reader's own memory: no other process writes to the request of a server that holds it, to
//!    a draft, to an answer that waits for its client, or to the wait word of a participant that is awake.
//! 3. Writes to the writer's own memory, while the writer cannot die: no other process looks at the bytes of
//!    a draft, or of an answer before it is complete. A death in between would be visible, so if one is
//!    possible, each of these is a step.
//!
//! None of this is taken for granted. An access that breaks one of these rules is a surprise: from then on
//! the accesses in question are steps, and the exploration starts again. A run that comes to its end has met
//! no surprise, which proves it right: the first access that breaks a rule, on the shortest path to one, comes
//! after steps that were all explored, so the run would have met it.

const std = @import("std");
const words = @import("../../memory/words.zig");
const setup = @import("setup.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const get = state.get;

const Surprise = union(enum) { written: u16, own_written, own_seen: state.SlotField };

pub var surprise: ?Surprise = null;

var is_constant: [512]bool = undefined;
var reads_own = true;
/// By field of a slot.
var writes_own: [state.slot_fields.len]bool = undefined;

pub fn init() void {
    @memset(&is_constant, true);
    reads_own = true;
    @memset(&writes_own, true);
    surprise = null;
}

pub fn learn() void {
    const learned = surprise orelse return;
    switch (learned) {
        .written => |variable| is_constant[variable] = false,
        .own_written => reads_own = false,
        .own_seen => |field| writes_own[field] = false,
    }
    surprise = null;
}

pub fn is_no_step(process: usize, request: *const rq.Request) bool {
    switch (request.kind) {
        .load, .read_half => {
            if (request.kind == .load and is_constant[request.variable]) return true;
            if (!reads_own) return false;
            if (state.wait_index(request.variable)) |index| return is_at(process, index) and is_awake(index);
            const part = state.slot_part(request.variable) orelse return false;
            return is_owner(process, part) and !is_changed_by_others(part);
        },
        .cas, .fetch_or, .fetch_and, .fetch_add => return is_constant[request.variable],
        .store, .write_half => {
            if (request.kind == .store and is_constant[request.variable]) return true;
            const may_die = get(state.single(.deaths_left)) > 0 and setup.mortal >> @intCast(process) & 1 != 0;
            if (may_die) return false;
            const part = state.slot_part(request.variable) orelse return false;
            return writes_own[part.field] and is_owner(process, part) and is_unseen(part);
        },
        .now => return !setup.has_deadlines,
        else => return false,
    }
}

/// A process is about to read.
pub fn note_read(process: usize, variable: u16) void {
    const part = state.slot_part(variable) orelse return;
    if (writes_own[part.field] and is_unseen(part) and belongs_to_another(process, part)) {
        surprise = .{ .own_seen = part.field };
    }
}

/// A process is about to write.
pub fn note_write(process: usize, variable: u16, value: u64) void {
    if (is_constant[variable] and get(variable) != value) surprise = .{ .written = variable };
    if (state.wait_index(variable)) |index| {
        if (reads_own and is_awake(index) and !is_at(process, index)) surprise = .own_written;
        return;
    }
    const part = state.slot_part(variable) orelse return;
    if (!belongs_to_another(process, part)) return;
    if (writes_own[part.field] and is_unseen(part)) surprise = .{ .own_seen = part.field };
    if (reads_own and !is_changed_by_others(part)) surprise = .own_written;
}

fn is_at(process: usize, index: usize) bool {
    return (get(state.process(process, .identity)) & 0xff) == index + 1;
}

fn is_awake(index: usize) bool {
    return state.word(words.WaitWord, state.participant(index, "wait")).state == .awake;
}

fn word_of(part: state.SlotPart) words.SlotWord {
    return state.word(words.SlotWord, state.slot(part.slot, "word"));
}

/// Whether the slot's contents belong to the process as their writer, server or client.
fn is_owner(process: usize, part: state.SlotPart) bool {
    const identity = get(state.process(process, .identity));
    if (identity == 0 or !state.is_there(process)) return false;
    const word = word_of(part);
    return switch (word.state) {
        .draft, .held, .abandoned, .posted_held => (identity & 0xff) == @as(u64, word.holder) + 1,
        .ready => {
            const owner = state.word(words.Owner, state.slot(part.slot, "owner"));
            return identity == (@as(u64, owner.epoch) << 8 | (@as(u64, owner.index) + 1));
        },
        .free, .queued, .posted => false,
    };
}

fn belongs_to_another(process: usize, part: state.SlotPart) bool {
    for (0..state.processes) |other| {
        if (other != process and is_owner(other, part)) return true;
    }
    return false;
}

/// Whether other processes may change it: a cancel changes a held request's word.
fn is_changed_by_others(part: state.SlotPart) bool {
    if (part.field != state.slot_field("word")) return false;
    return switch (word_of(part).state) {
        .draft, .ready => false,
        else => true,
    };
}

/// Whether only the owner looks at it.
fn is_unseen(part: state.SlotPart) bool {
    return switch (word_of(part).state) {
        .draft => switch (part.field) {
            state.slot_field("owner"),
            state.slot_field("deadline_ns"),
            state.slot_field("request_length"),
            state.slot_field("request_flags"),
            state.slot_field("request_inline"),
            state.slot_field("request_inline + 8"),
            => true,
            else => false,
        },
        .held => switch (part.field) {
            state.slot_field("response_length"),
            state.slot_field("response_inline"),
            state.slot_field("response_inline + 8"),
            => true,
            else => false,
        },
        else => false,
    };
}
