//! One state of the model: every variable of the shared memory, of the kernel and of the checks, and the
//! position of each process's program. All are 64-bit numbers in one array. A step changes few of them, so
//! the hash of a state is kept up to date, and steps can be undone.

const std = @import("std");
const layout = @import("../../memory/layout.zig");
const limit_area = @import("../../memory/limit_area.zig");
const limit_words = @import("../../memory/limit_words.zig");
const mappings = @import("../../platform/sys/mappings.zig");
const words = @import("../../memory/words.zig");
const setup = @import("setup.zig");
const rq = @import("request.zig");

pub const processes_max = 4;
pub const calls_max = 8;
pub const slots_max = 3;
pub const cells_max = 8;
pub const places_max = 3;

/// The names of the variables, in order.
pub const header_fields = [_][]const u8{
    "removed",           "head",  "tail",       "waiting_servers", "waiting_for_room", "notified_servers", "serving_servers",
    "participants_used", "joins", "slots_used", "departures",      "boards",           "board_followers",
};
pub const participant_fields = [_][]const u8{ "word", "role", "bell", "wait", "notify", "waker", "knocks", "load", "traits" };
pub const slot_fields = [_][]const u8{
    "word",           "owner",              "deadline_ns",     "request_length",  "request_flags",
    "request_inline", "request_inline + 8", "response_length", "response_inline", "response_inline + 8",
};

pub const limit_fields = [_][]const u8{ "queue", "resize", "places_used", "tokens", "contending" };
pub const contender_fields = [_][]const u8{ "word", "token" };

pub const process_fields = enum {
    /// The node of `local.zig`: the program's stack and private memory.
    program,
    status,
    /// The offset of the locked byte, 0: none.
    lock,
    /// 0: not asleep; otherwise one more than the variable that it sleeps on, or `woken`.
    futex,
    /// Index and epoch, one more than the index in the low byte, once its bells are there.
    identity,
    notified,
    /// A bit for each call that was delivered to it.
    holding,
    in_flight,
    /// Its bell was rung and not yet heard.
    rung,
    /// One more than the place of the limit that it may use, and whether it shares it: `Place`.
    place,
    /// The token of that place, and the highest one of all who had ended when it was granted.
    token,
    token_floor,
};

pub const woken = 0xffff;

pub const Status = enum(u8) {
    running,
    /// Dead, and the kernel has not released its lock yet.
    dying,
    dead,
    stopped,
};

pub const single_fields = enum {
    clock,
    deaths_left,
    stops_left,
    failures_left,
    server_has_gone,
    file_is_lost,
    /// How often another process may still go on while one is in the middle of an operation.
    switches_left,
    /// One more than the process that is in the middle of an operation.
    running,
    /// The highest token of all who use their places no more.
    ended_token,
};

pub const call_fields = enum {
    /// 0: not sent, 1: sent, 2: ended, 3: posted
    progress,
    handed_out,
};

/// `writer`: one more than the process that is copying into the area; `readers`: a bit for each process that
/// reads it.
pub const area_fields = enum { writer, readers };

pub var geometry: layout.Geometry = undefined;
pub var slots: u16 = 0;
pub var cells: u16 = 0;
pub var indices: u16 = 0;
pub var processes: u16 = 0;

var participants_at: u16 = 0;
var cells_at: u16 = 0;
var slots_at: u16 = 0;
var limit_at: u16 = 0;
var places_at: u16 = 0;
var contenders_at: u16 = 0;
pub var shared_count: u16 = 0;
var processes_at: u16 = 0;
var singles_at: u16 = 0;
var calls_at: u16 = 0;
var areas_at: u16 = 0;
pub var count: u16 = 0;

const variables_max = header_fields.len + rq.indices_max * participant_fields.len + cells_max +
    slots_max * slot_fields.len + limit_fields.len + places_max + rq.indices_max * contender_fields.len + processes_max * std.enums.values(process_fields).len +
    std.enums.values(single_fields).len + calls_max * 2 + slots_max * 4;

pub var values: [variables_max]u64 = undefined;

/// The size of the memory that provides the model's addresses.
pub const memory_bytes = layout.page_bytes + layout.participants_max * @sizeOf(layout.Participant) + (128 << 10);

/// By offset in the memory, in units of four bytes.
var variables: [memory_bytes / 4]u16 = undefined;
const unknown = 0xffff;
const ignored = 0xfffe;

pub fn variable_at(offset: usize) ?u16 {
    if (offset % 4 != 0) @panic("an access across variables");
    return switch (variables[offset / 4]) {
        unknown => @panic("an access to what is not part of the model"),
        ignored => null,
        else => |variable| variable,
    };
}

pub fn header(comptime field: []const u8) u16 {
    return comptime position(&header_fields, field);
}

pub fn participant(index: usize, comptime field: []const u8) u16 {
    return participants_at + @as(u16, @intCast(index * participant_fields.len)) + comptime position(&participant_fields, field);
}

pub fn cell(index: usize) u16 {
    return cells_at + @as(u16, @intCast(index));
}

