//! The shared memory of the model: every access of the production functions is one request to the explorer.
//! It has the same declarations as `Real` in native/memory/shared.zig.
//!
//! One access is one step, and all steps have one order that every process sees: sequential consistency of
//! single accesses. Behaviour that only weaker orders allow is not explored.

const std = @import("std");
const layout = @import("../../memory/layout.zig");
const words = @import("../../memory/words.zig");
const Identity = @import("../../platform/bells/names.zig").Identity;
const Error = @import("../../abi.zig").Error;
const files = @import("../../platform/sys/files.zig");
const fibre = @import("fibre.zig");
const rq = @import("request.zig");
const setup = @import("setup.zig");
const state = @import("state.zig");
const Real = @import("../../memory/shared.zig").Real;
const Request = rq.Request;

/// Never stored to: it only provides addresses.
pub var memory: [state.memory_bytes]u8 align(layout.page_bytes) = undefined;

/// How a thread waits whose event loop does not run; participant.zig has it.
pub var wait_blocking: *const fn (rq.Events) rq.Event = undefined;

/// The running program's question.
pub var asked: Request = undefined;
/// The program's remarks since its last answer.
pub var remarks: [32]rq.Remark = undefined;
pub var remark_count: usize = 0;

pub fn ask(request: Request) u64 {
    asked = request;
    return fibre.give_up();
}

pub fn say(remark: rq.Remark) void {
    remarks[remark_count] = remark;
    remark_count += 1;
}

/// For each participant whose wait word the running operation has read and not yet used: one more than the
/// number in it. It lies in private memory, so it belongs to the moment of the program.
const held: *[8]u8 = fibre.private[fibre.private_bytes - 8 ..];

/// Whether the running look of a server has lost its patience.
pub const patience_is_over: *u8 = &fibre.private[fibre.private_bytes - 9];

pub fn held_numbers() [8]u8 {
    return held.*;
}

/// A new operation begins; it knows nothing of an earlier one's reads.
pub fn forget_numbers() void {
    held.* = @splat(0);
}

fn hold(variable: u16, word: ?words.WaitWord) void {
    const index = state.wait_index(variable) orelse return;
    if (word) |found| if (found.number > 40) return say(.{ .wrong = "the number of a wait word grows without end" });
    held[index] = if (word) |found| @intCast(found.number + 1) else 0;
}

fn Bits(comptime T: type) type {
    return @Int(.unsigned, @bitSizeOf(T));
}

fn number(comptime T: type, value: T) u64 {
    return @as(Bits(T), @bitCast(value));
}

/// Null: the word is only displayed, and not part of the model.
fn variable_at(pointer: anytype) ?u16 {
    const offset = @intFromPtr(pointer) -% @intFromPtr(&memory);
    if (offset >= state.memory_bytes) @panic("an access outside of the shared memory");
    return state.variable_at(offset);
}

