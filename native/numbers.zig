//! Numbers of JavaScript as integers. They may be anything: NaN, infinite, negative, with a fraction, too large
//! for every integer. `@intFromFloat` would end the process of the caller, since the library is built with safety
//! checks, so no other file of the library converts such numbers.

const std = @import("std");

/// No file, and no message, is larger; integers up to here are exact.
pub const whole_max = 1_000_000_000_000_000;

/// The number without its fraction, at most `whole_max`. Null: it is NaN, or below zero.
pub fn whole(value: f64) ?u64 {
    if (!(value >= 0)) return null;
    return @min(std.math.lossyCast(u64, value), whole_max);
}

/// An address. Only numbers that the library has given out are addresses of something.
pub fn address(value: f64) usize {
    return std.math.lossyCast(usize, value);
}

/// Nanoseconds from now until a time-out in milliseconds ends. Null: it never does, because it lasts longer than a
/// hundred years, or is no time. TypeScript refuses negative numbers and NaN.
pub fn nanoseconds(milliseconds: f64) ?u64 {
    const hundred_years = 100.0 * 365.0 * 86_400_000.0;
    if (!(milliseconds >= 0) or milliseconds > hundred_years) return null;
    return std.math.lossyCast(u64, milliseconds * std.time.ns_per_ms);
}

const odd = [_]f64{
    std.math.nan(f64),
    -std.math.nan(f64),
    std.math.inf(f64),
    -std.math.inf(f64),
    std.math.floatMax(f64),
    -std.math.floatMax(f64),
    std.math.floatMin(f64),
    std.math.floatTrueMin(f64),
    -std.math.floatTrueMin(f64),
    -0.0,
    -0.5,
    -1,
    0.5,
    0x1p31,
    0x1p32,
    0x1p53,
    0x1p63,
    0x1p64,
    -0x1p63,
    0x1.fffffffffffffp63,
};

test "odd numbers are converted" {
    for (odd) |value| {
        _ = address(value);
        if (whole(value)) |found| try std.testing.expect(found <= whole_max);
        if (nanoseconds(value)) |found| try std.testing.expect(found < std.math.maxInt(u64) / 4);
    }
}

test "whole numbers: fractions are dropped, large ones limited, others refused" {
    try std.testing.expectEqual(7, whole(7.99));
    try std.testing.expectEqual(0, whole(-0.0));
    try std.testing.expectEqual(0, whole(std.math.floatTrueMin(f64)));
    try std.testing.expectEqual(1 << 32, whole(0x1p32));
    try std.testing.expectEqual(whole_max, whole(0x1p64));
    try std.testing.expectEqual(whole_max, whole(std.math.inf(f64)));
    try std.testing.expectEqual(null, whole(std.math.nan(f64)));
    try std.testing.expectEqual(null, whole(-std.math.floatTrueMin(f64)));
}

test "addresses: exact where there are any" {
    try std.testing.expectEqual(0x7fff_ffff_f000, address(0x7fff_ffff_f000));
    try std.testing.expectEqual(0, address(std.math.nan(f64)));
    try std.testing.expectEqual(0, address(-1));
    try std.testing.expectEqual(std.math.maxInt(usize), address(std.math.inf(f64)));
}

test "time-outs: fractions of a millisecond count, and what is no time never ends" {
    try std.testing.expectEqual(1_500_000, nanoseconds(1.5));
    try std.testing.expectEqual(0, nanoseconds(-0.0));
    try std.testing.expectEqual(100 * 365 * std.time.ns_per_day, nanoseconds(100 * 365 * 86_400_000));
    for ([_]f64{ -1, std.math.inf(f64), -std.math.inf(f64), std.math.nan(f64), 1e300 }) |value| {
        try std.testing.expectEqual(null, nanoseconds(value));
    }
}
