//! Ends a process with all that it has started. A child that has made a group or a session of its own does not
//! get the signals of its parent's group, so it is looked for in /proc.
//!
//! The kernel may give the id of a process that has just ended to another one. Between finding an id and using
//! it there are microseconds, and ids are given out in turn, so all others would have to be given out meanwhile.

const std = @import("std");
const files = @import("../platform/sys/files.zig");
const process = @import("../platform/sys/process.zig");

/// More are ended only as far as they are in the group.
const found_max = 4096;
/// More are killed without being stopped before, and may start others unseen meanwhile.
const stopped_max = 256;

const Found = struct {
    ids: [found_max]u32 = undefined,
    count: u32 = 0,
    /// One for each process that is stopped.
    pipes: [stopped_max][2]i32 = undefined,
    pipe_count: u32 = 0,

    /// False: it is known, or there is no room.
    fn add(found: *Found, id: u32) bool {
        if (found.count == found_max) return false;
        for (found.ids[0..found.count]) |known| if (known == id) return false;
        found.ids[found.count] = id;
        found.count += 1;
        return true;
    }

    /// A process that is stopped starts no others. If this process dies before it has killed that one, the kernel closes
    /// the pipe and lets that one go on: it could not even notice that its supervisor is gone. A process for which
    /// there is no pipe is not stopped.
    fn stop(found: *Found, id: u32) void {
        if (found.pipe_count == stopped_max) return;
        const ends = &found.pipes[found.pipe_count];
        if (!files.pipe(ends).ok()) return;
        found.pipe_count += 1;
        // A dying process closes one before the other.
        for (ends) |end_of_pipe| if (!process.signal_at_hangup(end_of_pipe, id, .go_on)) return;
        process.send_signal(id, .stop);
    }

    fn end_descendants(found: *Found, root: u32) void {
        // A list of children may have gaps while some of them end, and this process may start further ones.
        for (0..16) |_| if (!grow(found, root)) break;
        for (found.ids[0..found.count]) |id| process.send_signal(id, .kill);
    }

    /// After they have been killed.
    fn close(found: *const Found) void {
        for (found.pipes[0..found.pipe_count]) |ends| for (ends) |end_of_pipe| files.close(end_of_pipe);
    }
};

/// Ends a process, its descendants and, if it leads one, its group. Does not return if that is this process.
///
/// Without /proc, or on a kernel that lists no children there, only the group is ended. So is a descendant whose
/// parent, a descendant too, has died before: it is nobody's child now.
pub fn end(root: u32) void {
    const own = process.id();
    var found: Found = .{};
    defer found.close();
    // This one cannot stop itself and go on.
    if (root != own) found.stop(root);
    found.end_descendants(root);
    if (process.group_of(root) == root) process.send_signal(-@as(i64, root), .kill);
    process.send_signal(root, .kill);
    // The first process of a namespace does not get the signal from itself.
    if (root == own) process.exit(137);
}

/// Ends all that this process has started and that still has a parent.
pub fn end_own() void {
    var found: Found = .{};
    defer found.close();
    found.end_descendants(process.id());
}

/// Stops and adds descendants that were not known. False: there were none.
fn grow(found: *Found, root: u32) bool {
    var has_grown = add_children(found, root);
    var next: u32 = 0;
    while (next < found.count) : (next += 1) {
        if (add_children(found, found.ids[next])) has_grown = true;
    }
    return has_grown;
}

fn add_children(found: *Found, parent: u32) bool {
    var path: [32]u8 = undefined;
    const name = std.fmt.bufPrintSentinel(&path, "/proc/{d}/task", .{parent}, 0) catch unreachable;
    const opened = files.open(name, files.o_rdonly | files.o_directory | files.o_cloexec, 0);
    if (!opened.ok()) return false;
    defer files.close(opened.fd());
    var has_added = false;
    var threads: files.DirectoryReader = .{ .fd = opened.fd() };
    while (threads.next()) |thread| {
        const id = std.fmt.parseInt(u32, thread, 10) catch continue;
        if (add_children_of_thread(found, opened.fd(), id)) has_added = true;
    }
    return has_added;
}

fn add_children_of_thread(found: *Found, task: i32, thread: u32) bool {
    var path: [32]u8 = undefined;
    const name = std.fmt.bufPrintSentinel(&path, "{d}/children", .{thread}, 0) catch unreachable;
    const opened = files.openat(task, name, files.o_rdonly | files.o_cloexec, 0);
    if (!opened.ok()) return false;
    defer files.close(opened.fd());
    var has_added = false;
    var id: u32 = 0;
    var buffer: [1024]u8 = undefined;
    while (true) {
        const result = files.read(opened.fd(), &buffer);
        if (!result.ok() or result.value == 0) return has_added;
        for (buffer[0..result.value]) |byte| {
            if (std.ascii.isDigit(byte)) {
                id = id *% 10 +% (byte - '0');
                continue;
            }
            if (id != 0 and found.add(id)) {
                found.stop(id);
                has_added = true;
            }
            id = 0;
        }
    }
}

const linux = std.os.linux;

/// As /proc shows it: R, S, T (stopped), Z (dead), …
fn state_of(id: u32) !u8 {
    var path: [32]u8 = undefined;
    const opened = files.open(try std.fmt.bufPrintSentinel(&path, "/proc/{d}/stat", .{id}, 0), files.o_rdonly, 0);
    if (!opened.ok()) return error.NoSuchProcess;
    defer files.close(opened.fd());
    var buffer: [256]u8 = undefined;
    const text = buffer[0..files.read(opened.fd(), &buffer).value];
    // The name before it, in brackets, may contain anything.
    return text[(std.mem.lastIndexOfScalar(u8, text, ')') orelse return error.NoState) + 2];
}

/// Stops a process, and dies before it kills it.
fn die_too_early(id: u32) !noreturn {
    var found: Found = .{};
    found.stop(id);
    while (try state_of(id) != 'T') process.sched_yield();
    process.send_signal(process.id(), .kill);
    unreachable;
}

test "a process goes on if the one that has stopped it dies before it kills it" {
    const victim: u32 = @intCast(linux.fork());
    if (victim == 0) while (true) {
        _ = linux.pause();
    };
    defer {
        process.send_signal(victim, .kill);
        var status: i32 = 0;
        _ = linux.waitpid(@intCast(victim), &status, 0);
    }
    const killer: u32 = @intCast(linux.fork());
    if (killer == 0) die_too_early(victim) catch process.exit(1);
    var status: i32 = 0;
    _ = linux.waitpid(@intCast(killer), &status, 0);
    try std.testing.expectEqual(9, status);
    // A process closes its descriptors before it can be waited for.
    try std.testing.expect(try state_of(victim) != 'T');
}
