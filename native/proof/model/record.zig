//! The record of a worker, explored step by step as the slot protocol is, with the production functions: a worker
//! that handles calls one after the other, its guard, and its supervisor, which both try to kill it for some of
//! them. The worker's process may die before every step. Calls with an odd number have lost their clients, so
//! that the guard wants to kill the worker for them; the supervisor takes the calls for hung that its
//! configuration names.
//!
//! Checked: a process is condemned once, for the very call that its killer means, and only while that call runs.
//! In a condemned process no call ends or begins. What the guard and the supervisor read is all of one call, and
//! after the death of the worker it is the truth.

const std = @import("std");
const fibre = @import("fibre.zig");
const places = @import("../../worker/places.zig");
const record = @import("../../worker/record.zig");
const words = @import("../../memory/words.zig");

pub const Configuration = struct {
    name: []const u8,
    calls: u8,
    /// A bit for each call that the supervisor takes for hung.
    hung: u8 = 0,
    has_guard: bool = true,
    has_supervisor: bool = true,
};

pub const list = [_]Configuration{
    .{ .name = "record", .calls = 2, .hung = 0b10 },
    .{ .name = "record-contended", .calls = 2, .hung = 0b01 },
    .{ .name = "record-guard", .calls = 4, .has_supervisor = false },
    .{ .name = "record-supervisor", .calls = 4, .hung = 0b101, .has_guard = false },
};

pub const Totals = struct { states: u64, steps: u64, condemned: u64 };

pub var totals: Totals = undefined;

// ---- memory ---------------------------------------------------------------------------------------

/// Everything that the programs share, or keep besides their stacks.
const Memory = struct {
    header: record.Header,
    entry: record.Entry,
    place: places.Place,
};

var memory: Memory align(64) = undefined;
const MemoryBytes = [@sizeOf(Memory)]u8;

/// The bytes, because two moments are equal if these are.
fn memory_bytes() *MemoryBytes {
    return @ptrCast(&memory);
}

const Kind = enum(u8) {
    load,
    store,
    cas,
    add,
    /// The program ends the worker's process. `a` is the call for which it wants to; 0: any.
    kill,
    /// `a` is the place of a text.
    violation,
};

const Question = extern struct {
    kind: Kind = .kill,
    bytes: u8 = 0,
    reserved: [6]u8 = @splat(0),
    address: u64 = 0,
    a: u64 = 0,
    b: u64 = 0,
};

var question: Question = .{};

fn ask(kind: Kind, comptime T: type, pointer: *T, a: T, b: T) u64 {
    question = .{
        .kind = kind,
        .bytes = @sizeOf(T),
        .address = @intFromPtr(pointer),
        .a = number(T, a),
        .b = number(T, b),
    };
    return fibre.give_up();
}

fn number(comptime T: type, value: T) u64 {
    return @as(@Int(.unsigned, @bitSizeOf(T)), @bitCast(value));
}

fn value_of(comptime T: type, answer: u64) T {
    return @bitCast(@as(@Int(.unsigned, @bitSizeOf(T)), @truncate(answer)));
}

/// The shared memory of the production functions: each access is a question.
const Model = struct {
    pub inline fn load(comptime T: type, pointer: *T, comptime _: std.lang.AtomicOrder) T {
        return value_of(T, ask(.load, T, pointer, std.mem.zeroes(T), std.mem.zeroes(T)));
    }

    pub inline fn store(comptime T: type, pointer: *T, value: T, comptime _: std.lang.AtomicOrder) void {
        _ = ask(.store, T, pointer, value, std.mem.zeroes(T));
    }

    pub inline fn cas(comptime T: type, pointer: *T, expected: T, desired: T, comptime _: std.lang.AtomicOrder) bool {
        return ask(.cas, T, pointer, expected, desired) != 0;
    }

    pub inline fn fetch_add(pointer: *u64, addend: u64, comptime _: std.lang.AtomicOrder) u64 {
        return ask(.add, u64, pointer, addend, 0);
    }
};

const Record = record.RecordType(Model);
const Places = places.PlacesType(Model);

fn access(asked: Question) u64 {
    return switch (asked.bytes) {
        4 => access_as(u32, asked),
        8 => access_as(u64, asked),
        else => unreachable,
    };
}

fn access_as(comptime T: type, asked: Question) u64 {
    const pointer: *T = @ptrFromInt(asked.address);
    const before = pointer.*;
    switch (asked.kind) {
        .load => {},
        .store => pointer.* = @truncate(asked.a),
        .add => pointer.* = before +% @as(T, @truncate(asked.a)),
        .cas => {
            if (before != asked.a) return 0;
            pointer.* = @truncate(asked.b);
            return 1;
        },
        .kill, .violation => unreachable,
    }
    return before;
}

// ---- programs -------------------------------------------------------------------------------------

const Actor = enum(u2) { worker, guard, supervisor };
const actors = std.enums.values(Actor);
const Program = *const fn () callconv(.c) noreturn;
const programs = std.enums.EnumArray(Actor, Program).init(.{ .worker = worker, .guard = guard, .supervisor = supervisor });

