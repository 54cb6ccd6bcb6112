//! One open handle that performs every operation of the library and checks the results.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("../../abi.zig");
const layout = @import("../../memory/layout.zig");
const library = @import("library.zig");
const limit_words = @import("../../memory/limit_words.zig");
const memory = @import("memory.zig");
const stats = @import("../../protocol/stats.zig");
const files = @import("../../platform/sys/files.zig");
const mappings = @import("../../platform/sys/mappings.zig");
const Handle = @import("../../handle.zig").Handle;

pub const Operation = enum {
    send,
    post,
    request,
    get,
    ready,
    cancel,
    allocate,
    publish,
    receive,
    reply,
    reply_in_place,
    fail,
    held,
    watch_call,
    poll,
    linger,
    arm,
    disarm,
    bell,
    watch_next,
    keep_watch,
    follow_boards,
    board_write,
    board_read,
    hung_up,
    sweep,
    nudge,
    notify_fd,
    adopt_notify,
    drain_notify,
    notify,
    clear,
    pending,
    servers,
    stats,
    limit_terms,
    limit_request,
    limit_look,
    limit_withdraw,
    limit_release,
    limit_wait,
    limit_state,
    limit_heartbeat,
    limit_resize,
    limit_list,
    open,
    close,
    unlink,

    /// Some operations belong to a role, or to one kind of memory.
    pub fn is_of(operation: Operation, server: bool, kind: layout.Kind) bool {
        if (operation.is_of_limits()) return kind == .limit;
        if (kind == .limit) return switch (operation) {
            .arm, .disarm, .bell, .watch_next, .hung_up, .sweep => true,
            else => false,
        };
        return switch (operation) {
            .send, .post, .request, .get, .ready, .cancel, .allocate, .publish => !server,
            .receive, .reply, .reply_in_place, .fail, .held => server,
            .open, .close, .unlink => false,
            else => true,
        };
    }

    fn is_of_limits(operation: Operation) bool {
        return std.mem.startsWith(u8, @tagName(operation), "limit_");
    }

    /// How often it is chosen: operations that carry a call through its life are more frequent than those
    /// that end it.
    fn weight(operation: Operation) u32 {
        return switch (operation) {
            .send, .receive, .reply, .get, .ready, .limit_request, .limit_look, .limit_release => 8,
            .request, .post, .allocate, .publish, .reply_in_place => 4,
            .open, .close, .unlink, .clear => 1,
            else => 2,
        };
    }
};

/// Each operation as often as its weight.
const deck = deck: {
    @setEvalBranchQuota(10_000);
    var cards: []const Operation = &.{};
    for (std.enums.values(Operation)) |operation| {
        for (0..operation.weight()) |_| cards = cards ++ &[1]Operation{operation};
    }
    break :deck cards[0..cards.len].*;
};

pub const operations = std.enums.values(Operation);

/// One for results of zero and above, and one for each status.
pub const outcomes = 1 + std.meta.tags(abi.Status).len;
pub const Tally = [operations.len][outcomes]u64;

const known_max = 32;
const payload_bytes_max = 8192;

/// A call or a request that this handle once got; it may have ended.
const Known = struct { slot: u32, low: u32, high: u32, length: u32 = 0 };

