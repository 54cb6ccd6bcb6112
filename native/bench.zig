//! Comparisons of the benchmarks that JavaScript cannot measure: the limit, the channel without a runtime, and
//! the kernel's own means. `zig build bench`; started by bench/run.ts.
//!
//!     bench ping-pong                     two words of shared memory, nothing else: the limit
//!     bench call TARGET, serve TARGET     the two sides of the control: a channel's echo
//!     bench window TARGET COUNT           as `call`, with COUNT calls under way
//!     bench in-place TARGET               as `call`, the payload written where it is read
//!     bench attach TARGET client|server   attaches and does nothing else
//!     bench zmq ENDPOINT CONNECTIONS OUTSTANDING        clients of ZeroMQ, with so many calls under way on each connection
//!     bench zmq-echo ENDPOINT CONNECTIONS OUTSTANDING   the same, with an echo at ENDPOINT in this process
//!     bench wake [ROUNDS]                 how fast each way of ringing wakes an event loop; by hand
//!     bench pipe|socketpair|broker|tcp|sysv     blocking echo through the kernel

const std = @import("std");
const channel = @import("bench/channel.zig");
const driver = @import("bench/driver.zig");
const drive = driver.drive;
const kernel = @import("bench/kernel.zig");
const LibZmq = @import("bench/libzmq.zig").LibZmq;
const PingPong = @import("bench/ping_pong.zig").PingPong;
const zmq = @import("bench/zmq.zig");

pub fn main(init: std.process.Init) !void {
    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    const mode = if (arguments.len > 1) arguments[1] else "";
    if (std.mem.eql(u8, mode, "wake")) {
        const rounds = if (arguments.len > 2) try std.fmt.parseInt(u32, arguments[2], 10) else 2000;
        return @import("bench/wake.zig").run(rounds);
    }
    if (arguments.len == 2) {
        if (std.mem.eql(u8, mode, "ping-pong")) {
            var echo = try PingPong.start();
            return drive(&echo);
        }
        if (std.meta.stringToEnum(kernel.Transport, mode)) |transport| return kernel.run(transport);
    }
    if (arguments.len >= 3) {
        const target = arguments[2];
        if (std.mem.eql(u8, mode, "serve")) return channel.serve(target);
        if (std.mem.eql(u8, mode, "call")) {
            var echo = try channel.Echo.open(target);
            return drive(&echo);
        }
        if (std.mem.eql(u8, mode, "in-place")) {
            var echo = try channel.InPlace.open(target);
            return drive(&echo);
        }
        if (std.mem.eql(u8, mode, "window") and arguments.len == 4) {
            const count = try std.fmt.parseInt(u16, arguments[3], 10);
            var echo = try channel.Window.open(target, @min(count, channel.Window.outstanding_max));
            return drive(&echo);
        }
        if (std.mem.eql(u8, mode, "attach") and arguments.len == 4) {
            return channel.attach(target, std.mem.eql(u8, arguments[3], "server"));
        }
        if (arguments.len == 5 and std.mem.startsWith(u8, mode, "zmq")) {
            const connections = try std.fmt.parseInt(u16, arguments[3], 10);
            const outstanding = try std.fmt.parseInt(u16, arguments[4], 10);
            const library: LibZmq = .load();
            const is_echo = std.mem.eql(u8, mode, "zmq-echo");
            const endpoint = if (is_echo) try zmq.start_echo(&library, target) else target;
            var clients: zmq.Clients = try .open(&library, endpoint, connections, outstanding);
            return driver.drive_slices(&clients);
        }
    }
    std.debug.print("bench: a part of the benchmarks, which bench/run.ts starts; see native/bench.zig\n", .{});
    std.process.exit(2);
}