var configuration: Configuration = undefined;

/// All calls have ended.
fn finish() noreturn {
    while (true) report(.violation, 0);
}

fn report(kind: Kind, value: u64) void {
    question = .{ .kind = kind, .a = value };
    _ = fibre.give_up();
}

fn fail(comptime what: [:0]const u8) noreturn {
    while (true) report(.violation, @intFromPtr(what.ptr));
}

fn kill(meant: u8) noreturn {
    while (true) report(.kill, meant);
}

/// All that describes a call follows from its number, so a mixture of two shows.
fn call_of(call: u8) places.Call {
    return .{
        .handle = call,
        .slot = call,
        .generation = call,
        .since_ns = call,
        .deadline_ns = call,
        .owner = .{ .index = call, .epoch = call },
    };
}

fn worker() callconv(.c) noreturn {
    var call: u8 = 1;
    while (call <= configuration.calls) : (call += 1) {
        _ = Places.take((&memory.place)[0..1], 0) orelse fail("no place is free");
        Places.begin(&memory.place, &memory.entry, call_of(call), call) orelse fail("no entry is free");
        if (!Places.end(&memory.place, &memory.entry)) kill(0);
        Record.count(&memory.header, call == 2);
        Places.give_back(&memory.place);
    }
    finish();
}

fn guard() callconv(.c) noreturn {
    while (true) {
        const word = Record.word_of(&memory.entry, .seq_cst);
        if (word.is_condemned()) kill(0);
        if (word.state != .running) continue;
        const call = Places.read(&memory.place, &memory.entry, word) orelse continue;
        if (!std.meta.eql(call, call_of(@truncate(call.slot)))) fail("the guard has read a mixture of two calls");
        const is_abandoned = call.slot % 2 == 1;
        if (is_abandoned and Record.condemn(&memory.entry, word.sequence, .timed_out)) kill(@truncate(call.slot));
    }
}

fn supervisor() callconv(.c) noreturn {
    while (true) {
        const seen = Record.read(&memory.entry);
        if (seen.word.state == .free) continue;
        const call: u8 = @truncate(seen.call.slot);
        const is_whole = std.meta.eql(seen.call, .{ .slot = call, .generation = call, .method = call, .since_ns = call });
        if (!is_whole) fail("the supervisor has read a mixture of two calls");
        if (seen.word.is_condemned()) kill(call);
        const is_hung = configuration.hung & (@as(u8, 1) << @intCast(call - 1)) != 0;
        if (is_hung and Record.condemn(&memory.entry, seen.word.sequence, .hung)) kill(call);
    }
}

// ---- the truth ------------------------------------------------------------------------------------

const Ghost = extern struct {
    /// The call that runs; 0: none.
    running: u8 = 0,
    begun: u8 = 0,
    /// The call for which the process was condemned; 0: none.
    condemned: u8 = 0,
    is_dead: bool = false,
};

var ghost: Ghost = .{};
var violation: ?[]const u8 = null;

fn follow_kill(meant: u64) ?[]const u8 {
    if (ghost.condemned == 0) return "a process is killed that was not condemned";
    if (meant != 0 and meant != ghost.condemned) return "a process is killed for another call than was meant";
    ghost.is_dead = true;
    return null;
}

/// What a step has done to the word of the entry.
fn follow(before: record.Word, after: record.Word) ?[]const u8 {
    if (before == after) return null;
    if (ghost.condemned != 0) return switch (after.state) {
        .free => "a call ends in a condemned process",
        .running => "a call begins in a condemned process",
        .timed_out, .hung => "a process is condemned twice",
    };
    switch (after.state) {
        .free => {
            if (ghost.running == 0) return "a call ends that does not run";
            ghost.running = 0;
        },
        .running => {
            if (ghost.running != 0) return "a call begins while another one runs in its entry";
            ghost.begun += 1;
            ghost.running = ghost.begun;
        },
        .timed_out, .hung => {
            if (ghost.running == 0) return "a process is condemned for a call that has ended";
            ghost.condemned = ghost.running;
            totals.condemned += 1;
        },
    }
    return null;
}

// ---- exploring ------------------------------------------------------------------------------------

const State = struct {
    memory: MemoryBytes,
    ghost: Ghost,
    /// Where each program continues, as numbers of `moments`.
    moments: [actors.len]u32,
};

const Moment = struct { point: fibre.Point, question: Question, stack: []const u8 };

const gpa = std.heap.page_allocator;
var moments: std.ArrayList(Moment) = .empty;
var moment_numbers: std.StringHashMapUnmanaged(u32) = .empty;
var edges: std.AutoHashMapUnmanaged(struct { moment: u32, answer: u64 }, u32) = .empty;
var known: std.AutoHashMapUnmanaged(u128, void) = .empty;

