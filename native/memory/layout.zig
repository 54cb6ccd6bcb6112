//! The layout of a channel's memory. All offsets follow from the geometry, which is copied to private memory
//! when a process attaches and never read from shared memory again.
//!
//! ```
//! header | participants |    ring    | slot headers | areas of slot 0 | areas of slot 1 | …
//! └──────────────── dense ───────────────────────┘    request bytes, response bytes each
//!
//! header | participants | area of the limit                                     a concurrency limit
//! ```

const std = @import("std");
const words = @import("words.zig");
const limit_area = @import("limit_area.zig");
const Error = @import("../abi.zig").Error;

/// "TANDEM" and a byte that text editors do not preserve.
pub const magic: u64 = 0x314d45444e4154ff;
/// Increase it with every change of this file that another version would misread.
pub const layout_version: u32 = 7;

pub const page_bytes = 4096;
pub const slots_max = 65_536;
pub const participants_max = 1024;
pub const deliveries_max = std.math.maxInt(words.Delivery);
/// The longest payload; longer messages travel in parts.
pub const payload_bytes_max: u64 = 1 << 30;
/// The longest note behind the payload of a forwarded request.
pub const note_bytes_max = 1024 + 2;
/// The minimum of space for an answer, for errors.
pub const error_bytes_min: u64 = 1024;
/// A process's address space has 47 bits; a channel may take an eighth of it.
pub const file_bytes_max: u64 = 1 << 44;

/// `limit`: no channel, but a concurrency limit; its participants contend for places.
pub const Kind = enum(u32) { bytes = 0, int = 1, limit = 2, _ };

/// What a participant's handle is for.
pub const Role = enum(u32) { client = 1, server = 2 };

/// The distance between words that different processes write: two lines, because processors fetch lines in
/// pairs.
pub const padding = 128;

pub const Header = extern struct {
    /// Stored last, so that a header with the magic is complete.
    magic: u64,
    layout_version: u32,
    kind: u32,
    slots: u32,
    max_deliveries: u32,
    max_request_bytes: u64,
    max_response_bytes: u64,
    /// Random; the bells of a channel without a path are found under this name.
    channel_id: u64,
    /// Not zero: the channel was removed.
    removed: u64,
    reserved: [64]u8,

    head: u64 align(padding),
    tail: u64 align(padding),

    /// A bit for each participant that sleeps until a request comes.
    waiting_servers: [participants_max / 64]u64 align(padding),
    /// A bit for each participant that sleeps until a slot is free.
    waiting_for_room: [participants_max / 64]u64 align(padding),

    /// A bit for each server that wants its notify descriptor rung.
    notified_servers: [participants_max / 64]u64 align(padding),

    /// A bit for each server that takes requests as they come, see protocol/spread.zig. Rarely written.
    serving_servers: [participants_max / 64]u64 align(padding),

    /// The number of entries that were ever used; it bounds every walk.
    participants_used: u64 align(padding),
    /// Incremented at every join: a sleeper that saw an older number has a newcomer to watch.
    joins: u64,
    /// The number of slots that were ever used.
    slots_used: u64,
    /// Incremented whenever a participant has died and is settled, and whenever one leaves.
    departures: u64,
    /// Incremented whenever a participant has published a board.
    boards: u64,

    /// By processor, modulo 32: one more than each of the two participants whose event loops waited there last;
    /// 0: none. Hints.
    waited_last: [64]u32 align(padding),

    /// A bit for each participant that is to be rung when a board is published. Rarely written.
    board_followers: [participants_max / 64]u64 align(padding),

    comptime {
        std.debug.assert(@sizeOf(Header) <= page_bytes);
    }
};

/// One entry of the participant table.
pub const Participant = extern struct {
    word: words.ParticipantWord,
    role: u32,
    /// The kind of bell, 0: none yet.
    bell: u32,
    /// For display only; no decision depends on it.
    pid: u32,
    /// One more than the processor on which its event loop last waited; 0: unknown. A hint.
    processor: u32,
    /// The user id that the participant sees as its own; it names the folder of its bells. A hint.
    uid: u32,
    /// `abi.Runtime`, for display only.
    runtime: u32,
    /// The folder of its bells at the time of joining; 0: it had none. Participants with different folders
    /// cannot ring each other by path.
    folder_device: u64,
    folder_inode: u64,
    /// How many boards it has published; 0: it has none.
    board: u64,
    /// `trait_*`. Only the participant writes them.
    traits: u32,
    reserved: [4]u8,
    /// On a line of its own, because every participant that publishes reads it.
    wait: words.WaitWord,
    notify: words.NotifyWord,
    /// `waker_*`: whether a knock reaches this participant immediately.
    waker: u32,
    /// Incremented whenever a ring of the bell or of the notify descriptor has failed. The low half is a
    /// futex, on which a thread of the participant's process sleeps: see waiting/waker.zig.
    knocks: u64,
    reserved_wait: [40]u8,
    /// Only the participant writes them. They are kept when the entry is reused, so that the sum over all
    /// entries is the sum over all times.
    counters: Counters,
    /// How busy a server is. Only the participant writes it, beside its counters, with each request and each
    /// answer.
    load: words.LoadWord,

    comptime {
        std.debug.assert(@sizeOf(Participant) == 256);
        std.debug.assert(@offsetOf(Participant, "wait") == 64);
        std.debug.assert(@offsetOf(Participant, "uid") == 24);
        std.debug.assert(@offsetOf(Participant, "folder_device") == 32);
        std.debug.assert(@offsetOf(Participant, "folder_inode") == 40);
        std.debug.assert(@offsetOf(Participant, "board") == 48);
        std.debug.assert(@offsetOf(Participant, "traits") == 56);
        std.debug.assert(@offsetOf(Participant, "knocks") == 80);
        std.debug.assert(@offsetOf(Participant, "counters") == 128);
        std.debug.assert(@offsetOf(Participant, "load") == 248);
    }
};

