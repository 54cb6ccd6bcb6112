//! Executes commands, one a line on stdin, and answers each with one line: the number that the library returned,
//! or why the command makes no sense. The driver decides what it prepares and what it counts.
//!
//! `H` and `C` are digits that name handles and calls. A payload is a number, for that many bytes of a pattern,
//! or any other word, which is sent as text.
//!
//! ```
//! arm N                                die at the N-th point from here on; 0: only count
//! disarm                               the points passed, this being the last
//! stop-clock                           time passes only in sleeps from here on, see clock.zig
//! open H ROLE MODE TARGET [SLOTS BYTES DELIVERIES]     client|server, attach|create|new|anonymous|quiet
//! close H · unlink TARGET · clear H · sweep H · nudge H
//! send H C PAYLOAD DELIVERIES TIMEOUT [one-way] [block] [watched]
//! request H PAYLOAD DELIVERIES TIMEOUT
//! ready H C TIMEOUT · get H C TIMEOUT · cancel H C keep|release|time-out|draft
//! allocate H C LENGTH · publish H C LENGTH DELIVERIES TIMEOUT [one-way]
//! call C SLOT LOW HIGH                 a call of another process
//! receive H C TIMEOUT · reserve H C LENGTH · reply H C PAYLOAD|echo · fail H C
//! bell H fifo|datagram · linger H [requests] · lie-down H [requests] [room] · get-up H
//! watch H · hung-up H · keep-watch H · follow H · board H LENGTH
//! watch-call H C · poll H
//! notify-fd H · adopt H own|peer · drain H · notify H
//! sleep MILLISECONDS
//! open-limit H MODE TARGET · terms H MAX · want H [shared] [steal] [try] · look H · await H TIMEOUT
//! withdraw H · release H · resize H MAX · contenders H · sleepers H
//! ```
//!
//! The remaining commands produce rare states immediately, see stage.zig.

const std = @import("std");
const abi = @import("../../abi.zig");
const clock = @import("clock.zig");
const layout = @import("../../memory/layout.zig");
const library = @import("library.zig");
const point = @import("point.zig");
const stage = @import("stage.zig");
const words = @import("../../memory/words.zig");
const Handle = @import("../../handle.zig").Handle;
const linux = std.os.linux;

/// Longer than any payload of a driver.
const payload_bytes_max = 1 << 20;

/// One of the handles that the process may have.
const Opened = struct { address: f64 = 0, base: f64 = 0 };

var opened: [10]Opened = @splat(.{});
var calls: [10]stage.Call = undefined;
var payload: [payload_bytes_max]u8 = undefined;
var out: [payload_bytes_max]u8 = undefined;
var path: [4096]u8 = undefined;
var control: abi.Control = .{};

/// Runs until stdin ends.
pub fn run() void {
    var line: [8192]u8 = undefined;
    while (read_line(&line)) |command| {
        var buffer: [128]u8 = undefined;
        if (obey(command)) |result| {
            say(std.fmt.bufPrint(&buffer, "{d}\n", .{result}) catch unreachable);
        } else |err| {
            say(std.fmt.bufPrint(&buffer, "{s}\n", .{@errorName(err)}) catch unreachable);
        }
    }
}

/// Byte by byte: a further command stays in the pipe, while a buffer would be state of the process.
fn read_line(line: []u8) ?[]u8 {
    for (line, 0..) |*byte, length| {
        const stdin = 0;
        if (linux.read(stdin, @ptrCast(byte), 1) != 1) return null;
        if (byte.* == '\n') return line[0..length];
    }
    return null;
}

fn say(text: []const u8) void {
    const stdout = 1;
    _ = linux.write(stdout, text.ptr, text.len);
}

const Word = enum {
    arm,
    disarm,
    @"stop-clock",
    open,
    close,
    unlink,
    clear,
    sweep,
    nudge,
    send,
    request,
    ready,
    get,
    cancel,
    allocate,
    publish,
    call,
    receive,
    reserve,
    reply,
    fail,
    bell,
    linger,
    @"lie-down",
    @"get-up",
    watch,
    @"hung-up",
    @"keep-watch",
    follow,
    board,
    @"watch-call",
    poll,
    @"notify-fd",
    adopt,
    drain,
    notify,
    sleep,
    @"open-limit",
    terms,
    want,
    look,
    await,
    withdraw,
    release,
    resize,
    contenders,
    sleepers,
    churn,
    repeat,
    @"insert-next",
    @"post-uninserted",
    crowd,
};

