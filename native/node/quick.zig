//! A native function that finds its arguments in memory. JavaScript writes numbers there in a nanosecond each,
//! where Node-API takes five for a number and seventeen for the address of a buffer.

const std = @import("std");
const napi = @import("napi.zig");
const bound = @import("bound.zig");
const Bound = bound.Bound;

/// What JavaScript and the function share; src/runtime/node_calls.ts knows the layout.
pub const Block = extern struct {
    /// The arguments that are integers or addresses, in their order.
    words: [bound.words_max]f64,
    doubles: [bound.doubles_max]f64,
    result: f64,
    /// For short payloads: the caller copies them here instead of asking for their address.
    scratch: [64]u8,
};

pub const Quick = struct {
    address: *const anyopaque,
    block: *Block,
    result: bound.Kind,
    /// The largest value of each word; others become the nearest.
    limits: [bound.words_max]f64,
    word_count: u8,

    /// Null: functions of this signature have to be bound in the other way.
    pub fn init(target: Bound, block: *Block) ?Quick {
        var quick: Quick = .{
            .address = target.address,
            .block = block,
            .result = target.result,
            .limits = @splat(0),
            .word_count = 0,
        };
        if (target.result == .size) return null;
        for (target.kinds[0..target.count]) |kind| {
            const limit: f64 = switch (kind) {
                .f64 => continue,
                .u32 => std.math.maxInt(u32),
                .buffer => largest_address,
                else => return null,
            };
            quick.limits[quick.word_count] = limit;
            quick.word_count += 1;
        }
        return quick;
    }
};

/// A double holds every whole number up to this one.
const largest_address = 1 << 53;

/// The callback of every such function; its data is the `Quick`.
pub fn invoke(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    var count: usize = 0;
    var none: [1]napi.Value = undefined;
    var data: ?*anyopaque = null;
    if (napi.napi_get_cb_info(env, info, &count, &none, null, &data) != .ok) return null;
    const quick: *const Quick = @ptrCast(@alignCast(data.?));
    const block = quick.block;
    var words: [bound.words_max]u64 = @splat(0);
    for (block.words[0..quick.word_count], quick.limits[0..quick.word_count], words[0..quick.word_count]) |value, limit, *integer| {
        integer.* = whole(value, limit);
    }
    switch (quick.result) {
        .f64 => block.result = bound.apply(bound.DoubleFunction, quick.address, &words, &block.doubles),
        .i32 => block.result = @floatFromInt(@as(i32, @bitCast(@as(u32, @truncate(call(quick, &words)))))),
        .u32 => block.result = @floatFromInt(@as(u32, @truncate(call(quick, &words)))),
        else => _ = call(quick, &words),
    }
    return null;
}

inline fn call(quick: *const Quick, words: *const [bound.words_max]u64) u64 {
    return bound.apply(bound.WordFunction, quick.address, words, &quick.block.doubles);
}

/// The nearest whole number from 0 to `limit`; 0 for NaN.
inline fn whole(value: f64, limit: f64) u64 {
    return @intFromFloat(@min(@max(value, 0), limit));
}

test "a number becomes the nearest word" {
    const most: f64 = std.math.maxInt(u32);
    for ([_]struct { f64, u64 }{
        .{ 7.9, 7 },
        .{ -1, 0 },
        .{ 1e300, std.math.maxInt(u32) },
        .{ std.math.nan(f64), 0 },
        .{ -std.math.inf(f64), 0 },
    }) |case| {
        const value, const expected = case;
        try std.testing.expectEqual(expected, whole(value, most));
    }
}

test "functions with other kinds are bound in the other way" {
    const address: *const anyopaque = &largest_address;
    var block: Block = undefined;
    for ([_][]const u8{ "s", "iu" ++ "i", "vs" }) |signature| {
        try std.testing.expectEqual(null, Quick.init(Bound.init(address, signature).?, &block));
    }
    const quick = Quick.init(Bound.init(address, "ifbufb").?, &block).?;
    try std.testing.expectEqual(3, quick.word_count);
    try std.testing.expectEqual(std.math.maxInt(u32), quick.limits[1]);
}
