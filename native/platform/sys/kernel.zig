//! Direct system calls: without a libc, one library serves glibc and musl processes. Every wrapper of a
//! system call returns the kernel's value or its error number.

const std = @import("std");
const root = @import("root");

/// The kernel's own interface, unless the root file of a test build declares another.
pub const linux = if (@hasDecl(root, "Linux")) root.Linux else std.os.linux;

pub const Errno = linux.E;

/// A result that is either the kernel's value or an errno.
pub const Result = union(enum) {
    value: usize,
    errno: Errno,

    pub fn ok(result: Result) bool {
        return result == .value;
    }

    pub fn fd(result: Result) i32 {
        return @intCast(result.value);
    }
};

pub fn wrap(raw: usize) Result {
    const errno = linux.errno(raw);
    return if (errno == .SUCCESS) .{ .value = raw } else .{ .errno = errno };
}

pub fn arg(value: i64) usize {
    return @bitCast(value);
}