pub fn slot(index: usize, comptime field: []const u8) u16 {
    return slots_at + @as(u16, @intCast(index * slot_fields.len)) + comptime position(&slot_fields, field);
}

pub fn limit(comptime field: []const u8) u16 {
    return limit_at + comptime position(&limit_fields, field);
}

pub fn place(index: usize) u16 {
    return places_at + @as(u16, @intCast(index));
}

pub fn contender(index: usize, comptime field: []const u8) u16 {
    return contenders_at + @as(u16, @intCast(index * contender_fields.len)) + comptime position(&contender_fields, field);
}

/// The contender whose word a variable is, or null.
pub fn contender_index(variable: u16) ?usize {
    if (variable < contenders_at or variable >= shared_count) return null;
    const offset = variable - contenders_at;
    return if (offset % contender_fields.len == 0) offset / contender_fields.len else null;
}

/// The participant whose word a variable is, or null.
pub fn participant_index(variable: u16) ?usize {
    if (variable < participants_at or variable >= cells_at) return null;
    const offset = variable - participants_at;
    return if (offset % participant_fields.len == 0) offset / participant_fields.len else null;
}

pub fn process(index: usize, field: process_fields) u16 {
    return processes_at + @as(u16, @intCast(index * std.enums.values(process_fields).len + @backingInt(field)));
}

pub fn single(field: single_fields) u16 {
    return singles_at + @as(u16, @backingInt(field));
}

pub fn call(index: usize, field: call_fields) u16 {
    return calls_at + @as(u16, @intCast(index * 2 + @backingInt(field)));
}

pub fn area(index: usize, field: area_fields) u16 {
    return areas_at + @as(u16, @intCast(index * 2 + @backingInt(field)));
}

/// The area that half of a payload belongs to.
pub fn area_of(variable: u16) usize {
    const offset = variable - slots_at;
    const is_response = offset % slot_fields.len >= comptime position(&slot_fields, "response_inline");
    return offset / slot_fields.len * 2 + @intFromBool(is_response);
}

/// The participant whose wait word a variable is, or null.
pub fn wait_index(variable: u16) ?usize {
    if (variable < participants_at or variable >= cells_at) return null;
    const offset = variable - participants_at;
    if (offset % participant_fields.len != comptime position(&participant_fields, "wait")) return null;
    return offset / participant_fields.len;
}

pub const SlotField = std.math.IntFittingRange(0, slot_fields.len - 1);
pub const SlotPart = struct { slot: usize, field: SlotField };

/// The slot and field that a variable is, or null.
pub fn slot_part(variable: u16) ?SlotPart {
    if (variable < slots_at or variable >= limit_at) return null;
    const offset = variable - slots_at;
    return .{ .slot = offset / slot_fields.len, .field = @intCast(offset % slot_fields.len) };
}

pub fn slot_field(comptime field: []const u8) SlotField {
    return comptime position(&slot_fields, field);
}

fn position(comptime fields: []const []const u8, comptime field: []const u8) u16 {
    for (fields, 0..) |name, index| if (std.mem.eql(u8, name, field)) return index;
    @compileError("no such field: " ++ field);
}

pub fn init(slot_count: u16, cell_count: u16, index_count: u16, process_count: u16, max_deliveries: u32) void {
    if (slot_count > slots_max or cell_count > cells_max) @panic("more slots or ring cells than the model has");
    if (index_count > rq.indices_max or process_count > processes_max) @panic("more processes than the model has");
    slots = slot_count;
    cells = cell_count;
    indices = index_count;
    processes = process_count;
    geometry = if (setup.contends())
        .of_limit
    else
        layout.Geometry.init(.bytes, slots, 16, 16, max_deliveries) catch unreachable;
    // Production never has so few: here positions repeat soon, and the ring is full often.
    if (!setup.contends()) geometry.ring_cells = cells;

    @memset(&variables, unknown);
    count = 0;
    inline for (header_fields) |field| add(@offsetOf(layout.Header, field));
    if (!setup.spreads()) ignore(@offsetOf(layout.Header, "serving_servers"), 8);
    if (setup.ring == 0) ignore(@offsetOf(layout.Header, "departures"), 8);
    if (!setup.has(.publish)) {
        ignore(@offsetOf(layout.Header, "boards"), 8);
        ignore(@offsetOf(layout.Header, "board_followers"), 8);
    }
    participants_at = count;
    for (0..layout.participants_max) |index| {
        const base = layout.page_bytes + index * @sizeOf(layout.Participant);
        ignore(base + @offsetOf(layout.Participant, "pid"), 4);
        ignore(base + @offsetOf(layout.Participant, "uid"), 4);
        ignore(base + @offsetOf(layout.Participant, "runtime"), 4);
        ignore(base + @offsetOf(layout.Participant, "folder_device"), 8);
        ignore(base + @offsetOf(layout.Participant, "folder_inode"), 8);
        ignore(base + @offsetOf(layout.Participant, "board"), 8);
        ignore(base + @offsetOf(layout.Participant, "counters"), @sizeOf(layout.Counters));
        if (index < indices) {
            inline for (participant_fields) |field| add(base + @offsetOf(layout.Participant, field));
        }
        if (index >= indices or !setup.spreads()) ignore(base + @offsetOf(layout.Participant, "load"), 8);
        if (index >= indices or setup.ring == 0) ignore(base + @offsetOf(layout.Participant, "traits"), 4);
    }
    cells_at = count;
    for (0..cells) |index| add(geometry.ring_offset + index * @sizeOf(words.Cell));
    slots_at = count;
    for (0..slots) |index| {
        const base = geometry.slots_offset + index * @sizeOf(layout.Slot);
        inline for (slot_fields) |field| {
            const is_second = comptime std.mem.endsWith(u8, field, " + 8");
            const name = comptime if (is_second) field[0 .. field.len - 4] else field;
            add(base + @offsetOf(layout.Slot, name) + if (is_second) 8 else 0);
        }
    }
    limit_at = count;
    if (setup.contends()) add_limit();
    shared_count = count;
    processes_at = count;
    count += processes * @as(u16, std.enums.values(process_fields).len);
    singles_at = count;
    count += std.enums.values(single_fields).len;
    calls_at = count;
    count += calls_max * 2;
    areas_at = count;
    count += slots * 4;
    init_keys();
    if (undo.len == 0) {
        const mapped = mappings.map_private(undo_max * @sizeOf(Undo));
        if (!mapped.ok()) @panic("out of memory");
        undo = @as([*]Undo, @ptrFromInt(mapped.value))[0..undo_max];
    }
    @memset(&values, 0);
    hash = 0;
    undo_count = 0;
}