/// It only sends. It has no files, and nobody watches it.
pub const trait_quiet: u32 = 1;
/// Its event loop watches the participants after it for as long as it lives: see calls/death_watch.zig.
pub const trait_sentinel: u32 = 2;
/// It leaves: for others it is gone.
pub const trait_leaving: u32 = 4;

/// The participant notices a knock at the end of a slice of time, if at all.
pub const waker_none: u32 = 0;
pub const waker_sleeps: u32 = 1;

pub const Counters = extern struct {
    requests: u64 = 0,
    replies: u64 = 0,
    failures: u64 = 0,
    cancelled: u64 = 0,
    timeouts: u64 = 0,
    redelivered: u64 = 0,
    server_deaths: u64 = 0,
    client_deaths: u64 = 0,
    reclaimed: u64 = 0,
    busy: u64 = 0,
    wakeups: u64 = 0,
    reserved: [4]u64 = @splat(0),

    comptime {
        std.debug.assert(@sizeOf(Counters) == 120);
    }
};

/// The head of a slot. Short payloads lie beside the words that every call touches.
pub const Slot = extern struct {
    word: words.SlotWord,
    /// Written by the client in `draft`; read by repairers between two equal reads of `word`.
    owner: words.Owner,
    /// CLOCK_MONOTONIC in nanoseconds, 0: none.
    deadline_ns: u64,
    request_length: u32,
    /// Low byte: `request_*` flags. Next byte: the number of deliveries that the call allows; its server may
    /// lower it to the current one.
    request_flags: u32,
    request_inline: [inline_request_bytes]u8,

    response_length: u32,
    /// Incremented whenever pages were taken from the slot's areas.
    trims: u32,
    response_inline: [inline_response_bytes]u8,

    comptime {
        std.debug.assert(@sizeOf(Slot) == 256);
        std.debug.assert(@offsetOf(Slot, "response_length") == 128);
    }
};

pub const inline_request_bytes = 96;
pub const inline_response_bytes = 120;

