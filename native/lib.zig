//! The only exports of the library: each unwraps its arguments, calls, and turns what comes back
//! into a number. No logic here. Handles travel as doubles, since an address fits in one and both
//! runtimes pass doubles in a register; 64-bit values travel through the control block.

const std = @import("std");
const abi = @import("abi.zig");
const channel = @import("channel.zig");
const layout = @import("memory/layout.zig");
const own_bell = @import("platform/bells/own_bell.zig");
const segment = @import("memory/segment.zig");
const slots = @import("protocol/slots.zig");
const stats = @import("protocol/stats.zig");
const files = @import("platform/sys/files.zig");
const waker_thread = @import("waiting/waker_thread.zig");
const words = @import("memory/words.zig");
const Control = abi.Control;
const Place = @import("platform/target.zig").Place;
const Handle = @import("handle.zig").Handle;
const Shared = @import("memory/shared.zig").Chosen;
const Calls = @import("calls/calls.zig").CallsType(Shared);
const Extent = @import("protocol/table_bounds.zig").ExtentType(Shared);
const Repair = @import("protocol/repair.zig").RepairType(Shared);
const Slots = slots.SlotsType(Shared);
const Stats = stats.StatsType(Shared);
const Trim = @import("protocol/trim.zig").TrimType(Shared);
const Wait = @import("protocol/wait.zig").WaitType(Shared);

pub const panic = if (@import("builtin").is_test) std.debug.FullPanic(std.debug.defaultPanic) else @import("platform/panic.zig");

comptime {
    if (@import("builtin").cpu.arch.endian() != .little) @compileError("the wait word's futex is its low half");
}

fn handle_at(address: f64) *Handle {
    return @ptrFromInt(@as(usize, @intFromFloat(address)));
}

fn call_of(slot: u32, generation_low: u32, generation_high: u32) slots.Call {
    return .{ .slot = slot, .generation = @truncate(@as(u64, generation_high) << 32 | generation_low) };
}

/// A call that a process names; its slot comes from an id and may be anything.
fn known_call(handle: *Handle, slot: u32, generation_low: u32, generation_high: u32) ?slots.Call {
    if (!Extent.has_slot(handle, slot)) return null;
    return call_of(slot, generation_low, generation_high);
}

fn failed(err: abi.Error) i32 {
    return abi.status_of(err).result();
}

fn set_call(control: *Control, call: slots.Call) void {
    const generation: u64 = call.generation;
    control.slot = call.slot;
    control.generation_low = @truncate(generation);
    control.generation_high = @truncate(generation >> 32);
}

export fn tandem_abi_version() u32 {
    return abi.abi_version;
}

/// A program begins to run on this thread. What an earlier one has left open there is closed: a runtime
/// that restarts a program within its process, as `deno run --watch` does, tells the old one nothing.
export fn tandem_begin() void {
    channel.close_all_here();
}

/// Opens a channel as `operation` (`open_*`) says and writes its path where it has one.
export fn tandem_open(
    target: [*]const u8,
    target_length: u32,
    operation: u32,
    options: *const abi.Options,
    control: *Control,
    path: [*]u8,
) i32 {
    control.* = .{};
    var place: Place = undefined;
    const handle = channel.open(target[0..target_length], operation, options, control, &place) catch |err|
        return failed(err);
    const geometry = &handle.map.geometry;
    control.handle = @floatFromInt(@intFromPtr(handle));
    control.base = @floatFromInt(@intFromPtr(handle.map.base));
    control.dense_bytes = @floatFromInt(geometry.dense_bytes);
    control.area_stride = @floatFromInt(geometry.area_stride);
    control.response_offset = @floatFromInt(geometry.request_area_bytes);
    control.slots_offset = @floatFromInt(geometry.slots_offset);
    control.slots = geometry.slots;
    control.max_request_bytes = geometry.max_request_bytes;
    control.max_response_bytes = geometry.max_response_bytes;
    control.max_deliveries = geometry.max_deliveries;
    control.path_length = @intCast(place.path.length);
    control.kind = @backingInt(geometry.kind);
    control.mode = handle.mode & 0o666;
    @memcpy(path[0..place.path.length], place.path.slice());
    return 0;
}

