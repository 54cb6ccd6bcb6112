//! The time from a ring until the event loop wakes, for each way of ringing. All are measured in one run and in
//! turns, as ratios to the first. One thread is the loop, asleep in `epoll_wait`; the main thread rings.
//!
//!     bell: FIFO, bell: datagram     written to through an open descriptor
//!     knock                          a futex; a thread that sleeps on it writes to the loop's FIFO
//!     inotify                        a watch on the channel's file, rung by setting its times
//!     io_uring                       a futex wait in the loop's own ring, linked to a write to its FIFO
//!
//!     bench wake [ROUNDS]

const std = @import("std");
const linux = std.os.linux;
const clock = @import("../platform/sys/clock.zig");
const files = @import("../platform/sys/files.zig");
const futex = @import("../platform/sys/futex.zig");
const mappings = @import("../platform/sys/mappings.zig");
const process = @import("../platform/sys/process.zig");
const sockets = @import("../platform/sys/sockets.zig");

const Way = enum { fifo, datagram, knock, inotify, io_uring };
const ways = std.enums.values(Way);
const titles = [_][]const u8{ "bell: FIFO", "bell: datagram", "knock", "inotify", "io_uring" };

const rounds_max = 100_000;
/// Long enough for the loop and its processor to fall asleep.
const pause_ns = 300 * std.time.ns_per_us;

/// When the loop was rung and when it woke; the loop's thread sets them, and the main thread reads them.
var rung_ns: u64 = 0;
var woken: u32 = 0;
var times: [ways.len][rounds_max]u64 = undefined;

var fifo: [2]i32 = undefined;
var datagram: [2]i32 = undefined;
var memory: i32 = -1;
var watch: i32 = -1;
/// In shared memory, as a channel's words are.
var words: *extern struct { knocks: u32, changes: u32, uring: u32 } = undefined;
var uring: ?Uring = null;

pub fn run(rounds_wanted: u32) !void {
    const rounds = @min(rounds_wanted, rounds_max);
    if (!files.pipe(&fifo).ok() or !sockets.open_pair(&datagram).ok()) return error.NoDescriptors;
    memory = files.memfd_create("bench").fd();
    _ = files.ftruncate(memory, 4096);
    words = @ptrFromInt(mappings.map_shared(memory, 4096).value);
    const inotify_nonblock = 0o4000;
    watch = @intCast(linux.inotify_init1(inotify_nonblock));
    var path: [32]u8 = undefined;
    const attributes_changed = 4;
    _ = linux.inotify_add_watch(watch, try std.fmt.bufPrintSentinel(&path, "/proc/self/fd/{d}", .{memory}, 0), attributes_changed);
    (try std.Thread.spawn(.{}, wake, .{})).detach();
    (try std.Thread.spawn(.{}, loop, .{})).detach();
    for (0..rounds) |round| {
        for (ways) |way| {
            if (way == .io_uring and !has_uring()) continue;
            const before = @atomicLoad(u32, &woken, .acquire);
            clock.sleep_ns(pause_ns);
            @atomicStore(u64, &rung_ns, clock.monotonic_ns(), .release);
            ring(way);
            while (@atomicLoad(u32, &woken, .acquire) == before) process.sched_yield();
            times[@backingInt(way)][round] = @atomicLoad(u64, &rung_ns, .acquire);
        }
    }
    report(rounds);
}

fn has_uring() bool {
    return @atomicLoad(u32, &uring_state, .acquire) == uring_ready;
}

fn ring(way: Way) void {
    switch (way) {
        .fifo => _ = files.write(fifo[1], &[1]u8{1}),
        .datagram => _ = sockets.send_byte(datagram[1]),
        .knock => knock(&words.knocks),
        .inotify => _ = linux.syscall4(.utimensat, @intCast(memory), 0, 0, 0),
        .io_uring => knock(&words.uring),
    }
}

fn knock(word: *u32) void {
    _ = @atomicRmw(u32, word, .Add, 1, .seq_cst);
    futex.wake_all(word);
}

/// As native/waiting/waker_thread.zig.
fn wake() void {
    var seen = @atomicLoad(u32, &words.knocks, .seq_cst);
    while (true) {
        const waiters = [_]futex.Waiter{
            .{ .value = 0, .address = @intFromPtr(&words.changes), .flags = futex.Waiter.private },
            .{ .value = seen, .address = @intFromPtr(&words.knocks), .flags = futex.Waiter.shared },
        };
        _ = futex.wait_any(&waiters);
        const now = @atomicLoad(u32, &words.knocks, .seq_cst);
        if (now == seen) continue;
        seen = now;
        _ = files.write(fifo[1], &[1]u8{1});
    }
}

fn loop() void {
    const epoll: i32 = @intCast(linux.epoll_create1(0));
    for ([_]i32{ fifo[0], datagram[0], watch }) |fd| {
        var event: linux.epoll_event = .{ .events = linux.EPOLL.IN, .data = .{ .fd = fd } };
        _ = linux.epoll_ctl(epoll, linux.EPOLL.CTL_ADD, fd, &event);
    }
    uring = Uring.init();
    @atomicStore(u32, &uring_state, if (uring == null) uring_missing else uring_ready, .release);
    while (true) {
        if (uring) |*own| own.wait_for(&words.uring, fifo[1]);
        var events: [4]linux.epoll_event = undefined;
        const count = linux.epoll_wait(epoll, &events, events.len, -1);
        const now = clock.monotonic_ns();
        if (linux.errno(count) != .SUCCESS) continue;
        for (events[0..count]) |event| drain(event.data.fd);
        const took = now -| @atomicLoad(u64, &rung_ns, .acquire);
        @atomicStore(u64, &rung_ns, took, .release);
        _ = @atomicRmw(u32, &woken, .Add, 1, .release);
    }
}

