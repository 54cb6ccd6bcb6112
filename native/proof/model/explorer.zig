//! Explores every state, depth first. Each has to be free of violations, and from each a path has to lead to
//! a good end (`endings.zig`).
//!
//! States are identified by a 128-bit hash: among a thousand million states, the chance that any two share
//! one is below 10⁻²⁰. If no successor of a state was found good during its exploration, the state keeps its
//! edges; at the end, goodness is propagated backwards along them.

const std = @import("std");
const endings = @import("endings.zig");
const local = @import("local.zig");
const setup = @import("setup.zig");
const reductions = @import("reductions.zig");
const state = @import("state.zig");
const steps = @import("steps.zig");

pub const Limits = struct { states: u64, seconds: u64 };

pub const Outcome = union(enum) {
    complete,
    /// Not everything was explored.
    limit: []const u8,
    violation: []const u8,
};

pub const Choice = union(enum) {
    step: struct { process: u8, variant: u5 },
    die: u8,
    unlock: u8,
    stop: u8,
    time,
};

pub const Totals = struct { states: u64 = 0, transitions: u64 = 0, ends: u64 = 0, depth: usize = 0, moments: usize = 0 };

pub var totals: Totals = .{};

const gpa = std.heap.page_allocator;

// ---- states that were seen ----------------------------------------------------------------------

const Entry = struct { low: u64, high: u64 };

var table: []Entry = &.{};
var ids: []u32 = &.{};
var known_count: u64 = 0;

fn table_init(capacity: usize) void {
    table = gpa.alloc(Entry, capacity) catch @panic("out of memory");
    ids = gpa.alloc(u32, capacity) catch @panic("out of memory");
    @memset(table, .{ .low = 0, .high = 0 });
    known_count = 0;
}

fn table_free() void {
    gpa.free(table);
    gpa.free(ids);
    table = &.{};
    ids = &.{};
}

const Found = struct { id: u32, is_new: bool };

fn look_up(hash: u128) Found {
    @setRuntimeSafety(false);
    if (known_count * 10 > table.len * 7) grow();
    const low: u64 = @truncate(hash);
    // Zero means empty.
    const high: u64 = @as(u64, @truncate(hash >> 64)) | 1;
    var place = low & (table.len - 1);
    while (table[place].high != 0) : (place = (place + 1) & (table.len - 1)) {
        if (table[place].low == low and table[place].high == high) return .{ .id = ids[place], .is_new = false };
    }
    const id: u32 = @intCast(known_count);
    table[place] = .{ .low = low, .high = high };
    ids[place] = id;
    known_count += 1;
    return .{ .id = id, .is_new = true };
}

fn grow() void {
    @branchHint(.cold);
    const old = table;
    const old_ids = ids;
    const count = known_count;
    table_init(old.len * 2);
    for (old, old_ids) |entry, id| {
        if (entry.high == 0) continue;
        var place = entry.low & (table.len - 1);
        while (table[place].high != 0) place = (place + 1) & (table.len - 1);
        table[place] = entry;
        ids[place] = id;
    }
    known_count = count;
    gpa.free(old);
    gpa.free(old_ids);
}

// ---- the walk -----------------------------------------------------------------------------------

const Frame = struct {
    id: u32,
    undo_mark: u32,
    edge_mark: u32,
    leads_to_good: bool,
    /// The choices that were not tried yet.
    choices: Choices,
    trying: Choice,
};

const Choices = struct {
    steps: [state.processes_max]u32 = @splat(0),
    deaths: u8 = 0,
    unlocks: u8 = 0,
    stops: u8 = 0,
    time: bool = false,

    fn of_state() Choices {
        var choices: Choices = .{};
        const may_die = state.get(state.single(.deaths_left)) > 0;
        const may_stop = state.get(state.single(.stops_left)) > 0;
        for (0..state.processes) |process| {
            const bit = @as(u8, 1) << @intCast(process);
            choices.steps[process] = steps.enabled(process);
            if (state.status(process) == .dying) choices.unlocks |= bit;
            if (!steps.may_fail(process)) continue;
            if (may_die and setup.mortal & bit != 0) choices.deaths |= bit;
            if (may_stop and setup.stoppable & bit != 0) choices.stops |= bit;
        }
        if (setup.bounds_switches and state.get(state.single(.switches_left)) == 0) {
            if (running()) |process| for (0..state.processes) |other| {
                if (other != process) choices.steps[other] = 0;
            };
        }
        choices.time = setup.has_deadlines and state.get(state.single(.clock)) == 0;
        return choices;
    }

    fn take(choices: *Choices) ?Choice {
        for (0..state.processes) |process| {
            if (choices.steps[process] == 0) continue;
            const variant: u5 = @intCast(@ctz(choices.steps[process]));
            choices.steps[process] &= choices.steps[process] - 1;
            return .{ .step = .{ .process = @intCast(process), .variant = variant } };
        }
        if (take_bit(&choices.unlocks)) |process| return .{ .unlock = process };
        if (choices.time) {
            choices.time = false;
            return .time;
        }
        if (take_bit(&choices.deaths)) |process| return .{ .die = process };
        if (take_bit(&choices.stops)) |process| return .{ .stop = process };
        return null;
    }

    fn take_bit(bits: *u8) ?u8 {
        if (bits.* == 0) return null;
        const lowest = @ctz(bits.*);
        bits.* &= bits.* - 1;
        return lowest;
    }
};

