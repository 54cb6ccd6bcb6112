//! Explores one configuration from its beginning to its outcome.

const std = @import("std");
const configurations = @import("configuration.zig");
const endings = @import("endings.zig");
const explorer = @import("explorer.zig");
const local = @import("local.zig");
const memory = @import("memory.zig");
const participant = @import("participant.zig");
const setup = @import("setup.zig");
const reductions = @import("reductions.zig");
const state = @import("state.zig");
const steps = @import("steps.zig");
const limit_words = @import("../../memory/limit_words.zig");
const clock = @import("../../platform/sys/clock.zig");

/// Explores. Afterwards the state is the initial one, and `explorer.trace` leads to a violation.
pub fn run(configuration: *const configurations.Configuration, limits: explorer.Limits) explorer.Outcome {
    reductions.init();
    explorer.totals = .{};
    var generator = std.Random.DefaultPrng.init(1);
    prepare(configuration, true);
    learn(generator.random());
    prepare(configuration, true);
    if (search(configuration, generator.random())) |what| {
        prepare(configuration, true);
        return .{ .violation = what };
    }
    while (true) {
        // Only now the first step of each process is known.
        prepare(configuration, false);
        const outcome = explorer.explore(limits, clock.monotonic_ns) catch |err| switch (err) {
            error.Surprise => {
                reductions.learn();
                continue;
            },
        };
        prepare(configuration, false);
        return outcome;
    }
}

fn prepare(configuration: *const configurations.Configuration, is_walk: bool) void {
    steps.violation = null;
    memory.wait_blocking = participant.wait_blocking;
    local.clear();
    const plans = configuration.plans[0..configuration.processes];
    setup.plans = plans;
    setup.max_deliveries = configuration.deliveries;
    setup.may_give_up = configuration.give_up;
    setup.rings_may_fail = configuration.failures > 0;
    setup.max = configuration.max;
    setup.is_newest = configuration.newest;
    setup.ring = configuration.ring;
    setup.bounds_switches = configuration.switches > 0;
    setup.has_deadlines = false;
    for (plans) |*plan| {
        if (plan.has(.request_timeout) or plan.has(.block_timeout) or plan.has(.acquire_timeout) or plan.has(.share_timeout) or plan.has(.acquire_sync_timeout)) setup.has_deadlines = true;
    }
    setup.mortal = configuration.mortal;
    setup.stoppable = configuration.stoppable;
    // Each process may need one index, and one more while another leaves.
    const slots = if (setup.contends()) 0 else configuration.slots;
    const cells = if (setup.contends()) 0 else configuration.cells;
    state.init(slots, cells, configuration.processes, configuration.processes, configuration.deliveries);
    for (0..state.slots) |slot| {
        // As earlier calls have left them, so that fields that never change are no steps.
        state.set(state.slot(slot, "request_length"), memory.payload_bytes);
        state.set(state.slot(slot, "response_length"), memory.payload_bytes);
        steps.poison(slot);
        state.set(state.slot(slot, "request_flags"), @as(u64, configuration.deliveries) << 8);
    }
    if (!configuration.cold) state.set(state.header("slots_used"), state.slots);
    if (setup.contends()) {
        state.set(state.limit("queue"), @bitCast(limit_words.QueueWord{ .next = 1, .max = configuration.max, .newest = configuration.newest }));
        state.set(state.limit("places_used"), @max(configuration.max, configuration.used));
    }
    for (0..state.processes) |process| {
        state.set(state.process(process, .program), local.first(@intCast(process)));
    }
    for (1..4) |stage| {
        for (0..state.processes) |process| steps.set_up(process, stage);
    }
    state.set(state.single(.deaths_left), configuration.deaths);
    state.set(state.single(.stops_left), configuration.stops);
    state.set(state.single(.failures_left), configuration.failures);
    // Walks are not bounded.
    state.set(state.single(.switches_left), if (is_walk) std.math.maxInt(u32) else configuration.switches);
    for (0..state.processes) |process| {
        state.set(state.process(process, .rung), 0);
        reductions.surprise = null;
        steps.begin(process);
    }
    reductions.surprise = null;
    state.undo_count = 0;
}

/// The number of random walks.
pub var walks: u32 = 2000;
/// Longer than any walk that does not go round in circles.
const walk_steps_max = 1000;

/// Random walks find the accesses that are no steps before the exploration, because each surprise that the
/// explorer meets makes it start again.
fn learn(random: std.Random) void {
    for (0..2000) |_| {
        for (0..walk_steps_max) |_| {
            if (random.uintLessThan(u32, 25) == 0) explorer.change_speeds(random);
            const choice = explorer.any(random) orelse break;
            explorer.apply(choice);
            reductions.learn();
            if (steps.violation != null) break;
        }
        steps.violation = null;
        state.back_to(0);
    }
}

/// Tries random walks first: they find gross errors immediately, and on a short path.
fn search(configuration: *const configurations.Configuration, random: std.Random) ?[]const u8 {
    for (0..walks) |_| {
        explorer.trace.clearRetainingCapacity();
        for (0..walk_steps_max) |_| {
            if (random.uintLessThan(u32, 25) == 0) explorer.change_speeds(random);
            const choice = explorer.any(random) orelse {
                const fault = endings.fault() orelse break;
                return fault;
            };
            explorer.trace.append(std.heap.page_allocator, choice) catch @panic("out of memory");
            explorer.apply(choice);
            if (reductions.surprise != null) {
                reductions.learn();
                // The first step of each process may be another one now.
                prepare(configuration, true);
                break;
            }
            if (steps.violation) |what| return what;
        }
        steps.violation = null;
        state.back_to(0);
    }
    return null;
}