/// The sizes of one channel, and what follows from them.
pub const Geometry = struct {
    kind: Kind,
    slots: u32,
    max_request_bytes: u32,
    max_response_bytes: u32,
    max_deliveries: u32,

    ring_cells: u32,
    ring_offset: u64,
    slots_offset: u64,
    dense_bytes: u64,
    request_area_bytes: u64,
    response_area_bytes: u64,
    area_stride: u64,
    file_bytes: u64,

    pub fn init(kind: Kind, slots: u64, max_request: u64, max_response: u64, max_deliveries: u64) Error!Geometry {
        if (kind == .limit) {
            if (slots | max_request | max_response | max_deliveries != 0) return error.Corrupt;
            return of_limit;
        }
        if (slots < 1 or slots > slots_max) return error.Corrupt;
        if (max_request > payload_bytes_max or max_response > payload_bytes_max) return error.Corrupt;
        if (max_deliveries < 1 or max_deliveries > deliveries_max) return error.Corrupt;
        switch (kind) {
            .bytes, .int => {},
            .limit, _ => return error.Corrupt,
        }
        const cells = ring_cells_for(slots);
        const ring_offset = page_bytes + participants_max * @sizeOf(Participant);
        const slots_offset = ring_offset + cells * @sizeOf(words.Cell);
        const dense_bytes = round_up(slots_offset + slots * @sizeOf(Slot));
        const request_area = if (max_request <= inline_request_bytes) 0 else round_up(max_request + note_bytes_max);
        const response_area = round_up(@max(max_response, error_bytes_min));
        const stride = request_area + response_area;
        const file_bytes = dense_bytes + slots * stride;
        if (file_bytes > file_bytes_max) return error.TooLarge;
        return .{
            .kind = kind,
            .slots = @intCast(slots),
            .max_request_bytes = @intCast(max_request),
            .max_response_bytes = @intCast(max_response),
            .max_deliveries = @intCast(max_deliveries),
            .ring_cells = @intCast(cells),
            .ring_offset = ring_offset,
            .slots_offset = slots_offset,
            .dense_bytes = dense_bytes,
            .request_area_bytes = request_area,
            .response_area_bytes = response_area,
            .area_stride = stride,
            .file_bytes = file_bytes,
        };
    }

    /// All limits have the same size: there is room for every contender and every place.
    pub const of_limit: Geometry = limit: {
        const start = page_bytes + participants_max * @sizeOf(Participant);
        const end = round_up(start + @sizeOf(limit_area.Area));
        break :limit .{
            .kind = .limit,
            .slots = 0,
            .max_request_bytes = 0,
            .max_response_bytes = 0,
            .max_deliveries = 0,
            .ring_cells = 0,
            .ring_offset = start,
            .slots_offset = end,
            .dense_bytes = end,
            .request_area_bytes = 0,
            .response_area_bytes = 0,
            .area_stride = 0,
            .file_bytes = end,
        };
    };

    /// The maximum length of a request. A forwarded one has its note on top of the payload, for which every area
    /// has room; where requests have no area, both share the place beside the slot's word.
    pub fn request_bytes_max(geometry: *const Geometry, forwarded: bool) u32 {
        if (!forwarded or geometry.kind != .bytes) return geometry.max_request_bytes;
        if (geometry.request_area_bytes == 0) return inline_request_bytes;
        return geometry.max_request_bytes + note_bytes_max;
    }

    /// The maximum length of an answer: errors have room even if responses are tiny.
    pub fn response_bytes_max(geometry: *const Geometry) u32 {
        return @max(geometry.max_response_bytes, @as(u32, error_bytes_min));
    }
};

/// Eight cells make a line, and eight lines a block. Within a block, consecutive positions lie in different
/// lines: a server that takes one entry just behind the client that adds the next would otherwise exchange
/// that line with it twice a call.
const line_cells = 8;
const block_cells = line_cells * line_cells;

inline fn spread(in_turn: u64) u64 {
    const line = in_turn % line_cells;
    const place = in_turn / line_cells % line_cells;
    return in_turn - in_turn % block_cells + line * line_cells + place;
}

/// Cancelled calls leave stale entries that occupy positions until the head passes them, so the ring is much
/// larger than the number of slots. With at least 4096 cells, the lap of a position, which guards its cell
/// against late writers, does not repeat within days; see `words.Cell`.
fn ring_cells_for(slots: u64) u64 {
    const factor: u64 = if (slots <= 1024) 16 else 4;
    return std.math.ceilPowerOfTwoAssert(u64, @max(4096, slots * factor));
}

fn round_up(bytes: u64) u64 {
    return std.mem.alignForward(u64, bytes, page_bytes);
}

/// Typed pointers into one mapping.
pub const Map = struct {
    base: [*]align(page_bytes) u8,
    geometry: Geometry,

    pub inline fn header(map: *const Map) *Header {
        return @ptrCast(map.base);
    }

    pub inline fn participant(map: *const Map, index: words.ParticipantIndex) *Participant {
        const entries: [*]Participant = @ptrCast(@alignCast(map.base + page_bytes));
        return &entries[index];
    }

    /// Of a limit.
    pub inline fn limit(map: *const Map) *limit_area.Area {
        return @ptrCast(@alignCast(map.base + map.geometry.ring_offset));
    }

    pub inline fn cell(map: *const Map, position: u64) *words.Cell {
        const cells: [*]words.Cell = @ptrCast(@alignCast(map.base + map.geometry.ring_offset));
        const in_turn = position & (map.geometry.ring_cells - 1);
        return &cells[if (map.geometry.ring_cells < block_cells) in_turn else spread(in_turn)];
    }

    pub inline fn lap(map: *const Map, position: u64) u28 {
        return @truncate(position >> @intCast(@ctz(map.geometry.ring_cells)));
    }

    /// `index` is below `geometry.slots`; a caller that takes it from shared memory checks that.
    pub inline fn slot(map: *const Map, index: u32) *Slot {
        const headers: [*]Slot = @ptrCast(@alignCast(map.base + map.geometry.slots_offset));
        return &headers[index];
    }

    pub fn request_offset(map: *const Map, index: u32) u64 {
        return map.geometry.dense_bytes + index * map.geometry.area_stride;
    }

    pub fn response_offset(map: *const Map, index: u32) u64 {
        return map.request_offset(index) + map.geometry.request_area_bytes;
    }

    /// The place of a request of `length` bytes: beside the word if it fits there.
    pub inline fn request(map: *const Map, index: u32, length: u32) [*]u8 {
        if (length <= inline_request_bytes) return &map.slot(index).request_inline;
        return map.base + map.request_offset(index);
    }

    pub inline fn response(map: *const Map, index: u32, length: u32) [*]u8 {
        if (length <= inline_response_bytes) return &map.slot(index).response_inline;
        return map.base + map.response_offset(index);
    }
};

