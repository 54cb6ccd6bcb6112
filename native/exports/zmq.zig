//! Batches of messages for the ZeroMQ door.

const numbers = @import("../numbers.zig");
const Batch = @import("../zmq/batch.zig").Batch;

/// Receives messages. The payloads lie in `out`, all else in the batch. Returns how many there are.
export fn tandem_zmq_receive(socket: f64, batch: *Batch, out: [*]u8, length: u32) i32 {
    return @intCast(batch.receive(socket_at(socket), out[0..length]));
}

/// Sends messages. What became of them is in the batch.
export fn tandem_zmq_send(
    socket: f64,
    batch: *Batch,
    messages: [*]const u8,
    length: u32,
    placed: [*]const u8,
    placed_length: u32,
) void {
    batch.send_all(socket_at(socket), messages[0..length], placed[0..placed_length]);
}

fn socket_at(address: f64) *anyopaque {
    return @ptrFromInt(numbers.address(address));
}