/// A descriptor of the channel to be passed on; it belongs to the handle.
export fn tandem_fd(handle_address: f64, control: *Control) i32 {
    const handle = handle_at(handle_address);
    if (handle.public_fd < 0) {
        control.fail(.none, 0);
        handle.public_fd = channel.public_descriptor(handle, control) catch |err| return failed(err);
    }
    return handle.public_fd;
}

/// `keep_views` 1: views of the memory may be left, so their addresses stay valid.
export fn tandem_close(handle: f64, keep_views: u32) void {
    channel.close(handle_at(handle), if (keep_views != 0) .keep_views else .unmap);
}

/// 1: removed; 0: there was nothing.
export fn tandem_unlink(target: [*]const u8, target_length: u32, control: *Control) i32 {
    control.* = .{};
    const found = channel.unlink(target[0..target_length], control) catch |err| return failed(err);
    return @intFromBool(found);
}

/// The user of this handle has removed the channel, and waits go on as if nothing had happened.
export fn tandem_expect_removal(handle: f64) void {
    handle_at(handle).expects_removal = true;
}

fn request_of(flags: u32, deadline_ns: u64) slots.Request {
    return .{
        .text = flags & abi.send_text != 0,
        .one_way = flags & abi.send_one_way != 0,
        .watched = flags & abi.send_watched != 0,
        .max_deliveries = @truncate(flags >> abi.send_deliveries_shift),
        .deadline_ns = deadline_ns,
    };
}

/// 1: queued, the control block has the call; 2: the same, and `tandem_nudge` is due in a while;
/// 0: no slot is free.
export fn tandem_send(
    handle_address: f64,
    bytes: [*]const u8,
    length: u32,
    flags: u32,
    timeout_ms: f64,
    control: *Control,
) i32 {
    const handle = handle_at(handle_address);
    const request = request_of(flags, Calls.deadline_after(timeout_ms));
    defer Calls.look_after_ring(handle);
    const sent = Calls.send(handle, bytes[0..length], request, flags & abi.send_block != 0) catch |err|
        return failed(err);
    const call = sent orelse return 0;
    set_call(control, call);
    return sent_result(handle);
}

fn sent_result(handle: *const Handle) i32 {
    return if (handle.responsible) 2 else 1;
}

/// Sends, waits and gets: the length of the answer, which is in `out` if it fits.
export fn tandem_request(
    handle_address: f64,
    bytes: [*]const u8,
    length: u32,
    flags: u32,
    timeout_ms: f64,
    out: [*]u8,
    out_bytes: u32,
    control: *Control,
) i32 {
    const handle = handle_at(handle_address);
    const request = request_of(flags, Calls.deadline_after(timeout_ms));
    const call = (Calls.send(handle, bytes[0..length], request, true) catch |err| return failed(err)).?;
    set_call(control, call);
    Calls.look_after_ring(handle);
    Calls.wait_ready(handle, call, 0) catch |err| return failed(err);
    return take_answer(handle, call, out, out_bytes, control);
}

/// Moves an answer out and frees its slot. `longer`: it does not fit and stays.
fn take_answer(handle: *Handle, call: slots.Call, out: [*]u8, out_bytes: u32, control: *Control) i32 {
    const answer = Slots.answer(handle, call) catch |err| {
        handle.remove_call(call.slot, call.generation);
        return failed(err);
    };
    control.flags = @backingInt(answer.kind);
    control.length = answer.length;
    if (answer.length > out_bytes) return abi.Status.longer.result();
    Slots.get(handle, call, answer, out[0..out_bytes]) catch |err| return failed(err);
    return answer_result(handle, answer);
}

fn answer_result(handle: *Handle, answer: Slots.Answer) i32 {
    return switch (answer.kind) {
        .bytes, .text => @intCast(answer.length),
        .remote_error => abi.Status.remote.result(),
        .server_died => abi.Status.server_died.result(),
        .timed_out => {
            Wait.count(handle, "timeouts");
            return abi.Status.timeout.result();
        },
        _ => abi.Status.corrupt.result(),
    };
}

