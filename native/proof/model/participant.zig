//! A participant's private memory, and the remarks of its operations.

const std = @import("std");
const abi = @import("../../abi.zig");
const words = @import("../../memory/words.zig");
const fibre = @import("fibre.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const payloads = @import("payloads.zig");
const Handle = @import("../../handle.zig").Handle;
const OwnCall = @import("../../handle.zig").OwnCall;
const Sleeper = @import("../../waiting/waker.zig").Sleeper;
const say = memory.say;

pub const Pending = struct { call: u8, slot: u32, low: u32, high: u32, may_abort: bool, has_deadline: bool };

pub const pending_max = 3;

/// A process: one handle and one event loop.
const Participant = struct {
    handle: Handle,
    watched: [rq.indices_max]words.Epoch,
    unresponsive: [rq.indices_max]u64,
    unreachable_epochs: [rq.indices_max]words.Epoch,
    unwatchable: [rq.indices_max]words.Epoch,
    watched_blocking: [rq.indices_max]words.Epoch,
    sleeper: Sleeper,
    calls: [4]OwnCall,
    positions: [4]u32,
    hints: [4]u32,
    doing: rq.Doing,
    has_bell: bool,
    /// A timer looks for another sleeper.
    nudges: bool,
    /// A participant cannot be watched, so look in slices of time.
    needs_slices: bool,
    /// This sleep may not be ended by a ring.
    is_unsure: bool,
    has_given_up: bool,
    /// Whom it watches, since this was reset.
    has_chosen: bool,
    /// Participants that have hung up and are not known to be dead.
    retries: u6,
    pending: [pending_max]Pending,
    pending_count: u32,
    room_call: u8,
    waits_for_room: bool,
    /// In a limit.
    has_place: bool,
    next_call: u8,
    /// Requests that it works on, the oldest first.
    held: [held_max]HeldRequest,
    held_count: u32,
};

pub const held_max = 2;
pub const HeldRequest = struct { slot: u32, low: u32, high: u32, first: u64 };

pub fn self() *Participant {
    return @ptrCast(&fibre.private);
}

comptime {
    std.debug.assert(@sizeOf(Participant) <= fibre.private_bytes - 9);
}

// The functions of the programs are not inlined, so that a frame and its leftovers vanish together.

pub fn doing() rq.Doing {
    return self().doing;
}

/// An operation of the library begins.
pub fn begin(operation: rq.Doing) void {
    self().doing = operation;
    memory.forget_numbers();
}

pub fn address() f64 {
    return @floatFromInt(@intFromPtr(&self().handle));
}

pub fn stage(number: u64) void {
    _ = memory.ask(.{ .kind = .checkpoint, .a = number });
}

pub const time_before: u64 = 1_000 * std.time.ns_per_s;

pub const time_after: u64 = 2_000 * std.time.ns_per_s;

/// Passes at `time_after`, and not before.
pub const timeout_ms = 500_000;

pub const no_timeout = std.math.nan(f64);

pub fn new_call() u8 {
    const own = self();
    own.next_call += 1;
    return own.next_call - 1;
}

pub fn ended(call: u8, ending: rq.Ending) void {
    say(.{ .ended = .{ .call = call, .ending = ending } });
}

pub fn ended_with(call: u8, status: i32, bytes: *[memory.payload_bytes]u8) void {
    if (status >= 0) {
        if (status != memory.payload_bytes) say(.{ .wrong = "an answer of another length" });
        payloads.check_answer(bytes, call);
        return ended(call, .answered);
    }
    ended(call, switch (@as(abi.Status, @fromBackingInt(-status))) {
        .server_died => .server_died,
        .timeout => .timed_out,
        // The channel was removed before it was sent.
        .cancelled, .not_found => .cancelled,
        .busy => .busy,
        .not_yet => return say(.{ .wrong = "a call that was reported as ended is not" }),
        else => return say(.{ .wrong = "an error that cannot be" }),
    });
}

/// As `event_loop.wait`, for a thread whose loop does not run.
pub noinline fn wait_blocking(wanted: rq.Events) rq.Event {
    memory.forget_numbers();
    const own = self();
    own.doing = .sleep;
    var epochs: u64 = 0;
    for (0..rq.indices_max) |index| epochs |= @as(u64, @intCast(own.handle.watched[index])) << @intCast(index * 8);
    const identity = @as(u64, own.handle.index) | @as(u64, own.handle.epoch) << 8;
    const woken_by: rq.Event = @intCast(memory.ask(.{ .kind = .event, .a = wanted.bits(), .b = identity, .c = epochs }));
    own.doing = .wait_for_answer;
    return woken_by;
}
