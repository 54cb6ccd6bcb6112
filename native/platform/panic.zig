//! A failed safety check is a bug in the library: it prints one line and stops. The standard handler would
//! add stack traces and formatting, several times the size of everything else.

const std = @import("std");
const files = @import("sys/files.zig");

pub fn call(message: []const u8, _: ?usize) noreturn {
    @branchHint(.cold);
    const stderr = 2;
    for ([_][]const u8{ "tandem: internal error: ", message, "\n" }) |part| _ = files.write(stderr, part);
    @trap();
}

fn with(comptime message: []const u8) fn () noreturn {
    return struct {
        fn panic() noreturn {
            @branchHint(.cold);
            call(message, null);
        }
    }.panic;
}

pub fn sentinelMismatch(_: anytype, _: anytype) noreturn {
    call("sentinel mismatch", null);
}

pub fn unwrapError(_: anyerror) noreturn {
    call("attempt to unwrap error", null);
}

pub fn outOfBounds(_: usize, _: usize) noreturn {
    call("index out of bounds", null);
}

pub fn startGreaterThanEnd(_: usize, _: usize) noreturn {
    call("start index is larger than end index", null);
}

pub fn inactiveUnionField(_: anytype, _: anytype) noreturn {
    call("access of inactive union field", null);
}

pub fn sliceCastLenRemainder(_: usize) noreturn {
    call("slice length does not divide exactly into destination elements", null);
}

pub const reachedUnreachable = with("reached unreachable code");
pub const unwrapNull = with("attempt to use null value");
pub const castToNull = with("cast causes pointer to be null");
pub const incorrectAlignment = with("incorrect alignment");
pub const invalidErrorCode = with("invalid error code");
pub const integerOutOfBounds = with("integer does not fit in destination type");
pub const integerOverflow = with("integer overflow");
pub const shlOverflow = with("left shift overflowed bits");
pub const shrOverflow = with("right shift overflowed bits");
pub const divideByZero = with("division by zero");
pub const exactDivisionRemainder = with("exact division produced remainder");
pub const integerPartOutOfBounds = with("integer part of floating point value out of bounds");
pub const corruptSwitch = with("switch on corrupt value");
pub const shiftRhsTooBig = with("shift amount is greater than the type size");
pub const invalidEnumValue = with("invalid enum value");
pub const forLenMismatch = with("for loop over objects with non-equal lengths");
pub const copyLenMismatch = with("source and destination have non-equal lengths");
pub const memcpyAlias = with("@memcpy arguments alias");
pub const noreturnReturned = with("'noreturn' function returned");
pub const loadUninstantiableType = with("attempt to load a value of an uninstantiable type");

pub fn unexpectedErrorCode(_: anyerror) noreturn {
    call("unexpected error code", null);
}
