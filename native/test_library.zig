//! The library that tests load: the production code, which stops its own process (SIGSTOP) where a test says,
//! and a function that makes a channel old. `TANDEM_LIBRARY` names it to the process that will stop; the
//! other processes use the shipped library.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("abi.zig");
const ageing = @import("proof/ageing.zig");
const host = @import("platform/libc.zig");
const files = @import("platform/sys/files.zig");
const layout = @import("memory/layout.zig");
const segment = @import("memory/segment.zig");
const target = @import("platform/target.zig");
const words = @import("memory/words.zig");
const Identity = @import("platform/bells/names.zig").Identity;
const Real = @import("memory/shared.zig").Real;

pub const panic = @import("lib.zig").panic;

comptime {
    // For its exports.
    _ = @import("lib.zig");
}

/// Simulates a kernel before 5.16 if the environment says so.
pub fn lacks_futex_waitv() bool {
    return is_set("TANDEM_WITHOUT_FUTEX_WAITV");
}

fn is_set(variable: [*:0]const u8) bool {
    const Getenv = *const fn ([*:0]const u8) callconv(.c) ?[*:0]u8;
    const getenv = host.function(Getenv, "getenv") orelse return false;
    return getenv(variable) != null;
}

/// The points at which a process can stop: just after the described step, and before anything else.
const Point = enum(u32) {
    nowhere,
    /// It has a slot for a request, and has not written the request.
    drafted,
    /// Its request, or one that it hands on, is in the ring, and it has rung no server.
    published,
    /// A sleeper is rung, and not yet marked as rung.
    rung,
    /// It has announced a sleep, and has not looked again.
    announced,
    /// It has taken a request, whose entry is still in the ring.
    taken,
    /// Its answer is in the slot, and its client is not rung.
    answered,
    /// It is in the table, and no other participant has been rung.
    joined,
    /// It has seen that the name of a channel's file stands for the file that it removes, and has not removed it. This
    /// point comes before a step.
    unlinking,
    /// A channel's file is complete and has no name yet, or one that nobody looks for. Comes before a step, too.
    linking,
};

var chosen: u32 = @backingInt(Point.nowhere);

/// Stops the process the next time it comes to a point, once. 0: there is no such point.
export fn tandem_stop_at(name: [*]const u8, length: u32) u32 {
    const point = std.meta.stringToEnum(Point, name[0..length]) orelse return 0;
    @atomicStore(u32, &chosen, @backingInt(point), .seq_cst);
    return 1;
}

fn reached(point: Point) void {
    const nowhere = @backingInt(Point.nowhere);
    if (@cmpxchgStrong(u32, &chosen, @backingInt(point), nowhere, .seq_cst, .seq_cst) != null) return;
    // Sent to this very thread: a signal to the process may let it run a few more instructions.
    const stop = 19;
    const process: u32 = @truncate(linux.syscall0(.getpid));
    const thread: u32 = @truncate(linux.syscall0(.gettid));
    _ = linux.syscall3(.tgkill, process, thread, stop);
}

/// Gives an unopened channel the numbers of an old one. Below zero: the negative status.
export fn tandem_age(name: [*]const u8, length: u32, age: *const ageing.Age) i32 {
    var control: abi.Control = .{};
    age_channel(name[0..length], age.*, &control) catch |err| return abi.status_of(err).result();
    return 0;
}

fn age_channel(name: []const u8, age: ageing.Age, control: *abi.Control) abi.Error!void {
    var location: target.Location = undefined;
    try target.resolve(name, .channel, false, control, &location);
    defer location.close();
    const found = try segment.open_location(&location, &.of_kind(.bytes), .existing, control);
    defer found.close();
    ageing.set(&found.map, age);
}

