//! The wakers of a process: threads that sleep in the kernel until a ringer knocks for a handle of the
//! process, and then ring that handle's bell. One thread serves 127 handles. It starts when the first event
//! loop goes to sleep or the first notify descriptor is requested, and stays: while it sleeps it costs a few
//! pages of memory and no time.
//!
//! The thread looks at a handle's memory only while it holds the lock, and a thread that closes a handle
//! takes the same lock. Otherwise the waker sleeps on addresses, which the kernel checks: a mapping that is
//! gone ends the sleep. So closing never waits for the waker to be scheduled.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("../memory/layout.zig");
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const futex = @import("../platform/sys/futex.zig");
const kernel = @import("../platform/sys/kernel.zig");
const mappings = @import("../platform/sys/mappings.zig");
const process = @import("../platform/sys/process.zig");
const sockets = @import("../platform/sys/sockets.zig");
const thread = @import("../platform/thread.zig");
const Lock = @import("../platform/lock.zig").Lock;
const WakerType = @import("waker.zig").WakerType;
const Sleeper = @import("waker.zig").Sleeper;
const words = @import("../memory/words.zig");
const Shared = @import("../memory/shared.zig").Chosen;
const Waker = WakerType(Shared);

/// A thread also sleeps on a word of its own group.
const assignments_max = futex.waiters_max - 1;

/// The work of a thread for one handle.
pub const Assignment = struct {
    group: *Group,
    /// Null: no handle has this assignment.
    sleeper: ?Sleeper,
    /// The descriptor through which the bell is rung; -1: none.
    bell: i32,
    bell_kind: u32,
    notify: i32,
    /// The memory cannot be read any more, because the file was cut short.
    is_lost: bool,

    pub fn ring_bell(assignment: *const Assignment) void {
        // A full bell needs no further ring.
        if (assignment.bell < 0) return;
        const is_fifo = assignment.bell_kind == abi.bell_fifo;
        _ = if (is_fifo) files.write(assignment.bell, &[1]u8{1}) else sockets.send_byte(assignment.bell);
    }

    pub fn ring_notify(assignment: *const Assignment) void {
        if (assignment.notify >= 0) _ = files.write_counter(assignment.notify);
    }

    /// Whether a knock reaches the event loop of this handle.
    pub fn can_ring_bell(assignment: *const Assignment) bool {
        return assignment.bell >= 0 and !@atomicLoad(bool, &assignment.is_lost, .monotonic);
    }
};

const Group = struct {
    /// Incremented whenever an assignment is taken or left; the thread sleeps on this word too.
    changes: u32,
    /// The number of assignments that were ever taken.
    used: u32,
    /// Before Linux 5.16 a thread can sleep on one word only, and so serves one handle.
    is_single: bool,
    /// The value of `changes` that the thread has seen.
    changes_seen: u32,
    next: ?*Group,
    assignments: [assignments_max]Assignment,

    fn has_room(group: *const Group) bool {
        const assignments: u32 = if (group.is_single) 1 else assignments_max;
        if (group.used < assignments) return true;
        // The thread may still sleep on a word of the last handle, and has to wake up first.
        if (group.is_single and group.changes_seen != @atomicLoad(u32, &group.changes, .monotonic)) return false;
        for (group.assignments[0..group.used]) |*assignment| if (assignment.sleeper == null) return true;
        return false;
    }

    fn changed(group: *Group) void {
        _ = @atomicRmw(u32, &group.changes, .Add, 1, .release);
        futex.wake_private(&group.changes);
    }
};

/// Protects everything in this file.
var lock: Lock = .{};
var groups: ?*Group = null;
/// The process that started the threads. A child that was forked, and continues without `exec`, has none of
/// them.
var threads_of: u32 = 0;

/// Lets the waker ring a bell when others knock; `fd` belongs to the waker from here on.
pub fn add_bell(waker: *?*Assignment, entry: *layout.Participant, fd: i32, kind: u32) void {
    if (fd < 0) return;
    take_lock();
    defer lock.give();
    const assignment = assignment_of(waker, entry) orelse return files.close(fd);
    if (assignment.bell >= 0) files.close(assignment.bell);
    assignment.bell = fd;
    assignment.bell_kind = kind;
    announce(entry);
}

/// Lets the waker ring a notify descriptor when others knock.
pub fn add_notify(waker: *?*Assignment, entry: *layout.Participant, fd: i32) void {
    const copy = files.duplicate(fd);
    if (!copy.ok()) return;
    take_lock();
    defer lock.give();
    const assignment = assignment_of(waker, entry) orelse return files.close(copy.fd());
    if (assignment.notify >= 0) files.close(assignment.notify);
    assignment.notify = copy.fd();
    announce(entry);
}

/// From now on ringers that knock rely on the waker. Stored before the participant announces the sleep that
/// needs it.
fn announce(entry: *layout.Participant) void {
    Shared.store(u32, &entry.waker, layout.waker_sleeps, .release);
}

/// Before the memory of the handle's channel goes.
pub fn remove(waker: *?*Assignment) void {
    const assignment = waker.* orelse return;
    waker.* = null;
    const is_parent = threads_of == process.id();
    take_lock();
    defer lock.give();
    // A child has no use for its parent's assignments, and its copies of the descriptors go with it.
    if (!is_parent) return;
    if (assignment.group.is_single) futex.wake_all(Waker.futex(assignment.sleeper.?.entry));
    assignment.sleeper = null;
    for ([_]i32{ assignment.bell, assignment.notify }) |fd| if (fd >= 0) files.close(fd);
    assignment.group.changed();
}

