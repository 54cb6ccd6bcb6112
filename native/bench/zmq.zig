//! Clients of ZeroMQ: connections of a `DEALER` socket, each with so many requests under way. And an echo in the
//! same process, which shows how many calls the clients can make.
//!
//! One socket has all connections, and sends requests over them in turn. A socket for each would wake this thread
//! and that of libzmq for every message: half the calls.

const std = @import("std");
const clock = @import("../platform/sys/clock.zig");
const driver = @import("driver.zig");
const libzmq = @import("libzmq.zig");
const LibZmq = libzmq.LibZmq;

/// Together.
const calls_max = 16 * 1024;
/// Nothing is lost here: an answer that takes longer will not come.
const patience_ms = 10_000;

/// The front of each payload.
const Mark = extern struct {
    /// Which of the calls under way it is.
    call: u32,
    /// How many requests were sent before.
    number: u64 align(4),
};

const Call = struct {
    number: u64 = 0,
    /// When it was sent; 0: nobody asks.
    sent_ns: u64 = 0,
    is_open: bool = false,
};

pub const Clients = struct {
    zmq: *const LibZmq,
    socket: libzmq.Socket,
    under_way_max: u32,
    /// The sum over all slices.
    sent: u64 = 0,

    const memory = struct {
        var calls: [calls_max]Call = @splat(.{});
        var payload: [driver.bytes_max]u8 = @splat(7);
        /// Longer than any right answer.
        var answer: [driver.bytes_max + 1]u8 = undefined;
    };

    /// `outstanding` is meant for each connection.
    pub fn open(zmq: *const LibZmq, endpoint: [:0]const u8, connections: u32, outstanding: u32) !Clients {
        if (connections * outstanding > calls_max) return error.TooMany;
        const context = zmq.zmq_ctx_new() orelse return error.NoContext;
        const socket = zmq.zmq_socket(context, libzmq.dealer) orelse return error.NoSocket;
        zmq.set(socket, libzmq.option_linger, 0);
        zmq.set(socket, libzmq.option_send_limit_ms, patience_ms);
        zmq.set(socket, libzmq.option_receive_limit_ms, patience_ms);
        for (0..connections) |_| {
            if (zmq.zmq_connect(socket, endpoint) != 0) return error.CannotConnect;
        }
        return .{ .zmq = zmq, .socket = socket, .under_way_max = connections * outstanding };
    }

    /// One slice. It begins and ends with nothing under way.
    pub fn run(clients: *Clients, load: driver.Load, histogram: *driver.Histogram) !driver.Ran {
        if (load.bytes < @sizeOf(Mark)) return error.TooShort;
        const duration_ns: u64 = @intFromFloat(load.ms * std.time.ns_per_ms);
        const begin = clock.monotonic_ns();
        for (0..clients.under_way_max) |call| try clients.send(@intCast(call), load);
        var under_way = clients.under_way_max;
        var calls: u64 = 0;
        var is_over = false;
        while (under_way > 0) {
            const call = try clients.receive(load, histogram);
            calls += 1;
            // A look at the clock for some calls is enough.
            if (calls % 8 == 0 and clock.monotonic_ns() - begin >= duration_ns) is_over = true;
            if (is_over) under_way -= 1 else try clients.send(call, load);
        }
        return .{ .calls = calls, .elapsed_ns = clock.monotonic_ns() - begin };
    }

    fn send(clients: *Clients, index: u32, load: driver.Load) !void {
        const call = &memory.calls[index];
        call.* = .{ .number = clients.sent, .is_open = true };
        clients.sent += 1;
        if (call.number % load.timeEvery == 0) call.sent_ns = clock.monotonic_ns();
        const payload = memory.payload[0..load.bytes];
        const mark: Mark = .{ .call = index, .number = call.number };
        @memcpy(payload[0..@sizeOf(Mark)], std.mem.asBytes(&mark));
        if (payload.len > @sizeOf(Mark)) payload[payload.len - 1] = @truncate(call.number);
        if (clients.zmq.zmq_send(clients.socket, payload.ptr, 0, libzmq.send_more) < 0) return error.CannotSend;
        if (clients.zmq.zmq_send(clients.socket, payload.ptr, payload.len, 0) < 0) return error.CannotSend;
    }

    /// Returns which call was answered.
    fn receive(clients: *Clients, load: driver.Load, histogram: *driver.Histogram) !u32 {
        const socket = clients.socket;
        const answer = &memory.answer;
        const delimiter = clients.zmq.zmq_recv(socket, answer, answer.len, 0);
        if (delimiter < 0) return error.NoAnswer;
        if (delimiter != 0 or !clients.zmq.has_more(socket)) return error.NotAnEcho;
        const length = clients.zmq.zmq_recv(socket, answer, answer.len, 0);
        if (length != load.bytes or clients.zmq.has_more(socket)) return error.NotAnEcho;
        const mark = std.mem.bytesToValue(Mark, answer[0..@sizeOf(Mark)]);
        if (mark.call >= calls_max) return error.NotAnEcho;
        const call = &memory.calls[mark.call];
        // An answer that comes twice is no answer to an open call.
        if (!call.is_open or call.number != mark.number) return error.NotAnEcho;
        const last: u8 = @truncate(call.number);
        if (load.bytes > @sizeOf(Mark) and answer[load.bytes - 1] != last) return error.NotAnEcho;
        if (call.sent_ns != 0) histogram.add(clock.monotonic_ns() - call.sent_ns);
        call.is_open = false;
        return mark.call;
    }
};

/// Starts an echo in a thread of this process. Returns its endpoint.
pub fn start_echo(zmq: *const LibZmq, endpoint: [:0]const u8) ![:0]const u8 {
    const memory = struct {
        var text: [256]u8 = undefined;
    };
    const context = zmq.zmq_ctx_new() orelse return error.NoContext;
    const socket = zmq.zmq_socket(context, libzmq.router) orelse return error.NoSocket;
    if (zmq.zmq_bind(socket, endpoint) != 0) return error.CannotBind;
    var size: usize = memory.text.len;
    _ = zmq.zmq_getsockopt(socket, libzmq.option_last_endpoint, &memory.text, &size);
    (try std.Thread.spawn(.{}, echo, .{ zmq, socket })).detach();
    return memory.text[0 .. size - 1 :0];
}

/// Sends every frame back as it came. The routing id is the first.
fn echo(zmq: *const LibZmq, socket: libzmq.Socket) void {
    var message: libzmq.Message = undefined;
    _ = zmq.zmq_msg_init(&message);
    while (zmq.zmq_msg_recv(&message, socket, 0) >= 0) {
        const flags: c_int = if (zmq.zmq_msg_more(&message) != 0) libzmq.send_more else 0;
        // On success, libzmq leaves an empty message behind.
        if (zmq.zmq_msg_send(&message, socket, flags) < 0) return;
    }
}
