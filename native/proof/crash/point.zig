//! The points at which a process can be made to die, counted while they are armed. Dying before each store,
//! and once more after the last, leaves shared memory in every state that it passes through.

const std = @import("std");
const linux = std.os.linux;

var armed = false;
/// Set in a thread that is not the actor's.
threadlocal var passes_none = false;
var passed: u64 = 0;
/// 0: the points are only counted.
var fatal: u64 = 0;

pub fn arm(number: u64) void {
    armed = true;
    passed = 0;
    fatal = number;
}

/// Excludes the calling thread from the count.
pub fn pass_none() void {
    passes_none = true;
}

/// Ends the counted part, which is a point itself. Returns the number of points.
pub fn disarm() u64 {
    pass("the end");
    armed = false;
    return passed;
}

/// The process is about to perform `what`.
pub inline fn pass(comptime what: []const u8) void {
    if (armed and !passes_none) reach(what);
}

fn reach(what: []const u8) void {
    passed += 1;
    if (passed == fatal) die(what);
}

/// Reports the point, because the process cannot be asked later, and dies by a signal as if another process
/// had killed it.
fn die(what: []const u8) noreturn {
    @branchHint(.cold);
    var buffer: [256]u8 = undefined;
    const line = std.fmt.bufPrint(&buffer, "died at point {d}, before {s}\n", .{ passed, what }) catch &buffer;
    const stderr = 2;
    _ = linux.write(stderr, line.ptr, line.len);
    _ = linux.kill(linux.getpid(), .KILL);
    unreachable;
}
