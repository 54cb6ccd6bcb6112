//! States and steps in words.

const std = @import("std");
const limit_words = @import("../../memory/limit_words.zig");
const layout = @import("../../memory/layout.zig");
const words = @import("../../memory/words.zig");
const explorer = @import("explorer.zig");
const local = @import("local.zig");
const setup = @import("setup.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const steps = @import("steps.zig");

const Writer = std.Io.Writer;

/// Prints every step of a path from the initial state, which has to be the present one.
pub fn print_trace(writer: *Writer, choices: []const explorer.Choice) !void {
    for (choices, 1..) |choice, number| {
        try writer.flush();
        try writer.print("{d:>5}  ", .{number});
        switch (choice) {
            .step => |one| try print_step(writer, one.process, one.variant),
            else => {
                explorer.apply(choice);
                switch (choice) {
                    .die => |process| try writer.print("{f} dies\n", .{name(process)}),
                    .unlock => |process| try writer.print("the kernel lets go of the lock of {f}\n", .{name(process)}),
                    .stop => |process| try writer.print("{f} is stopped for ever\n", .{name(process)}),
                    .time => try writer.print("deadlines pass\n", .{}),
                    .step => unreachable,
                }
            },
        }
    }
}

const Name = struct {
    process: usize,

    pub fn format(self: Name, writer: *Writer) !void {
        const plan = &setup.plans[self.process];
        try writer.print("{s} {d}", .{ if (plan.contends) "contender" else @tagName(plan.role), self.process });
    }
};

fn name(process: usize) Name {
    return .{ .process = process };
}

fn print_step(writer: *Writer, process: u8, variant: u5) !void {
    const number: u32 = @intCast(state.get(state.process(process, .program)));
    const node = local.nodes.items[number];
    const request = node.request;
    try writer.print("{f} {t}: ", .{ name(process), node.doing });
    const is_memory = request.kind != .event and @backingInt(request.kind) <= @backingInt(rq.Kind.read_half);
    const before = if (is_memory) state.get(request.variable) else 0;
    const slept = state.get(state.process(process, .futex));
    explorer.apply(.{ .step = .{ .process = process, .variant = variant } });
    if (is_memory) {
        const after = state.get(request.variable);
        try writer.print("{t} ", .{request.kind});
        try print_variable(writer, request.variable);
        try writer.writeAll(" ");
        try print_value(writer, request.variable, before);
        if (after != before) {
            try writer.writeAll(" -> ");
            try print_value(writer, request.variable, after);
        } else if (request.kind == .cas) {
            try writer.writeAll(" (fails, wanted ");
            try print_value(writer, request.variable, request.a);
            try writer.writeAll(")");
        }
    } else switch (request.kind) {
        .event => try print_event(writer, variant),
        .futex_wait => try writer.writeAll(if (slept == 0)
            (if (state.get(state.process(process, .futex)) == 0) "futex_wait, the word has changed" else "futex_wait, falls asleep")
        else if (slept == state.woken) "is awake" else "its slice ends"),
        .lock_byte, .unlock_byte, .byte_locked => {
            const owner = layout.lock_owner(request.a);
            try writer.print("{t} of participant {d}, epoch {d}", .{ request.kind, owner.index, owner.epoch });
        },
        .ring_bell, .ring_notify, .watch_life, .announce_life, .close_bells => try writer.print("{t} of participant {d}, epoch {d}", .{
            request.kind, request.a, request.b,
        }),
        .futex_wake => {
            try writer.writeAll("futex_wake on ");
            try print_variable(writer, request.variable);
        },
        else => try writer.print("{t}", .{request.kind}),
    }
    try writer.writeAll("\n");
}

fn print_event(writer: *Writer, variant: u5) !void {
    if (variant >= rq.event.last_retry) {
        try writer.print("the last retry of participant {d}", .{variant - rq.event.last_retry});
    } else if (variant >= rq.event.retry) {
        try writer.print("a retry of participant {d}", .{variant - rq.event.retry});
    } else if (variant >= rq.event.hangup) {
        try writer.print("participant {d} hangs up", .{variant - rq.event.hangup});
    } else {
        const names = [_][]const u8{
            "the next turn",     "its bell has rung", "the nudge's timer",  "a slice ends",
            "a deadline passed", "the user aborts",   "the user closes it", "its notify descriptor is readable",
        };
        try writer.writeAll(names[variant]);
    }
}

fn print_variable(writer: *Writer, variable: u16) !void {
    if (variable < state.header_fields.len) return writer.writeAll(state.header_fields[variable]);
    if (variable < state.cell(0)) {
        const place = variable - state.participant(0, "word");
        const fields = state.participant_fields;
        return writer.print("participant {d} {s}", .{ place / fields.len, fields[place % fields.len] });
    }
    if (setup.contends()) return print_limit_variable(writer, variable);
    if (variable < state.slot(0, "word")) return writer.print("cell {d}", .{variable - state.cell(0)});
    const place = variable - state.slot(0, "word");
    const fields = state.slot_fields;
    try writer.print("slot {d} {s}", .{ place / fields.len, fields[place % fields.len] });
}

fn print_limit_variable(writer: *Writer, variable: u16) !void {
    if (variable < state.place(0)) return writer.writeAll(state.limit_fields[variable - state.limit("queue")]);
    if (variable < state.contender(0, "word")) return writer.print("place {d}", .{variable - state.place(0) + 1});
    const offset = variable - state.contender(0, "word");
    const fields = state.contender_fields;
    try writer.print("contender {d} {s}", .{ offset / fields.len, fields[offset % fields.len] });
}

fn print_limit_value(writer: *Writer, variable: u16, value: u64) !void {
    if (variable == state.limit("queue")) {
        const word: limit_words.QueueWord = @bitCast(value);
        return writer.print("next ticket {d}, max {d}, version {d}", .{ word.next, word.max, word.version });
    }
    if (variable < state.place(0)) return writer.print("{d}", .{value});
    if (variable < state.contender(0, "word")) {
        const word: limit_words.PlaceWord = @bitCast(value);
        return writer.print("{t} contender {d} ticket {d} version {d}", .{ word.state, word.index, word.ticket, word.version });
    }
    if (state.contender_index(variable) == null) return writer.print("{d}", .{value});
    const word: limit_words.ContenderWord = @bitCast(value);
    try writer.print("{s}{s}{s} place {d} ticket {d}", .{
        std.enums.tagName(limit_words.ContenderState, word.state) orelse "?", if (word.shared) " shared" else "", if (word.urgent) " urgent" else "", @as(u32, word.place) + 1, word.ticket,
    });
}

fn print_value(writer: *Writer, variable: u16, value: u64) !void {
    if (variable < state.header_fields.len) return writer.print("{d}", .{value});
    if (variable < state.cell(0)) {
        const place = (variable - state.participant(0, "word")) % state.participant_fields.len;
        switch (place) {
            0 => {
                const word: words.ParticipantWord = @bitCast(value);
                try writer.print("{t} epoch {d}", .{ word.state, word.epoch });
            },
            3 => {
                const word: words.WaitWord = @bitCast(value);
                try writer.print("{t} {d}", .{ word.state, word.number });
            },
            4 => {
                const word: words.NotifyWord = @bitCast(@as(u32, @truncate(value)));
                try writer.print("{t} {d}", .{ word.state, word.number });
            },
            else => try writer.print("{d}", .{value}),
        }
        return;
    }
    if (setup.contends()) return print_limit_value(writer, variable, value);
    if (variable < state.slot(0, "word")) {
        const cell: words.Cell = @bitCast(value);
        if (!cell.full) return writer.print("empty of lap {d}", .{cell.lap});
        return writer.print("slot {d} generation {d} delivery {d} of lap {d}", .{ cell.slot, cell.generation, cell.delivery, cell.lap });
    }
    switch ((variable - state.slot(0, "word")) % state.slot_fields.len) {
        0 => {
            const word: words.SlotWord = @bitCast(value);
            try writer.print("{t} generation {d}", .{ word.state, word.generation });
            switch (word.state) {
                .ready => try writer.print(" {t}", .{word.answer_kind()}),
                .draft, .held, .abandoned, .posted_held => try writer.print(" of participant {d}", .{word.holder}),
                else => {},
            }
            if (word.delivery > 0) try writer.print(" delivery {d}", .{word.delivery});
        },
        1 => {
            const owner: words.Owner = @bitCast(value);
            try writer.print("participant {d} epoch {d}", .{ owner.index, owner.epoch });
        },
        else => try writer.print("0x{x}", .{value}),
    }
}

/// Prints the state at the end of a path.
pub fn print_state(writer: *Writer) !void {
    for (0..state.processes) |process| {
        const number: u32 = @intCast(state.get(state.process(process, .program)));
        const node = local.nodes.items[number];
        try writer.print("       {f} {t}, {t}: {t}\n", .{ name(process), state.status(process), node.doing, node.request.kind });
    }
    for (0..state.shared_count) |variable| {
        if (state.get(@intCast(variable)) == 0) continue;
        try writer.writeAll("       ");
        try print_variable(writer, @intCast(variable));
        try writer.writeAll(" ");
        try print_value(writer, @intCast(variable), state.get(@intCast(variable)));
        try writer.writeAll("\n");
    }
}