const Arguments = struct {
    rest: std.mem.SplitIterator(u8, .scalar),

    fn word(arguments: *Arguments) ![]const u8 {
        return arguments.rest.next() orelse error.MissingArgument;
    }

    fn choice(arguments: *Arguments, comptime Enum: type) !Enum {
        return std.meta.stringToEnum(Enum, try arguments.word()) orelse error.UnknownWord;
    }

    fn number(arguments: *Arguments) !u64 {
        return std.fmt.parseInt(u64, try arguments.word(), 10);
    }

    fn small(arguments: *Arguments) !u32 {
        return std.fmt.parseInt(u32, try arguments.word(), 10);
    }

    /// Milliseconds; `-` means no deadline.
    fn time(arguments: *Arguments) !f64 {
        const text = try arguments.word();
        if (std.mem.eql(u8, text, "-")) return nothing;
        return std.fmt.parseFloat(f64, text);
    }

    fn opened_handle(arguments: *Arguments) !*Opened {
        const index = try arguments.small();
        return if (index < opened.len) &opened[index] else error.OutOfRange;
    }

    fn handle(arguments: *Arguments) !f64 {
        const found = try arguments.opened_handle();
        return if (found.address == 0) error.NotOpen else found.address;
    }

    fn call(arguments: *Arguments) !*stage.Call {
        const index = try arguments.small();
        return if (index < calls.len) &calls[index] else error.OutOfRange;
    }

    /// Which of these words follow.
    fn flags(arguments: *Arguments, comptime Flag: type) !u32 {
        var result: u32 = 0;
        while (arguments.rest.next()) |text| {
            const flag = std.meta.stringToEnum(Flag, text) orelse return error.UnknownWord;
            result |= @backingInt(flag);
        }
        return result;
    }
};

const nothing = std.math.nan(f64);

const SendFlag = enum(u32) {
    @"one-way" = abi.send_one_way,
    block = abi.send_block,
    watched = abi.send_watched,
    forwarded = abi.send_forwarded,
};

const WantFlag = enum(u32) { shared = abi.limit_shared, steal = abi.limit_steal, @"try" = abi.limit_try };

const ArmFlag = enum(u32) { requests = abi.arm_requests, room = abi.arm_room };

const OpenMode = enum(u32) {
    attach = 0,
    create = abi.open_or_create,
    new = abi.open_create_new,
    anonymous = abi.open_anonymous,
    quiet = abi.open_quiet,
};

const Role = enum(u32) { client = 0, server = abi.open_role_server };

const CancelMode = enum(u32) {
    keep = abi.cancel_keep_answer,
    release = abi.cancel_release,
    @"time-out" = abi.cancel_timed_out,
    draft = abi.cancel_draft,
};

const BellKind = enum(u32) { fifo = abi.bell_fifo, datagram = abi.bell_datagram };