/// The kernel's interface as native/platform/sys uses it.
pub const Linux = struct {
    pub const E = linux.E;
    pub const F = linux.F;
    pub const SYS = linux.SYS;
    pub const Statx = linux.Statx;
    pub const errno = linux.errno;
    pub const kernel_timespec = linux.kernel_timespec;
    pub const syscall0 = linux.syscall0;
    pub const syscall1 = linux.syscall1;
    pub const syscall2 = linux.syscall2;
    pub const syscall6 = linux.syscall6;

    pub inline fn syscall3(comptime number: SYS, a: usize, b: usize, c: usize) usize {
        if (number == .unlinkat) {
            const name: [*:0]const u8 = @ptrFromInt(b);
            if (std.mem.endsWith(u8, std.mem.span(name), target.Suffix.channel.text())) reached(.unlinking);
        }
        return linux.syscall3(number, a, b, c);
    }

    pub inline fn syscall4(comptime number: SYS, a: usize, b: usize, c: usize, d: usize) usize {
        if (number == .openat and c & files.o_tmpfile == files.o_tmpfile and is_set("TANDEM_WITHOUT_O_TMPFILE")) {
            return @bitCast(-@as(isize, @backingInt(E.OPNOTSUPP)));
        }
        return linux.syscall4(number, a, b, c, d);
    }

    pub inline fn syscall5(comptime number: SYS, a: usize, b: usize, c: usize, d: usize, e: usize) usize {
        if (number == .linkat) reached(.linking);
        return linux.syscall5(number, a, b, c, d, e);
    }
};

pub const SharedMemory = struct {
    pub const load = Real.load;
    pub const fetch_or = Real.fetch_or;
    pub const fetch_and = Real.fetch_and;
    pub const fetch_add = Real.fetch_add;
    pub const copy_in = Real.copy_in;
    pub const copy_out = Real.copy_out;
    pub const prefetch = Real.prefetch;
    pub const glance = Real.glance;
    pub const next_look = Real.next_look;
    pub const is_over = Real.is_over;
    pub const pause = Real.pause;
    pub const yield = Real.yield;
    pub const processor = Real.processor;
    pub const now_ns = Real.now_ns;
    pub const wall_ms = Real.wall_ms;
    pub const contenders_max = Real.contenders_max;
    pub const sentinels_enough = Real.sentinels_enough;
    pub const futex_wait = Real.futex_wait;
    pub const byte_locked = Real.byte_locked;
    pub const lock_byte = Real.lock_byte;
    pub const unlock_byte = Real.unlock_byte;
    pub const allocate = Real.allocate;
    pub const commit_slot_head = Real.commit_slot_head;
    pub const commit_request = Real.commit_request;
    pub const commit_response = Real.commit_response;
    pub const turns_max = Real.turns_max;
    pub const yield_turns = Real.yield_turns;
    pub const punch = Real.punch;
    pub const FileState = Real.FileState;
    pub const file_state = Real.file_state;
    pub const has_waker = Real.has_waker;
    pub const abandon = Real.abandon;
    pub const poll = Real.poll;
    pub const drain = Real.drain;
    pub const close = Real.close;
    pub const ring_notify = Real.ring_notify;
    pub const write_notify = Real.write_notify;
    pub const watch_life = Real.watch_life;
    pub const forget_bells = Real.forget_bells;
    pub const close_gone_bells = Real.close_gone_bells;

    pub inline fn store(comptime T: type, pointer: *T, value: T, comptime order: std.lang.AtomicOrder) void {
        Real.store(T, pointer, value, order);
        if (T == words.WaitWord and value.asleep()) reached(.announced);
    }

    pub inline fn cas(
        comptime T: type,
        pointer: *T,
        expected: T,
        desired: T,
        comptime order: std.lang.AtomicOrder,
    ) bool {
        if (!Real.cas(T, pointer, expected, desired, order)) return false;
        switch (T) {
            words.Cell => if (desired.full) reached(.published),
            words.SlotWord => switch (desired.state) {
                .held, .posted_held => reached(.taken),
                .draft => reached(.drafted),
                .ready => reached(.answered),
                .free, .queued, .posted, .abandoned => {},
            },
            words.ParticipantWord => if (desired.state == .joined) reached(.joined),
            else => {},
        }
        return true;
    }

    pub fn futex_wake(word: *const u32) void {
        Real.futex_wake(word);
        reached(.rung);
    }

    pub fn ring_bell(bells: anytype, other: Identity, kind: u32) bool {
        const rung = Real.ring_bell(bells, other, kind);
        if (rung) reached(.rung);
        return rung;
    }
};