fn add_limit() void {
    const base = geometry.ring_offset;
    inline for (limit_fields) |field| add(base + @offsetOf(limit_area.Area, field));
    places_at = count;
    for (0..places_max) |index| add(base + @offsetOf(limit_area.Area, "places") + index * @sizeOf(limit_words.PlaceWord));
    contenders_at = count;
    for (0..indices) |index| {
        const entry = base + @offsetOf(limit_area.Area, "contenders") + index * @sizeOf(limit_area.Contender);
        inline for (contender_fields) |field| add(entry + @offsetOf(limit_area.Contender, field));
        ignore(entry + @offsetOf(limit_area.Contender, "since"), 8);
    }
}

fn add(offset: u64) void {
    variables[offset / 4] = count;
    count += 1;
}

fn ignore(offset: u64, bytes: u64) void {
    @memset(variables[offset / 4 ..][0 .. bytes / 4], ignored);
}

// ---- changes ----------------------------------------------------------------------------------

/// The exclusive or of a 128-bit hash of each variable's number and value.
pub var hash: u128 = 0;
var keys: [variables_max][2]u64 = undefined;

fn init_keys() void {
    var random: std.Random.SplitMix64 = .init(0x7a4d3c2b1f0e9d8c);
    for (&keys) |*key| key.* = .{ random.next(), random.next() };
}

fn mixed(value: u64) u64 {
    var x = value;
    x = (x ^ (x >> 33)) *% 0xff51afd7ed558ccd;
    x = (x ^ (x >> 33)) *% 0xc4ceb9fe1a85ec53;
    return x ^ (x >> 33);
}

inline fn hash_of(variable: u16, value: u64) u128 {
    const key = keys[variable];
    const low = mixed(value +% key[0]);
    const high = mixed((value ^ key[1]) *% 0x9e3779b97f4a7c15 +% key[0]);
    return @as(u128, high) << 64 | low;
}

const Undo = struct { variable: u16, old: u64 };

/// Mapped and not allocated, so that unused pages are never touched.
var undo: []Undo = &.{};
const undo_max = 1 << 24;
pub var undo_count: u32 = 0;

pub fn set(variable: u16, value: u64) void {
    const old = values[variable];
    if (old == value) return;
    undo[undo_count] = .{ .variable = variable, .old = old };
    undo_count += 1;
    hash ^= hash_of(variable, old) ^ hash_of(variable, value);
    values[variable] = value;
}

pub fn get(variable: u16) u64 {
    return values[variable];
}

pub fn back_to(mark: u32) void {
    while (undo_count > mark) {
        undo_count -= 1;
        const change = undo[undo_count];
        hash ^= hash_of(change.variable, values[change.variable]) ^ hash_of(change.variable, change.old);
        values[change.variable] = change.old;
    }
}

// ---- reading ------------------------------------------------------------------------------------

pub fn word(comptime T: type, variable: u16) T {
    return @bitCast(values[variable]);
}

pub fn status(index: usize) Status {
    return @fromBackingInt(@as(u8, @intCast(get(process(index, .status)))));
}

/// Whether its holdings count: a stopped process may continue.
pub fn is_there(index: usize) bool {
    return switch (status(index)) {
        .running, .stopped => true,
        .dying, .dead => false,
    };
}
