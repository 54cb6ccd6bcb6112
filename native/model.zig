//! The model checker of the slot protocol. It explores every order of the steps of a few participants, with a
//! death at every step, and with one of them stopped for ever. A step is one access to shared memory or one
//! question to the kernel, and the production functions take the steps, as the library exports them. So there
//! is no other description of the protocol that could differ from it.
//!
//!     zig build model
//!     zig-out/bin/tandem-model                     the shorter configurations, one after the other
//!     zig-out/bin/tandem-model --full              the longer ones as well
//!     zig-out/bin/tandem-model --list              lists all configurations
//!     zig-out/bin/tandem-model --config clear      one of them
//!     zig-out/bin/tandem-model --except clear      all but that one
//!     zig-out/bin/tandem-model slots=1 cells=2 deaths=1 client:request server:serve
//!     zig-out/bin/tandem-model record              a worker's record (record.zig)
//!
//! Exits with 0 when everything was explored and nothing found, with 1 after printing the path to a
//! violation, with 2 when a limit (--states, --seconds) came first, and with 64 for wrong arguments.
//!
//! | file in proof/model | |
//! | --- | --- |
//! | `configuration.zig` | the bounds and their words, and the named configurations |
//! | `setup.zig` | the plan of each process |
//! | `programs.zig` | what participants do; `client.zig`, `server.zig`, `waker.zig`, `event_loop.zig` |
//! | `memory.zig`, `request.zig` | the library's shared memory here: each access is a question |
//! | `fibre.zig`, `local.zig` | runs a program from one question to the next; remembers how it continued |
//! | `state.zig`, `steps.zig` | memory and kernel; what a step does, and what no step may do |
//! | `endings.zig` | good ends |
//! | `reductions.zig` | accesses that need no step of their own, and how that is checked |
//! | `explorer.zig`, `run.zig` | depth first through all states, after some random walks |
//! | `record.zig` | the records of workers: a model of its own |
//! | `mutants.ts` | the protocol broken on purpose, for scripts/mutants.ts |
//!
//! Checked in every state: a call ends once, with its own untorn answer or an error that has a reason; a
//! payload area has one writer and is not read meanwhile; a request is delivered at most as often as allowed
//! and held by one live server; two processes never lock the same byte. From every state a path leads to a
//! good end without help: all calls have ended, all slots are free, the ring is empty, dead participants are
//! repaired, and no sleeper has anything to wake up for (`endings.zig`).
//!
//! A server that takes a request while it works on one (`serve_busy`) may have to wait for a less busy server.
//! Its handlers do not end while a request is queued, so nothing else ends that wait; the grace passes only if a
//! server has died or was stopped. So among living servers no request depends on it.
//!
//! Assumed: each access is atomic, and every process sees all accesses in one order. That is sequential
//! consistency; the orders in the code are weaker in places, and the code says there why that is enough.
//! Also not covered: garbage in the memory, files that cannot grow, numbers that repeat (except the ring's
//! positions, which do), lack of descriptors, payloads that do not fit beside the slot's word, fairness
//! between waiting participants, more than four participants.
//!
//! A stopped process keeps what it was doing. If it was stopped after it had ended a call and before it rang
//! the client, or as it left and before it rang another server, others wait for it: that call counts as one
//! that it holds.

const std = @import("std");
const configurations = @import("proof/model/configuration.zig");
const explorer = @import("proof/model/explorer.zig");
const memory = @import("proof/model/memory.zig");
const record = @import("proof/model/record.zig");
const report = @import("proof/model/report.zig");
const run = @import("proof/model/run.zig");
const clock = @import("platform/sys/clock.zig");

/// The memory that the library uses here.
pub const SharedMemory = memory.Model;

/// There is no C library to look functions up in.
pub const is_static = true;

pub const panic = std.debug.FullPanic(panicked);

fn panicked(message: []const u8, address: ?usize) noreturn {
    std.debug.print("tandem-model: internal error after {d} states: {s}\n", .{ explorer.totals.states, message });
    std.debug.defaultPanic(message, address);
}

const usage =
    \\usage: tandem-model [--full] [--list] [--config NAME | --except NAME]... [--states N] [--seconds N]
    \\                    [--walks N] [BOUND=VALUE|ROLE:ACTIONS]...
    \\
;

