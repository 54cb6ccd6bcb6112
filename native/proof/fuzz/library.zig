//! The library's exports, as the runtimes call them.

const abi = @import("../../abi.zig");
const stats = @import("../../protocol/stats.zig");
const Control = abi.Control;

comptime {
    _ = @import("../../lib.zig");
}

pub extern fn tandem_open([*]const u8, u32, u32, *const abi.Options, *Control, [*]u8) i32;
pub extern fn tandem_close(f64, u32) void;
pub extern fn tandem_unlink([*]const u8, u32, *Control) i32;
pub extern fn tandem_send(f64, [*]const u8, u32, u32, f64, *Control) i32;
pub extern fn tandem_request(f64, [*]const u8, u32, u32, f64, [*]u8, u32, *Control) i32;
pub extern fn tandem_get(f64, u32, u32, u32, f64, [*]u8, u32, *Control) i32;
pub extern fn tandem_ready(f64, u32, u32, u32, f64, *Control) i32;
pub extern fn tandem_cancel(f64, u32, u32, u32, u32) i32;
pub extern fn tandem_allocate(f64, u32, *Control) i32;
pub extern fn tandem_publish(f64, u32, u32, u32, u32, u32, f64) i32;
pub extern fn tandem_receive(f64, f64, *Control) i32;
pub extern fn tandem_reply(f64, u32, u32, u32, [*]const u8, u32, u32) i32;
pub extern fn tandem_reserve(f64, u32, u32) i32;
pub extern fn tandem_held(f64, u32, u32, u32, *Control) i32;
pub extern fn tandem_watch_call(f64, u32, u32, u32) i32;
pub extern fn tandem_poll(f64, [*]u32, u32) i32;
pub extern fn tandem_linger(f64, u32) i32;
pub extern fn tandem_arm(f64, u32) i32;
pub extern fn tandem_disarm(f64) void;
pub extern fn tandem_bell(f64, u32) i32;
pub extern fn tandem_watch_next(f64, *Control) i32;
pub extern fn tandem_keep_watch(f64) void;
pub extern fn tandem_follow_boards(f64) void;
pub extern fn tandem_board_write(f64, [*]const u8, u32, *Control) i32;
pub extern fn tandem_board_read(f64, u32, u32, u32, [*]u8, u32, *Control) i32;
pub extern fn tandem_participant(f64, u32, *Control) i32;
pub extern fn tandem_hung_up(f64, u32, u32) i32;
pub extern fn tandem_sweep(f64) i32;
pub extern fn tandem_nudge(f64) i32;
pub extern fn tandem_notify_fd(f64) i32;
pub extern fn tandem_adopt_notify(f64, u32, u32) i32;
pub extern fn tandem_drain_notify(f64) void;
pub extern fn tandem_notify(f64) void;
pub extern fn tandem_clear(f64) i32;
pub extern fn tandem_pending(f64) i32;
pub extern fn tandem_servers(f64) i32;
pub extern fn tandem_limit_terms(f64, u32, u32, *Control) i32;
pub extern fn tandem_limit_request(f64, u32, u32, *Control) i32;
pub extern fn tandem_limit_look(f64, *Control) i32;
pub extern fn tandem_limit_withdraw(f64, *Control) i32;
pub extern fn tandem_limit_release(f64) i32;
pub extern fn tandem_limit_wait(f64, f64, *Control) i32;
pub extern fn tandem_limit_state(f64) i32;
pub extern fn tandem_limit_heartbeat(f64) i32;
pub extern fn tandem_limit_resize(f64, u32) i32;
pub extern fn tandem_limit_list(f64, [*]f64, u32, *Control) i32;
pub extern fn tandem_stats(f64, *[stats.field_count]f64) void;