fn obey(command: []const u8) !i64 {
    var arguments: Arguments = .{ .rest = std.mem.splitScalar(u8, command, ' ') };
    switch (try arguments.choice(Word)) {
        .arm => {
            point.arm(try arguments.number());
            return 0;
        },
        .disarm => return @intCast(point.disarm()),
        .@"stop-clock" => {
            clock.stop();
            return 0;
        },
        .open => return open(&arguments),
        .close => {
            const place = try arguments.opened_handle();
            if (place.address == 0) return error.NotOpen;
            library.tandem_close(place.address, 0);
            place.* = .{};
            return 0;
        },
        .unlink => {
            const target = try arguments.word();
            return library.tandem_unlink(target.ptr, @intCast(target.len), &control);
        },
        .clear => return library.tandem_clear(try arguments.handle()),
        .sweep => return library.tandem_sweep(try arguments.handle()),
        .nudge => return library.tandem_nudge(try arguments.handle()),
        .send => return send(&arguments),
        .request => return request(&arguments),
        .ready => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            return library.tandem_ready(handle, call.slot, call.low, call.high, try arguments.time(), &control);
        },
        .get => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            const timeout = try arguments.time();
            return library.tandem_get(handle, call.slot, call.low, call.high, timeout, &out, out.len, &control);
        },
        .cancel => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            const mode = try arguments.choice(CancelMode);
            return library.tandem_cancel(handle, call.slot, call.low, call.high, @backingInt(mode));
        },
        .allocate => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            return kept(call, library.tandem_allocate(handle, try arguments.small(), &control));
        },
        .publish => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            const length = try arguments.small();
            const deliveries = try arguments.small();
            const timeout = try arguments.time();
            const flags = try arguments.flags(SendFlag) | deliveries << abi.send_deliveries_shift;
            return library.tandem_publish(handle, call.slot, call.low, call.high, length, flags, timeout);
        },
        .call => {
            const call = try arguments.call();
            call.* = .{
                .slot = try arguments.small(),
                .low = try arguments.small(),
                .high = try arguments.small(),
                .length = 0,
            };
            return 0;
        },
        .receive => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            return kept(call, library.tandem_receive(handle, try arguments.time(), &control));
        },
        .reserve => {
            const handle = try arguments.handle();
            return library.tandem_reserve(handle, (try arguments.call()).slot, try arguments.small());
        },
        .reply => return reply(&arguments),
        .fail => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            const kind = @backingInt(words.AnswerKind.remote_error);
            const failure = "{}";
            return library.tandem_reply(handle, call.slot, call.low, call.high, failure, failure.len, kind);
        },
        .bell => {
            const handle = try arguments.handle();
            return made(library.tandem_bell(handle, @backingInt(try arguments.choice(BellKind))));
        },
        .linger => {
            const handle = try arguments.handle();
            return library.tandem_linger(handle, try arguments.flags(ArmFlag));
        },
        .@"lie-down" => {
            const handle = try arguments.handle();
            return library.tandem_arm(handle, try arguments.flags(ArmFlag));
        },
        .@"get-up" => {
            library.tandem_disarm(try arguments.handle());
            return 0;
        },
        .watch => return watch(try arguments.handle()),
        .@"hung-up" => return hung_up(try arguments.handle()),
        .@"keep-watch" => {
            library.tandem_keep_watch(try arguments.handle());
            return 0;
        },
        .follow => {
            library.tandem_follow_boards(try arguments.handle());
            return 0;
        },
        .board => {
            const handle = try arguments.handle();
            return library.tandem_board_write(handle, &payload, try arguments.small(), &control);
        },
        .@"watch-call" => {
            const handle = try arguments.handle();
            const call = try arguments.call();
            return library.tandem_watch_call(handle, call.slot, call.low, call.high);
        },
        .poll => {
            var found: [30]u32 = undefined;
            return library.tandem_poll(try arguments.handle(), &found, found.len);
        },
        .@"notify-fd" => return made(library.tandem_notify_fd(try arguments.handle())),
        .adopt => {
            const handle = try arguments.handle();
            const whose = try arguments.choice(enum { own, peer });
            // As one that a related process has made.
            const fd: u32 = @intCast(linux.eventfd(0, linux.EFD.NONBLOCK));
            return library.tandem_adopt_notify(handle, fd, @backingInt(whose));
        },
        .drain => {
            library.tandem_drain_notify(try arguments.handle());
            return 0;
        },
        .notify => {
            library.tandem_notify(try arguments.handle());
            return 0;
        },
        .sleep => {
            clock.sleep_ns(std.time.ns_per_ms * try arguments.number());
            return 0;
        },
        .@"open-limit" => return open_limit(&arguments),
        .terms => {
            const handle = try arguments.handle();
            return library.tandem_limit_terms(handle, try arguments.small(), 0, &control);
        },
        .want => {
            const handle = try arguments.handle();
            return library.tandem_limit_request(handle, try arguments.flags(WantFlag), abi.limit_no_standby, &control);
        },
        .look => return library.tandem_limit_look(try arguments.handle(), &control),
        .await => {
            const handle = try arguments.handle();
            return library.tandem_limit_wait(handle, try arguments.time(), &control);
        },
        .withdraw => return library.tandem_limit_withdraw(try arguments.handle(), &control),
        .release => return library.tandem_limit_release(try arguments.handle()),
        .resize => {
            const handle = try arguments.handle();
            return library.tandem_limit_resize(handle, try arguments.small());
        },
        .contenders => {
            var list: [40 * std.meta.fieldNames(abi.LimitField).len]f64 = undefined;
            return library.tandem_limit_list(try arguments.handle(), &list, list.len, &control);
        },
        .sleepers => return stage.sleepers(native(try arguments.handle())),
        .churn => {
            const handle = native(try arguments.handle());
            return stage.churn(handle, try arguments.small());
        },
        .repeat => {
            const handle = native(try arguments.handle());
            const call = try arguments.call();
            return stage.repeat(handle, call.*, try arguments.small());
        },
        .@"insert-next" => {
            const handle = native(try arguments.handle());
            return stage.insert_next(handle, (try arguments.call()).*);
        },
        .@"post-uninserted" => {
            const handle = native(try arguments.handle());
            return stage.post_uninserted(handle, (try arguments.call()).*);
        },
        .crowd => {
            const handle = native(try arguments.handle());
            const state = try arguments.choice(words.ParticipantState);
            return stage.crowd(handle, state, try arguments.small());
        },
    }
}

fn native(address: f64) *Handle {
    return @ptrFromInt(@as(usize, @intFromFloat(address)));
}