/// The byte that a participant locks. The next one stands for the same participant: see `lock_for_process`.
/// These bytes lie beyond the end of every file, two for each participant that ever was.
pub fn lock_offset(index: words.ParticipantIndex, epoch: words.Epoch) u64 {
    return (1 << 62) | (((@as(u64, index) << epoch_bits) | (epoch & words.epoch_max)) << 1);
}

/// Whose byte that is.
pub fn lock_owner(offset: u64) words.Owner {
    return .{ .index = @truncate(offset >> (epoch_bits + 1)), .epoch = @intCast(offset >> 1 & words.epoch_max) };
}

const epoch_bits = @bitSizeOf(@TypeOf(words.epoch_max)) - @clz(words.epoch_max);

/// The byte that a process locks while it replaces the file.
pub const replace_lock_offset: u64 = 1 << 61;

/// The byte that a handle locks which claims the channel: only one can, and no handle needs to.
pub const claim_lock_offset: u64 = replace_lock_offset + 1;

test "no two participants share a byte" {
    try std.testing.expectEqual(lock_offset(0, words.epoch_max) + 2, lock_offset(1, 0));
    try std.testing.expect(lock_offset(1023, words.epoch_max) < std.math.maxInt(i64));
    const owner: words.Owner = .{ .index = 1023, .epoch = words.epoch_max - 1 };
    try std.testing.expectEqual(owner, lock_owner(lock_offset(owner.index, owner.epoch)));
    try std.testing.expect(lock_offset(0, 0) > file_bytes_max);
}

test "offsets of the default geometry" {
    const geometry = try Geometry.init(.bytes, 256, 1 << 20, 1 << 20, 1);
    try std.testing.expectEqual(4096, geometry.ring_cells);
    try std.testing.expectEqual(0, geometry.dense_bytes % page_bytes);
    try std.testing.expectEqual(geometry.dense_bytes + 256 * ((2 << 20) + page_bytes), geometry.file_bytes);
}

test "there is room for a note behind every payload that lies in an area" {
    for ([_]u32{ inline_request_bytes + 1, page_bytes - note_bytes_max, page_bytes, 1 << 20, payload_bytes_max }) |max| {
        const geometry = try Geometry.init(.bytes, 1, max, 0, 1);
        try std.testing.expectEqual(max, geometry.request_bytes_max(false));
        try std.testing.expectEqual(max + note_bytes_max, geometry.request_bytes_max(true));
        try std.testing.expect(geometry.request_bytes_max(true) <= geometry.request_area_bytes);
    }
    for ([_]u32{ 0, 8, inline_request_bytes }) |max| {
        const geometry = try Geometry.init(.bytes, 1, max, 0, 1);
        try std.testing.expectEqual(0, geometry.request_area_bytes);
        try std.testing.expectEqual(inline_request_bytes, geometry.request_bytes_max(true));
    }
    const numbers = try Geometry.init(.int, 1, 8, 8, 1);
    try std.testing.expectEqual(8, numbers.request_bytes_max(true));
}

test "every position has a cell of its own, and neighbours share no line" {
    var taken: [4 * block_cells]bool = @splat(false);
    for (0..taken.len) |position| {
        const place = spread(position);
        try std.testing.expect(!taken[place]);
        taken[place] = true;
        for (1..line_cells) |distance| {
            const other = spread((position + distance) % taken.len);
            try std.testing.expect(place / line_cells != other / line_cells);
        }
    }
}

test "the largest channels keep within the address space or are refused" {
    _ = try Geometry.init(.bytes, slots_max, 1 << 20, 1 << 20, 1);
    try std.testing.expectError(
        error.TooLarge,
        Geometry.init(.bytes, slots_max, payload_bytes_max, payload_bytes_max, 1),
    );
    try std.testing.expectError(error.Corrupt, Geometry.init(.bytes, slots_max + 1, 1, 1, 1));
    try std.testing.expectError(error.Corrupt, Geometry.init(@fromBackingInt(7), 1, 1, 1, 1));
}

test "a limit has one geometry" {
    const geometry = try Geometry.init(.limit, 0, 0, 0, 0);
    try std.testing.expectEqual(0, geometry.ring_offset % page_bytes);
    try std.testing.expectEqual(0, geometry.file_bytes % page_bytes);
    try std.testing.expectError(error.Corrupt, Geometry.init(.limit, 1, 0, 0, 0));
}