/// The answer of an own call. A time-out of 0 tries once: `not_yet`.
export fn tandem_get(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    timeout_ms: f64,
    out: [*]u8,
    out_bytes: u32,
    control: *Control,
) i32 {
    const handle = handle_at(handle_address);
    const call = call_of(slot, generation_low, generation_high);
    const status = wait(handle, call, timeout_ms);
    if (status != 0) return status;
    return take_answer(handle, call, out, out_bytes, control);
}

fn wait(handle: *Handle, call: slots.Call, timeout_ms: f64) i32 {
    if (timeout_ms == 0) {
        const ready = Calls.is_ready(handle, call) catch |err| return failed(err);
        return if (ready) 0 else abi.Status.not_yet.result();
    }
    Calls.wait_ready(handle, call, Calls.deadline_after(timeout_ms)) catch |err| return failed(err);
    return 0;
}

/// Waits for an own call's answer and leaves it in place; the control block says what it is.
export fn tandem_ready(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    timeout_ms: f64,
    control: *Control,
) i32 {
    const handle = handle_at(handle_address);
    const call = call_of(slot, generation_low, generation_high);
    const status = wait(handle, call, timeout_ms);
    if (status != 0) return status;
    const answer = Slots.answer(handle, call) catch |err| return failed(err);
    control.flags = @backingInt(answer.kind);
    control.length = answer.length;
    return answer_result(handle, answer);
}

/// Ends a call of anybody's that is not answered, or gives an own draft back. 1: it is ended now
/// and nobody will see an answer.
export fn tandem_cancel(handle_address: f64, slot: u32, generation_low: u32, generation_high: u32, how: u32) i32 {
    const handle = handle_at(handle_address);
    // An event loop has slept until now, for long perhaps.
    if (how == abi.cancel_timed_out) _ = Calls.lost(handle);
    defer Calls.look_after_ring(handle);
    const call = known_call(handle, slot, generation_low, generation_high) orelse return 0;
    if (how == abi.cancel_draft) {
        Slots.discard(handle, call);
        return 1;
    }
    if (how == abi.cancel_timed_out) return @intFromBool(Calls.time_out(handle, call));
    if (Slots.cancel(handle, call)) {
        handle.remove_call(call.slot, call.generation);
        Wait.count(handle, "cancelled");
        return 1;
    }
    if (how == abi.cancel_release) _ = Slots.release(handle, call);
    return 0;
}

/// 1: a draft for a request of that length; 0: no slot is free.
export fn tandem_allocate(handle_address: f64, length: u32, control: *Control) i32 {
    const allocated = Calls.allocate(handle_at(handle_address), length) catch |err| return failed(err);
    const call = allocated orelse return 0;
    set_call(control, call);
    return 1;
}

/// Sends a draft whose bytes are in place. 1, 2: as `tandem_send`; 0: the ring is full, and the draft is gone.
export fn tandem_publish(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    length: u32,
    flags: u32,
    timeout_ms: f64,
) i32 {
    const handle = handle_at(handle_address);
    const call = call_of(slot, generation_low, generation_high);
    const request = request_of(flags, Calls.deadline_after(timeout_ms));
    defer Calls.look_after_ring(handle);
    const sent = Slots.publish(handle, call, null, length, request) catch |err| return failed(err);
    return if (sent) sent_result(handle) else 0;
}

/// 1: the control block describes a request; 0: none within the time-out, 0 being one try.
export fn tandem_receive(handle_address: f64, timeout_ms: f64, control: *Control) i32 {
    const handle = handle_at(handle_address);
    const may_wait = timeout_ms != 0;
    const deadline_ns = if (may_wait) Calls.deadline_after(timeout_ms) else 0;
    const found = Calls.receive(handle, deadline_ns, may_wait) catch |err| return failed(err);
    const received = found orelse return 0;
    set_call(control, .{ .slot = received.slot, .generation = received.word.generation });
    control.length = received.length;
    control.flags = received.flags & (abi.request_text | abi.request_one_way);
    control.deliveries = @as(u32, received.word.delivery) + 1;
    return 1;
}

