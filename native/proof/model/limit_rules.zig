//! What must never happen to a limit, and its good ends. The words decide who is granted a place; what a program
//! has been told decides who uses one.

const std = @import("std");
const limit_words = @import("../../memory/limit_words.zig");
const words = @import("../../memory/words.zig");
const rq = @import("request.zig");
const setup = @import("setup.zig");
const state = @import("state.zig");
const local = @import("local.zig");
const get = state.get;
const set = state.set;

/// What a process may use; all zero: nothing.
const Use = packed struct(u64) {
    is_used: bool = false,
    is_shared: bool = false,
    place: u62 = 0,
};

fn use_of(process: usize) Use {
    return @bitCast(get(state.process(process, .place)));
}

fn moment_of(process: usize) *const local.Node {
    return &local.nodes.items[get(state.process(process, .program))];
}

fn word_of(index: usize) limit_words.ContenderWord {
    return state.word(limit_words.ContenderWord, state.contender(index, "word"));
}

/// The process behind an index, dead or alive, or null.
fn process_at(index: usize) ?usize {
    for (0..state.processes) |process| {
        if (get(state.process(process, .identity)) & 0xff == index + 1) return process;
    }
    return null;
}

// ---- what programs are told -----------------------------------------------------------------------

/// What is wrong with a remark; null: nothing.
pub fn hear(process: usize, remark: rq.Remark) ?[]const u8 {
    switch (remark) {
        .wanted => {
            set(state.process(process, .in_flight), 1);
            set(state.process(process, .token), 0);
        },
        .refused => set(state.process(process, .in_flight), 0),
        .releasing => end_use(process),
        .granted => |grant| {
            set(state.process(process, .in_flight), 0);
            if (!has_word_held(process)) return take_lost(process, grant.token);
            const use: Use = .{ .is_used = true, .is_shared = grant.is_shared, .place = grant.place };
            if (clash(use)) |what| return what;
            if (grant.token <= get(state.process(process, .token_floor))) return "a token is not greater than those of earlier holders";
            set(state.process(process, .place), @bitCast(use));
            set(state.process(process, .token), grant.token);
        },
        else => unreachable,
    }
    return null;
}

fn has_word_held(process: usize) bool {
    const index = index_of(process) orelse return false;
    return word_of(index).state == .held;
}

/// It is told of a place that was stolen meanwhile. Its token must be older than the theft.
fn take_lost(process: usize, token: u64) ?[]const u8 {
    const newest = state.process(process, .token);
    defer set(newest, 0);
    return if (token > get(newest)) "a token was drawn after the theft of its place" else null;
}

/// Whether a use is impossible beside those of the processes that are there.
fn clash(use: Use) ?[]const u8 {
    var places: u8 = place_bit(use.place);
    for (0..state.processes) |process| {
        if (!state.is_there(process)) continue;
        const other = use_of(process);
        if (!other.is_used) continue;
        if (other.place == use.place and !(other.is_shared and use.is_shared)) return "two contenders use the same place";
        if (other.is_shared and use.is_shared and other.place != use.place) return "those who share use two places";
        places |= place_bit(other.place);
    }
    return if (@popCount(places) > places_allowed()) "more places are used than there are" else null;
}

fn place_bit(place: u64) u8 {
    return @as(u8, 1) << @intCast(place & 7);
}

/// Where the number changes, those who were granted a place before keep theirs.
fn places_allowed() u64 {
    const now = state.word(limit_words.QueueWord, state.limit("queue")).max;
    return if (setup.changes_terms()) @max(now, setup.max, 2) else now;
}

pub fn end_use(process: usize) void {
    if (!use_of(process).is_used) return;
    const ended = state.single(.ended_token);
    set(ended, @max(get(ended), get(state.process(process, .token))));
    set(state.process(process, .place), 0);
    set(state.process(process, .token), 0);
    set(state.process(process, .token_floor), 0);
}

// ---- what happens to the words --------------------------------------------------------------------

/// After a change of a word; null: nothing is wrong.
pub fn judge(process: usize, variable: u16, before: u64) ?[]const u8 {
    if (variable == state.limit("queue")) return judge_terms(process, @bitCast(before), state.word(limit_words.QueueWord, variable));
    if (state.contender_index(variable)) |index| return judge_contender(index, @bitCast(before), word_of(index));
    if (state.participant_index(variable)) |index| {
        const old: words.ParticipantWord = @bitCast(before);
        const now = state.word(words.ParticipantWord, variable);
        if (old.state == .joined and now.state == .free and word_of(index).state != .idle) {
            return "the entry of one who is gone still contends";
        }
    }
    return null;
}

