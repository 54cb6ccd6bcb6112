//! A program's questions to the explorer: one access to shared memory, or one question to the kernel or to
//! the event loop. Each is one step.

const std = @import("std");

pub const Kind = enum(u8) {
    load,
    store,
    /// 1: exchanged.
    cas,
    fetch_or,
    fetch_and,
    fetch_add,
    /// Half of a payload: the two halves of a copy are two steps.
    write_half,
    read_half,

    now,
    /// 1: a server has waited long enough for another one.
    has_passed,
    lock_byte,
    unlock_byte,
    byte_locked,
    futex_wait,
    futex_wake,
    /// 0: it has failed, because no process listens, or because the ringer lacks a permission or a
    /// descriptor.
    ring_bell,
    ring_notify,
    /// The waker rings the bell of its own process.
    ring_own_bell,
    write_notify,
    drain_notify,
    watch_life,
    announce_life,
    /// Closes both of its descriptors and removes their files.
    close_bells,

    /// The file loses its name; whether it has lost it.
    lose_file,
    file_is_lost,

    /// The event loop waits; the answer is an `Event`.
    event,
    /// A stage of the set-up before exploring: all processes get this far first.
    checkpoint,
    /// The participant has left, and nothing of it remains.
    left,
};

pub const Request = struct {
    kind: Kind,
    /// Number of the variable, see `state.zig`.
    variable: u16 = 0,
    a: u64 = 0,
    b: u64 = 0,
    c: u64 = 0,
};

/// How many table indices a model can have.
pub const indices_max = 6;

/// The events that may wake an event loop. The loop, which says what it waits for, and the kernel decide
/// which of them can happen.
pub const Events = packed struct(u32) {
    /// The next turn of the loop.
    turn: bool = false,
    bell: bool = false,
    /// The timer that looks for another sleeper.
    nudge: bool = false,
    /// The timer of a loop that cannot watch or may not be rung; a blocking wait's slice.
    slice: bool = false,
    /// The deadline of a call.
    expire: bool = false,
    /// The user's abort signal.
    abort: bool = false,
    /// The user closes the handle.
    close: bool = false,
    notify: bool = false,
    /// By table index: the connection to that participant was hung up; the timer that looks again; its last
    /// time.
    hangup: u6 = 0,
    retry: u6 = 0,
    last_retry: u6 = 0,
    /// A handler ends. It may depend on all other requests: none of them is waiting for a server.
    handled: bool = false,
    unused: u3 = 0,
    /// Not an event: the loop sleeps, or nothing is pending. Only an event moves it.
    asleep: bool = false,
    idle: bool = false,

    pub fn bits(events: Events) u32 {
        return @bitCast(events);
    }
};

/// Number of the bit in `Events`.
pub const Event = u5;

pub const event = struct {
    pub const turn: Event = @bitOffsetOf(Events, "turn");
    pub const bell: Event = @bitOffsetOf(Events, "bell");
    pub const nudge: Event = @bitOffsetOf(Events, "nudge");
    pub const slice: Event = @bitOffsetOf(Events, "slice");
    pub const expire: Event = @bitOffsetOf(Events, "expire");
    pub const abort: Event = @bitOffsetOf(Events, "abort");
    pub const close: Event = @bitOffsetOf(Events, "close");
    pub const notify: Event = @bitOffsetOf(Events, "notify");
    pub const hangup: Event = @bitOffsetOf(Events, "hangup");
    pub const retry: Event = @bitOffsetOf(Events, "retry");
    pub const handled: Event = @bitOffsetOf(Events, "handled");
    pub const last_retry: Event = @bitOffsetOf(Events, "last_retry");
    /// For a ring: it fails, although its owner listens.
    pub const failure: Event = @bitOffsetOf(Events, "bell");
    pub const end: Event = @bitOffsetOf(Events, "unused");
};

/// What a program reports about itself without a step; the explorer checks it.
pub const Remark = union(enum) {
    sent: u8,
    /// A call that was sent, or could not be sent, has ended.
    ended: struct { call: u8, ending: Ending },
    posted: u8,
    /// A request was delivered to a server.
    received: struct { call: u8, allowed: u8 },
    /// No other server may get the call from now on.
    begun_for_good: u8,
    replied: u8,
    /// It gives up everything that it holds.
    leaving,
    wrong: []const u8,
    /// A contender begins to want a place, and this is how that ends.
    wanted,
    granted: struct { place: u16, is_shared: bool, token: u64 },
    refused,
    /// It uses its place no more.
    releasing,
};

pub const Ending = enum { answered, server_died, timed_out, cancelled, aborted, busy, closed };

pub const Doing = enum(u8) {
    join,
    watch,
    send,
    poll,
    get,
    wait_for_answer,
    cancel,
    time_out,
    clear,
    draft,
    arm,
    disarm,
    sleep,
    nudge,
    hung_up,
    sweep,
    receive,
    read_request,
    reply,
    notify,
    close,
    idle,
    wake,
    remove,
    look,
    withdraw,
    release,
    resize,
    adopt,
};
