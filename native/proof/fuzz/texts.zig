//! Changes payloads while other processes read them: texts of the same length in bytes, but not in
//! characters.

const layout = @import("../../memory/layout.zig");

/// More areas than this would only use memory.
const areas_max = 16;

pub const Text = enum { ascii, euros };

/// Fills the areas of the first slots, and their space for short messages.
pub fn fill(map: *const layout.Map, text: Text) void {
    const geometry = &map.geometry;
    for (0..@min(geometry.slots, areas_max)) |index| {
        const slot = map.slot(@intCast(index));
        write(&slot.request_inline, text);
        write(&slot.response_inline, text);
        const areas: [*]u8 = @ptrFromInt(@intFromPtr(map.base) + geometry.dense_bytes + index * geometry.area_stride);
        write(areas[0..geometry.area_stride], text);
    }
}

fn write(bytes: []u8, text: Text) void {
    switch (text) {
        .ascii => @memset(bytes, 'a'),
        .euros => for (bytes, 0..) |*byte, index| {
            byte.* = "€"[index % 3];
        },
    }
}
