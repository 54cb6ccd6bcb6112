//! The points at which a process can be made to die, counted while they are armed. Dying before each
//! store, and once more after the last, leaves shared memory in every state that it passes through.

const std = @import("std");
const linux = std.os.linux;

var armed = false;
/// Of a thread that is not the actor's own.
threadlocal var passes_none = false;
var passed: u64 = 0;
/// 0: none, the points are only counted.
var fatal: u64 = 0;

pub fn arm(number: u64) void {
    armed = true;
    passed = 0;
    fatal = number;
}

/// This thread is none of the actor's.
pub fn pass_none() void {
    passes_none = true;
}

/// The end of what is tried, itself a point. How many there were.
pub fn disarm() u64 {
    pass("the end");
    armed = false;
    return passed;
}

/// `what` would be next.
pub inline fn pass(comptime what: []const u8) void {
    if (armed and !passes_none) reach(what);
}

fn reach(what: []const u8) void {
    passed += 1;
    if (passed == fatal) die(what);
}

/// Says where, since nobody will be left who could be asked, and is killed as by anybody else.
fn die(what: []const u8) noreturn {
    @branchHint(.cold);
    var buffer: [256]u8 = undefined;
    const line = std.fmt.bufPrint(&buffer, "died at point {d}, before {s}\n", .{ passed, what }) catch &buffer;
    const stderr = 2;
    _ = linux.write(stderr, line.ptr, line.len);
    _ = linux.kill(linux.getpid(), .KILL);
    unreachable;
}
