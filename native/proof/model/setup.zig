//! The plan of each process, and the bounds of a run.

const layout = @import("../../memory/layout.zig");
const Role = layout.Role;

/// One action of a participant. The command line uses the same names.
pub const Action = enum {
    /// As a promise: returns when it is settled.
    request,
    /// The user may abort it at any time.
    request_abort,
    /// With a deadline.
    request_timeout,
    /// As `request`, passed on for a peer.
    forward,
    /// As `request`, settled by the next action that waits.
    send,
    post,
    /// Blocking.
    block,
    block_timeout,
    /// One try to send, one look at the answer, then a forced end.
    attempt,
    /// A draft that is filled in place and sent, as a promise.
    draft,
    /// A draft that is given back.
    discard,
    /// Ends every call of the channel.
    clear,
    /// Ends the first call that was ever in slot 0, of any client.
    cancel,
    sweep,
    /// Removes the channel.
    remove,
    /// Other processes remove its file.
    lose_file,
    nothing,
    /// Watches as a sentinel, for ever.
    watch_over,
    /// Sleeps as any other, for ever.
    rest,
    /// The user may close it at any time.
    watch_close,
    /// As a sentinel, until another participant is gone.
    await_departure,
    /// Publishes a board; its file is no part of the model.
    publish,
    /// Follows boards until one is published.
    await_board,
    /// Serves as promises, for ever.
    serve,
    /// The user may close it at any time.
    serve_close,
    serve_block,
    /// Begins each request so that no other server may begin it later.
    serve_last,
    /// Takes another request while it works on one.
    serve_busy,
    /// A foreign event loop with a notify descriptor.
    serve_notify,
    /// Closes the handle, whatever is in flight.
    close,
    // The actions of contenders for a limit.
    /// As a promise: returns when it is settled.
    acquire,
    acquire_timeout,
    share,
    share_timeout,
    /// Blocking.
    acquire_sync,
    acquire_sync_timeout,
    /// Without waiting.
    try_acquire,
    try_share,
    /// Waits only if no other contender does.
    stand_by,
    steal,
    /// Sleeps with its place until that is stolen, or until the user has enough of it.
    listen,
    /// Gives back what the last action has acquired, if anything.
    release,
    resize_1,
    resize_2,
    /// Adopts these terms, if no other contender is there.
    adopt_1,
    adopt_2,
};

pub const Plan = struct {
    role: Role,
    /// It contends for a limit; it is on no channel.
    contends: bool = false,
    /// It is not a participant, but the waker of one.
    waker_of: ?u8 = null,
    /// It joins while the others are running.
    late: bool = false,
    actions: []const Action,
    /// The number of its first call.
    first_call: u8 = 0,

    pub fn calls(plan: *const Plan) u8 {
        var count: u8 = 0;
        for (plan.actions) |action| count += @intFromBool(calls_by(action));
        return count;
    }

    fn calls_by(action: Action) bool {
        return switch (action) {
            .request, .request_abort, .request_timeout, .forward, .send, .post, .block, .block_timeout, .attempt, .draft => true,
            else => false,
        };
    }

    /// The action that sends a call of this plan.
    fn sender(plan: *const Plan, call: u8) ?Action {
        var number = plan.first_call;
        for (plan.actions) |action| {
            if (!calls_by(action)) continue;
            if (number == call) return action;
            number += 1;
        }
        return null;
    }

    pub fn blocks(plan: *const Plan) bool {
        for (plan.actions) |action| switch (action) {
            .block, .block_timeout, .serve_block => return true,
            else => {},
        };
        return false;
    }

    pub fn has(plan: *const Plan, wanted: Action) bool {
        for (plan.actions) |action| if (action == wanted) return true;
        return false;
    }
};

pub var plans: []const Plan = &.{};

/// Whether any program performs that action.
pub fn has(wanted: Action) bool {
    for (plans) |*plan| if (plan.has(wanted)) return true;
    return false;
}

/// Whether a call is passed on for a peer.
pub fn forwards(call: u8) bool {
    for (plans) |*plan| if (plan.sender(call) == .forward) return true;
    return false;
}

/// Whether servers look at each other's loads. Otherwise these are no part of the model.
pub fn spreads() bool {
    return has(.serve_busy);
}

/// How many sentinels end the death watches of a participant; 0: there are none, and departures are no part of
/// the model.
pub var ring: u8 = 0;

/// Whether the processes are contenders for a limit.
pub fn contends() bool {
    return plans.len > 0 and plans[0].contends;
}

/// Whether the terms of the limit may change.
pub fn changes_terms() bool {
    return has(.resize_1) or has(.resize_2) or has(.adopt_1) or has(.adopt_2);
}

/// The terms of the limit at the beginning.
pub var max: u8 = 1;
pub var is_newest = false;

/// Whether only few processes are interrupted in the middle of an operation.
pub var bounds_switches = false;

pub var max_deliveries: u8 = 1;

/// Whether a loop may give up on a participant whose lock outlives its connections.
pub var may_give_up = false;

/// Whether anything has a deadline.
pub var has_deadlines = false;

/// Whether rings may fail.
pub var rings_may_fail = false;

/// Which process runs.
pub var current: u8 = 0;

/// If no ring fails, no waker is needed.
pub fn has_waker() bool {
    if (!rings_may_fail) return true;
    for (plans) |*plan| if (plan.waker_of == current) return true;
    return false;
}

/// The processes that may die or be stopped, a bit each.
pub var mortal: u8 = 0;
pub var stoppable: u8 = 0;
