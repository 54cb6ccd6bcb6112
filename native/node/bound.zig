//! A native function that JavaScript calls. One piece of code calls functions of all signatures, because the
//! calling conventions of x86-64 and arm64 number the registers for integers and those for doubles
//! separately: a callee finds its own arguments whatever lies in the registers behind them.

const std = @import("std");
const napi = @import("napi.zig");

/// How a value crosses the boundary, as in src/runtime/backend.ts. Each is named by a letter.
pub const Kind = enum(u8) {
    u32 = 'u',
    i32 = 'i',
    f64 = 'f',
    /// An `ArrayBufferView`: the address of its bytes.
    buffer = 'b',
    /// A `bigint`.
    size = 's',
    void = 'v',
    _,
};

/// System V has six registers for integers; the rest lie on the stack, in the same order for every callee.
pub const words_max = 8;
pub const doubles_max = 4;
pub const parameters_max = 12;

pub const Bound = struct {
    address: *const anyopaque,
    result: Kind,
    count: u8,
    kinds: [parameters_max]Kind,

    /// `signature` is the letter of the result, then one for each parameter. Null: it is none, or too long.
    pub fn init(address: *const anyopaque, signature: []const u8) ?Bound {
        if (signature.len == 0 or signature.len > 1 + parameters_max) return null;
        var bound: Bound = .{
            .address = address,
            .result = @fromBackingInt(signature[0]),
            .count = @intCast(signature.len - 1),
            .kinds = @splat(.void),
        };
        switch (bound.result) {
            .u32, .i32, .f64, .size, .void => {},
            .buffer, _ => return null,
        }
        var words: usize = 0;
        var doubles: usize = 0;
        for (signature[1..], bound.kinds[0..bound.count]) |letter, *kind| {
            kind.* = @fromBackingInt(letter);
            switch (kind.*) {
                .f64 => doubles += 1,
                .u32, .i32, .buffer, .size => words += 1,
                .void, _ => return null,
            }
        }
        return if (words > words_max or doubles > doubles_max) null else bound;
    }
};

/// The callback of every function; its data is the `Bound`.
pub fn invoke(env: napi.Env, info: napi.CallbackInfo) callconv(.c) ?napi.Value {
    var count: usize = parameters_max;
    var values: [parameters_max]napi.Value = undefined;
    var data: ?*anyopaque = null;
    if (napi.napi_get_cb_info(env, info, &count, &values, null, &data) != .ok) return null;
    const bound: *const Bound = @ptrCast(@alignCast(data.?));

    var words: [words_max]u64 = @splat(0);
    var doubles: [doubles_max]f64 = @splat(0);
    var word: usize = 0;
    var double: usize = 0;
    // Node has set values that the caller left out to undefined.
    for (values[0..bound.count], bound.kinds[0..bound.count]) |value, kind| {
        if (kind == .f64) {
            if (napi.napi_get_value_double(env, value, &doubles[double]) != .ok) return refuse(env, "a number");
            double += 1;
        } else {
            words[word] = read_word(env, value, kind) orelse return null;
            word += 1;
        }
    }
    return call(env, bound, &words, &doubles);
}

/// Null: an exception is pending.
inline fn read_word(env: napi.Env, value: napi.Value, kind: Kind) ?u64 {
    switch (kind) {
        .buffer => return address_of(env, value),
        .size => {
            var word: u64 = 0;
            var is_exact = false;
            if (napi.napi_get_value_bigint_uint64(env, value, &word, &is_exact) != .ok) {
                _ = refuse(env, "a bigint");
                return null;
            }
            return word;
        },
        else => {
            var number: f64 = 0;
            if (napi.napi_get_value_double(env, value, &number) != .ok) {
                _ = refuse(env, "a number");
                return null;
            }
            // NaN becomes 0, and other numbers the nearest.
            return if (kind == .u32) std.math.lossyCast(u32, number) else @as(u32, @bitCast(std.math.lossyCast(i32, number)));
        },
    }
}

/// Where the bytes of an `ArrayBufferView` are. Null: an exception is pending.
pub inline fn address_of(env: napi.Env, value: napi.Value) ?u64 {
    var address: ?*anyopaque = null;
    var length: usize = 0;
    if (napi.napi_get_buffer_info(env, value, &address, &length) != .ok) {
        _ = refuse(env, "an ArrayBufferView");
        return null;
    }
    // The functions take the address of an empty view for one that is not null.
    return if (address) |known| @intFromPtr(known) else no_bytes;
}

const no_bytes: u64 = 16;

fn refuse(env: napi.Env, comptime wanted: [:0]const u8) ?napi.Value {
    @branchHint(.cold);
    _ = napi.napi_throw_type_error(env, null, "a native function takes " ++ wanted ++ " here");
    return null;
}

pub const WordFunction = *const fn (u64, u64, u64, u64, u64, u64, u64, u64, f64, f64, f64, f64) callconv(.c) u64;
pub const DoubleFunction = *const fn (u64, u64, u64, u64, u64, u64, u64, u64, f64, f64, f64, f64) callconv(.c) f64;

inline fn call(env: napi.Env, bound: *const Bound, words: *const [words_max]u64, doubles: *const [doubles_max]f64) ?napi.Value {
    var result: napi.Value = undefined;
    if (bound.result == .f64) {
        const number = apply(DoubleFunction, bound.address, words, doubles);
        return if (napi.napi_create_double(env, number, &result) == .ok) result else null;
    }
    const word = apply(WordFunction, bound.address, words, doubles);
    const status = switch (bound.result) {
        .i32 => napi.napi_create_int32(env, @bitCast(@as(u32, @truncate(word))), &result),
        .u32 => napi.napi_create_uint32(env, @truncate(word), &result),
        .size => napi.napi_create_bigint_uint64(env, word, &result),
        else => return null,
    };
    return if (status == .ok) result else null;
}

pub inline fn apply(comptime Function: type, address: *const anyopaque, w: *const [words_max]u64, d: *const [doubles_max]f64) @typeInfo(@typeInfo(Function).pointer.child).@"fn".return_type.? {
    const function: Function = @ptrCast(@alignCast(address));
    return function(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], d[0], d[1], d[2], d[3]);
}

test "what is no signature is refused" {
    const address: *const anyopaque = &no_bytes;
    for ([_][]const u8{ "", "x", "b", "iv", "i!", "iuuuuuuuuu", "ifffff", "iuuuuuuuuffffu" }) |signature| {
        try std.testing.expectEqual(null, Bound.init(address, signature));
    }
    const bound = Bound.init(address, "ifbufbub").?;
    try std.testing.expectEqual(7, bound.count);
    try std.testing.expectEqual(Kind.buffer, bound.kinds[1]);
}
