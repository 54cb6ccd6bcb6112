//! Many messages of ZeroMQ with one call from JavaScript. A message has several frames, and each takes several
//! functions of libzmq. The library does not know libzmq: the caller passes the functions.

const std = @import("std");

/// `zmq_msg_t`.
const Message = extern struct { bytes: [64]u8 align(8) };

/// Messages of one batch.
pub const messages_max = 64;

/// In the length of a routing id: the payload lies elsewhere.
pub const is_placed: u32 = 1 << 31;

/// What a message is.
pub const Kind = enum(u32) {
    /// An empty frame, then one with the payload.
    plain,
    /// More frames follow the payload: they were dropped.
    several,
    /// Anything else: the frames behind the first one are still to be received.
    odd,
};

pub const Record = extern struct {
    /// The address that messages of one connection have in common.
    object: f64 = 0,
    /// Where the payload begins.
    offset: u32 = 0,
    /// Of the payload; more than `payload_max` if that was too short.
    length: u32 = 0,
    kind: u32 = 0,
    padding: u32 = 0,
};

/// What the caller and this file share.
pub const Batch = extern struct {
    records: [messages_max]Record,
    /// Two for each record: the routing id, and the frame behind it.
    messages: [2 * messages_max]Message,
    msg_recv: *const fn (*Message, *anyopaque, c_int) callconv(.c) c_int,
    msg_size: *const fn (*const Message) callconv(.c) usize,
    msg_gets: *const fn (*const Message, [*:0]const u8) callconv(.c) ?*const anyopaque,
    recv: *const fn (*anyopaque, [*]u8, usize, c_int) callconv(.c) c_int,
    send: *const fn (*anyopaque, [*]const u8, usize, c_int) callconv(.c) c_int,
    getsockopt: *const fn (*anyopaque, c_int, *anyopaque, *usize) callconv(.c) c_int,
    errno: *const fn () callconv(.c) c_int,
    /// The longest payload; 0: every message is odd.
    payload_max: u32,
    /// So many bytes behind each payload stay free.
    room: u32,
    /// What became of the messages that were sent last.
    sent: u32,
    full: u32,
    unreachable_count: u32,
    padding: u32,

    /// Receives messages as long as there are any, and room for another one. Never waits.
    pub fn receive(batch: *Batch, socket: *anyopaque, out: []u8) u32 {
        const need = @as(usize, batch.payload_max) + batch.room;
        var used: usize = 0;
        for (&batch.records, 0..) |*record, index| {
            if (out.len - used < need) return @intCast(index);
            const first = &batch.messages[2 * index + 1];
            if (batch.msg_recv(&batch.messages[2 * index], socket, dont_wait) < 0) return @intCast(index);
            if (batch.msg_recv(first, socket, dont_wait) < 0) return @intCast(index);
            record.* = .{
                .object = @floatFromInt(@intFromPtr(batch.msg_gets(first, "Peer-Address"))),
                .offset = @intCast(used),
            };
            if (batch.payload_max == 0 or batch.msg_size(first) != 0 or !batch.has_more(socket)) {
                record.kind = @backingInt(Kind.odd);
                return @intCast(index + 1);
            }
            const length = batch.recv(socket, out[used..].ptr, batch.payload_max, dont_wait);
            record.length = @intCast(@max(length, 0));
            if (batch.has_more(socket)) {
                record.kind = @backingInt(Kind.several);
                var byte: [1]u8 = undefined;
                while (batch.has_more(socket) and batch.recv(socket, &byte, byte.len, dont_wait) >= 0) {}
            }
            used += std.mem.alignForward(usize, @min(record.length, batch.payload_max) + batch.room, 64);
            used = @min(used, out.len);
        }
        return messages_max;
    }

    fn has_more(batch: *const Batch, socket: *anyopaque) bool {
        var more: c_int = 0;
        var size: usize = @sizeOf(c_int);
        return batch.getsockopt(socket, option_more, &more, &size) == 0 and more != 0;
    }

    /// Sends messages, each as two lengths u32, the routing id and the payload, both filled up to four bytes. With
    /// `is_placed` in the first length, where the payload lies in `placed` stands in its place. An empty frame goes
    /// between them.
    pub fn send_all(batch: *Batch, socket: *anyopaque, messages: []const u8, placed: []const u8) void {
        batch.sent = 0;
        batch.full = 0;
        batch.unreachable_count = 0;
        var rest = messages;
        while (rest.len >= 8) {
            const first = std.mem.readInt(u32, rest[0..4], .little);
            const id_length = first & ~is_placed;
            const length = std.mem.readInt(u32, rest[4..8], .little);
            const payload_at = 8 + std.mem.alignForward(usize, id_length, 4);
            const lies_elsewhere = first & is_placed != 0;
            const end = payload_at + if (lies_elsewhere) 4 else std.mem.alignForward(usize, length, 4);
            if (end > rest.len) return;
            const payload = if (lies_elsewhere)
                placed[std.mem.readInt(u32, rest[payload_at..][0..4], .little)..][0..length]
            else
                rest[payload_at..][0..length];
            batch.send_one(socket, rest[8..][0..id_length], payload);
            rest = rest[end..];
        }
    }

    fn send_one(batch: *Batch, socket: *anyopaque, id: []const u8, payload: []const u8) void {
        // Only the first frame can be refused: it says where the others go.
        if (batch.send(socket, id.ptr, id.len, dont_wait | send_more) < 0) {
            const count = if (batch.errno() == again) &batch.full else &batch.unreachable_count;
            count.* += 1;
            return;
        }
        _ = batch.send(socket, id.ptr, 0, dont_wait | send_more);
        _ = batch.send(socket, payload.ptr, payload.len, dont_wait);
        batch.sent += 1;
    }
};

