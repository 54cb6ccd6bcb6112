//! The library's exports, as a process that has loaded it sees them.

const abi = @import("../../abi.zig");
const Control = abi.Control;

pub extern fn tandem_open(
    target: [*]const u8,
    target_length: u32,
    operation: u32,
    options: *const abi.Options,
    control: *Control,
    path: [*]u8,
) i32;
pub extern fn tandem_close(handle: f64, keep_views: u32) void;
pub extern fn tandem_unlink(target: [*]const u8, target_length: u32, control: *Control) i32;
pub extern fn tandem_send(
    handle: f64,
    bytes: [*]const u8,
    length: u32,
    flags: u32,
    timeout_ms: f64,
    control: *Control,
) i32;
pub extern fn tandem_request(
    handle: f64,
    bytes: [*]const u8,
    length: u32,
    flags: u32,
    timeout_ms: f64,
    out: [*]u8,
    out_bytes: u32,
    control: *Control,
) i32;
pub extern fn tandem_get(
    handle: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    timeout_ms: f64,
    out: [*]u8,
    out_bytes: u32,
    control: *Control,
) i32;
pub extern fn tandem_ready(
    handle: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    timeout_ms: f64,
    control: *Control,
) i32;
pub extern fn tandem_cancel(handle: f64, slot: u32, generation_low: u32, generation_high: u32, mode: u32) i32;
pub extern fn tandem_allocate(handle: f64, length: u32, control: *Control) i32;
pub extern fn tandem_publish(
    handle: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    length: u32,
    flags: u32,
    timeout_ms: f64,
) i32;
pub extern fn tandem_receive(handle: f64, timeout_ms: f64, control: *Control) i32;
pub extern fn tandem_reply(
    handle: f64,
    slot: u32,
    generation_low: u32,
    generation_high: u32,
    bytes: [*]const u8,
    length: u32,
    kind: u32,
) i32;
pub extern fn tandem_reserve(handle: f64, slot: u32, length: u32) i32;
pub extern fn tandem_watch_call(handle: f64, slot: u32, generation_low: u32, generation_high: u32) i32;
pub extern fn tandem_poll(handle: f64, out: [*]u32, out_words: u32) i32;
pub extern fn tandem_linger(handle: f64, what: u32) i32;
pub extern fn tandem_arm(handle: f64, what: u32) i32;
pub extern fn tandem_disarm(handle: f64) void;
pub extern fn tandem_bell(handle: f64, kind: u32) i32;
pub extern fn tandem_watch_next(handle: f64, control: *Control) i32;
pub extern fn tandem_keep_watch(handle: f64) void;
pub extern fn tandem_follow_boards(handle: f64) void;
pub extern fn tandem_board_write(handle: f64, bytes: [*]const u8, length: u32, control: *Control) i32;
pub extern fn tandem_hung_up(handle: f64, index: u32, give_up: u32) i32;
pub extern fn tandem_sweep(handle: f64) i32;
pub extern fn tandem_nudge(handle: f64) i32;
pub extern fn tandem_notify_fd(handle: f64) i32;
pub extern fn tandem_adopt_notify(handle: f64, fd: u32, peer: u32) i32;
pub extern fn tandem_drain_notify(handle: f64) void;
pub extern fn tandem_notify(handle: f64) void;
pub extern fn tandem_clear(handle: f64) i32;
pub extern fn tandem_limit_terms(handle: f64, max: u32, order: u32, control: *Control) i32;
pub extern fn tandem_limit_request(handle: f64, flags: u32, standby: u32, control: *Control) i32;
pub extern fn tandem_limit_look(handle: f64, control: *Control) i32;
pub extern fn tandem_limit_withdraw(handle: f64, control: *Control) i32;
pub extern fn tandem_limit_release(handle: f64) i32;
pub extern fn tandem_limit_wait(handle: f64, timeout_ms: f64, control: *Control) i32;
pub extern fn tandem_limit_resize(handle: f64, max: u32) i32;
pub extern fn tandem_limit_list(handle: f64, out: [*]f64, length: u32, control: *Control) i32;