pub fn main(init: std.process.Init) !u8 {
    const arena = init.arena.allocator();
    const arguments = try init.minimal.args.toSlice(arena);
    var buffer: [4096]u8 = undefined;
    var stdout: std.Io.File.Writer = .initStreaming(.stdout(), init.io, &buffer);
    const writer = &stdout.interface;
    defer writer.flush() catch {};

    var chosen: std.ArrayList(configurations.Named) = .empty;
    var left_out: std.ArrayList([]const u8) = .empty;
    var records: std.ArrayList(record.Configuration) = .empty;
    var custom: std.ArrayList(u8) = .empty;
    var is_full = false;
    var limits: explorer.Limits = .{ .states = 2_000_000_000, .seconds = 24 * 3600 };
    var index: usize = 1;
    while (index < arguments.len) : (index += 1) {
        const argument = arguments[index];
        if (std.mem.eql(u8, argument, "--full")) {
            is_full = true;
        } else if (std.mem.eql(u8, argument, "--list")) {
            for (configurations.list) |named| {
                try writer.print("{s}{s}: {s}\n", .{ named.name, if (named.is_long) " (--full)" else "", named.text });
            }
            for (record.list) |named| try writer.print("{s}: {d} calls of a worker\n", .{ named.name, named.calls });
            return 0;
        } else if (std.mem.startsWith(u8, argument, "--")) {
            index += 1;
            if (index == arguments.len) return refuse(argument, "needs a value, or is not an option");
            const value = arguments[index];
            if (std.mem.eql(u8, argument, "--config")) {
                try chosen.append(arena, find(value) orelse return refuse(value, "is not a configuration; see --list"));
            } else if (std.mem.eql(u8, argument, "--except")) {
                const named = find(value) orelse return refuse(value, "is not a configuration; see --list");
                try left_out.append(arena, named.name);
            } else if (std.mem.eql(u8, argument, "--states")) {
                limits.states = std.fmt.parseInt(u32, value, 10) catch return refuse(value, "is not a number of states");
            } else if (std.mem.eql(u8, argument, "--walks")) {
                run.walks = std.fmt.parseInt(u32, value, 10) catch return refuse(value, "is not a number of random walks");
            } else if (std.mem.eql(u8, argument, "--seconds")) {
                limits.seconds = std.fmt.parseInt(u32, value, 10) catch return refuse(value, "is not a number of seconds");
            } else return refuse(argument, "is not an option");
        } else if (find_record(argument)) |named| {
            try records.append(arena, named);
        } else {
            try custom.appendSlice(arena, argument);
            try custom.append(arena, ' ');
        }
    }
    if (custom.items.len > 0) try chosen.append(arena, .{ .name = "command line", .text = custom.items });
    if (chosen.items.len == 0 and records.items.len == 0) {
        try records.appendSlice(arena, &record.list);
        for (configurations.list) |named| {
            const is_wanted = for (left_out.items) |name| {
                if (std.mem.eql(u8, name, named.name)) break false;
            } else is_full or !named.is_long;
            if (is_wanted) try chosen.append(arena, named);
        }
    }

    const begin = clock.monotonic_ns();
    var states: u64 = 0;
    var transitions: u64 = 0;
    for (records.items) |named| {
        try writer.print("{s}: {d} calls of a worker\n", .{ named.name, named.calls });
        const found = try record.explore(named);
        const totals = record.totals;
        states += totals.states;
        transitions += totals.steps;
        try writer.print("  {d} states, {d} steps, {d} of them condemn\n", .{ totals.states, totals.steps, totals.condemned });
        const violation = found orelse continue;
        try writer.print("  VIOLATION: {s}\n ", .{violation.what});
        for (violation.path) |choice| try writer.print(" {s}", .{@tagName(choice)});
        try writer.writeAll("\n");
        return 1;
    }
    for (chosen.items) |named| {
        var configuration: configurations.Configuration = undefined;
        if (configurations.parse(named.text, &configuration)) |problem| return refuse(problem.word, problem.what);
        try writer.print("{s}: {s}\n", .{ named.name, named.text });
        try writer.flush();
        const start = clock.monotonic_ns();
        const outcome = run.run(&configuration, limits);
        const totals = explorer.totals;
        states += totals.states;
        transitions += totals.transitions;
        try writer.print("  {d} states, {d} steps, {d} good ends, {d} steps deep, {d} moments of programs, {d} s\n", .{
            totals.states, totals.transitions, totals.ends, totals.depth, totals.moments, (clock.monotonic_ns() - start) / std.time.ns_per_s,
        });
        switch (outcome) {
            .complete => {},
            .limit => |what| {
                try writer.print("  not complete: more {s} than allowed\n", .{what});
                return 2;
            },
            .violation => |what| {
                try writer.print("  VIOLATION: {s}\n", .{what});
                try report.print_trace(writer, explorer.trace.items);
                try writer.writeAll("  the state then:\n");
                try report.print_state(writer);
                return 1;
            },
        }
        try writer.flush();
    }
    try writer.print("{d} configurations, {d} states, {d} steps, no violation, {d} s\n", .{
        chosen.items.len + records.items.len, states, transitions, (clock.monotonic_ns() - begin) / std.time.ns_per_s,
    });
    return 0;
}

fn find(name: []const u8) ?configurations.Named {
    for (configurations.list) |named| if (std.mem.eql(u8, named.name, name)) return named;
    return null;
}

fn find_record(name: []const u8) ?record.Configuration {
    for (record.list) |named| if (std.mem.eql(u8, named.name, name)) return named;
    return null;
}

fn refuse(word: []const u8, what: []const u8) u8 {
    std.debug.print("tandem-model: {s} {s}\n{s}", .{ word, what, usage });
    return 64;
}
