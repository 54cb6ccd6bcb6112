//! Concurrency limits.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const Control = abi.Control;
const Handle = @import("../handle.zig").Handle;
const Shared = @import("../memory/shared.zig").Chosen;
const Attempts = @import("../calls/limit/attempts.zig").AttemptsType(Shared);
const Blocking = @import("../calls/limit/blocking.zig").BlockingType(Shared);
const Calls = @import("../calls/calls.zig").CallsType(Shared);
const Contenders = @import("../limit/contenders.zig").ContendersType(Shared);
const Lifetime = @import("../calls/lifetime.zig").LifetimeType(Shared);
const Listing = @import("../calls/limit/listing.zig").ListingType(Shared);
const Outcome = @import("../calls/limit/attempts.zig").Outcome;
const names = @import("../calls/limit/names.zig");
const Terms = @import("../calls/limit/terms.zig").TermsType(Shared);

/// Writes the place and the token of an attempt that has one, and its ticket.
fn concluded(handle: *Handle, outcome: abi.Error!Outcome, control: *Control) i32 {
    const result = outcome catch |err| return arguments.failed(err);
    if (result < 0) return result;
    const token = handle.contention.token;
    const ticket: u64 = Contenders.own_word(handle).ticket;
    control.slot = @intCast(result);
    control.generation_low = @truncate(token);
    control.generation_high = @truncate(token >> 32);
    control.epoch_low = @truncate(ticket);
    control.epoch_high = @truncate(ticket >> 32);
    control.is_named = @intFromBool(Attempts.was_named(handle));
    return result;
}

/// The terms that this handle wants; 0 stands for those of the file. `Mismatch`: others contend on other terms.
export fn tandem_limit_terms(handle_address: f64, max: u32, order: u32, control: *Control) i32 {
    Terms.want(arguments.handle_at(handle_address), max, order, control) catch |err| return arguments.failed(err);
    return 0;
}

/// Begins an attempt, unless there is one. Above 0: the place that it has; 0: it waits; below 0: see
/// `limit_refused_full` and the following ones.
export fn tandem_limit_request(handle_address: f64, flags: u32, standby: u32, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    const outcome = Attempts.request(handle, .{
        .shared = flags & abi.limit_shared != 0,
        .steal = flags & abi.limit_steal != 0,
        .brief = flags & abi.limit_try != 0,
        .standby = standby,
    }, control);
    return concluded(handle, outcome, control);
}

/// What has become of the attempt, after a look at what can be granted.
export fn tandem_limit_look(handle_address: f64, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    return concluded(handle, Attempts.look(handle), control);
}

/// Waits until something has become of the attempt; `-timeout`: it still waits.
export fn tandem_limit_wait(handle_address: f64, timeout_ms: f64, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    return concluded(handle, Blocking.wait(handle, Calls.deadline_after(timeout_ms)), control);
}

/// Gives up waiting; above 0: a place was granted meanwhile.
export fn tandem_limit_withdraw(handle_address: f64, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    return concluded(handle, Attempts.withdraw(handle), control);
}

/// 1: the place is free again; 0: this handle did not hold one any more.
export fn tandem_limit_release(handle_address: f64) i32 {
    const handle = arguments.handle_at(handle_address);
    defer Lifetime.look_after_ring(handle);
    return @intFromBool(Attempts.release(handle));
}

/// As `tandem_limit_look`, without the look.
export fn tandem_limit_state(handle_address: f64) i32 {
    return Attempts.state(arguments.handle_at(handle_address));
}

/// 1: the place is held; 0: there is none; `limit_lost`: it is lost, or the file is.
export fn tandem_limit_heartbeat(handle_address: f64) i32 {
    return Attempts.heartbeat(arguments.handle_at(handle_address));
}

/// Changes the number of places for all handles of the limit.
export fn tandem_limit_resize(handle_address: f64, max: u32) i32 {
    const handle = arguments.handle_at(handle_address);
    if (Lifetime.lost(handle)) return arguments.failed(error.Corrupt);
    Terms.resize(handle, max);
    return 0;
}

/// Describes those that hold or wait, as `LimitField` says, and returns how many there are, even if there is
/// not room for all.
export fn tandem_limit_list(handle_address: f64, out: [*]f64, length: u32, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    if (Lifetime.lost(handle)) return arguments.failed(error.Corrupt);
    return @intCast(Listing.list(handle, out[0..length], control));
}

/// Writes the names of the limits in the default folder that somebody contends for, each with a NUL behind it, as far
/// as there is room. Returns how many bytes all of them need.
export fn tandem_limit_names(out: [*]u8, length: u32, control: *Control) i32 {
    control.* = .{};
    const bytes = names.list(out[0..length], control) catch |err| return arguments.failed(err);
    return @intCast(bytes);
}
