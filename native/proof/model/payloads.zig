//! The bytes of requests and answers: both halves name the call, so that a torn message shows.

const memory = @import("memory.zig");
const say = memory.say;

pub const request_mark: u64 = 0xc0;

pub const response_mark: u64 = 0x5e;

pub fn half_of(mark: u64, call: u8, server: u8, half: u64) u64 {
    return mark << 32 | @as(u64, server) << 16 | @as(u64, call) << 8 | half;
}

/// The call that half of a request belongs to.
pub fn call_of(half: u64) u8 {
    return @truncate(half >> 8);
}

pub fn payload(mark: u64, call: u8, server: u8) [memory.payload_bytes]u8 {
    return @bitCast([2]u64{ half_of(mark, call, server, 0), half_of(mark, call, server, 1) });
}

/// The bytes are zeroed afterwards: leftovers on the stack would distinguish equal moments.
pub fn check_answer(bytes: *[memory.payload_bytes]u8, call: u8) void {
    const halves: [2]u64 = @bitCast(bytes.*);
    const server: u8 = @truncate(halves[0] >> 16);
    if (halves[0] != half_of(response_mark, call, server, 0)) say(.{ .wrong = "a client got an answer that is not its own" });
    if (halves[1] != half_of(response_mark, call, server, 1)) say(.{ .wrong = "a client got a torn answer" });
}