/// Whether a path over it counts as one that the state follows by itself.
fn is_helpful(choice: Choice) bool {
    return switch (choice) {
        .step => |one| @as(u32, 1) << one.variant & steps.optional_bits == 0,
        .unlock, .time => true,
        .die, .stop => false,
    };
}

/// The process that is in the middle of an operation, and could go on.
fn running() ?u8 {
    const value = state.get(state.single(.running));
    if (value == 0) return null;
    const process: u8 = @intCast(value - 1);
    return if (steps.enabled(process) != 0) process else null;
}

/// Counts how often a process goes on while another one is in the middle of an operation. Most faults need few
/// of these switches, and with few of them an exploration ends.
fn note_switch(process: u8) void {
    if (running()) |other| if (other != process) {
        const left = state.single(.switches_left);
        state.set(left, state.get(left) -| 1);
    };
}

fn note_running(process: u8) void {
    const is_between = switch (steps.request_of(process).kind) {
        .event, .left => true,
        else => false,
    };
    state.set(state.single(.running), if (is_between) 0 else process + 1);
}

pub fn apply(choice: Choice) void {
    switch (choice) {
        .step => |one| {
            if (setup.bounds_switches) note_switch(one.process);
            steps.step(one.process, one.variant);
            if (setup.bounds_switches) note_running(one.process);
        },
        .die => |process| steps.die(process),
        .unlock => |process| steps.unlock_dead(process),
        .stop => |process| steps.stop(process),
        .time => state.set(state.single(.clock), 1),
    }
    steps.renumber();
}

var frames: std.ArrayList(Frame) = .empty;
/// Successors of the states on the path, and where those of each begin.
var successors: std.ArrayList(u32) = .empty;
var is_good: std.ArrayList(bool) = .empty;

const Unresolved = struct { from: u32, to: u32 };
var unresolved: std.ArrayList(Unresolved) = .empty;

/// The choices from the initial state to the reported one.
pub var trace: std.ArrayList(Choice) = .empty;

/// The state to stop at, to find the path to it again.
var wanted_state: ?u32 = null;

/// Explores everything that follows from the present state. `error.Surprise`: an access that had been taken
/// for no step is one, and the exploration starts again.
pub fn explore(limits: Limits, now: *const fn () u64) error{Surprise}!Outcome {
    const outcome = try walk(limits, now);
    if (outcome != .complete) return outcome;
    carry_back();
    for (is_good.items, 0..) |good, id| {
        if (good) continue;
        // Its path is found by exploring it again.
        wanted_state = lowest_bad(@intCast(id));
        defer wanted_state = null;
        state.back_to(0);
        _ = try walk(.{ .states = std.math.maxInt(u64), .seconds = std.math.maxInt(u64) }, now);
        return .{ .violation = endings.fault() orelse "no way leads to a good end" };
    }
    return .complete;
}

/// Among the states without a good end, one where nothing can happen any more, if there is one: it is the
/// most informative.
fn lowest_bad(id: u32) u32 {
    var has_successor: std.DynamicBitSetUnmanaged = std.DynamicBitSetUnmanaged.initEmpty(gpa, is_good.items.len) catch return id;
    defer has_successor.deinit(gpa);
    for (unresolved.items) |edge| if (edge.from != edge.to) has_successor.set(edge.from);
    for (is_good.items, 0..) |good, other| {
        if (!good and !has_successor.isSet(other)) return @intCast(other);
    }
    return id;
}

fn walk(limits: Limits, now: *const fn () u64) error{Surprise}!Outcome {
    const deadline = now() +| limits.seconds *| std.time.ns_per_s;
    frames.clearRetainingCapacity();
    successors.clearRetainingCapacity();
    is_good.clearRetainingCapacity();
    unresolved.clearRetainingCapacity();
    totals = .{};
    if (table.len > 0) table_free();
    table_init(1 << 16);
    try enter(look_up(state.hash).id);
    while (frames.items.len > 0) {
        const top = &frames.items[frames.items.len - 1];
        const choice = top.choices.take() orelse {
            leave();
            continue;
        };
        top.trying = choice;
        apply(choice);
        totals.transitions += 1;
        if (reductions.surprise != null) return error.Surprise;
        if (steps.violation) |what| {
            keep_trace(frames.items.len);
            totals.moments = local.nodes.items.len;
            return .{ .violation = what };
        }
        const found = look_up(state.hash);
        if (found.is_new) {
            try enter(found.id);
            if (wanted_state == found.id) {
                keep_trace(frames.items.len - 1);
                return .complete;
            }
            totals.moments = local.nodes.items.len;
            if (totals.states > limits.states) return .{ .limit = "states" };
            if (totals.states & 0xfff == 0 and now() > deadline) return .{ .limit = "seconds" };
        } else {
            if (is_helpful(choice)) meet(found.id);
            state.back_to(top.undo_mark);
        }
    }
    return .complete;
}