/// Nobody waits or holds on other terms than it knows, unless somebody resizes the limit.
fn judge_terms(process: usize, before: limit_words.QueueWord, now: limit_words.QueueWord) ?[]const u8 {
    if (before.max == now.max and before.newest == now.newest) return null;
    if (setup.has(.resize_1) or setup.has(.resize_2)) return null;
    for (0..state.indices) |index| {
        if (process_at(index) != process and word_of(index).contends()) return "the terms change under a contender";
    }
    return null;
}

fn judge_contender(index: usize, before: limit_words.ContenderWord, now: limit_words.ContenderWord) ?[]const u8 {
    if (before.state == .held and now.state != .held) {
        // Stolen: its owner may not know yet, but no one counts on it any more.
        if (process_at(index)) |process| if (now.state == .lost) {
            if (use_of(process).is_used) end_use(process) else set(state.process(process, .token), get(state.limit("tokens")));
        };
        return null;
    }
    if (before.state == .held or now.state != .held) return null;
    if (process_at(index)) |process| set(state.process(process, .token_floor), get(state.single(.ended_token)));
    if (before.state != .waiting) return "a contender is granted a place that it does not wait for";
    var places: u8 = place_bit(now.place);
    for (0..state.indices) |other_index| {
        if (other_index == index) continue;
        const other = word_of(other_index);
        if (other.state == .held) {
            const share = other.shared and now.shared;
            if (other.place == now.place and !share) return "a place is granted twice";
            if (share and other.place != now.place) return "those who share are granted two places";
            places |= place_bit(other.place);
        }
        if (other.state == .waiting and !setup.is_newest and !now.urgent and !other.urgent and other.ticket < now.ticket) {
            return "a contender overtakes one that waits";
        }
    }
    return if (@popCount(places) > places_allowed()) "more places are granted than there are" else null;
}

// ---- good ends ------------------------------------------------------------------------------------

/// Why no contender does anything any more, although one should; null: it is a good end.
pub fn fault() ?[]const u8 {
    for (0..state.processes) |process| {
        if (state.status(process) != .running) continue;
        const index = index_of(process) orelse continue;
        const word = word_of(index);
        if (get(state.process(process, .in_flight)) != 0) {
            if (!may_wait(word)) return "a contender waits for ever";
            if (setup.is_newest and is_outdated(word)) return "an older standby does not make room";
        } else if (word.state != .idle and !use_of(process).is_used and !is_unfinished(process, word)) return "a place or a turn is left to one who does not want it";
    }
    return null;
}

fn index_of(process: usize) ?usize {
    const identity = get(state.process(process, .identity));
    return if (identity == 0) null else @intCast((identity & 0xff) - 1);
}

/// Whether a place was stolen from one who does not listen, or by a thief that was stopped before it rang.
fn is_unfinished(process: usize, word: limit_words.ContenderWord) bool {
    const wanted: rq.Events = @bitCast(@as(u32, @truncate(moment_of(process).request.a)));
    return word.state == .lost and (!wanted.asleep or is_stopped_at(.send));
}

/// Whether a newer contender waits, which was not stopped before it rang this one.
fn is_outdated(waiter: limit_words.ContenderWord) bool {
    if (is_stopped_at(.send)) return false;
    for (0..state.indices) |index| {
        const word = word_of(index);
        if (word.state == .waiting and word.ticket > waiter.ticket) return true;
    }
    return false;
}

fn is_stopped_at(operation: rq.Doing) bool {
    for (0..state.processes) |process| {
        if (state.status(process) == .stopped and moment_of(process).doing == operation) return true;
    }
    return false;
}

/// Whether stopped processes, or those that use their places for ever, keep from a contender what it waits for.
fn may_wait(waiter: limit_words.ContenderWord) bool {
    if (waiter.state != .waiting) return false;
    var exclusive: u64 = 0;
    var sharing: u64 = 0;
    var any_stopped = false;
    for (0..state.processes) |process| {
        if (state.status(process) != .running) {
            if (state.status(process) != .stopped) continue;
            any_stopped = true;
        } else if (!use_of(process).is_used) continue;
        const index = index_of(process) orelse continue;
        const word = word_of(index);
        const counts = switch (word.state) {
            .held => true,
            .waiting => setup.is_newest or word.urgent or word.ticket < waiter.ticket,
            // Stopped on its way out, it counts as if it had not gone.
            .idle => switch (moment_of(process).doing) {
                .release, .withdraw, .close => true,
                else => false,
            },
            else => false,
        };
        if (!counts) continue;
        if (word.shared) sharing = 1 else exclusive += 1;
    }
    // A resize counts as not done yet while the process that does it is stopped.
    const places = if (setup.changes_terms() and any_stopped) 1 else state.word(limit_words.QueueWord, state.limit("queue")).max;
    if (waiter.shared and sharing > 0 and exclusive == 0) return false;
    return exclusive + sharing >= places;
}