/// 1: the answer goes to its client; 0: nobody waits for it any more.
export fn tandem_reply(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    bytes: [*]const u8,
    length: u32,
    kind: u32,
) i32 {
    const handle = handle_at(handle_address);
    const call = known_call(handle, slot, generation_low, generation_high) orelse return 0;
    const answer_kind: words.AnswerKind = @fromBackingInt(@as(u10, @truncate(kind)));
    defer Calls.look_after_ring(handle);
    const taken = Slots.reply(handle, call, bytes[0..length], length, answer_kind) catch |err| return failed(err);
    return @intFromBool(taken);
}

/// Makes response memory writable before JavaScript fills it in place.
export fn tandem_reserve(handle_address: f64, slot: u32, length: u32) i32 {
    const handle = handle_at(handle_address);
    if (length > handle.map.geometry.max_response_bytes) return failed(error.TooLarge);
    Shared.commit_response(handle, slot, length) catch |err| return failed(err);
    return 0;
}

/// What became of a request that this handle holds: `Held` in layout.ts, and the milliseconds left.
export fn tandem_held(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    control: *Control,
) i32 {
    const handle = handle_at(handle_address);
    const call = known_call(handle, slot, generation_low, generation_high) orelse return @backingInt(Slots.Held.lost);
    // Handed over with the request. If that is not this handle's any more, so says `held`.
    const deadline_ns = Shared.load(u64, &handle.map.slot(slot).deadline_ns, .monotonic);
    control.time_remaining = if (deadline_ns == 0)
        std.math.inf(f64)
    else
        @as(f64, @floatFromInt(deadline_ns -| Shared.now_ns())) / std.time.ns_per_ms;
    return @backingInt(Slots.held(handle, call));
}

/// A request that this handle holds is not handed on to another server.
export fn tandem_last_delivery(handle_address: f64, slot: u32, generation_low: u32, generation_high: u32) void {
    const handle = handle_at(handle_address);
    const call = known_call(handle, slot, generation_low, generation_high) orelse return;
    Slots.last_delivery(handle, call);
}

/// 1: `tandem_poll` will report the end of this own call; 0: it has ended.
export fn tandem_watch_call(handle_address: f64, slot: u32, generation_low: u32, generation_high: u32) i32 {
    return @intFromBool(Calls.watch(handle_at(handle_address), call_of(slot, generation_low, generation_high)));
}

/// Ended calls among the watched ones, three words each.
export fn tandem_poll(handle_address: f64, out: [*]u32, out_words: u32) i32 {
    return @intCast(Calls.poll(handle_at(handle_address), out[0..out_words]));
}

/// Looks for some microseconds whether there is something to poll or to receive; a hint.
export fn tandem_linger(handle_address: f64, what: u32) i32 {
    return Calls.linger(handle_at(handle_address), what);
}

/// Lies an event loop down; `armed`, `armed_large`, `armed_unsure` or why not.
export fn tandem_arm(handle_address: f64, what: u32) i32 {
    const handle = handle_at(handle_address);
    const result = Calls.arm(handle, what);
    return if (result == abi.armed and handle.large_count > 0) abi.armed_large else result;
}

/// Gives memory of huge messages back that was idle for a while. 1: there is more that will be.
export fn tandem_trim(handle_address: f64) i32 {
    return @intFromBool(Trim.idle(handle_at(handle_address)));
}

export fn tandem_disarm(handle_address: f64) void {
    Wait.awake(handle_at(handle_address));
}

/// The descriptor that the event loop polls; it belongs to the loop.
export fn tandem_bell(handle_address: f64, kind: u32) i32 {
    const handle = handle_at(handle_address);
    const bell = own_bell.make(&handle.bells, kind) orelse return abi.Status.system.result();
    waker_thread.add_bell(&handle.waker, handle.entry(), bell.waker, kind);
    // The bell is there; the first sleep that may be rung is announced later still. Of one without a name
    // others need not look for it.
    if (bell.is_named) Shared.store(u32, &handle.map.participant(handle.index).bell, kind, .release);
    handle.lend(bell.loop, handle.index);
    return bell.loop;
}