const dont_wait = 1;
const send_more = 2;
const option_more = 13;
const again = 11;

/// Stands for a socket: messages that can be received, and what was sent.
const Fake = struct {
    frames: []const ?[]const u8,
    has_more: bool = false,
    sent: [8][]const u8 = undefined,
    sent_count: usize = 0,
    refuses: ?c_int = null,

    threadlocal var failure: c_int = 0;

    fn of(socket: *anyopaque) *Fake {
        return @ptrCast(@alignCast(socket));
    }

    /// Null ends a message.
    fn next(fake: *Fake) ?[]const u8 {
        if (fake.frames.len == 0) return null;
        const frame = fake.frames[0].?;
        fake.has_more = fake.frames[1] != null;
        fake.frames = fake.frames[if (fake.has_more) 1 else 2..];
        return frame;
    }

    fn msg_recv(message: *Message, socket: *anyopaque, _: c_int) callconv(.c) c_int {
        const frame = of(socket).next() orelse return -1;
        std.mem.writeInt(usize, message.bytes[0..8], frame.len, .little);
        return @intCast(frame.len);
    }
    fn msg_size(message: *const Message) callconv(.c) usize {
        return std.mem.readInt(usize, message.bytes[0..8], .little);
    }
    fn msg_gets(_: *const Message, _: [*:0]const u8) callconv(.c) ?*const anyopaque {
        return null;
    }
    fn recv(socket: *anyopaque, out: [*]u8, room: usize, _: c_int) callconv(.c) c_int {
        const frame = of(socket).next() orelse return -1;
        const length = @min(frame.len, room);
        @memcpy(out[0..length], frame[0..length]);
        return @intCast(frame.len);
    }
    fn send(socket: *anyopaque, bytes: [*]const u8, length: usize, _: c_int) callconv(.c) c_int {
        const fake = of(socket);
        if (fake.refuses) |reason| {
            failure = reason;
            return -1;
        }
        fake.sent[fake.sent_count] = bytes[0..length];
        fake.sent_count += 1;
        return @intCast(length);
    }
    fn getsockopt(socket: *anyopaque, _: c_int, value: *anyopaque, _: *usize) callconv(.c) c_int {
        @as(*c_int, @ptrCast(@alignCast(value))).* = @intFromBool(of(socket).has_more);
        return 0;
    }
    fn errno() callconv(.c) c_int {
        return failure;
    }

    fn batch() Batch {
        var made: Batch = undefined;
        made.msg_recv = msg_recv;
        made.msg_size = msg_size;
        made.msg_gets = msg_gets;
        made.recv = recv;
        made.send = send;
        made.getsockopt = getsockopt;
        made.errno = errno;
        made.payload_max = 4;
        made.room = 3;
        return made;
    }
};

test "plain messages come together, and an odd one is the last" {
    var fake: Fake = .{ .frames = &.{
        "id", "",     "work",     null,
        "id", "",     "long one", null,
        "id", "",     "a",        "b",
        "c",  null,   "id",       "label",
        "",   "x",    null,       "id",
        "",   "next", null,
    } };
    var batch = Fake.batch();
    var out: [1024]u8 = @splat('.');
    try std.testing.expectEqual(4, batch.receive(&fake, &out));
    const kinds = [_]Kind{ .plain, .plain, .several, .odd };
    for (kinds, batch.records[0..4]) |kind, record| try std.testing.expectEqual(@backingInt(kind), record.kind);
    try std.testing.expectEqual(4, batch.records[0].length);
    try std.testing.expectEqual(8, batch.records[1].length);
    try std.testing.expectEqualStrings("work...", out[batch.records[0].offset..][0..7]);
    // What is too long does not reach the room behind it.
    try std.testing.expectEqualStrings("long...", out[batch.records[1].offset..][0..7]);
    // The rest of the odd message is still there.
    try std.testing.expectEqualStrings("", fake.next().?);
    try std.testing.expectEqualStrings("x", fake.next().?);
    try std.testing.expectEqual(1, batch.receive(&fake, &out));
    try std.testing.expectEqual(0, batch.receive(&fake, &out));
}

test "a message without a payload is odd, and without room none is received" {
    var fake: Fake = .{ .frames = &.{ "id", "", null, "id", "", "work", null } };
    var batch = Fake.batch();
    var out: [64 + 7]u8 = undefined;
    try std.testing.expectEqual(0, batch.receive(&fake, out[0..6]));
    try std.testing.expectEqual(1, batch.receive(&fake, &out));
    try std.testing.expectEqual(@backingInt(Kind.odd), batch.records[0].kind);
    try std.testing.expectEqual(1, batch.receive(&fake, out[0..7]));
}

test "messages are sent whole, or counted" {
    var fake: Fake = .{ .frames = &.{} };
    var batch = Fake.batch();
    const messages = "\x02\x00\x00\x00\x05\x00\x00\x00idxxhelloxxx";
    const placed = "\x02\x00\x00\x80\x05\x00\x00\x00idxx\x03\x00\x00\x00";
    batch.send_all(&fake, messages ++ placed, "...hello");
    try std.testing.expectEqual(2, batch.sent);
    for ([_][]const u8{ "id", "", "hello", "id", "", "hello" }, fake.sent[0..6]) |wanted, sent| try std.testing.expectEqualStrings(wanted, sent);
    fake.refuses = again;
    batch.send_all(&fake, messages, "");
    try std.testing.expectEqual([_]u32{ 0, 1, 0 }, [_]u32{ batch.sent, batch.full, batch.unreachable_count });
    fake.refuses = 113;
    batch.send_all(&fake, messages, "");
    try std.testing.expectEqual([_]u32{ 0, 0, 1 }, [_]u32{ batch.sent, batch.full, batch.unreachable_count });
}
