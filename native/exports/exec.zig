//! Executing a program in place of this one.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const bequest = @import("../calls/bequest.zig");
const Control = abi.Control;

/// Replaces the program of this process by the first of `paths` that can be executed, and passes the
/// participant of the handle on to it. Each list has texts that end with a zero byte. Returns only if the process
/// goes on: a negative status; `system`: `errno` of the control block says why, and `slot` which path it is about.
export fn tandem_exec(
    handle: f64,
    paths: [*]const u8,
    paths_length: u32,
    args: [*]const u8,
    args_length: u32,
    environment: [*]const u8,
    environment_length: u32,
    flags: u32,
    control: *Control,
) i32 {
    control.* = .{};
    const failure = bequest.replace(arguments.handle_at(handle), &.{
        .paths = paths[0..paths_length],
        .arguments = args[0..args_length],
        .environment = environment[0..environment_length],
    }, if (flags & abi.exec_alone != 0) .program else .program_and_children, control) catch |err|
        return arguments.failed(err);
    control.slot = failure.path;
    control.errno = @backingInt(failure.errno);
    return abi.Status.system.result();
}
