//! What the participants do: small programs of the library's own exports, strung together as
//! src/channel strings them. `EventLoop` is src/channel/loop.ts with call_waits.ts and server_waits.ts,
//! without its budget: it lies down as soon as a look finds nothing, which leaves out looks only.

const std = @import("std");
const abi = @import("../../abi.zig");
const layout = @import("../../memory/layout.zig");
const words = @import("../../memory/words.zig");
const fibre = @import("fibre.zig");
const memory = @import("memory.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const Handle = @import("../../handle.zig").Handle;
const OwnCall = @import("../../handle.zig").OwnCall;
const Role = layout.Role;
const Model = memory.Model;
const NotifyDescriptor = @import("../../calls/notify_descriptor.zig").NotifyDescriptorType(Model);
const Lifetime = @import("../../calls/lifetime.zig").LifetimeType(Model);
const Notify = @import("../../protocol/notify.zig").NotifyType(Model);
const Participants = @import("../../protocol/participants.zig").ParticipantsType(Model);
const Repair = @import("../../protocol/repair.zig").RepairType(Model);
const Sleeper = @import("../../waiting/waker.zig").Sleeper;
const Waker = @import("../../waiting/waker.zig").WakerType(Model);
const Event = rq.Event;
const Events = rq.Events;
const event = rq.event;
const say = memory.say;

comptime {
    // Its exports are what the programs call.
    _ = @import("../../lib.zig");
}

extern fn tandem_send(f64, [*]const u8, u32, u32, f64, *abi.Control) i32;
extern fn tandem_request(f64, [*]const u8, u32, u32, f64, [*]u8, u32, *abi.Control) i32;
extern fn tandem_get(f64, u32, u32, u32, f64, [*]u8, u32, *abi.Control) i32;
extern fn tandem_cancel(f64, u32, u32, u32, u32) i32;
extern fn tandem_allocate(f64, u32, *abi.Control) i32;
extern fn tandem_publish(f64, u32, u32, u32, u32, u32, f64) i32;
extern fn tandem_receive(f64, f64, *abi.Control) i32;
extern fn tandem_last_delivery(f64, u32, u32, u32) void;
extern fn tandem_reply(f64, u32, u32, u32, [*]const u8, u32, u32) i32;
extern fn tandem_watch_call(f64, u32, u32, u32) i32;
extern fn tandem_poll(f64, [*]u32, u32) i32;
extern fn tandem_arm(f64, u32) i32;
extern fn tandem_disarm(f64) void;
extern fn tandem_watch_next(f64, *abi.Control) i32;
extern fn tandem_hung_up(f64, u32, u32) i32;
extern fn tandem_sweep(f64) i32;
extern fn tandem_nudge(f64) i32;
extern fn tandem_drain_notify(f64) void;
extern fn tandem_clear(f64) i32;

/// One thing that a participant does. The names are those of the command line.
pub const Action = enum {
    /// As a promise: returns when it is settled.
    request,
    /// The user may abort it at any time.
    request_abort,
    /// With a deadline.
    request_timeout,
    /// As `request`, settled by the next action that waits.
    send,
    post,
    /// Blocking.
    block,
    block_timeout,
    /// One try to send, a look at the answer, then an end by force.
    attempt,
    /// A draft that is filled in place and sent, as a promise.
    draft,
    /// A draft that is given back.
    discard,
    /// Ends every call of the channel.
    clear,
    /// Ends the first call that ever was in slot 0, whosever it is.
    cancel,
    sweep,
    /// Removes the channel.
    remove,
    /// Others remove its file.
    lose_file,
    nothing,
    /// Promises of a server, for ever.
    serve,
    /// The user may close it at any time.
    serve_close,
    serve_block,
    /// Begins only what no other server may begin after it.
    serve_last,
    /// A foreign event loop with a notify descriptor.
    serve_notify,
    /// Whatever is in flight.
    close,
};

pub const Plan = struct {
    role: Role,
    /// It is no participant, but the waker of one.
    waker_of: ?u8 = null,
    /// It joins while the others are under way.
    late: bool = false,
    actions: []const Action,
    /// The number of its first call.
    first_call: u8 = 0,

    pub fn calls(plan: *const Plan) u8 {
        var count: u8 = 0;
        for (plan.actions) |action| switch (action) {
            .request, .request_abort, .request_timeout, .send, .post, .block, .block_timeout, .attempt, .draft => count += 1,
            .discard, .clear, .cancel, .sweep, .remove, .lose_file, .nothing, .serve, .serve_close, .serve_block, .serve_last, .serve_notify, .close => {},
        };
        return count;
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

/// Whether any program does that.
pub fn has(wanted: Action) bool {
    for (plans) |*plan| if (plan.has(wanted)) return true;
    return false;
}

pub var max_deliveries: u8 = 1;
/// Whether a loop may give up on a participant whose lock outlives its connections.
pub var may_give_up = false;
/// Whether anything has a deadline.
pub var has_deadlines = false;

/// Whether rings may fail.
pub var rings_may_fail = false;

/// Which process runs.
pub var current: u8 = 0;

pub const time_before: u64 = 1_000 * std.time.ns_per_s;
pub const time_after: u64 = 2_000 * std.time.ns_per_s;
/// Over at `time_after`, and not before.
const timeout_ms = 500_000;

const no_timeout = std.math.nan(f64);

const Pending = struct { call: u8, slot: u32, low: u32, high: u32, may_abort: bool, has_deadline: bool };
const pending_max = 3;

/// A process: one handle and one event loop.
const Participant = struct {
    handle: Handle,
    watched: [rq.indices_max]words.Epoch,
    unreachable_epochs: [rq.indices_max]words.Epoch,
    sleeper: Sleeper,
    calls: [4]OwnCall,
    positions: [4]u32,
    hints: [4]u32,
    doing: rq.Doing,
    has_bell: bool,
    /// A timer looks for another sleeper.
    nudges: bool,
    /// Somebody cannot be watched, so look in slices of time.
    needs_slices: bool,
    /// This sleep may not be ended by a ring.
    is_unsure: bool,
    has_given_up: bool,
    /// Participants that have hung up and are not known to be dead.
    retries: u6,
    pending: [pending_max]Pending,
    pending_count: u32,
    room_call: u8,
    waits_for_room: bool,
    room_flags: u32,
    next_call: u8,
};

fn self() *Participant {
    return @ptrCast(&fibre.private);
}

comptime {
    std.debug.assert(@sizeOf(Participant) <= fibre.private_bytes);
}

pub fn doing() rq.Doing {
    return self().doing;
}

// Functions are kept apart, so that what they leave on the stack goes with them.

pub fn entry() callconv(.c) noreturn {
    const plan = &plans[current];
    if (plan.waker_of) |owner| wake(owner);
    start(plan);
    for (plan.actions) |action| act(action);
    idle();
}

/// An operation of the library begins.
fn begin(operation: rq.Doing) void {
    self().doing = operation;
    memory.forget_numbers();
}

fn address() f64 {
    return @floatFromInt(@intFromPtr(&self().handle));
}

fn start(plan: *const Plan) void {
    const own = self();
    own.handle = .{
        .map = .{ .base = &memory.memory, .geometry = state.geometry },
        .fd = -1,
        .role = plan.role,
        .bells = .{},
        .watched = &own.watched,
        .unreachable_epochs = &own.unreachable_epochs,
        .calls = &own.calls,
        .positions = &own.positions,
        .hints = &own.hints,
        .committed = undefined,
        .large = undefined,
        .memory_bytes = 0,
        // Not due, but for what asks again and again.
        .swept_ns = if (plan.has(.attempt)) 0 else time_before,
        .pacing = .{ .spin_turns = 0 },
    };
    own.next_call = plan.first_call;
    if (!plan.late) stage(1);
    if (plan.late) stage(3);
    join(plan);
    if (plan.late) return;
    stage(2);
    if (!plan.blocks()) {
        make_bell();
        watch_everybody();
    }
    stage(3);
}

fn stage(number: u64) void {
    _ = memory.ask(.{ .kind = .checkpoint, .a = number });
}

/// As `channel.open`.
noinline fn join(plan: *const Plan) void {
    const own = self();
    begin(.join);
    Participants.join(&own.handle, plan.role) catch return say(.{ .wrong = "it could not join" });
    _ = memory.ask(.{ .kind = .announce_life, .a = own.handle.index, .b = own.handle.epoch });
    Lifetime.enter(&own.handle);
}

/// As `channel.close`.
fn close() noreturn {
    const own = self();
    begin(.close);
    say(.leaving);
    for (own.pending[0..own.pending_count]) |call| ended(call.call, .closed);
    Repair.settle_own(&own.handle);
    if (own.handle.notify_fd >= 0) Notify.disable(&own.handle);
    _ = memory.ask(.{ .kind = .close_bells, .a = own.handle.index, .b = own.handle.epoch });
    Participants.leave(&own.handle);
    _ = memory.ask(.{ .kind = .left });
    unreachable;
}

fn act(action: Action) void {
    switch (action) {
        .request, .request_abort, .request_timeout, .send => {
            request(action);
            if (action != .send) run_loop();
        },
        .post => post(),
        .block, .block_timeout => block(action == .block_timeout),
        .attempt => attempt(),
        .draft => draft(),
        .discard => discard(),
        .clear => {
            begin(.clear);
            _ = tandem_clear(address());
        },
        .cancel => {
            begin(.cancel);
            _ = tandem_cancel(address(), 0, 1, 0, abi.cancel_keep_answer);
        },
        .sweep => {
            begin(.sweep);
            _ = tandem_sweep(address());
        },
        .remove => {
            begin(.remove);
            Lifetime.remove(&self().handle);
        },
        .lose_file => _ = memory.ask(.{ .kind = .lose_file }),
        .nothing => {},
        .serve, .serve_close, .serve_last => serve(action == .serve_close),
        .serve_block => serve_block(),
        .serve_notify => serve_notify(),
        .close => close(),
    }
}

// ---- payloads ----------------------------------------------------------------------------------

const request_mark: u64 = 0xc0;
const response_mark: u64 = 0x5e;

fn half_of(mark: u64, call: u8, server: u8, half: u64) u64 {
    return mark << 32 | @as(u64, server) << 16 | @as(u64, call) << 8 | half;
}

/// Of half of a request.
pub fn call_of(half: u64) u8 {
    return @truncate(half >> 8);
}

fn payload(mark: u64, call: u8, server: u8) [memory.payload_bytes]u8 {
    return @bitCast([2]u64{ half_of(mark, call, server, 0), half_of(mark, call, server, 1) });
}

/// Zeroed afterwards: what stays on the stack tells moments apart that are the same.
fn check_answer(bytes: *[memory.payload_bytes]u8, call: u8) void {
    const halves: [2]u64 = @bitCast(bytes.*);
    const server: u8 = @truncate(halves[0] >> 16);
    if (halves[0] != half_of(response_mark, call, server, 0)) say(.{ .wrong = "a client got an answer that is not its own" });
    if (halves[1] != half_of(response_mark, call, server, 1)) say(.{ .wrong = "a client got a torn answer" });
}

fn ended(call: u8, how: rq.Ending) void {
    say(.{ .ended = .{ .call = call, .how = how } });
}

fn ended_with(call: u8, status: i32, bytes: *[memory.payload_bytes]u8) void {
    if (status >= 0) {
        if (status != memory.payload_bytes) say(.{ .wrong = "an answer of another length" });
        check_answer(bytes, call);
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

fn new_call() u8 {
    const own = self();
    own.next_call += 1;
    return own.next_call - 1;
}

// ---- client ------------------------------------------------------------------------------------

fn send_flags(flags: u32) u32 {
    return flags | @as(u32, max_deliveries) << abi.send_deliveries_shift;
}

noinline fn request(action: Action) void {
    const own = self();
    const call = new_call();
    say(.{ .sent = call });
    const sent = try_send(call, abi.send_watched, action == .request_timeout, action == .request_abort);
    if (sent) return;
    own.waits_for_room = true;
    own.room_call = call;
    // Others of this handle that are pending are settled in this loop as well.
    run_loop();
}

/// False: no slot is free.
noinline fn try_send(call: u8, flags: u32, has_deadline: bool, may_abort: bool) bool {
    const own = self();
    begin(.send);
    var control: abi.Control = .{};
    const bytes = payload(request_mark, call, 0);
    const timeout: f64 = if (has_deadline) timeout_ms else no_timeout;
    const status = tandem_send(address(), &bytes, bytes.len, send_flags(flags), timeout, &control);
    if (status == 0) return false;
    if (status == abi.Status.not_found.result()) {
        if (flags & abi.send_one_way == 0) ended(call, .cancelled);
        return true;
    }
    if (status < 0) {
        say(.{ .wrong = "a request could not be sent" });
        return true;
    }
    if (status == 2) own.nudges = true;
    if (flags & abi.send_one_way != 0) return true;
    add_pending(call, &control, has_deadline, may_abort);
    return true;
}

fn add_pending(call: u8, control: *const abi.Control, has_deadline: bool, may_abort: bool) void {
    const own = self();
    // What was waited for in this slot has been ended by others, and is not reported any more.
    for (own.pending[0..own.pending_count], 0..) |known, place| {
        if (known.slot != control.slot) continue;
        if (tandem_watch_call(address(), known.slot, known.low, known.high) == 0) settle(place);
        break;
    }
    own.pending[own.pending_count] = .{
        .call = call,
        .slot = control.slot,
        .low = control.generation_low,
        .high = control.generation_high,
        .may_abort = may_abort,
        .has_deadline = has_deadline,
    };
    own.pending_count += 1;
}

noinline fn drop_pending(place: usize) Pending {
    const own = self();
    const found = own.pending[place];
    own.pending_count -= 1;
    own.pending[place] = own.pending[own.pending_count];
    own.pending[own.pending_count] = std.mem.zeroes(Pending);
    return found;
}

/// A call is over: gets what there is.
noinline fn settle(place: usize) void {
    begin(.get);
    const call = drop_pending(place);
    var control: abi.Control = .{};
    var bytes: [memory.payload_bytes]u8 = @splat(0);
    const status = tandem_get(address(), call.slot, call.low, call.high, 0, &bytes, bytes.len, &control);
    ended_with(call.call, status, &bytes);
}

noinline fn post() void {
    const call = new_call();
    // Without a slot it is not sent.
    if (try_send(call, abi.send_one_way, false, false)) say(.{ .posted = call });
}

noinline fn block(has_deadline: bool) void {
    begin(.wait_for_answer);
    const call = new_call();
    say(.{ .sent = call });
    var control: abi.Control = .{};
    var answer: [memory.payload_bytes]u8 = @splat(0);
    const bytes = payload(request_mark, call, 0);
    const timeout: f64 = if (has_deadline) timeout_ms else no_timeout;
    const status = tandem_request(address(), &bytes, bytes.len, send_flags(0), timeout, &answer, answer.len, &control);
    ended_with(call, status, &answer);
}

/// The forms that never wait.
noinline fn attempt() void {
    const own = self();
    const call = new_call();
    say(.{ .sent = call });
    if (!try_send(call, 0, false, false)) return ended(call, .busy);
    begin(.get);
    const place = own.pending_count - 1;
    const known = own.pending[place];
    var control: abi.Control = .{};
    var bytes: [memory.payload_bytes]u8 = @splat(0);
    const status = tandem_get(address(), known.slot, known.low, known.high, 0, &bytes, bytes.len, &control);
    if (status != abi.Status.not_yet.result()) {
        _ = drop_pending(place);
        return ended_with(call, status, &bytes);
    }
    begin(.cancel);
    const is_cancelled = tandem_cancel(address(), known.slot, known.low, known.high, abi.cancel_release) == 1;
    _ = drop_pending(place);
    ended(call, if (is_cancelled) .aborted else .answered);
}

noinline fn draft() void {
    const own = self();
    begin(.draft);
    const call = new_call();
    say(.{ .sent = call });
    var control: abi.Control = .{};
    if (tandem_allocate(address(), memory.payload_bytes, &control) != 1) return ended(call, .busy);
    const bytes = payload(request_mark, call, 0);
    Model.copy_in(own.handle.map.request(control.slot, bytes.len), &bytes);
    const flags = send_flags(abi.send_watched);
    const status = tandem_publish(
        address(),
        control.slot,
        control.generation_low,
        control.generation_high,
        bytes.len,
        flags,
        no_timeout,
    );
    if (status == 0) return ended(call, .busy);
    if (status < 0) return say(.{ .wrong = "a draft could not be sent" });
    if (status == 2) own.nudges = true;
    add_pending(call, &control, false, false);
    run_loop();
}

noinline fn discard() void {
    begin(.draft);
    var control: abi.Control = .{};
    if (tandem_allocate(address(), memory.payload_bytes, &control) != 1) return;
    _ = tandem_cancel(address(), control.slot, control.generation_low, control.generation_high, abi.cancel_draft);
}

// ---- the event loop -----------------------------------------------------------------------------

/// Until nothing is pending.
noinline fn run_loop() void {
    const own = self();
    while (true) {
        const hit = poll();
        if (!is_pending()) return;
        if (!hit and lie_down(if (own.waits_for_room) abi.arm_room else 0)) {
            if (!sleep()) return;
        } else {
            if (!next_turn()) return;
        }
    }
}

fn is_pending() bool {
    return self().pending_count > 0 or self().waits_for_room;
}

noinline fn poll() bool {
    const own = self();
    var hit = false;
    if (own.pending_count > 0) {
        begin(.poll);
        var found: [pending_max * 3]u32 = @splat(0);
        const count: usize = @intCast(tandem_poll(address(), &found, found.len));
        for (0..count) |index| {
            for (own.pending[0..own.pending_count], 0..) |call, place| {
                const reported = found[index * 3 ..][0..3];
                if (call.slot != reported[0] or call.low != reported[1] or call.high != reported[2]) continue;
                settle(place);
                hit = true;
                break;
            }
        }
    }
    if (own.waits_for_room and try_send(own.room_call, abi.send_watched, false, false)) {
        own.waits_for_room = false;
        hit = true;
    }
    return hit;
}

/// True: it is asleep.
noinline fn lie_down(what: u32) bool {
    const own = self();
    if (!own.has_bell) make_bell();
    while (true) {
        begin(.arm);
        switch (tandem_arm(address(), what)) {
            abi.armed, abi.armed_unsure => |result| {
                own.is_unsure = result == abi.armed_unsure;
                return true;
            },
            abi.arm_newcomer => watch_everybody(),
            else => return false,
        }
    }
}

fn make_bell() void {
    const own = self();
    own.has_bell = true;
    const entry_ = own.handle.map.participant(own.handle.index);
    if (rings_may_fail and has_waker()) Model.store(u32, &entry_.waker, layout.waker_sleeps, .release);
    Model.store(u32, &entry_.bell, abi.bell_fifo, .release);
}

/// Where no ring fails there needs be none.
pub fn has_waker() bool {
    if (!rings_may_fail) return true;
    for (plans) |*plan| if (plan.waker_of == current) return true;
    return false;
}

// ---- the waker -----------------------------------------------------------------------------------

const OwnBells = struct {
    owner: u8,

    pub fn ring_bell(bells: OwnBells) void {
        _ = memory.ask(.{ .kind = .ring_own_bell, .a = bells.owner });
    }

    pub fn ring_notify(bells: OwnBells) void {
        _ = memory.ask(.{ .kind = .write_notify, .a = bells.owner });
    }
};

/// As waker_thread.zig, for one handle. The number of the last sleep that it has rung for is compared with
/// later ones, and so it is never forgotten.
noinline fn wake(owner: u8) noreturn {
    const own = self();
    own.doing = .wake;
    const map: layout.Map = .{ .base = &memory.memory, .geometry = state.geometry };
    // Those that do not join late have their places in turn.
    own.sleeper = .{ .entry = map.participant(owner), .knocks = 0 };
    stage(1);
    stage(2);
    stage(3);
    while (true) {
        const knocks = Waker.answer(&own.sleeper, OwnBells{ .owner = owner });
        Model.futex_wait(Waker.futex(own.sleeper.entry), @truncate(knocks), 0);
    }
}

noinline fn watch_everybody() void {
    const own = self();
    begin(.watch);
    var control: abi.Control = .{};
    while (true) {
        const fd = tandem_watch_next(address(), &control);
        if (fd < 0) {
            own.needs_slices = fd == abi.watch_incomplete;
            return;
        }
        own.retries &= ~bit(control.slot);
    }
}

fn bit(index: u32) u6 {
    return @as(u6, 1) << @intCast(index);
}

/// Sleeps until it is woken. False: nothing is pending any more.
noinline fn sleep() bool {
    const own = self();
    while (true) {
        begin(.sleep);
        const woken_by = wait(.{
            .asleep = true,
            .bell = true,
            .slice = own.needs_slices or own.is_unsure,
            .expire = pending_with("has_deadline"),
            .abort = pending_with("may_abort"),
        });
        const wakes = switch (woken_by) {
            event.bell => true,
            event.slice => wakes: {
                begin(.sweep);
                _ = tandem_sweep(address());
                break :wakes true;
            },
            event.expire, event.abort => wakes: {
                end_pending(woken_by);
                if (is_pending()) break :wakes false;
                disarm();
                return false;
            },
            else => in_background(woken_by),
        };
        if (wakes) {
            disarm();
            return true;
        }
    }
}

fn disarm() void {
    begin(.disarm);
    tandem_disarm(address());
}

/// What comes between two turns. False: nothing is pending any more.
noinline fn next_turn() bool {
    while (true) {
        const woken_by = wait(.{
            .turn = true,
            .expire = pending_with("has_deadline"),
            .abort = pending_with("may_abort"),
        });
        switch (woken_by) {
            event.turn => return true,
            event.expire, event.abort => {
                end_pending(woken_by);
                if (!is_pending()) return false;
            },
            else => _ = in_background(woken_by),
        }
    }
}

fn pending_with(comptime field: []const u8) bool {
    const own = self();
    for (own.pending[0..own.pending_count]) |call| if (@field(call, field)) return true;
    return false;
}

noinline fn end_pending(why: Event) void {
    const own = self();
    var place: usize = 0;
    while (place < own.pending_count) {
        const call = own.pending[place];
        if (!(if (why == event.expire) call.has_deadline else call.may_abort)) {
            place += 1;
            continue;
        }
        begin(if (why == event.expire) .time_out else .cancel);
        const how = if (why == event.expire) abi.cancel_timed_out else abi.cancel_release;
        const is_ended = tandem_cancel(address(), call.slot, call.low, call.high, how) == 1;
        // Answered in the last moment.
        if (why == event.expire and !is_ended) {
            settle(place);
        } else {
            _ = drop_pending(place);
            ended(call.call, if (why == event.expire) .timed_out else .aborted);
        }
    }
}

/// Waits for one of these or for what any loop waits for.
noinline fn wait(wanted: Events) Event {
    memory.forget_numbers();
    const own = self();
    var events = wanted;
    events.nudge = own.nudges;
    var epochs: u64 = 0;
    for (own.watched, 0..) |epoch, index| epochs |= @as(u64, @intCast(epoch)) << @intCast(index * 8);
    events.hangup = std.math.maxInt(u6) & ~own.retries;
    events.retry = own.retries;
    if (may_give_up and !own.has_given_up) events.last_retry = own.retries;
    const identity = @as(u64, own.handle.index) | @as(u64, own.handle.epoch) << 8;
    return @intCast(memory.ask(.{ .kind = .event, .a = events.bits(), .b = identity, .c = epochs }));
}

/// True: a loop that sleeps wakes up.
noinline fn in_background(woken_by: Event) bool {
    const own = self();
    switch (woken_by) {
        event.nudge => {
            begin(.nudge);
            own.nudges = tandem_nudge(address()) == 1;
            return false;
        },
        event.hangup...event.hangup + 5 => return hung_up(woken_by - event.hangup, false),
        event.retry...event.retry + 5 => return hung_up(woken_by - event.retry, false),
        event.last_retry...event.last_retry + 5 => return hung_up(woken_by - event.last_retry, true),
        else => unreachable,
    }
}

fn hung_up(index: u32, is_last: bool) bool {
    const own = self();
    begin(.hung_up);
    const is_settled = tandem_hung_up(address(), index, @intFromBool(is_last)) == 1;
    if (is_last) own.has_given_up = true;
    if (!is_settled and !is_last) {
        own.retries |= bit(index);
        return false;
    }
    own.retries &= ~bit(index);
    return true;
}

fn idle() noreturn {
    while (true) {
        begin(.idle);
        _ = in_background(wait(.{ .idle = true }));
    }
}

// ---- server ------------------------------------------------------------------------------------

fn serve(may_close: bool) noreturn {
    while (true) if (!serve_one(may_close)) rest_of_server(may_close);
}

/// False: there is nothing to serve.
noinline fn serve_one(may_close: bool) bool {
    begin(.receive);
    var control: abi.Control = .{};
    const status = tandem_receive(address(), 0, &control);
    if (status == abi.Status.not_found.result()) close();
    if (status < 0) say(.{ .wrong = "a server could not receive" });
    if (status != 1) return false;
    const first = begin_request(&control);
    if (plans[current].has(.serve_last)) begin_for_good(&control, first);
    // The handler is asynchronous.
    while (may_close) {
        const woken_by = wait(.{ .turn = true, .close = true });
        if (woken_by == event.turn) break;
        if (woken_by == event.close) close();
        _ = in_background(woken_by);
    }
    answer_request(&control, first);
    return true;
}

noinline fn rest_of_server(may_close: bool) void {
    const own = self();
    if (!lie_down(abi.arm_requests)) {
        while (true) {
            const woken_by = wait(.{ .turn = true });
            if (woken_by == event.turn) return;
            _ = in_background(woken_by);
        }
    }
    while (true) {
        begin(.sleep);
        const woken_by = wait(.{ .asleep = true, .bell = true, .slice = own.needs_slices or own.is_unsure, .close = may_close });
        const wakes = switch (woken_by) {
            event.bell => true,
            event.slice => wakes: {
                begin(.sweep);
                _ = tandem_sweep(address());
                break :wakes true;
            },
            event.close => close(),
            else => in_background(woken_by),
        };
        if (wakes) break;
    }
    disarm();
}

fn serve_block() noreturn {
    while (true) _ = receive_and_answer(no_timeout);
}

noinline fn receive_and_answer(timeout: f64) bool {
    begin(.receive);
    var control: abi.Control = .{};
    const status = tandem_receive(address(), timeout, &control);
    if (status == abi.Status.not_found.result()) close();
    if (status < 0) say(.{ .wrong = "a server could not receive" });
    if (status != 1) return false;
    const first = begin_request(&control);
    answer_request(&control, first);
    return true;
}

/// As an event loop of another kind would: it looks when the descriptor is readable.
fn serve_notify() noreturn {
    const own = self();
    begin(.notify);
    NotifyDescriptor.set(&own.handle, memory.notify_fd_first + @as(i32, current), false);
    while (true) {
        begin(.sleep);
        const woken_by = wait(.{ .asleep = true, .notify = true });
        if (woken_by != event.notify) {
            _ = in_background(woken_by);
            continue;
        }
        while (receive_and_answer(0)) {}
        begin(.notify);
        tandem_drain_notify(address());
    }
}

/// Half of the request is read when it comes and half just before the answer: until then it must not
/// change.
noinline fn begin_request(control: *const abi.Control) u64 {
    const own = self();
    begin(.read_request);
    if (control.length != memory.payload_bytes) say(.{ .wrong = "a request of another length" });
    const first = memory.read_half(own.handle.map.request(control.slot, memory.payload_bytes), 0);
    const call = call_of(first);
    if (first != half_of(request_mark, call, 0, 0)) {
        say(.{ .wrong = "a server got a request that nobody sent" });
    } else {
        say(.{ .received = .{ .call = call, .allowed = max_deliveries } });
    }
    return first;
}

noinline fn begin_for_good(control: *const abi.Control, first: u64) void {
    begin(.reply);
    tandem_last_delivery(address(), control.slot, control.generation_low, control.generation_high);
    say(.{ .begun_for_good = call_of(first) });
}

noinline fn answer_request(control: *const abi.Control, first: u64) void {
    const own = self();
    begin(.read_request);
    const second = memory.read_half(own.handle.map.request(control.slot, memory.payload_bytes), 1);
    if (second != first + 1) say(.{ .wrong = "a server got a torn request, or its bytes have changed" });
    begin(.reply);
    const bytes = payload(response_mark, call_of(first), current);
    const status = tandem_reply(
        address(),
        control.slot,
        control.generation_low,
        control.generation_high,
        &bytes,
        bytes.len,
        @backingInt(words.AnswerKind.bytes),
    );
    if (status < 0) say(.{ .wrong = "a server could not answer" });
    say(.replied);
}