pub const Model = struct {
    pub fn load(comptime T: type, pointer: *T, comptime order: std.lang.AtomicOrder) T {
        _ = order;
        const variable = variable_at(pointer) orelse return std.mem.zeroes(T);
        const value = ask(.{ .kind = .load, .variable = variable });
        hold(variable, @bitCast(value));
        return @bitCast(@as(Bits(T), @intCast(value)));
    }

    pub fn store(comptime T: type, pointer: *T, value: T, comptime order: std.lang.AtomicOrder) void {
        _ = order;
        const variable = variable_at(pointer) orelse return;
        _ = ask(.{ .kind = .store, .variable = variable, .a = number(T, value) });
        hold(variable, null);
    }

    pub fn cas(
        comptime T: type,
        pointer: *T,
        expected: T,
        desired: T,
        comptime order: std.lang.AtomicOrder,
    ) bool {
        _ = order;
        const variable = variable_at(pointer).?;
        const is_done = ask(.{
            .kind = .cas,
            .variable = variable,
            .a = number(T, expected),
            .b = number(T, desired),
        }) != 0;
        hold(variable, null);
        return is_done;
    }

    pub fn fetch_or(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        _ = order;
        const variable = variable_at(pointer) orelse return 0;
        return ask(.{ .kind = .fetch_or, .variable = variable, .a = mask });
    }

    pub fn fetch_and(pointer: *u64, mask: u64, comptime order: std.lang.AtomicOrder) u64 {
        _ = order;
        const variable = variable_at(pointer) orelse return 0;
        return ask(.{ .kind = .fetch_and, .variable = variable, .a = mask });
    }

    pub fn fetch_add(pointer: *u64, addend: u64, comptime order: std.lang.AtomicOrder) u64 {
        _ = order;
        const variable = variable_at(pointer) orelse return 0;
        return ask(.{ .kind = .fetch_add, .variable = variable, .a = addend });
    }

    pub fn copy_in(target: [*]u8, source: []const u8) void {
        if (source.len != payload_bytes) @panic("a payload of another length");
        for (0..2) |half| {
            const value = std.mem.readInt(u64, source[half * 8 ..][0..8], .little);
            _ = ask(.{ .kind = .write_half, .variable = variable_at(target + half * 8).?, .a = value, .b = half });
        }
    }

    pub fn copy_out(target: []u8, source: [*]const u8) void {
        if (target.len != payload_bytes) @panic("a payload of another length");
        for (0..2) |half| {
            std.mem.writeInt(u64, target[half * 8 ..][0..8], read_half(source, half), .little);
        }
    }

    /// They have no visible effect, and never address variables of the model.
    pub const prefetch = Real.prefetch;
    pub const glance = Real.glance;

    pub fn sentinels_enough() u32 {
        return if (setup.ring == 0) 1 else setup.ring;
    }

    /// As many as the model has participants.
    pub const contenders_max = rq.indices_max;

    /// For display.
    pub fn wall_ms() u64 {
        return 0;
    }

    pub fn pause() void {
        @panic("the model does not spin");
    }

    /// Enough for so few participants. More turns are an endless loop, which shows sooner this way.
    pub const turns_max = 40;

    pub const yield_turns = 0;
    pub const yield = pause;

    pub fn processor() u32 {
        return 0;
    }

    pub fn now_ns() u64 {
        return ask(.{ .kind = .now });
    }

    /// A sleep on a bell and on connections, which stand behind it.
    pub fn poll(watched: anytype, timeout_ns: ?u64) void {
        const retry_ns_max = std.time.ns_per_s;
        var events: rq.Events = .{ .asleep = true, .bell = true };
        if (timeout_ns) |timeout| if (timeout < retry_ns_max) {
            events.slice = true;
        } else {
            events.expire = true;
        };
        for (watched[1..]) |one| if (one.fd >= 0) {
            events.hangup |= @as(u6, 1) << @intCast(one.fd - life_fd_first);
        };
        const woken_by = wait_blocking(events);
        for (watched, 0..) |*one, place| one.found = switch (woken_by) {
            rq.event.bell => if (place == 0) files.poll_in else 0,
            rq.event.hangup...rq.event.hangup + 5 => if (place > 0 and one.fd == life_fd_first + @as(i32, woken_by - rq.event.hangup)) files.poll_gone else 0,
            else => 0,
        };
    }

    /// A number that grows would make every state a new one. A server that has stopped responding therefore
    /// counts as unresponsive for ever.
    pub fn next_look(look: u47) u47 {
        _ = look;
        return 0;
    }

    pub fn is_over(waited_ns: u64, grace_ns: u64) bool {
        _ = .{ waited_ns, grace_ns };
        const is_patience_over = ask(.{ .kind = .has_passed }) != 0;
        patience_is_over.* = @intFromBool(is_patience_over);
        return is_patience_over;
    }

    pub fn futex_wait(word: *const u32, expected: u32, timeout_ns: u64) void {
        _ = timeout_ns;
        const variable = variable_at(word).?;
        if (state.wait_index(variable)) |index| {
            // The sleeper starts over, except for the number that it sleeps on.
            const number_held = held[index];
            forget_numbers();
            held[index] = number_held;
        }
        _ = ask(.{ .kind = .futex_wait, .variable = variable, .a = expected });
        hold(variable, null);
    }

    pub fn futex_wake(word: *const u32) void {
        _ = ask(.{ .kind = .futex_wake, .variable = variable_at(word).? });
    }

    pub fn byte_locked(fd: i32, offset: u64) ?bool {
        _ = fd;
        return ask(.{ .kind = .byte_locked, .a = offset }) != 0;
    }

    pub fn lock_byte(fd: i32, offset: u64) bool {
        _ = fd;
        return ask(.{ .kind = .lock_byte, .a = offset }) != 0;
    }

    pub fn unlock_byte(fd: i32, offset: u64) void {
        _ = fd;
        _ = ask(.{ .kind = .unlock_byte, .a = offset });
    }

    pub fn drain(fd: i32) void {
        _ = ask(.{ .kind = .drain_notify, .a = @intCast(fd - notify_fd_first) });
    }

    pub fn close(fd: i32) void {
        _ = fd;
    }

    // The whole file is allocated.

    pub fn allocate(fd: i32, offset: u64, length: u64) bool {
        _ = .{ fd, offset, length };
        return true;
    }

    pub fn commit_slot_head(handle: anytype, slot: u32) Error!void {
        _ = .{ handle, slot };
    }

    pub fn commit_request(handle: anytype, slot: u32, length: u32) Error!void {
        _ = .{ handle, slot, length };
    }

    pub fn commit_response(handle: anytype, slot: u32, length: u32) Error!void {
        _ = .{ handle, slot, length };
    }

    pub fn punch(fd: i32, offset: u64, length: u64) void {
        _ = .{ fd, offset, length };
        @panic("payloads of the model are short");
    }

    pub const FileState = Real.FileState;

    pub fn file_state(handle: anytype) FileState {
        _ = handle;
        if (!setup.has(.lose_file)) return .whole;
        return if (ask(.{ .kind = .file_is_lost }) != 0) .unlinked else .whole;
    }

    pub fn has_waker(handle: anytype) bool {
        _ = handle;
        return setup.has_waker();
    }

    pub fn abandon(handle: anytype) void {
        _ = handle;
        @panic("the file of the model is whole");
    }

    pub fn ring_bell(bells: anytype, other: Identity, kind: u32) bool {
        _ = .{ bells, kind };
        return ask(.{ .kind = .ring_bell, .a = other.index, .b = other.epoch }) != 0;
    }

    pub fn ring_notify(bells: anytype, other: Identity) bool {
        _ = bells;
        return ask(.{ .kind = .ring_notify, .a = other.index, .b = other.epoch }) != 0;
    }

    pub fn write_notify(fd: i32) bool {
        if (fd < 0) return false;
        return ask(.{ .kind = .write_notify, .a = @intCast(fd - notify_fd_first) }) != 0;
    }

    pub fn watch_life(bells: anytype, other: Identity) ?i32 {
        _ = bells;
        const found = ask(.{ .kind = .watch_life, .a = other.index, .b = other.epoch }) != 0;
        return if (found) life_fd_first + @as(i32, @intCast(other.index)) else null;
    }

    pub fn forget_bells(bells: anytype, other: Identity) void {
        _ = .{ bells, other };
    }

    pub fn close_gone_bells(bells: anytype, living: anytype) void {
        _ = .{ bells, living };
    }
};

/// The length of requests and answers.
pub const payload_bytes = 16;

/// No descriptors of the real kernel: connections to participants, by index.
const life_fd_first = 1 << 30;
/// Notify descriptors are this one and the following ones, one for each process.
pub const notify_fd_first = 1 << 29;

/// For a view of a payload that stays in use.
pub fn read_half(source: [*]const u8, half: usize) u64 {
    return ask(.{ .kind = .read_half, .variable = variable_at(source + half * 8).?, .b = half });
}
