//! Many calls of a client with one call from JavaScript.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const client = @import("client.zig");
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const EventLoop = @import("../calls/event_loop.zig").EventLoopType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);

/// Sends requests, up to the first that cannot be sent. Returns how many were sent, and `send_all_nudge`.
export fn tandem_send_all(
    handle_address: f64,
    bytes: [*]const u8,
    calls: [*]abi.BatchCall,
    count: u32,
    flags: u32,
    timeout_ms: f64,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const request = client.request_of(flags, Calls.deadline_after(timeout_ms));
    defer Lifetime.look_after_ring(handle);
    var sent: u32 = 0;
    for (calls[0..count]) |*item| {
        // `tandem_send` tells what is wrong with the request, if it still is.
        const call = (Calls.try_send(handle, bytes[item.offset..][0..item.length], request) catch break) orelse break;
        const generation: u64 = call.generation;
        item.slot = call.slot;
        item.generation_low = @truncate(generation);
        item.generation_high = @truncate(generation >> 32);
        sent += 1;
    }
    return @intCast(if (handle.responsible) sent | abi.send_all_nudge else sent);
}

/// As `tandem_poll`, and gets the answers of these calls. They lie in `out`, which has room for `longest` bytes each;
/// `longer`: an answer has more, and stays where it is.
export fn tandem_get_all(
    handle_address: f64,
    out: [*]u8,
    longest: u32,
    calls: [*]abi.BatchCall,
    count: u32,
) i32 {
    const handle = arguments.handle_at(handle_address);
    var ended: [3 * abi.batch_calls_max]u32 = undefined;
    const count_max: usize = @min(count, abi.batch_calls_max);
    const found = EventLoop.poll(handle, ended[0 .. 3 * count_max]);
    var control: abi.Control = undefined;
    var used: u32 = 0;
    for (calls[0..found], 0..) |*item, index| {
        const slot, const low, const high = ended[3 * index ..][0..3].*;
        const call = arguments.call_of(slot, low, high);
        const status = client.take(handle, call, 0, out + used, longest, &control);
        const length = if (status >= 0 or status == abi.Status.remote.result()) control.length else 0;
        item.* = .{
            .slot = slot,
            .generation_low = low,
            .generation_high = high,
            .offset = used,
            .length = length,
            .status = status,
        };
        used += length;
    }
    return @intCast(found);
}
