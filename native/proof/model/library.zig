//! The exports of the library that the programs call.

const Control = @import("../../abi.zig").Control;

comptime {
    _ = @import("../../lib.zig");
}

pub extern fn tandem_send(f64, [*]const u8, u32, u32, f64, *Control) i32;
pub extern fn tandem_request(f64, [*]const u8, u32, u32, f64, [*]u8, u32, *Control) i32;
pub extern fn tandem_get(f64, u32, u32, u32, f64, [*]u8, u32, *Control) i32;
pub extern fn tandem_cancel(f64, u32, u32, u32, u32) i32;
pub extern fn tandem_allocate(f64, u32, *Control) i32;
pub extern fn tandem_publish(f64, u32, u32, u32, u32, u32, f64) i32;
pub extern fn tandem_receive(f64, f64, *Control) i32;
pub extern fn tandem_rest(f64) void;
pub extern fn tandem_last_delivery(f64, u32, u32, u32) void;
pub extern fn tandem_reply(f64, u32, u32, u32, [*]const u8, u32, u32) i32;
pub extern fn tandem_watch_call(f64, u32, u32, u32) i32;
pub extern fn tandem_poll(f64, [*]u32, u32) i32;
pub extern fn tandem_arm(f64, u32) i32;
pub extern fn tandem_disarm(f64) void;
pub extern fn tandem_watch_next(f64, *Control) i32;
pub extern fn tandem_keep_watch(f64) void;
pub extern fn tandem_departures(f64) f64;
pub extern fn tandem_follow_boards(f64) void;
pub extern fn tandem_boards(f64) f64;
pub extern fn tandem_participant(f64, u32, *Control) i32;
pub extern fn tandem_hung_up(f64, u32, u32) i32;
pub extern fn tandem_sweep(f64) i32;
pub extern fn tandem_nudge(f64) i32;
pub extern fn tandem_drain_notify(f64) void;
pub extern fn tandem_clear(f64) i32;
pub extern fn tandem_limit_terms(f64, u32, u32, *Control) i32;
pub extern fn tandem_limit_request(f64, u32, u32, *Control) i32;
pub extern fn tandem_limit_look(f64, *Control) i32;
pub extern fn tandem_limit_withdraw(f64, *Control) i32;
pub extern fn tandem_limit_release(f64) i32;
pub extern fn tandem_limit_wait(f64, f64, *Control) i32;
pub extern fn tandem_limit_resize(f64, u32) i32;