fn enter(id: u32) error{Surprise}!void {
    totals.states += 1;
    const good = endings.fault() == null;
    if (good) totals.ends += 1;
    is_good.append(gpa, good) catch @panic("out of memory");
    frames.append(gpa, .{
        .id = id,
        .undo_mark = state.undo_count,
        .edge_mark = @intCast(successors.items.len),
        .leads_to_good = good,
        .choices = .of_state(),
        .trying = undefined,
    }) catch @panic("out of memory");
    totals.depth = @max(totals.depth, frames.items.len);
}

/// The state on top has a successor that is already known.
fn meet(id: u32) void {
    const top = &frames.items[frames.items.len - 1];
    if (top.leads_to_good) return;
    if (is_good.items[id]) {
        top.leads_to_good = true;
    } else {
        successors.append(gpa, id) catch @panic("out of memory");
    }
}

fn leave() void {
    const done = frames.pop().?;
    is_good.items[done.id] = done.leads_to_good;
    if (!done.leads_to_good) {
        for (successors.items[done.edge_mark..]) |to| {
            unresolved.append(gpa, .{ .from = done.id, .to = to }) catch @panic("out of memory");
        }
    }
    successors.items.len = done.edge_mark;
    if (frames.items.len == 0) return;
    const top = &frames.items[frames.items.len - 1];
    if (is_helpful(top.trying)) meet(done.id);
    state.back_to(top.undo_mark);
}

fn carry_back() void {
    // Where the edges to each state begin, in a list that is sorted by target.
    const starts = gpa.alloc(u32, is_good.items.len + 1) catch @panic("out of memory");
    defer gpa.free(starts);
    const sources = gpa.alloc(u32, unresolved.items.len) catch @panic("out of memory");
    defer gpa.free(sources);
    @memset(starts, 0);
    for (unresolved.items) |edge| starts[edge.to] += 1;
    var sum: u32 = 0;
    for (starts) |*start| {
        sum += start.*;
        start.* = sum;
    }
    for (unresolved.items) |edge| {
        starts[edge.to] -= 1;
        sources[starts[edge.to]] = edge.from;
    }
    var found: std.ArrayList(u32) = .empty;
    defer found.deinit(gpa);
    for (is_good.items, 0..) |good, id| {
        if (good and starts[id] < starts[id + 1]) found.append(gpa, @intCast(id)) catch @panic("out of memory");
    }
    while (found.pop()) |id| {
        for (sources[starts[id]..starts[id + 1]]) |from| {
            if (is_good.items[from]) continue;
            is_good.items[from] = true;
            found.append(gpa, from) catch @panic("out of memory");
        }
    }
}

/// Keeps the path for the report of a violation.
fn keep_trace(length: usize) void {
    trace.clearRetainingCapacity();
    for (frames.items[0..length]) |frame| trace.append(gpa, frame.trying) catch @panic("out of memory");
}

/// A random possible choice. Null: nothing can happen.
pub fn any(random: std.Random) ?Choice {
    var choices: Choices = .of_state();
    var copy = choices;
    var weights: u32 = 0;
    while (copy.take()) |choice| {
        weights += weight(choice);
    }
    if (weights == 0) return null;
    var place = random.uintLessThan(u32, weights);
    while (choices.take()) |choice| {
        if (place < weight(choice)) return choice;
        place -= weight(choice);
    }
    unreachable;
}

/// The speed of each process on a random walk, and how often events affect it. If all were equally fast, no
/// process would ever fall far behind, as a stopped one does.
var speeds: [state.processes_max]u32 = @splat(1);
var accidents: u32 = 1;

/// Changes one at a time, so that a slow process stays slow for a while.
pub fn change_speeds(random: std.Random) void {
    speeds[random.uintLessThan(usize, speeds.len)] = @as(u32, 1) << random.uintLessThan(u5, 5) * 3;
    accidents = @as(u32, 1) << random.uintLessThan(u5, 4) * 3;
}

fn weight(choice: Choice) u32 {
    return switch (choice) {
        .step => |one| speeds[one.process] * @as(u32, if (@as(u32, 1) << one.variant & steps.optional_bits == 0) 4 else 1),
        .unlock, .time => 16,
        .die, .stop => accidents,
    };
}