/// The moment at which the program that has just run waits.
fn moment_now() !u32 {
    const point = fibre.point_now();
    const stack = fibre.stack_now();
    const parts = [_][]const u8{ std.mem.asBytes(&point), std.mem.asBytes(&question), stack };
    const key = try std.mem.concat(gpa, u8, &parts);
    const found = try moment_numbers.getOrPut(gpa, key);
    if (!found.found_existing) {
        found.value_ptr.* = @intCast(moments.items.len);
        const kept = key[key.len - stack.len ..];
        try moments.append(gpa, .{ .point = point, .question = question, .stack = kept });
    } else gpa.free(key);
    return found.value_ptr.*;
}

fn is_new(state: *const State) !bool {
    var hasher = [_]std.hash.Wyhash{ .init(1), .init(2) };
    for (&hasher) |*half| {
        half.update(&state.memory);
        half.update(std.mem.asBytes(&state.ghost));
        half.update(std.mem.asBytes(&state.moments));
    }
    const hash = @as(u128, hasher[0].final()) << 64 | hasher[1].final();
    return !(try known.getOrPut(gpa, hash)).found_existing;
}

const Choice = enum(u8) { worker, guard, supervisor, death };

pub const Violation = struct { what: []const u8, path: []const Choice };

/// Explores a configuration. Null: there is nothing wrong.
pub fn explore(chosen: Configuration) !?Violation {
    configuration = chosen;
    totals = .{ .states = 0, .steps = 0, .condemned = 0 };
    known.clearRetainingCapacity();
    // What a program does depends on the configuration, too.
    edges.clearRetainingCapacity();
    violation = null;
    @memset(memory_bytes(), 0);
    ghost = .{};
    var first: State = .{ .memory = memory_bytes().*, .ghost = ghost, .moments = undefined };
    for (actors, &first.moments) |actor, *moment| {
        fibre.start(programs.get(actor));
        moment.* = try moment_now();
    }
    const Frame = struct { state: State, next: u8 };
    var frames: std.ArrayList(Frame) = .empty;
    var path: std.ArrayList(Choice) = .empty;
    _ = try is_new(&first);
    try frames.append(gpa, .{ .state = first, .next = 0 });
    totals.states = 1;
    while (frames.items.len > 0) {
        const frame = &frames.items[frames.items.len - 1];
        if (frame.next == std.enums.values(Choice).len) {
            _ = frames.pop();
            if (path.items.len > 0) _ = path.pop();
            continue;
        }
        const choice: Choice = @fromBackingInt(frame.next);
        frame.next += 1;
        const from = frame.state;
        const to = try step(&from, choice) orelse continue;
        totals.steps += 1;
        try path.append(gpa, choice);
        if (violation) |what| return .{ .what = what, .path = path.items };
        if (try is_new(&to)) {
            totals.states += 1;
            try frames.append(gpa, .{ .state = to, .next = 0 });
        } else _ = path.pop();
    }
    return null;
}

/// Null: this cannot happen.
fn step(from: *const State, choice: Choice) !?State {
    memory_bytes().* = from.memory;
    ghost = from.ghost;
    var to = from.*;
    if (choice == .death) {
        if (ghost.is_dead) return null;
        to.ghost.is_dead = true;
        return to;
    }
    if (ghost.is_dead and choice != .supervisor) return null;
    if (choice == .guard and !configuration.has_guard) return null;
    if (choice == .supervisor and !configuration.has_supervisor) return null;
    const actor = @backingInt(choice);
    const moment = moments.items[from.moments[actor]];
    switch (moment.question.kind) {
        .violation => {
            if (moment.question.a == 0) return null;
            violation = std.mem.span(@as([*:0]const u8, @ptrFromInt(moment.question.a)));
            return to;
        },
        .kill => {
            if (ghost.is_dead) return null;
            violation = follow_kill(moment.question.a);
            to.ghost = ghost;
            return to;
        },
        .load, .store, .cas, .add => {},
    }
    const before = memory.entry.word;
    const answer = access(moment.question);
    if (follow(before, memory.entry.word)) |what| violation = what;
    var next = try next_moment(from.moments[actor], answer);
    while (is_private(moments.items[next].question)) next = try next_moment(next, access(moments.items[next].question));
    to = .{ .memory = memory_bytes().*, .ghost = ghost, .moments = from.moments };
    to.moments[actor] = next;
    return to;
}

/// Only the worker's own program touches these words, so the access needs no step of its own.
fn is_private(asked: Question) bool {
    const header = @intFromPtr(&memory.header);
    return asked.address == @intFromPtr(&memory.place.is_taken) or
        asked.address == @intFromPtr(&memory.place.sequence) or
        (asked.address >= header and asked.address < header + @sizeOf(record.Header));
}

/// A program runs once for each answer at a moment: nothing else decides what it does.
fn next_moment(number_of_moment: u32, answer: u64) !u32 {
    const edge = try edges.getOrPut(gpa, .{ .moment = number_of_moment, .answer = answer });
    if (edge.found_existing) return edge.value_ptr.*;
    const moment = moments.items[number_of_moment];
    fibre.go_on(moment.point, moment.stack, answer);
    const next = try moment_now();
    edge.value_ptr.* = next;
    return next;
}