fn take_lock() void {
    const own = process.id();
    const known = @atomicLoad(u32, &threads_of, .monotonic);
    if (known != own) {
        // If several threads come first, one of them makes the change.
        const is_first = @cmpxchgStrong(u32, &threads_of, known, own, .acq_rel, .monotonic) == null;
        // A forked child has one thread, and another thread of its parent may have held the lock.
        if (is_first and known != 0) {
            @atomicStore(u32, &lock.word, 0, .monotonic);
            groups = null;
        }
    }
    lock.take();
}

/// Null: there is no thread, and none can be started.
fn assignment_of(waker: *?*Assignment, entry: *layout.Participant) ?*Assignment {
    if (waker.*) |assignment| return assignment;
    const group = group_with_room() orelse return null;
    const assignment = for (group.assignments[0..group.used]) |*assignment| {
        if (assignment.sleeper == null) break assignment;
    } else next: {
        group.used += 1;
        break :next &group.assignments[group.used - 1];
    };
    std.debug.assert(assignment.sleeper == null);
    assignment.* = .{
        .group = group,
        // Ignores knocks for a predecessor.
        .sleeper = .{ .entry = entry, .knocks = Shared.load(u64, &entry.knocks, .seq_cst) },
        .bell = -1,
        .bell_kind = 0,
        .notify = -1,
        .is_lost = false,
    };
    waker.* = assignment;
    group.changed();
    return assignment;
}

fn group_with_room() ?*Group {
    var last = &groups;
    while (last.*) |group| : (last = &group.next) if (group.has_room()) return group;
    const memory = mappings.map_private(@sizeOf(Group));
    if (!memory.ok()) return null;
    // Zeroed; no page is touched before it is used.
    const group: *Group = @ptrFromInt(memory.value);
    group.is_single = !can_wait_for_many();
    if (!thread.spawn(run, group)) {
        mappings.unmap(memory.value, @sizeOf(Group));
        return null;
    }
    last.* = group;
    return group;
}

/// This needs Linux 5.16, and a sandbox may forbid it.
fn can_wait_for_many() bool {
    const result = futex.wait_any(&.{});
    return result == .errno and result.errno == .INVAL;
}

fn run(argument: ?*anyopaque) callconv(.c) ?*anyopaque {
    process.set_thread_name("tandem-waker");
    serve(@ptrCast(@alignCast(argument)));
}

fn serve(group: *Group) noreturn {
    var waiters: [futex.waiters_max]futex.Waiter = undefined;
    var assignments: [futex.waiters_max]u32 = undefined;
    var count: usize = 0;
    while (true) {
        if (count == 0) count = look_at_all(group, &waiters, &assignments);
        const woken_by = if (group.is_single) wait_for_one(waiters[0..count]) else futex.wait_any(waiters[0..count]);
        switch (woken_by) {
            .value => |woken| {
                if (woken == 0 or !answer_one(group, &waiters, woken, assignments[woken])) count = 0;
            },
            .errno => |errno| {
                count = 0;
                // The error is not one that others cause, but out of memory, for instance. Never retry in a
                // tight loop.
                if (errno != .AGAIN and errno != .INTR and errno != .FAULT) clock.sleep_ns(10 * std.time.ns_per_ms);
            },
        }
    }
}

/// Sleeps on the last word, or on the group's own word if it is the only one. A handle that takes or leaves
/// the assignment wakes the thread through both words. It may come too late for that, when the memory under
/// the word is already gone or reused. So the sleep has an end, and until then the assignment is not reused.
fn wait_for_one(waiters: []const futex.Waiter) kernel.Result {
    const longest_ns = 60 * std.time.ns_per_s;
    const last = waiters[waiters.len - 1];
    const word: *const u32 = @ptrFromInt(last.address);
    if (waiters.len == 1) {
        futex.wait_private(word, @truncate(last.value));
    } else {
        futex.wait(word, @truncate(last.value), longest_ns);
    }
    return .{ .value = waiters.len - 1 };
}

/// Answers all knocks, and collects the words to sleep on.
fn look_at_all(group: *Group, waiters: []futex.Waiter, assignments: []u32) usize {
    lock.take();
    defer lock.give();
    const changes = @atomicLoad(u32, &group.changes, .acquire);
    group.changes_seen = changes;
    waiters[0] = .{ .value = changes, .address = @intFromPtr(&group.changes), .flags = futex.Waiter.private };
    var count: usize = 1;
    for (group.assignments[0..group.used], 0..) |*assignment, index| {
        if (assignment.is_lost) continue;
        const sleeper = if (assignment.sleeper) |*sleeper| sleeper else continue;
        const word = Waker.futex(sleeper.entry);
        var knocks = sleeper.knocks;
        // A load would cause SIGBUS if the file was cut short; the kernel's own look does not.
        switch (futex.state(word, @truncate(knocks))) {
            .same => {},
            .changed => knocks = Waker.answer(sleeper, assignment),
            .lost => {
                @atomicStore(bool, &assignment.is_lost, true, .monotonic);
                // The owner of the handle detects this when it looks.
                assignment.ring_bell();
                assignment.ring_notify();
                continue;
            },
        }
        waiters[count] = .{
            .value = @as(u32, @truncate(knocks)),
            .address = @intFromPtr(word),
            .flags = futex.Waiter.shared,
        };
        assignments[count] = @intCast(index);
        count += 1;
    }
    return count;
}

/// False: the assignments have changed meanwhile.
fn answer_one(group: *Group, waiters: []futex.Waiter, woken: usize, index: u32) bool {
    lock.take();
    defer lock.give();
    if (@atomicLoad(u32, &group.changes, .acquire) != waiters[0].value) return false;
    const assignment = &group.assignments[index];
    waiters[woken].value = @as(u32, @truncate(Waker.answer(&assignment.sleeper.?, assignment)));
    return true;
}
