//! What is explored: a text of words, the same on the command line and in the list of names. Each
//! `name=value` is a bound; each other word begins a process, `client:request,post,close`.
//!
//!     slots=2 cells=4 deliveries=2 deaths=1 client:request,request client:post server:serve
//!
//! | bound | |
//! | --- | --- |
//! | slots, cells | of the channel; cells is a power of two |
//! | deliveries | how many servers may be handed a request |
//! | deaths, stops | how many processes may die, and be stopped for ever |
//! | mortal, stoppable | which, as the digits of their places, from 0; all without it |
//! | cold | 1: no slot was ever used |
//! | give_up | 1: a loop may give up on a lock that outlives its process's connections |
//!
//! A process with a `+` before it joins while the others are under way.

const std = @import("std");
const programs = @import("programs.zig");
const rq = @import("request.zig");
const state = @import("state.zig");

pub const Configuration = struct {
    slots: u16 = 2,
    cells: u16 = 4,
    deliveries: u8 = 1,
    deaths: u8 = 0,
    stops: u8 = 0,
    mortal: u8 = 0xff,
    stoppable: u8 = 0xff,
    cold: bool = false,
    give_up: bool = false,
    plans: [state.processes_max]programs.Plan = undefined,
    actions: [state.processes_max][8]programs.Action = undefined,
    processes: u8 = 0,
    calls: u8 = 0,
};

pub const Problem = struct { word: []const u8, what: []const u8 };

/// The text's own words are named in what is wrong with it.
pub fn parse(text: []const u8, configuration: *Configuration) ?Problem {
    configuration.* = .{};
    var tokens = std.mem.tokenizeAny(u8, text, " \n");
    while (tokens.next()) |token| {
        const what = if (std.mem.indexOfScalar(u8, token, '=')) |place|
            parse_bound(configuration, token[0..place], token[place + 1 ..])
        else if (std.mem.indexOfScalar(u8, token, ':')) |place|
            parse_process(configuration, token[0..place], token[place + 1 ..])
        else
            "is neither name=value nor role:actions";
        if (what) |problem| return .{ .word = token, .what = problem };
    }
    if (configuration.processes == 0) return .{ .word = text, .what = "names no process" };
    return null;
}

fn parse_bound(configuration: *Configuration, name: []const u8, value: []const u8) ?[]const u8 {
    if (std.mem.eql(u8, name, "mortal")) return parse_places(&configuration.mortal, value);
    if (std.mem.eql(u8, name, "stoppable")) return parse_places(&configuration.stoppable, value);
    const number = std.fmt.parseInt(u8, value, 10) catch return "is no number";
    if (std.mem.eql(u8, name, "slots")) {
        if (number < 1 or number > state.slots_max) return "is not possible: there are 1 to 3 slots";
        configuration.slots = number;
    } else if (std.mem.eql(u8, name, "cells")) {
        if (number < 1 or number > state.cells_max or !std.math.isPowerOfTwo(number)) return "is not possible: there are 1, 2, 4 or 8 cells";
        configuration.cells = number;
    } else if (std.mem.eql(u8, name, "deliveries")) {
        if (number < 1 or number > 31) return "is not possible: there are 1 to 31 deliveries";
        configuration.deliveries = number;
    } else if (std.mem.eql(u8, name, "deaths")) {
        configuration.deaths = number;
    } else if (std.mem.eql(u8, name, "stops")) {
        configuration.stops = number;
    } else if (std.mem.eql(u8, name, "cold")) {
        configuration.cold = number != 0;
    } else if (std.mem.eql(u8, name, "give_up")) {
        configuration.give_up = number != 0;
    } else return "is no bound";
    return null;
}

fn parse_places(mask: *u8, value: []const u8) ?[]const u8 {
    mask.* = 0;
    for (value) |digit| {
        if (digit < '0' or digit >= '0' + state.processes_max) return "is no list of places";
        mask.* |= @as(u8, 1) << @intCast(digit - '0');
    }
    return null;
}

fn parse_process(configuration: *Configuration, head: []const u8, actions: []const u8) ?[]const u8 {
    if (configuration.processes == state.processes_max) return "is one process too many";
    const is_late = head.len > 0 and head[0] == '+';
    const role = if (is_late) head[1..] else head;
    const place = configuration.processes;
    var count: usize = 0;
    var words = std.mem.splitScalar(u8, actions, ',');
    while (words.next()) |word| {
        if (count == configuration.actions[place].len) return "has too many actions";
        configuration.actions[place][count] = std.meta.stringToEnum(programs.Action, word) orelse
            return "names an action that there is not";
        count += 1;
    }
    configuration.plans[place] = .{
        .role = if (std.mem.eql(u8, role, "client")) .client else if (std.mem.eql(u8, role, "server")) .server else return "is neither a client nor a server",
        .late = is_late,
        .actions = configuration.actions[place][0..count],
        .first_call = configuration.calls,
    };
    configuration.calls += configuration.plans[place].calls();
    if (configuration.calls > state.calls_max) return "is one call too many";
    configuration.processes += 1;
    return null;
}

pub const Named = struct {
    name: []const u8,
    text: []const u8,
    /// Not among what runs without --full.
    is_long: bool = false,
};

pub const list = [_]Named{
    .{ .name = "one-call", .text = "slots=1 cells=2 client:request server:serve" },
};
