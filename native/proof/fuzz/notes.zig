//! Changes notes of forwarded requests while other processes read them: whether there is one, where it ends, how
//! long it is, and what it says.

const std = @import("std");
const abi = @import("../../abi.zig");
const layout = @import("../../memory/layout.zig");

/// More slots than this would only use memory.
const slots_max = 8;

pub const names = [_][]const u8{ "note.flag", "note.end", "note.length", "note.byte" };

const length_bytes = 2;
const text_bytes_max = layout.note_bytes_max - length_bytes;

/// Makes one change, and returns the index of its name.
pub fn change(map: *const layout.Map, random: std.Random) usize {
    const index = random.uintLessThan(u32, @min(map.geometry.slots, slots_max));
    const slot = map.slot(index);
    const length = @atomicLoad(u32, &slot.request_length, .monotonic);
    const request = map.request(index, length)[0..@min(length, map.geometry.request_bytes_max(true))];
    const what = random.uintLessThan(usize, names.len);
    switch (what) {
        0 => @atomicStore(u32, &slot.request_flags, @atomicLoad(u32, &slot.request_flags, .monotonic) ^ abi.request_forwarded, .monotonic),
        1 => @atomicStore(u32, &slot.request_length, end(map, length, random), .monotonic),
        2 => if (request.len >= length_bytes) write_length(request[request.len - length_bytes ..][0..length_bytes], request.len, random),
        else => if (request.len > 0) {
            const from = request.len -| layout.note_bytes_max;
            const place = &request[from + random.uintLessThan(usize, request.len - from)];
            @atomicStore(u8, place, if (random.boolean()) '\n' else random.int(u8), .monotonic);
        },
    }
    return what;
}

fn end(map: *const layout.Map, length: u32, random: std.Random) u32 {
    const ends = [_]u32{
        0,                                    length_bytes,
        length +% 1,                          length -% 1,
        layout.inline_request_bytes,          layout.inline_request_bytes + 1,
        map.geometry.max_request_bytes,       map.geometry.max_request_bytes + 1,
        map.geometry.request_bytes_max(true), map.geometry.request_bytes_max(true) + 1,
        1 << 20,                              std.math.maxInt(u32),
    };
    return ends[random.uintLessThan(usize, ends.len)];
}

fn write_length(bytes: *[length_bytes]u8, request_length: usize, random: std.Random) void {
    const before: u16 = @truncate(request_length - length_bytes);
    const lengths = [_]u16{ 0, 1, before, before +% 1, before -% 1, text_bytes_max, text_bytes_max + 1, std.math.maxInt(u16) };
    const length = lengths[random.uintLessThan(usize, lengths.len)];
    @atomicStore(u8, &bytes[0], @truncate(length), .monotonic);
    @atomicStore(u8, &bytes[1], @truncate(length >> 8), .monotonic);
}