/// A descriptor to be watched for its hang-up (the control block has the participant), -1: all
/// are watched, -2: some cannot be.
export fn tandem_watch_next(handle_address: f64, control: *Control) i32 {
    switch (Calls.watch_next(handle_at(handle_address))) {
        .fd => |watch| {
            control.slot = watch.index;
            return watch.fd;
        },
        .complete => return abi.watch_complete,
        .incomplete => return abi.watch_incomplete,
    }
}

/// From now on the watch is over servers alone.
export fn tandem_watch_servers_only(handle_address: f64) void {
    handle_at(handle_address).watches_servers_only = true;
}

/// After a hang-up: 0: not known to be dead, look again; 1: it is settled.
export fn tandem_hung_up(handle_address: f64, index: u32, give_up: u32) i32 {
    const handle = handle_at(handle_address);
    const participant: words.ParticipantIndex = @truncate(index);
    if (Calls.hung_up(handle, participant) != .unsettled) return 1;
    if (give_up != 0) Calls.forget_watch(handle, participant);
    return 0;
}

/// Looks at everybody for deaths; 1: there was one.
export fn tandem_sweep(handle_address: f64) i32 {
    const handle = handle_at(handle_address);
    if (Calls.lost(handle)) return 0;
    const any = Repair.sweep(handle);
    _ = Trim.idle(handle);
    return @intFromBool(any);
}

/// 1: a request of this handle may still hang behind a server that was rung and does not come.
export fn tandem_nudge(handle_address: f64) i32 {
    return @intFromBool(Calls.nudge(handle_at(handle_address)));
}

/// The descriptor that is readable when there is something to take; it belongs to the handle.
export fn tandem_notify_fd(handle_address: f64) i32 {
    const handle = handle_at(handle_address);
    if (handle.notify_fd < 0) {
        const fd = handle.bells.make_fifo('n') orelse own_bell.make_pipe() orelse return abi.Status.system.result();
        waker_thread.add_notify(&handle.waker, handle.entry(), fd);
        Calls.set_notify(handle, fd, false);
    }
    return handle.notify_fd;
}

/// Removes the private channel of this handle's participant.
export fn tandem_forget_private(handle: f64) void {
    handle_at(handle).bells.forget_own_private();
}

/// Ends the channel for all its participants; its file stays.
export fn tandem_remove(handle: f64) void {
    Calls.remove(handle_at(handle));
}

/// Takes a copy of a descriptor that relatives share: `peer` 0: for this handle's own notify
/// descriptor; 1: as that of its peers.
export fn tandem_adopt_notify(handle_address: f64, fd: u32, peer: u32) i32 {
    const handle = handle_at(handle_address);
    const copy = files.duplicate(@intCast(@min(fd, std.math.maxInt(i32))));
    if (!copy.ok()) return abi.Status.system.result();
    if (peer == 0) {
        waker_thread.add_notify(&handle.waker, handle.entry(), copy.fd());
        Calls.set_notify(handle, copy.fd(), true);
    } else {
        if (handle.peer_notify_fd >= 0) files.close(handle.peer_notify_fd);
        handle.peer_notify_fd = copy.fd();
    }
    return 0;
}

export fn tandem_drain_notify(handle_address: f64) void {
    Calls.drain_notify(handle_at(handle_address));
}

/// Rings the other side.
export fn tandem_notify(handle_address: f64) void {
    Calls.notify(handle_at(handle_address));
}

export fn tandem_clear(handle_address: f64) i32 {
    const handle = handle_at(handle_address);
    if (Calls.lost(handle)) return 0;
    return @intCast(Slots.clear(handle));
}

export fn tandem_pending(handle_address: f64) i32 {
    return @intCast(Calls.pending(handle_at(handle_address)));
}

export fn tandem_servers(handle_address: f64) i32 {
    return @intCast(Stats.count_role(handle_at(handle_address), .server));
}

export fn tandem_stats(handle_address: f64, out: *[stats.field_count]f64) void {
    const handle = handle_at(handle_address);
    _ = Calls.lost(handle);
    Stats.read(handle, out);
}
