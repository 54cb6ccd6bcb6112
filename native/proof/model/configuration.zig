//! A configuration is a text of words, the same on the command line and in the list of names. Each
//! `name=value` is a bound; each other word describes a process, such as `client:request,post,close`.
//!
//!     slots=2 cells=4 deliveries=2 deaths=1 client:request,request client:post server:serve
//!
//! | bound | |
//! | --- | --- |
//! | slots, cells | of the channel; cells is a power of two |
//! | deliveries | how many servers may get a request |
//! | deaths, stops | how many processes may die, and be stopped for ever |
//! | failures | how many rings of bells and notify descriptors may fail |
//! | mortal, stoppable | which of them, as digits from 0; default: all |
//! | cold | 1: no slot was ever used |
//! | ring | behind how many sentinels the death watches of a participant end |
//! | give_up | 1: a loop may give up on a lock that outlives its process's connections |
//! | max | of a limit: its places; its processes are contenders, as `contender:acquire,release` |
//! | used | as many places it has had once |
//! | newest | 1: a limit that prefers the newest |
//! | switches | how often another process may go on while one is in the middle of an operation; 0: ever so often |
//!
//! `waker:0` is the waker of the first process. As a thread of it, it dies and is stopped with it.
//!
//! A process with a `+` before it joins while the others are running.

const std = @import("std");
const setup = @import("setup.zig");
const state = @import("state.zig");

pub const Configuration = struct {
    slots: u16 = 2,
    cells: u16 = 4,
    deliveries: u8 = 1,
    deaths: u8 = 0,
    stops: u8 = 0,
    failures: u8 = 0,
    mortal: u8 = 0xff,
    stoppable: u8 = 0xff,
    cold: bool = false,
    max: u8 = 1,
    used: u8 = 1,
    newest: bool = false,
    switches: u8 = 0,
    give_up: bool = false,
    ring: u8 = 0,
    plans: [state.processes_max]setup.Plan = undefined,
    actions: [state.processes_max][8]setup.Action = undefined,
    processes: u8 = 0,
    calls: u8 = 0,
};

pub const Problem = struct { word: []const u8, what: []const u8 };

/// A problem names the word of the text that caused it.
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
    const number = std.fmt.parseInt(u8, value, 10) catch return "is not a number";
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
    } else if (std.mem.eql(u8, name, "failures")) {
        configuration.failures = number;
    } else if (std.mem.eql(u8, name, "cold")) {
        configuration.cold = number != 0;
    } else if (std.mem.eql(u8, name, "give_up")) {
        configuration.give_up = number != 0;
    } else if (std.mem.eql(u8, name, "ring")) {
        configuration.ring = number;
    } else if (std.mem.eql(u8, name, "max")) {
        if (number < 1 or number > state.places_max) return "is not possible: there are 1 to 3 places";
        configuration.max = number;
    } else if (std.mem.eql(u8, name, "used")) {
        if (number < 1 or number > state.places_max) return "is not possible: there are 1 to 3 places";
        configuration.used = number;
    } else if (std.mem.eql(u8, name, "newest")) {
        configuration.newest = number != 0;
    } else if (std.mem.eql(u8, name, "switches")) {
        configuration.switches = number;
    } else return "is not a bound";
    return null;
}

fn parse_places(mask: *u8, value: []const u8) ?[]const u8 {
    mask.* = 0;
    for (value) |digit| {
        if (digit < '0' or digit >= '0' + state.processes_max) return "is not a list of processes";
        mask.* |= @as(u8, 1) << @intCast(digit - '0');
    }
    return null;
}

fn parse_process(configuration: *Configuration, head: []const u8, actions: []const u8) ?[]const u8 {
    if (configuration.processes == state.processes_max) return "is one process more than allowed";
    if (std.mem.eql(u8, head, "waker")) return parse_waker(configuration, actions);
    const is_late = head.len > 0 and head[0] == '+';
    const role = if (is_late) head[1..] else head;
    const contends = std.mem.eql(u8, role, "contender");
    const place = configuration.processes;
    if (place > 0 and contends != configuration.plans[0].contends) return "is on a channel beside contenders for a limit";
    var count: usize = 0;
    var words = std.mem.splitScalar(u8, actions, ',');
    while (words.next()) |word| {
        if (count == configuration.actions[place].len) return "has too many actions";
        configuration.actions[place][count] = std.meta.stringToEnum(setup.Action, word) orelse
            return "names an unknown action";
        count += 1;
    }
    configuration.plans[place] = .{
        .role = if (std.mem.eql(u8, role, "server")) .server else if (std.mem.eql(u8, role, "client") or contends) .client else return "is neither a client, a server nor a contender",
        .contends = contends,
        .late = is_late,
        .actions = configuration.actions[place][0..count],
        .first_call = configuration.calls,
    };
    configuration.calls += configuration.plans[place].calls();
    if (configuration.calls > state.calls_max) return "is one call more than allowed";
    configuration.processes += 1;
    return null;
}

