//! Worker processes of a pool: their records, their guards, their titles.

const std = @import("std");
const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const guard = @import("../worker/guard.zig");
const layout = @import("../memory/layout.zig");
const locks = @import("../platform/sys/locks.zig");
const numbers = @import("../numbers.zig");
const process_tree = @import("../worker/process_tree.zig");
const record = @import("../worker/record.zig");
const supervision = @import("../worker/supervision.zig");
const title = @import("../worker/title.zig");
const Control = abi.Control;

/// Makes the record of a worker that handles so many calls at once; the result is its address.
export fn tandem_record_create(entries: u32, control: *Control) f64 {
    control.fail(.none, 0);
    const made = supervision.create(entries, control) catch |err| return @floatFromInt(arguments.failed(err));
    return @floatFromInt(@intFromPtr(made));
}

/// The descriptor for the worker to inherit; it belongs to the record.
export fn tandem_record_fd(address: f64) i32 {
    return record_at(address).fd;
}

/// Writes `RecordField`, then `EntryField` for each entry that is not free, as far as there is room. Returns
/// the number of these entries.
export fn tandem_record_read(address: f64, out: [*]f64, length: u32) i32 {
    return @intCast(supervision.read(record_at(address), out[0..length]));
}

/// 1: the worker is to be killed for this call; 0: the call has ended, or the worker has been condemned already.
export fn tandem_record_condemn(address: f64, entry: u32, sequence: f64, reason: u32) i32 {
    return @intFromBool(supervision.condemn(record_at(address), entry, sequence, reason));
}

export fn tandem_record_close(address: f64) void {
    supervision.close(record_at(address));
}

fn record_at(address: f64) *const supervision.Memory {
    return @ptrFromInt(numbers.address(address));
}

/// Guards this process, which is a worker. A descriptor may be `guard_none`.
export fn tandem_guard_start(record_fd: u32, lifeline_fd: u32, abort_grace_ms: f64, hung_ms: f64) i32 {
    guard.start(descriptor(record_fd), descriptor(lifeline_fd), .{
        .abort_grace_ns = numbers.nanoseconds(abort_grace_ms),
        .hung_ns = numbers.nanoseconds(hung_ms),
    }) catch |err| return arguments.failed(err);
    return 0;
}

fn descriptor(value: u32) ?i32 {
    return if (value == abi.guard_none) null else std.math.cast(i32, value) orelse -1;
}

/// A handler begins with a request of this handle. The result is for `tandem_work_end`; -1: no guard watches it.
export fn tandem_work_begin(
    handle_address: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    method: u32,
) i32 {
    const handle = arguments.handle_at(handle_address);
    const call = arguments.known_call(handle, slot, generation_low, generation_high) orelse return -1;
    return @intCast(guard.begin(handle, call, method) orelse return -1);
}

/// It has ended. Does not return if the process has been condemned for it.
export fn tandem_work_end(entry: u32, has_failed: u32) void {
    guard.end(entry, has_failed != 0);
}

/// Ends a process, its group and its descendants.
export fn tandem_kill_tree(pid: u32) void {
    process_tree.end(pid);
}

/// Ends all that this process has started.
export fn tandem_kill_children() void {
    process_tree.end_own();
}

/// Sets the title of this process in lists of processes.
export fn tandem_set_title(bytes: [*]const u8, length: u32) void {
    title.set(bytes[0..length]);
}

/// 1: the title of this process ends with " - standby" from now on; 0: one that has begun this ends it.
export fn tandem_title_standby(begins: u32) void {
    if (begins != 0) title.begin_standby() else title.end_standby();
}

/// Writes the title of a process, and returns its length; 0: it cannot be read.
export fn tandem_title_of(pid: u32, out: [*]u8, length: u32) u32 {
    return @intCast(title.of(pid, out[0..length]).len);
}

/// 1: this handle has the channel's only claim, until it closes; 0: another one has it.
export fn tandem_claim(handle_address: f64) i32 {
    const handle = arguments.handle_at(handle_address);
    const result = locks.lock_byte(handle.fd, layout.claim_lock_offset);
    if (result.ok()) return 1;
    return switch (result.errno) {
        .AGAIN, .ACCES => 0,
        else => abi.Status.system.result(),
    };
}
