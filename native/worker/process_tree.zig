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

const Found = struct {
    ids: [found_max]u32 = undefined,
    count: u32 = 0,

    /// False: it is known, or there is no room.
    fn add(found: *Found, id: u32) bool {
        if (found.count == found_max) return false;
        for (found.ids[0..found.count]) |known| if (known == id) return false;
        found.ids[found.count] = id;
        found.count += 1;
        return true;
    }
};

/// Ends a process, its descendants and, if it leads one, its group. Does not return if that is this process.
///
/// Without /proc, or on a kernel that lists no children there, only the group is ended. So is a descendant whose
/// parent, a descendant too, has died before: it is nobody's child now.
pub fn end(root: u32) void {
    const own = process.id();
    // A process that is stopped starts no others. This one cannot stop itself and go on.
    if (root != own) process.send_signal(root, .stop);
    end_descendants(root);
    if (process.group_of(root) == root) process.send_signal(-@as(i64, root), .kill);
    process.send_signal(root, .kill);
    // The first process of a namespace does not get the signal from itself.
    if (root == own) process.exit(137);
}

/// Ends all that this process has started and that still has a parent.
pub fn end_own() void {
    end_descendants(process.id());
}

fn end_descendants(root: u32) void {
    var found: Found = .{};
    // A list of children may have gaps while some of them end, and this process may start further ones.
    for (0..16) |_| if (!grow(&found, root)) break;
    for (found.ids[0..found.count]) |id| process.send_signal(id, .kill);
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
                process.send_signal(id, .stop);
                has_added = true;
            }
            id = 0;
        }
    }
}