pub const Actor = struct {
    address: f64,
    native: *Handle,
    server: bool,
    control: abi.Control,
    random: std.Random,
    tally: *Tally,
    known: [known_max]Known = undefined,
    known_count: u32 = 0,
    drafts: [known_max]Known = undefined,
    draft_count: u32 = 0,
    /// Descriptors that a runtime's event loop would own.
    lent: [80]i32 = undefined,
    lent_count: u32 = 0,
    shared_fd: i32 = -1,

    pub fn init(control: abi.Control, server: bool, random: std.Random, tally: *Tally) Actor {
        const native: *Handle = @ptrFromInt(@as(usize, @intFromFloat(control.handle)));
        memory.know(&native.map);
        return .{
            .address = control.handle,
            .native = native,
            .server = server,
            .control = control,
            .random = random,
            .tally = tally,
        };
    }

    pub fn close(actor: *Actor) void {
        actor.close_descriptors();
        begin();
        library.tandem_close(actor.address, actor.random.uintLessThan(u32, 2));
        actor.tally[@backingInt(Operation.close)][0] += 1;
    }

    fn close_descriptors(actor: *Actor) void {
        for (actor.lent[0..actor.lent_count]) |fd| files.close(fd);
        if (actor.shared_fd >= 0) files.close(actor.shared_fd);
    }

    /// As a killed process: the kernel takes everything back, and no other step happens.
    pub fn die(actor: *Actor) void {
        const handle = actor.native;
        actor.close_descriptors();
        for ([_]i32{ handle.bells.life, handle.bells.top, handle.bells.own, handle.notify_fd, handle.peer_notify_fd }) |fd| {
            if (fd >= 0) files.close(fd);
        }
        for (handle.bells.cache) |cached| if (cached.fd >= 0) files.close(cached.fd);
        files.close(handle.fd);
        mappings.unmap(@intFromPtr(handle.map.base), handle.map.geometry.file_bytes);
        handle.destroy();
    }

    pub fn act(actor: *Actor) void {
        const operation = actor.choose();
        const timeout: f64 = if (actor.random.boolean()) 0 else @floatFromInt(actor.random.uintLessThan(u32, 30));
        begin();
        const started_ns = memory.state.now_ns;
        const result = actor.perform(operation, timeout);
        check_time(started_ns, timeout);
        actor.tally[@backingInt(operation)][outcome_of(result)] += 1;
    }

    fn choose(actor: *Actor) Operation {
        while (true) {
            const operation = deck[actor.random.uintLessThan(usize, deck.len)];
            if (operation.is_of(actor.server, actor.native.map.geometry.kind)) return operation;
        }
    }

    fn perform(actor: *Actor, operation: Operation, timeout: f64) i32 {
        const address = actor.address;
        const random = actor.random;
        const control = &actor.control;
        var out: [payload_bytes_max]u8 = undefined;
        const out_bytes = random.uintLessThan(u32, payload_bytes_max + 1);
        const call = actor.any();
        return switch (operation) {
            .send => {
                const block = if (random.boolean()) abi.send_block else 0;
                const result = library.tandem_send(address, &out, actor.length(), actor.flags() | block, timeout, control);
                if (result > 0) actor.know_call();
                return result;
            },
            .post => library.tandem_send(address, &out, actor.length(), actor.flags() | abi.send_one_way, 0, control),
            .request => {
                const result = library.tandem_request(
                    address,
                    &out,
                    actor.length(),
                    actor.flags() & ~abi.send_watched,
                    timeout,
                    &out,
                    out_bytes,
                    control,
                );
                if (result == abi.Status.longer.result()) actor.know_call();
                return result;
            },
            .get => {
                const result = library.tandem_get(address, call.slot, call.low, call.high, timeout, &out, out_bytes, control);
                if (result > out_bytes) @panic("an answer longer than its place");
                return result;
            },
            .ready => {
                const result = library.tandem_ready(address, call.slot, call.low, call.high, timeout, control);
                // Uses a view of it.
                if (result >= 0) actor.touch(actor.response(call.slot, control.length), control.length, .read);
                return result;
            },
            .cancel => library.tandem_cancel(address, call.slot, call.low, call.high, random.uintLessThan(u32, 3)),
            .allocate => {
                const bytes = actor.length();
                const result = library.tandem_allocate(address, bytes, control);
                if (result == 1) actor.know_draft(bytes);
                return result;
            },
            .publish => actor.publish(timeout),
            .receive => {
                const in_turn: f64 = @floatFromInt(if (random.boolean()) abi.receive_first else abi.receive_next);
                const result = library.tandem_receive(address, if (random.boolean()) in_turn else timeout, control);
                if (result == 1) {
                    if (control.slot >= actor.native.map.geometry.slots) @panic("a request in a slot that is none");
                    actor.touch(actor.request(control.slot, control.length), control.length, .read);
                    actor.know_call();
                }
                return result;
            },
            .reply => library.tandem_reply(address, call.slot, call.low, call.high, &out, actor.length(), random.uintLessThan(u32, 2)),
            .fail => library.tandem_reply(address, call.slot, call.low, call.high, &out, actor.length(), 2),
            .reply_in_place => {
                const bytes = actor.length();
                const reserved = library.tandem_reserve(address, call.slot, bytes);
                if (reserved < 0) return reserved;
                const target = actor.response(call.slot, bytes);
                actor.touch(target, bytes, .write);
                return library.tandem_reply(address, call.slot, call.low, call.high, @ptrFromInt(target), bytes, 0);
            },
            .held => library.tandem_held(address, call.slot, call.low, call.high, control),
            .watch_call => library.tandem_watch_call(address, call.slot, call.low, call.high),
            .poll => {
                var ended: [60]u32 = undefined;
                const found = library.tandem_poll(address, &ended, ended.len);
                if (found > ended.len / 3) @panic("more ended calls than there is place for");
                return found;
            },
            .linger => {
                const result = library.tandem_linger(address, random.uintLessThan(u32, 4));
                if (result < abi.linger_nothing or result > abi.linger_crowded) @panic("an unknown result of linger");
                return result;
            },
            .arm => {
                const result = library.tandem_arm(address, random.uintLessThan(u32, 4));
                if (result < abi.armed or result > abi.armed_unsure) @panic("an unknown result of arm");
                return result;
            },
            .disarm => {
                library.tandem_disarm(address);
                return 0;
            },
            .bell => {
                const kind = if (random.boolean()) abi.bell_fifo else abi.bell_datagram;
                return actor.lend(library.tandem_bell(address, kind));
            },
            .watch_next => {
                const result = library.tandem_watch_next(address, control);
                if (result < 0) return 0;
                return actor.lend(result);
            },
            .keep_watch => {
                library.tandem_keep_watch(address);
                return 0;
            },
            .follow_boards => {
                library.tandem_follow_boards(address);
                return 0;
            },
            .board_write => library.tandem_board_write(address, "a board", some(random) % 8, control),
            .board_read => {
                const position = random.uintLessThan(u32, 4);
                _ = library.tandem_participant(address, position, control);
                var board: [8]u8 = undefined;
                const room = random.uintLessThan(u32, board.len);
                const result = library.tandem_board_read(address, position, control.epoch_low, control.epoch_high, &board, room, control);
                if (result > room) @panic("a board that is longer than its room");
                return result;
            },
            .hung_up => library.tandem_hung_up(address, random.uintLessThan(u32, 8), random.uintLessThan(u32, 2)),
            .sweep => library.tandem_sweep(address),
            .nudge => library.tandem_nudge(address),
            // It stays the handle's.
            .notify_fd => @min(0, library.tandem_notify_fd(address)),
            .adopt_notify => library.tandem_adopt_notify(address, actor.eventfd(), random.uintLessThan(u32, 2)),
            .drain_notify => {
                library.tandem_drain_notify(address);
                return 0;
            },
            .notify => {
                library.tandem_notify(address);
                return 0;
            },
            .clear => library.tandem_clear(address),
            .pending => library.tandem_pending(address),
            .servers => library.tandem_servers(address),
            .stats => {
                var numbers: [stats.field_count]f64 = undefined;
                library.tandem_stats(address, &numbers);
                for (numbers) |number| if (!(number >= 0)) @panic("a statistic that is no number");
                return 0;
            },
            .limit_terms => library.tandem_limit_terms(address, some(random), random.uintLessThan(u32, 4), control),
            .limit_request => {
                const standby = if (random.boolean()) abi.limit_no_standby else random.uintLessThan(u32, 4);
                return actor.placed(library.tandem_limit_request(address, random.uintLessThan(u32, 8), standby, control));
            },
            .limit_look => actor.placed(library.tandem_limit_look(address, control)),
            .limit_withdraw => actor.placed(library.tandem_limit_withdraw(address, control)),
            .limit_release => library.tandem_limit_release(address),
            .limit_wait => actor.placed(library.tandem_limit_wait(address, timeout, control)),
            .limit_state => actor.placed(library.tandem_limit_state(address)),
            .limit_heartbeat => actor.placed(library.tandem_limit_heartbeat(address)),
            .limit_resize => library.tandem_limit_resize(address, some(random)),
            .limit_list => {
                const fields_each = comptime std.meta.fieldNames(abi.LimitField).len;
                var list: [40 * fields_each]f64 = undefined;
                const found = library.tandem_limit_list(address, &list, list.len, control);
                if (found > layout.participants_max) @panic("more contenders than participants");
                const written = @min(@as(usize, @intCast(@max(found, 0))), list.len / fields_each);
                for (list[0 .. written * fields_each]) |number| {
                    if (std.math.isNan(number)) @panic("a listed contender has no number");
                }
                return found;
            },
            .open, .close, .unlink => unreachable,
        };
    }

    /// What became of an attempt; a place is one that a limit can have.
    fn placed(actor: *Actor, result: i32) i32 {
        _ = actor;
        if (result > limit_words.places_max) @panic("a place that no limit has");
        if (result >= abi.limit_idle and result <= abi.limit_refused_full) return 0;
        return result;
    }

    fn publish(actor: *Actor, timeout: f64) i32 {
        if (actor.draft_count == 0) return 0;
        actor.draft_count -= 1;
        const draft = actor.drafts[actor.draft_count];
        if (actor.random.uintLessThan(u8, 4) == 0) {
            return library.tandem_cancel(actor.address, draft.slot, draft.low, draft.high, abi.cancel_draft);
        }
        const chosen = actor.flags();
        const result = library.tandem_publish(actor.address, draft.slot, draft.low, draft.high, draft.length, chosen, timeout);
        if (result > 0) actor.remember(draft);
        return result;
    }

    fn flags(actor: *Actor) u32 {
        const deliveries = actor.random.uintLessThan(u32, 40) << abi.send_deliveries_shift;
        const text = if (actor.random.boolean()) abi.send_text else 0;
        const watched = if (actor.random.boolean()) abi.send_watched else 0;
        const forwarded = if (actor.random.boolean()) abi.send_forwarded else 0;
        return deliveries | text | watched | forwarded;
    }

    /// Around the limits, and sometimes too long.
    fn length(actor: *Actor) u32 {
        const geometry = &actor.native.map.geometry;
        const edges = [_]u32{
            0,                           8,                            layout.inline_request_bytes,
            layout.inline_request_bytes, layout.inline_response_bytes, geometry.max_request_bytes,
            geometry.max_response_bytes, layout.page_bytes,            geometry.request_bytes_max(true),
        };
        const edge = edges[actor.random.uintLessThan(usize, edges.len)];
        return @min(edge + actor.random.uintLessThan(u32, 2), payload_bytes_max);
    }

    fn know_call(actor: *Actor) void {
        const control = &actor.control;
        actor.remember(.{ .slot = control.slot, .low = control.generation_low, .high = control.generation_high });
    }

    fn remember(actor: *Actor, call: Known) void {
        actor.known[actor.known_count % known_max] = call;
        actor.known_count += 1;
    }

    fn know_draft(actor: *Actor, bytes: u32) void {
        const control = &actor.control;
        actor.touch(actor.request(control.slot, bytes), bytes, .write);
        if (actor.draft_count == known_max) actor.draft_count = 0;
        actor.drafts[actor.draft_count] = .{
            .slot = control.slot,
            .low = control.generation_low,
            .high = control.generation_high,
            .length = bytes,
        };
        actor.draft_count += 1;
    }

    /// A call that was known once, or that never existed.
    fn any(actor: *Actor) Known {
        const count = @min(actor.known_count, known_max);
        if (count > 0 and actor.random.uintLessThan(u8, 16) != 0) {
            // Mostly one of the last few, which have not ended yet.
            const back = if (actor.random.boolean()) @min(4, count) else count;
            return actor.known[(actor.known_count - 1 - actor.random.uintLessThan(u32, back)) % known_max];
        }
        const slot = actor.random.uintLessThan(u32, @max(1, actor.native.map.geometry.slots));
        return .{ .slot = slot, .low = actor.random.uintLessThan(u32, 4), .high = 0 };
    }

    /// As related processes share one.
    fn eventfd(actor: *Actor) u32 {
        if (actor.shared_fd < 0) {
            const made = linux.eventfd(0, linux.EFD.NONBLOCK | linux.EFD.CLOEXEC);
            if (linux.errno(made) != .SUCCESS) @panic("no eventfd");
            actor.shared_fd = @intCast(made);
        }
        return @intCast(actor.shared_fd);
    }

    fn lend(actor: *Actor, fd: i32) i32 {
        if (fd < 0) return fd;
        if (actor.lent_count == actor.lent.len) {
            files.close(fd);
        } else {
            actor.lent[actor.lent_count] = fd;
            actor.lent_count += 1;
        }
        return 0;
    }

    // The places of TypeScript's views, from the same numbers by the same rules as in memory.ts.

    fn request(actor: *Actor, slot: u32, bytes: u32) u64 {
        if (bytes <= layout.inline_request_bytes) return actor.head(slot) + @offsetOf(layout.Slot, "request_inline");
        return actor.area(slot);
    }

    fn response(actor: *Actor, slot: u32, bytes: u32) u64 {
        if (bytes <= layout.inline_response_bytes) return actor.head(slot) + @offsetOf(layout.Slot, "response_inline");
        return actor.area(slot) + actor.native.map.geometry.request_area_bytes;
    }

    fn head(actor: *Actor, slot: u32) u64 {
        const map = &actor.native.map;
        return @intFromPtr(map.base) + map.geometry.slots_offset + @as(u64, slot) * @sizeOf(layout.Slot);
    }

    fn area(actor: *Actor, slot: u32) u64 {
        const map = &actor.native.map;
        return @intFromPtr(map.base) + map.geometry.dense_bytes + @as(u64, slot) * map.geometry.area_stride;
    }

    /// Uses a view as a program does.
    fn touch(actor: *Actor, address: u64, bytes: u32, access: enum { read, write }) void {
        memory.check_payload(address, bytes);
        const view = @as([*]volatile u8, @ptrFromInt(address))[0..bytes];
        switch (access) {
            .read => for (view) |*byte| {
                _ = byte.*;
            },
            .write => for (view) |*byte| {
                byte.* = actor.random.int(u8);
            },
        }
    }
};

/// A number of places: few, many, or more than there can be.
fn some(random: std.Random) u32 {
    return switch (random.uintLessThan(u8, 8)) {
        0 => random.int(u32),
        1 => random.uintLessThan(u32, 2048),
        else => random.uintLessThan(u32, 4),
    };
}

/// A fraction of a second, whatever the operation.
const work_max = 1 << 26;

pub fn begin() void {
    memory.state.work = 0;
    memory.state.work_max = work_max;
}

/// Waiting or working far beyond the deadline is an error.
fn check_time(started_ns: u64, timeout: f64) void {
    const slack_ms = 150;
    const elapsed_ms = (memory.state.now_ns - started_ns) / std.time.ns_per_ms;
    if (elapsed_ms > @as(u64, @intFromFloat(timeout)) + slack_ms) @panic("a wait beyond its time-out");
}

pub fn outcome_of(result: i32) usize {
    if (result >= 0) return 0;
    const status = -@as(i64, result);
    for (std.meta.tags(abi.Status)) |known| {
        if (@backingInt(known) == status) return @intCast(status);
    }
    @panic("a result that is no status");
}
