//! Opening, closing and removing channels, and numbers about a channel.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const channel = @import("../channel.zig");
const stats = @import("../protocol/stats.zig");
const process = @import("../platform/sys/process.zig");
const Control = abi.Control;
const Location = @import("../platform/target.zig").Location;
const Shared = @import("../memory/shared.zig").Chosen;
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);
const Slots = @import("../protocol/slots.zig").SlotsType(Shared);
const Roster = @import("../protocol/roster.zig").RosterType(Shared);
const Stats = stats.StatsType(Shared);

export fn tandem_abi_version() u32 {
    return abi.abi_version;
}

/// A program begins to run on this thread. Closes the handles of an earlier program: a runtime that restarts
/// a program within its process, as `deno run --watch` does, does not inform the old one.
export fn tandem_begin(runtime: u32) void {
    process.set_runtime(runtime);
    channel.close_all_here();
}

/// Opens a channel as `operation` (`open_*`) says, and writes its path if it has one.
export fn tandem_open(
    target: [*]const u8,
    target_length: u32,
    operation: u32,
    options: *const abi.Options,
    control: *Control,
    path: [*]u8,
) i32 {
    control.* = .{};
    var location: Location = undefined;
    const handle = channel.open(target[0..target_length], operation, options, control, &location) catch |err|
        return arguments.failed(err);
    handle.interruption = arguments.interruption_of(options);
    const geometry = &handle.map.geometry;
    control.handle = @floatFromInt(@intFromPtr(handle));
    control.base = @floatFromInt(@intFromPtr(handle.map.base));
    control.dense_bytes = @floatFromInt(geometry.dense_bytes);
    control.area_stride = @floatFromInt(geometry.area_stride);
    control.response_offset = @floatFromInt(geometry.request_area_bytes);
    control.slots_offset = @floatFromInt(geometry.slots_offset);
    control.slots = geometry.slots;
    control.max_request_bytes = geometry.max_request_bytes;
    control.max_response_bytes = geometry.max_response_bytes;
    control.max_deliveries = geometry.max_deliveries;
    control.path_length = @intCast(location.path.length);
    control.kind = @backingInt(geometry.kind);
    control.mode = handle.mode & 0o666;
    @memcpy(path[0..location.path.length], location.path.slice());
    return 0;
}

/// A descriptor of the channel to be passed on; it belongs to the handle.
export fn tandem_fd(handle_address: f64, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    if (handle.public_fd < 0) {
        control.fail(.none, 0);
        handle.public_fd = channel.public_descriptor(handle, control) catch |err| return arguments.failed(err);
    }
    return handle.public_fd;
}

/// `keep_views` 1: views of the memory may remain, so their addresses stay valid.
export fn tandem_close(handle: f64, keep_views: u32) void {
    channel.close(arguments.handle_at(handle), if (keep_views != 0) .keep_views else .unmap);
}

/// 1: removed; 0: there was nothing.
export fn tandem_unlink(target: [*]const u8, target_length: u32, control: *Control) i32 {
    control.* = .{};
    const found = channel.unlink(target[0..target_length], control) catch |err| return arguments.failed(err);
    return @intFromBool(found);
}

/// The user of this handle has removed the channel. Waits continue as if it had not been removed.
export fn tandem_expect_removal(handle: f64) void {
    arguments.handle_at(handle).expects_removal = true;
}

/// Removes the private channel of this handle's participant.
export fn tandem_forget_private(handle: f64) void {
    arguments.handle_at(handle).bells.forget_own_private();
}

/// Ends the channel for all its participants; its file stays.
export fn tandem_remove(handle: f64) void {
    Lifetime.remove(arguments.handle_at(handle));
}

export fn tandem_clear(handle_address: f64) i32 {
    const handle = arguments.handle_at(handle_address);
    if (Lifetime.lost(handle)) return 0;
    return @intCast(Slots.clear(handle));
}

export fn tandem_pending(handle_address: f64) i32 {
    return @intCast(Calls.pending(arguments.handle_at(handle_address)));
}

export fn tandem_servers(handle_address: f64) i32 {
    return @intCast(Stats.count_role(arguments.handle_at(handle_address), .server));
}

/// Describes the last participant at a position of the table. The result is its role, 0: it is gone; below 0:
/// the table ends before that position.
export fn tandem_participant(handle_address: f64, position: u32, control: *Control) i32 {
    return Roster.describe(arguments.handle_at(handle_address), position, control);
}

export fn tandem_stats(handle_address: f64, out: *[stats.field_count]f64) void {
    const handle = arguments.handle_at(handle_address);
    _ = Lifetime.lost(handle);
    Stats.read(handle, out);
}
