//! The default folder.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const folder_names = @import("../platform/folder_names.zig");
const Control = abi.Control;

/// Writes the names of the limits in the default folder, each with a NUL behind it, as far as there is room. Returns
/// how many bytes all of them need.
export fn tandem_limit_names(out: [*]u8, length: u32, control: *Control) i32 {
    control.* = .{};
    const bytes = folder_names.list(.limit, out[0..length], control) catch |err| return arguments.failed(err);
    return @intCast(bytes);
}
