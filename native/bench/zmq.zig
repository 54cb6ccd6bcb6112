//! Clients of ZeroMQ: connections of `DEALER` sockets, each with so many requests under way. And an echo in the
//! same process, which shows how many calls the clients can make.

const std = @import("std");
const clock = @import("../platform/sys/clock.zig");
const driver = @import("driver.zig");
const libzmq = @import("libzmq.zig");
const LibZmq = libzmq.LibZmq;

/// Together.
const calls_max = 16 * 1024;
const connections_max = 256;
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
    items: []libzmq.PollItem,
    outstanding: usize,
    /// The sum over all slices.
    sent: u64 = 0,

    const memory = struct {
        var items: [connections_max]libzmq.PollItem = undefined;
        var calls: [calls_max]Call = @splat(.{});
        var payload: [driver.bytes_max]u8 = @splat(7);
        /// Longer than any right answer.
        var answer: [driver.bytes_max + 1]u8 = undefined;
    };

    /// `outstanding` is meant for each connection.
    pub fn open(zmq: *const LibZmq, endpoint: [:0]const u8, connections: usize, outstanding: usize) !Clients {
        if (connections > connections_max or connections * outstanding > calls_max) return error.TooMany;
        const context = zmq.zmq_ctx_new() orelse return error.NoContext;
        for (memory.items[0..connections]) |*item| {
            const socket = zmq.zmq_socket(context, libzmq.dealer) orelse return error.NoSocket;
            zmq.set(socket, libzmq.option_linger, 0);
            zmq.set(socket, libzmq.option_send_limit_ms, patience_ms);
            if (zmq.zmq_connect(socket, endpoint) != 0) return error.CannotConnect;
            item.* = .{ .socket = socket, .events = libzmq.poll_in };
        }
        return .{ .zmq = zmq, .items = memory.items[0..connections], .outstanding = outstanding };
    }

    /// One slice. It begins and ends with nothing under way.
    pub fn run(clients: *Clients, load: driver.Load, histogram: *driver.Histogram) !driver.Ran {
        if (load.bytes < @sizeOf(Mark)) return error.TooShort;
        const duration_ns: u64 = @intFromFloat(load.ms * std.time.ns_per_ms);
        const begin = clock.monotonic_ns();
        var under_way: usize = 0;
        for (clients.items, 0..) |item, index| {
            for (0..clients.outstanding) |turn| {
                try clients.send(item.socket, @intCast(index * clients.outstanding + turn), load);
                under_way += 1;
            }
        }
        var calls: u64 = 0;
        var is_over = false;
        while (under_way > 0) {
            if (clients.zmq.zmq_poll(clients.items.ptr, @intCast(clients.items.len), patience_ms) <= 0) return error.NoAnswer;
            for (clients.items) |item| {
                if (item.revents == 0) continue;
                while (try clients.receive(item.socket, load, histogram)) |call| {
                    calls += 1;
                    if (is_over) under_way -= 1 else try clients.send(item.socket, call, load);
                }
            }
            is_over = is_over or clock.monotonic_ns() - begin >= duration_ns;
        }
        return .{ .calls = calls, .elapsed_ns = clock.monotonic_ns() - begin };
    }

    fn send(clients: *Clients, socket: libzmq.Socket, index: u32, load: driver.Load) !void {
        const call = &memory.calls[index];
        call.* = .{ .number = clients.sent, .is_open = true };
        clients.sent += 1;
        if (call.number % load.timeEvery == 0) call.sent_ns = clock.monotonic_ns();
        const payload = memory.payload[0..load.bytes];
        const mark: Mark = .{ .call = index, .number = call.number };
        @memcpy(payload[0..@sizeOf(Mark)], std.mem.asBytes(&mark));
        if (payload.len > @sizeOf(Mark)) payload[payload.len - 1] = @truncate(call.number);
        if (clients.zmq.zmq_send(socket, payload.ptr, 0, libzmq.send_more) < 0) return error.CannotSend;
        if (clients.zmq.zmq_send(socket, payload.ptr, payload.len, 0) < 0) return error.CannotSend;
    }

    /// Returns which call was answered; null: there is no answer now.
    fn receive(clients: *Clients, socket: libzmq.Socket, load: driver.Load, histogram: *driver.Histogram) !?u32 {
        const answer = &memory.answer;
        const delimiter = clients.zmq.zmq_recv(socket, answer, answer.len, libzmq.dont_wait);
        if (delimiter < 0) return null;
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
