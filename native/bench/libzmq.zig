//! The functions of libzmq that the load generator calls. The library is loaded when it is needed, so that nothing
//! else needs it.

const std = @import("std");

pub const Context = *opaque {};
pub const Socket = *opaque {};

pub const router = 6;
pub const dealer = 5;

pub const option_more = 13;
pub const option_linger = 17;
pub const option_receive_limit_ms = 27;
pub const option_send_limit_ms = 28;
pub const option_last_endpoint = 32;

pub const send_more = 2;

/// `zmq_msg_t`.
pub const Message = extern struct { bytes: [64]u8 align(8) };

pub const LibZmq = struct {
    zmq_ctx_new: *const fn () callconv(.c) ?Context,
    zmq_socket: *const fn (Context, c_int) callconv(.c) ?Socket,
    zmq_setsockopt: *const fn (Socket, c_int, *const anyopaque, usize) callconv(.c) c_int,
    zmq_getsockopt: *const fn (Socket, c_int, *anyopaque, *usize) callconv(.c) c_int,
    zmq_bind: *const fn (Socket, [*:0]const u8) callconv(.c) c_int,
    zmq_connect: *const fn (Socket, [*:0]const u8) callconv(.c) c_int,
    zmq_send: *const fn (Socket, [*]const u8, usize, c_int) callconv(.c) c_int,
    zmq_recv: *const fn (Socket, [*]u8, usize, c_int) callconv(.c) c_int,
    zmq_msg_init: *const fn (*Message) callconv(.c) c_int,
    zmq_msg_recv: *const fn (*Message, Socket, c_int) callconv(.c) c_int,
    zmq_msg_send: *const fn (*Message, Socket, c_int) callconv(.c) c_int,
    zmq_msg_more: *const fn (*const Message) callconv(.c) c_int,

    pub fn load() LibZmq {
        const file = std.c.dlopen("libzmq.so.5", .{ .NOW = true }) orelse missing();
        var library: LibZmq = undefined;
        inline for (@typeInfo(LibZmq).@"struct".field_names) |name| {
            @field(library, name) = @ptrCast(@alignCast(std.c.dlsym(file, name) orelse missing()));
        }
        return library;
    }

    fn missing() noreturn {
        std.debug.print("bench: cannot load libzmq; install it: apt-get install libzmq5\n", .{});
        std.process.exit(2);
    }

    pub fn set(zmq: *const LibZmq, socket: Socket, option: c_int, value: c_int) void {
        _ = zmq.zmq_setsockopt(socket, option, &value, @sizeOf(c_int));
    }

    pub fn has_more(zmq: *const LibZmq, socket: Socket) bool {
        var more: c_int = 0;
        var size: usize = @sizeOf(c_int);
        _ = zmq.zmq_getsockopt(socket, option_more, &more, &size);
        return more != 0;
    }
};