fn drain(fd: i32) void {
    var buffer: [4096]u8 = undefined;
    while (files.read(fd, &buffer).ok()) {}
}

const uring_missing = 1;
const uring_ready = 2;
var uring_state: u32 = 0;

/// The minimum of io_uring for this purpose.
const Uring = struct {
    fd: i32,
    sq_tail: *u32,
    sq_mask: u32,
    sq_array: [*]u32,
    cq_head: *u32,
    cq_tail: *u32,
    sqes: [*]linux.io_uring_sqe,
    is_waiting: bool = false,

    fn init() ?Uring {
        var params: linux.io_uring_params = std.mem.zeroes(linux.io_uring_params);
        const made = linux.io_uring_setup(8, &params);
        if (linux.errno(made) != .SUCCESS) return null;
        const fd: i32 = @intCast(made);
        const rings = map(fd, 0, 16 << 10) orelse return null;
        const sqes = map(fd, linux.IORING_OFF_SQES, 8 * @sizeOf(linux.io_uring_sqe)) orelse return null;
        var own: Uring = .{
            .fd = fd,
            .sq_tail = @ptrFromInt(rings + params.sq_off.tail),
            .sq_mask = params.sq_entries - 1,
            .sq_array = @ptrFromInt(rings + params.sq_off.array),
            .cq_head = @ptrFromInt(rings + params.cq_off.head),
            .cq_tail = @ptrFromInt(rings + params.cq_off.tail),
            .sqes = @ptrFromInt(sqes),
        };
        // A kernel before 6.7 refuses the operation immediately.
        own.wait_for(&words.uring, fifo[1]);
        clock.sleep_ns(10 * std.time.ns_per_ms);
        return if (@atomicLoad(u32, own.cq_tail, .acquire) == 0) own else null;
    }

    fn map(fd: i32, offset: u64, length: u64) ?u64 {
        const result = linux.syscall6(.mmap, 0, length, 3, 0x8001, @intCast(fd), offset);
        return if (linux.errno(result) == .SUCCESS) result else null;
    }

    const byte = [1]u8{1};

    fn wait_for(own: *Uring, word: *u32, to: i32) void {
        const head = @atomicLoad(u32, own.cq_head, .monotonic);
        const tail = @atomicLoad(u32, own.cq_tail, .acquire);
        if (own.is_waiting and tail == head) return;
        @atomicStore(u32, own.cq_head, tail, .release);
        own.is_waiting = true;
        const futex_wait_operation = 51;
        const write_operation = 23;
        const linked = 4;
        own.push(.{ .opcode = futex_wait_operation, .flags = linked, .fd = 2, .off = @atomicLoad(u32, word, .seq_cst), .addr = @intFromPtr(word), .addr3 = 0xffff_ffff });
        own.push(.{ .opcode = write_operation, .fd = to, .off = std.math.maxInt(u64), .addr = @intFromPtr(&byte), .len = 1 });
        _ = linux.io_uring_enter(own.fd, 2, 0, 0, null);
    }

    const Entry = struct { opcode: u8, flags: u8 = 0, fd: i32, off: u64, addr: u64, len: u32 = 0, addr3: u64 = 0 };

    fn push(own: *Uring, entry: Entry) void {
        const tail = @atomicLoad(u32, own.sq_tail, .monotonic);
        const place = tail & own.sq_mask;
        const bytes = std.mem.asBytes(&own.sqes[place]);
        @memset(bytes, 0);
        bytes[0] = entry.opcode;
        bytes[1] = entry.flags;
        std.mem.writeInt(i32, bytes[4..8], entry.fd, .little);
        std.mem.writeInt(u64, bytes[8..16], entry.off, .little);
        std.mem.writeInt(u64, bytes[16..24], entry.addr, .little);
        std.mem.writeInt(u32, bytes[24..28], entry.len, .little);
        std.mem.writeInt(u64, bytes[48..56], entry.addr3, .little);
        own.sq_array[place] = place;
        @atomicStore(u32, own.sq_tail, tail + 1, .release);
    }
};

fn report(rounds: u32) void {
    std.debug.print("{s:<16} {s:>8} {s:>8}   {s:>6}  µs, {d} rounds\n", .{ "", "p50", "p99", "ratio", rounds });
    var first: f64 = 0;
    for (ways, titles) |way, title| {
        if (way == .io_uring and !has_uring()) {
            std.debug.print("{s:<16} not here: it needs Linux 6.7, and the right to use it\n", .{title});
            continue;
        }
        const sorted = times[@backingInt(way)][0..rounds];
        std.mem.sort(u64, sorted, {}, std.sort.asc(u64));
        const half = microseconds(sorted[rounds / 2]);
        if (way == .fifo) first = half;
        const most = microseconds(sorted[rounds * 99 / 100]);
        std.debug.print("{s:<16} {d:>8.1} {d:>8.1}   {d:>6.2}\n", .{ title, half, most, half / first });
    }
}

fn microseconds(ns: u64) f64 {
    return @as(f64, @floatFromInt(ns)) / 1000;
}