fn parse_waker(configuration: *Configuration, whose: []const u8) ?[]const u8 {
    const owner = std.fmt.parseInt(u8, whose, 10) catch return "does not name a process by its number";
    if (owner >= configuration.processes) return "comes before its process";
    if (configuration.plans[owner].late) return "has a process that joins late";
    configuration.plans[configuration.processes] = .{ .role = .client, .waker_of = owner, .actions = &.{} };
    configuration.processes += 1;
    return null;
}

pub const Named = struct {
    name: []const u8,
    text: []const u8,
    /// Runs only with --full.
    is_long: bool = false,
};

pub const list = [_]Named{
    // Two processes, and every event that can affect either at every step.
    .{ .name = "call", .text = "slots=1 cells=1 deaths=2 deliveries=2 client:request server:serve" },
    .{ .name = "calls", .text = "slots=1 cells=1 deaths=1 deliveries=2 client:send,request server:serve" },
    .{ .name = "draft-and-post", .text = "slots=1 cells=2 deaths=1 deliveries=2 client:draft,post server:serve" },
    .{ .name = "blocking", .text = "slots=1 cells=2 deaths=1 deliveries=2 client:block server:serve_block" },
    .{ .name = "never-waiting", .text = "slots=1 cells=2 deaths=1 deliveries=2 client:attempt,attempt server:serve" },
    .{ .name = "deadline", .text = "slots=1 cells=2 deaths=1 client:request_timeout,request server:serve" },
    .{ .name = "blocking-deadline", .text = "slots=1 cells=2 client:block_timeout server:serve_block" },
    .{ .name = "abort", .text = "slots=1 cells=2 deaths=1 client:request_abort,request server:serve" },
    .{ .name = "notify", .text = "slots=2 cells=4 deaths=1 client:post,request server:serve_notify" },
    .{ .name = "cold", .text = "slots=2 cells=2 cold=1 client:send,request server:serve" },
    .{ .name = "newcomer", .text = "slots=1 cells=2 deaths=1 client:request,close +server:serve" },
    .{ .name = "lock-outlives-bells", .text = "slots=1 cells=2 deaths=1 give_up=1 client:request server:serve" },
    .{ .name = "closed-in-a-call", .text = "slots=2 cells=2 deaths=1 client:send,post,close server:serve" },
    .{ .name = "full-ring", .text = "slots=2 cells=1 deaths=1 deliveries=2 client:post,post,post server:serve" },
    .{ .name = "forwarded", .text = "slots=1 cells=2 deaths=1 deliveries=2 client:forward,request server:serve" },
    .{ .name = "forwarded-and-handed-on", .text = "slots=1 cells=2 deaths=1 mortal=1 deliveries=2 client:forward server:serve server:serve", .is_long = true },
    // Rings that fail.
    .{ .name = "ring-fails", .text = "slots=1 cells=2 failures=2 client:request server:serve waker:0 waker:1" },
    .{ .name = "ring-fails-and-deaths", .text = "slots=1 cells=2 failures=1 deaths=1 deliveries=2 client:request server:serve waker:0 waker:1" },
    .{ .name = "ring-fails-without-a-waker", .text = "slots=1 cells=2 failures=2 deaths=1 client:request server:serve" },
    .{ .name = "ring-fails-one-has-a-waker", .text = "slots=1 cells=2 failures=1 client:post server:serve waker:1 server:serve" },
    .{ .name = "notify-ring-fails", .text = "slots=2 cells=2 failures=2 client:post,request server:serve_notify waker:1" },
    .{ .name = "ring-fails-while-it-leaves", .text = "slots=1 cells=2 failures=2 deliveries=2 client:request server:serve_close waker:0 waker:1" },
    .{ .name = "ringer-stopped", .text = "slots=2 cells=2 failures=1 stops=1 stoppable=0 client:post client:post server:serve waker:2" },
    .{ .name = "removed", .text = "slots=1 cells=2 client:discard,remove client:request server:serve" },
    .{ .name = "removed-while-blocking", .text = "slots=1 cells=2 client:discard,remove server:serve_block" },
    .{ .name = "file-lost", .text = "slots=1 cells=2 deaths=1 client:discard,lose_file,request server:serve" },
    .{ .name = "file-lost-and-ring-fails", .text = "slots=1 cells=2 failures=1 client:discard,lose_file,request server:serve waker:1" },
    // Three processes.
    .{ .name = "three-calls", .text = "slots=2 cells=4 client:request,request client:request server:serve" },
    .{ .name = "three-calls-server-dies-at-a-switch", .text = "slots=2 cells=2 switches=1 deaths=1 mortal=2 client:post,post client:post server:serve" },
    .{ .name = "clear", .text = "slots=2 cells=4 client:request,post client:clear server:serve" },
    .{ .name = "cancel", .text = "slots=1 cells=2 client:send,request client:cancel,discard server:serve" },
    .{ .name = "server-leaves", .text = "slots=1 cells=2 deliveries=2 client:post server:serve_close server:serve" },
    .{ .name = "server-dies", .text = "slots=1 cells=2 deaths=1 mortal=1 deliveries=2 client:post server:serve server:serve" },
    .{ .name = "server-stopped", .text = "slots=1 cells=2 stops=1 stoppable=1 client:request server:serve server:serve" },
    .{ .name = "client-stopped", .text = "slots=2 cells=2 stops=1 stoppable=0 client:post client:request server:serve" },
    .{ .name = "waiter-stopped", .text = "slots=1 cells=2 stops=1 stoppable=0 client:post,request client:request server:serve" },
    .{ .name = "client-leaves", .text = "slots=1 cells=2 client:send,close client:post server:serve" },
    .{ .name = "index-used-again", .text = "slots=1 cells=2 client:clear +client:request server:serve_close" },
    .{ .name = "successor", .text = "slots=1 cells=2 deaths=1 mortal=0 client:nothing client:sweep client:sweep +client:post" },
    .{ .name = "canceller-stopped", .text = "slots=1 cells=2 stops=1 stoppable=1 client:request client:cancel,clear server:serve" },
    .{ .name = "server-dies-in-what-it-begins-once", .text = "slots=1 cells=2 deaths=1 mortal=1 deliveries=2 client:request server:serve_last server:serve_last" },
    .{ .name = "leaving-server-stopped", .text = "slots=1 cells=2 stops=1 stoppable=1 deliveries=2 client:post server:serve_close server:serve" },
    // Sentinels, of whom each watches only the next one.
    .{ .name = "sentinels", .text = "ring=1 slots=1 cells=1 cold=1 deaths=2 mortal=12 client:watch_over client:watch_over client:watch_over" },
    .{ .name = "sentinels-learn-of-a-death", .text = "ring=1 slots=1 cells=1 cold=1 deaths=1 mortal=2 client:await_departure client:await_departure client:watch_over" },
    .{ .name = "sentinels-learn-of-one-that-leaves", .text = "ring=1 slots=1 cells=1 cold=1 client:await_departure client:await_departure client:close" },
    .{ .name = "sentinel-leaves-or-dies", .text = "ring=1 slots=1 cells=1 cold=1 deaths=1 mortal=2 client:watch_over client:watch_over client:close" },
    .{ .name = "sentinel-leaves-before-a-death", .text = "ring=1 slots=1 cells=1 cold=1 switches=1 deaths=1 mortal=2 client:watch_over client:watch_close client:watch_over" },
    .{ .name = "sentinel-joins", .text = "ring=1 slots=1 cells=1 cold=1 switches=1 deaths=1 client:watch_over client:watch_over +client:watch_over", .is_long = true },
    .{ .name = "four-sentinels", .text = "ring=1 slots=1 cells=1 cold=1 switches=1 deaths=2 mortal=23 client:watch_over client:watch_over client:watch_over client:watch_over", .is_long = true },
    .{ .name = "two-sentinels-one-stopped", .text = "ring=2 slots=1 cells=1 cold=1 switches=1 stops=1 stoppable=2 deaths=1 mortal=3 client:watch_over client:watch_over client:watch_over client:watch_over", .is_long = true },
    .{ .name = "boards", .text = "slots=1 cells=1 cold=1 client:sweep,publish client:await_board client:await_board" },
    .{ .name = "boards-and-a-death", .text = "slots=1 cells=1 cold=1 deaths=1 mortal=2 client:sweep,publish client:await_board client:await_board" },
    // Longer configurations.
    .{ .name = "two-busy-servers", .text = "slots=2 cells=2 client:post,post server:serve_busy server:serve_busy", .is_long = true },
    .{ .name = "busy-server-stopped", .text = "slots=2 cells=2 stops=1 stoppable=1 client:post,post server:serve_busy server:serve_busy", .is_long = true },
    .{ .name = "rings-fail-and-a-death", .text = "slots=1 cells=2 failures=2 deaths=1 deliveries=2 client:request,request server:serve waker:0 waker:1", .is_long = true },
    .{ .name = "rings-fail-for-two-servers", .text = "slots=1 cells=2 failures=2 client:post,request server:serve waker:1 server:serve", .is_long = true },
    .{ .name = "ringer-stopped-on-a-client", .text = "slots=1 cells=2 failures=1 stops=1 stoppable=0 client:post client:request server:serve waker:2", .is_long = true },
    .{ .name = "removed-by-one-who-dies", .text = "slots=1 cells=2 deaths=1 mortal=0 client:discard,remove client:request server:serve", .is_long = true },
    .{ .name = "rings-fail-for-room", .text = "slots=1 cells=2 failures=2 client:request client:request server:serve waker:1", .is_long = true },
    .{ .name = "client-leaves-another", .text = "slots=1 cells=2 client:send,close client:request server:serve", .is_long = true },
    .{ .name = "server-leaves-a-client", .text = "slots=1 cells=2 deliveries=2 client:request server:serve_close server:serve", .is_long = true },
    .{ .name = "server-dies-on-a-client", .text = "slots=1 cells=2 deaths=1 mortal=1 deliveries=2 client:request server:serve server:serve", .is_long = true },
    .{ .name = "client-dies-beside-another", .text = "slots=1 cells=2 deaths=1 mortal=0 client:request client:request server:serve", .is_long = true },
    .{ .name = "three-calls-server-dies", .text = "slots=2 cells=2 deaths=1 mortal=2 client:post,post client:post server:serve", .is_long = true },
    .{ .name = "three-calls-client-dies", .text = "slots=2 cells=4 deaths=1 mortal=1 client:post,post client:post server:serve", .is_long = true },
    .{ .name = "posts-repaired-by-two", .text = "slots=2 cells=4 deaths=1 mortal=0 client:post,post client:sweep server:serve", .is_long = true },
    .{ .name = "three-calls-clear", .text = "slots=2 cells=2 client:send,request,post client:cancel,clear,discard server:serve", .is_long = true },
    .{ .name = "two-deaths-of-three", .text = "slots=1 cells=2 deaths=2 mortal=01 deliveries=2 client:post server:serve server:serve", .is_long = true },
    .{ .name = "blocking-server-dies", .text = "slots=1 cells=2 deaths=1 mortal=2 deliveries=2 client:post server:serve_block server:serve_block", .is_long = true },
    .{ .name = "successor-beside-a-server", .text = "slots=1 cells=2 deaths=1 mortal=0 client:discard server:serve +client:request", .is_long = true },
    // A limit on concurrency.
    .{ .name = "limit", .text = "max=1 deaths=1 contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-stopped", .text = "max=1 stops=1 contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-two-places", .text = "max=2 deaths=1 mortal=0 contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-shared", .text = "max=1 deaths=1 mortal=0 contender:share,release contender:acquire,release" },
    .{ .name = "limit-deadline", .text = "max=1 contender:acquire,release contender:acquire_timeout,release" },
    .{ .name = "limit-attempt", .text = "max=1 contender:acquire,release contender:try_acquire,release" },
    .{ .name = "limit-blocking", .text = "max=1 deaths=1 mortal=0 contender:acquire,release contender:acquire_sync,release" },
    .{ .name = "limit-stolen", .text = "max=1 contender:acquire,listen,release contender:steal,release" },
    .{ .name = "limit-shrunk", .text = "max=1 used=2 contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-adopted", .text = "max=1 contender:acquire,release contender:adopt_2,acquire,release" },
    .{ .name = "limit-three", .text = "max=1 switches=1 contender:acquire,release contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-three-stopped", .text = "max=1 switches=1 stops=1 contender:acquire,release contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-two-places-stopped", .text = "max=2 switches=1 stops=1 contender:acquire,release contender:acquire,release contender:acquire,release" },
    .{ .name = "limit-holder-dies", .text = "max=1 switches=1 deaths=1 mortal=0 contender:acquire,release contender:acquire contender:acquire" },
    .{ .name = "limit-waiter-dies", .text = "max=1 switches=1 deaths=1 mortal=1 contender:acquire,listen contender:acquire contender:acquire", .is_long = true },
    .{ .name = "limit-two-deaths", .text = "max=1 switches=1 deaths=2 mortal=01 contender:acquire contender:acquire contender:acquire", .is_long = true },
    .{ .name = "limit-mixed", .text = "max=1 switches=1 contender:share,release contender:acquire,release contender:share,release" },
    .{ .name = "limit-deadline-among-three", .text = "max=1 switches=1 contender:acquire,release contender:acquire_timeout contender:acquire" },
    .{ .name = "limit-resized", .text = "max=1 switches=1 deaths=1 mortal=2 contender:acquire,listen contender:acquire contender:resize_2" },
    .{ .name = "limit-made-smaller", .text = "max=2 switches=1 contender:acquire,release contender:acquire,resize_1,release contender:acquire,release" },
    .{ .name = "limit-newest", .text = "max=1 newest=1 switches=1 contender:acquire,listen contender:acquire contender:acquire" },
    .{ .name = "limit-standby", .text = "max=1 switches=1 contender:acquire,release contender:stand_by,release contender:stand_by,release" },
    .{ .name = "limit-index-used-again", .text = "max=1 switches=1 deaths=1 mortal=0 contender:acquire contender:acquire,release +contender:acquire,release", .is_long = true },
    .{ .name = "limit-successor", .text = "max=1 switches=1 deaths=1 mortal=0 contender:nothing contender:sweep contender:sweep +contender:acquire,release" },
    .{ .name = "limit-thief-among-three", .text = "max=1 switches=1 deaths=1 mortal=1 contender:acquire,listen contender:steal,release contender:acquire", .is_long = true },
    .{ .name = "limit-again", .text = "max=1 contender:acquire,release,acquire,release contender:try_acquire,release", .is_long = true },
    .{ .name = "limit-deep", .text = "max=1 switches=2 contender:acquire,release contender:acquire,release contender:acquire,release", .is_long = true },
    .{ .name = "limit-deep-two-places", .text = "max=2 switches=2 contender:acquire,release contender:acquire,release contender:acquire,release", .is_long = true },
    .{ .name = "limit-deep-stopped", .text = "max=1 switches=2 stops=1 stoppable=0 contender:acquire,release contender:acquire contender:acquire", .is_long = true },
    .{ .name = "limit-deep-deaths", .text = "max=1 switches=2 deaths=1 mortal=0 contender:acquire,release contender:acquire contender:acquire", .is_long = true },
    .{ .name = "limit-deep-shared", .text = "max=2 switches=2 contender:share,release contender:acquire,release contender:share,release", .is_long = true },
    .{ .name = "limit-deadline-and-deaths", .text = "max=1 deaths=1 contender:acquire,release contender:acquire_timeout,release", .is_long = true },
    .{ .name = "limit-stolen-and-deaths", .text = "max=1 deaths=2 contender:acquire,release contender:steal,release", .is_long = true },
    .{ .name = "limit-thief-dies", .text = "max=1 deaths=1 mortal=1 contender:acquire,listen,release contender:steal,release", .is_long = true },
    .{ .name = "limit-stolen-and-stopped", .text = "max=1 stops=1 contender:acquire,listen,release contender:steal,release", .is_long = true },
    .{ .name = "limit-four", .text = "max=2 switches=1 contender:acquire,release contender:share,release contender:share,release contender:acquire,release", .is_long = true },
    .{ .name = "limit-sharers-watched", .text = "max=2 switches=1 deaths=1 mortal=0 contender:acquire,listen contender:share,listen contender:share,listen contender:acquire", .is_long = true },
};
