//! Event loops: polling, sleeping, death watches, and notify descriptors.

const std = @import("std");
const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const files = @import("../platform/sys/files.zig");
const names = @import("../platform/bells/names.zig");
const own_bell = @import("../platform/bells/own_bell.zig");
const waker_thread = @import("../waiting/waker_thread.zig");
const words = @import("../memory/words.zig");
const Control = abi.Control;
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const DeathWatch = @import("../calls/death_watch.zig").DeathWatchType(Shared);
const EventLoop = @import("../calls/event_loop.zig").EventLoopType(Shared);
const LimitWatching = @import("../calls/limit/watching.zig").WatchingType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);
const NotifyDescriptor = @import("../calls/notify_descriptor.zig").NotifyDescriptorType(Shared);
const Repair = @import("../protocol/repair.zig").RepairType(Shared);
const Trim = @import("../protocol/trim.zig").TrimType(Shared);
const Wait = @import("../protocol/wait.zig").WaitType(Shared);

/// 1: `tandem_poll` will report the end of this own call; 0: it has ended.
export fn tandem_watch_call(handle_address: f64, slot: u32, generation_low: u32, generation_high: u32) i32 {
    return @intFromBool(EventLoop.watch(arguments.handle_at(handle_address), arguments.call_of(slot, generation_low, generation_high)));
}

/// Reports watched calls that have ended, three words each.
export fn tandem_poll(handle_address: f64, out: [*]u32, out_words: u32) i32 {
    return @intCast(EventLoop.poll(arguments.handle_at(handle_address), out[0..out_words]));
}

/// Polls for some microseconds for something to take; a hint.
export fn tandem_linger(handle_address: f64, wanted: u32) i32 {
    return EventLoop.linger(arguments.handle_at(handle_address), wanted);
}

/// As `tandem_linger`; the peers of this process are the participants of another channel, where it has the handle `crowd`.
export fn tandem_linger_among(handle_address: f64, wanted: u32, crowd_address: f64) i32 {
    return EventLoop.linger_among(arguments.handle_at(handle_address), wanted, arguments.handle_at(crowd_address));
}

/// Prepares an event loop to sleep; `armed`, `armed_large`, `armed_unsure`, or the reason why it must not
/// sleep.
export fn tandem_arm(handle_address: f64, wanted: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    if (handle.map.geometry.kind == .limit) return LimitWatching.arm(handle);
    const result = EventLoop.arm(handle, wanted);
    return if (result == abi.armed and handle.large_count > 0) abi.armed_large else result;
}

/// Gives back memory of long messages that was idle for a while. 1: more will become idle.
export fn tandem_trim(handle_address: f64) i32 {
    return @intFromBool(Trim.idle(arguments.handle_at(handle_address)));
}

export fn tandem_disarm(handle_address: f64) void {
    Wait.awake(arguments.handle_at(handle_address));
}

/// The descriptor that the event loop polls; it belongs to the loop.
export fn tandem_bell(handle_address: f64, kind: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    // Its name is needed, and ringers that have it open have to look for the new one.
    handle.close_blocking_bell();
    const bell = own_bell.make(&handle.bells, kind) orelse return abi.Status.system.result();
    waker_thread.add_bell(&handle.waker, handle.entry(), bell.waker, kind);
    // The bell exists; the first sleep that may be rung is announced later. Other participants need not look
    // for a bell without a name.
    if (bell.is_named) Shared.store(u32, &handle.map.participant(handle.index).bell, kind, .release);
    handle.lend(bell.loop, handle.index);
    return bell.loop;
}

/// A descriptor to be watched for its hang-up (the control block has the participant), -1: all that have to be
/// watched are, -2: some cannot be, -3: the participant in the control block need not be watched any more.
export fn tandem_watch_next(handle_address: f64, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    if (handle.map.geometry.kind == .limit) return watch_next_contender(handle, control);
    switch (DeathWatch.watch_next(handle)) {
        .fd => |watch| {
            control.slot = watch.index;
            return watch.fd;
        },
        .drop => |index| {
            control.slot = index;
            return abi.watch_drop;
        },
        .complete => return abi.watch_complete,
        .incomplete => return abi.watch_incomplete,
    }
}

fn watch_next_contender(handle: *Handle, control: *Control) i32 {
    switch (LimitWatching.watch_next(handle)) {
        .fd => |watch| {
            handle.lend(watch.fd, watch.index);
            control.slot = watch.index;
            return watch.fd;
        },
        .drop => |index| {
            handle.forget_lent(index);
            control.slot = index;
            return abi.watch_drop;
        },
        .complete => return abi.watch_complete,
        .incomplete => return abi.watch_incomplete,
    }
}

/// From now on this handle watches servers only.
export fn tandem_watch_servers_only(handle_address: f64) void {
    arguments.handle_at(handle_address).watches_servers_only = true;
}

/// After a hang-up. 0: not known to be dead, so look again; 1: it is settled.
export fn tandem_hung_up(handle_address: f64, index: u32, give_up: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    const participant: words.ParticipantIndex = @truncate(index);
    if (DeathWatch.hung_up(handle, participant) != .unsettled) return 1;
    if (give_up != 0) DeathWatch.forget(handle, participant);
    return 0;
}

/// Searches all participants for deaths; 1: one was dead.
export fn tandem_sweep(handle_address: f64) i32 {
    const handle = arguments.handle_at(handle_address);
    if (Lifetime.lost(handle)) return 0;
    const any = Repair.sweep(handle);
    DeathWatch.look_for_leavers(handle);
    _ = Trim.idle(handle);
    return @intFromBool(any);
}

/// 1: a request of this handle may still wait for a server that was rung and does not take it.
export fn tandem_nudge(handle_address: f64) i32 {
    return @intFromBool(Calls.nudge(arguments.handle_at(handle_address)));
}

/// The descriptor that is readable when there is something to take; it belongs to the handle.
export fn tandem_notify_fd(handle_address: f64) i32 {
    const handle = arguments.handle_at(handle_address);
    if (handle.notify_fd < 0) {
        const fd = handle.bells.make_fifo(names.notify_letter) orelse own_bell.make_pipe() orelse return abi.Status.system.result();
        waker_thread.add_notify(&handle.waker, handle.entry(), fd);
        NotifyDescriptor.set(handle, fd, false);
    }
    return handle.notify_fd;
}

/// Takes a copy of a descriptor that related processes share. `peer` 0: it becomes this handle's own notify
/// descriptor; 1: it becomes that of its peers.
export fn tandem_adopt_notify(handle_address: f64, fd: u32, peer: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    const copy = files.duplicate(@intCast(@min(fd, std.math.maxInt(i32))));
    if (!copy.ok()) return abi.Status.system.result();
    if (peer == 0) {
        waker_thread.add_notify(&handle.waker, handle.entry(), copy.fd());
        NotifyDescriptor.set(handle, copy.fd(), true);
    } else {
        if (handle.peer_notify_fd >= 0) files.close(handle.peer_notify_fd);
        handle.peer_notify_fd = copy.fd();
    }
    return 0;
}

export fn tandem_drain_notify(handle_address: f64) void {
    NotifyDescriptor.drain(arguments.handle_at(handle_address));
}

/// Rings the other side.
export fn tandem_notify(handle_address: f64) void {
    NotifyDescriptor.ring_others(arguments.handle_at(handle_address));
}