/// Reports only that there is a descriptor.
fn made(descriptor: i32) i32 {
    return @min(descriptor, 0);
}

/// Remembers the call that the library has returned.
fn kept(call: *stage.Call, result: i32) i32 {
    if (result > 0) call.* = .{
        .slot = control.slot,
        .low = control.generation_low,
        .high = control.generation_high,
        .length = control.length,
    };
    return result;
}

fn open(arguments: *Arguments) !i64 {
    const place = try arguments.opened_handle();
    const role = try arguments.choice(Role);
    const mode = try arguments.choice(OpenMode);
    const target = try arguments.word();
    const sized = arguments.rest.peek() != null;
    const slots: f64 = if (sized) try arguments.time() else nothing;
    const bytes: f64 = if (sized) try arguments.time() else nothing;
    const deliveries: f64 = if (sized) try arguments.time() else nothing;
    const options: abi.Options = .{
        .slots = slots,
        .max_request_bytes = bytes,
        .max_response_bytes = bytes,
        .max_deliveries = deliveries,
    };
    const operation = @backingInt(role) | @backingInt(mode);
    const result = library.tandem_open(target.ptr, @intCast(target.len), operation, &options, &control, &path);
    if (result == 0) place.* = .{ .address = control.handle, .base = control.base };
    return result;
}

fn open_limit(arguments: *Arguments) !i64 {
    const place = try arguments.opened_handle();
    const mode = try arguments.choice(OpenMode);
    const target = try arguments.word();
    const operation = abi.open_kind_limit | @backingInt(mode);
    const result = library.tandem_open(target.ptr, @intCast(target.len), operation, &.{}, &control, &path);
    if (result == 0) place.* = .{ .address = control.handle, .base = control.base };
    return result;
}

/// The bytes of a payload, and the flag of a text.
fn payload_of(arguments: *Arguments) !struct { bytes: []const u8, flags: u32 } {
    const word = try arguments.word();
    const length = std.fmt.parseInt(u32, word, 10) catch return .{ .bytes = word, .flags = abi.send_text };
    if (length > payload.len) return error.OutOfRange;
    for (payload[0..length], 0..) |*byte, index| byte.* = @truncate(index *% 31 +% 7);
    return .{ .bytes = payload[0..length], .flags = 0 };
}

fn send(arguments: *Arguments) !i64 {
    const handle = try arguments.handle();
    const call = try arguments.call();
    const request_ = try payload_of(arguments);
    const deliveries = try arguments.small();
    const timeout = try arguments.time();
    const flags = try arguments.flags(SendFlag) | request_.flags | deliveries << abi.send_deliveries_shift;
    const bytes = request_.bytes;
    return kept(call, library.tandem_send(handle, bytes.ptr, @intCast(bytes.len), flags, timeout, &control));
}

fn request(arguments: *Arguments) !i64 {
    const handle = try arguments.handle();
    const request_ = try payload_of(arguments);
    const flags = request_.flags | try arguments.small() << abi.send_deliveries_shift;
    const timeout = try arguments.time();
    const bytes = request_.bytes;
    const length: u32 = @intCast(bytes.len);
    const result = library.tandem_request(handle, bytes.ptr, length, flags, timeout, &out, out.len, &control);
    if (result >= 0 and !std.mem.eql(u8, bytes, out[0..@intCast(result)])) return error.WrongAnswer;
    return result;
}

fn reply(arguments: *Arguments) !i64 {
    const place = try arguments.opened_handle();
    if (place.address == 0) return error.NotOpen;
    const call = try arguments.call();
    const handle = native(place.address);
    var bytes: []const u8 = handle.map.request(call.slot, call.length)[0..call.length];
    if (!std.mem.eql(u8, arguments.rest.peek() orelse "", "echo")) bytes = (try payload_of(arguments)).bytes;
    const kind = @backingInt(words.AnswerKind.bytes);
    const length: u32 = @intCast(bytes.len);
    return library.tandem_reply(place.address, call.slot, call.low, call.high, bytes.ptr, length, kind);
}

/// The kernel has hung up on a participant: looks at all watched ones. 1: at least one is gone.
fn hung_up(handle: f64) i64 {
    var gone: i64 = 0;
    for (0..layout.participants_max) |index| {
        if (native(handle).watched[index] == 0) continue;
        gone |= library.tandem_hung_up(handle, @intCast(index), 0);
    }
    return gone;
}

/// As an event loop before it sleeps: connects to each participant that can be watched.
fn watch(handle: f64) i64 {
    while (true) {
        const result = library.tandem_watch_next(handle, &control);
        if (result < 0) return result;
    }
}
