//! Every field of a channel's memory by name, and how a hostile process might change it. The layout itself
//! provides the table, so no field can be missing.

const std = @import("std");
const layout = @import("../../memory/layout.zig");
const limit_area = @import("../../memory/limit_area.zig");
const limit_words = @import("../../memory/limit_words.zig");
const words = @import("../../memory/words.zig");

const Region = enum {
    header,
    participant,
    cell,
    slot,
    area,
    limit,
    place,
    contender,

    /// Whether a segment of this kind has it.
    fn is_of(region: Region, kind: layout.Kind) bool {
        return switch (region) {
            .header, .participant => true,
            .cell, .slot, .area => kind != .limit,
            .limit, .place, .contender => kind == .limit,
        };
    }
};

/// Some bits of a packed word.
const Part = struct { name: []const u8, shift: u8, bits: u8 };

pub const Field = struct {
    name: []const u8,
    region: Region,
    /// From the start of each element of the region.
    offset: u32,
    element_bytes: u8,
    count: u32 = 1,
    parts: []const Part = &.{},
    is_rare: bool = false,
};

pub const table: []const Field = fields_of(layout.Header, .header, "header", 0) ++
    fields_of(layout.Participant, .participant, "participant", 0) ++
    &[1]Field{word_field(words.Cell, .cell, "cell", 0)} ++
    fields_of(layout.Slot, .slot, "slot", 0) ++
    &[1]Field{.{ .name = "area", .region = .area, .offset = 0, .element_bytes = 1, .count = 256 }} ++
    fields_of(limit_area.Area, .limit, "limit", 0) ++
    &[1]Field{word_field(limit_words.PlaceWord, .place, "place", 0)} ++
    fields_of(limit_area.Contender, .contender, "contender", 0);

fn fields_of(
    comptime Struct: type,
    comptime region: Region,
    comptime prefix: []const u8,
    comptime base: u32,
) []const Field {
    @setEvalBranchQuota(100_000);
    var list: []const Field = &.{};
    for (std.meta.fieldNames(Struct)) |name| {
        const Type = @FieldType(Struct, name);
        const path = prefix ++ "." ++ name;
        const offset = base + @offsetOf(Struct, name);
        list = list ++ switch (@typeInfo(Type)) {
            .int => &[1]Field{.{
                .name = path,
                .region = region,
                .offset = offset,
                .element_bytes = @sizeOf(Type),
                .is_rare = is_rare(path),
            }},
            // A region of its own.
            .array => |array| if (@typeInfo(array.child) == .@"struct") &[0]Field{} else &[1]Field{.{
                .name = path,
                .region = region,
                .offset = offset,
                .element_bytes = @sizeOf(array.child),
                .count = array.len,
                .is_rare = is_rare(path),
            }},
            .@"struct" => |info| if (info.layout == .@"packed")
                &[1]Field{word_field(Type, region, path, offset)}
            else
                fields_of(Type, region, path, offset),
            else => @compileError("no way to scribble over " ++ path),
        };
    }
    return list;
}

fn word_field(
    comptime Word: type,
    comptime region: Region,
    comptime path: []const u8,
    comptime offset: u32,
) Field {
    var parts: []const Part = &.{};
    for (std.meta.fieldNames(Word)) |name| {
        parts = parts ++ &[1]Part{.{
            .name = name,
            .shift = @bitOffsetOf(Word, name),
            .bits = @bitSizeOf(@FieldType(Word, name)),
        }};
    }
    return .{ .name = path, .region = region, .offset = offset, .element_bytes = @sizeOf(Word), .parts = parts };
}

/// More payload areas than this would only use memory.
const areas_max = 16;

/// One change in so many affects every participant, cell or slot at once.
const everywhere_every = 400;

/// The index of a field in the table.
pub fn find(name: []const u8) ?usize {
    for (table, 0..) |field, index| if (std.mem.eql(u8, field.name, name)) return index;
    return null;
}

/// Changes one word, or rarely all of its kind, and returns the index of its field. `only` restricts it to
/// that field. It only changes existing memory: among the first participants, cells and slots.
pub fn mutate(map: *const layout.Map, random: std.Random, only: ?usize) usize {
    const index = only orelse choose(map, random);
    const field = &table[index];
    if (only == null and random.uintLessThan(u32, everywhere_every) == 0) {
        change_everywhere(map, field, random);
        return index;
    }
    const address = place(map, field, random, only == null);
    const old = read(address, field.element_bytes);
    write(address, field.element_bytes, changed(map, field, address, old, random, only == null));
    return index;
}

/// Makes the same change in all of a kind: as many dead participants, sleepers or requests as possible.
fn change_everywhere(map: *const layout.Map, field: *const Field, random: std.Random) void {
    const geometry = &map.geometry;
    const start, const stride: u64, const count: u64 = switch (field.region) {
        .header, .area, .limit => return,
        .participant => .{ layout.page_bytes, @sizeOf(layout.Participant), layout.participants_max },
        .cell => .{ geometry.ring_offset, @sizeOf(words.Cell), geometry.ring_cells },
        .slot => .{ geometry.slots_offset, @sizeOf(layout.Slot), geometry.slots },
        .place => .{ geometry.ring_offset + @offsetOf(limit_area.Area, "places"), @sizeOf(limit_words.PlaceWord), limit_words.places_max },
        .contender => .{ geometry.ring_offset + @offsetOf(limit_area.Area, "contenders"), @sizeOf(limit_area.Contender), layout.participants_max },
    };
    const first = @intFromPtr(map.base) + start + field.offset;
    const value = changed(map, field, first, read(first, field.element_bytes), random, true);
    const own_lap = field.region == .cell and random.boolean();
    for (0..count) |position| {
        var here = value;
        if (own_lap) {
            // As in a full ring.
            var cell: words.Cell = @bitCast(value);
            cell.lap = map.lap(map.header().head +% position);
            here = @bitCast(cell);
        }
        const place_of = if (own_lap) (map.header().head +% position) & (count - 1) else position;
        write(first + place_of * stride, field.element_bytes, here);
    }
}

/// Chooses any field. Fields that identify or end a channel are rare, because nothing else happens in it
/// afterwards, and so are fields without influence.
fn choose(map: *const layout.Map, random: std.Random) usize {
    var tries: u32 = 0;
    while (true) : (tries += 1) {
        const index = random.uintLessThan(usize, table.len);
        if (!table[index].region.is_of(map.geometry.kind)) continue;
        if (!table[index].is_rare or tries >= 8) return index;
    }
}

fn is_rare(comptime path: []const u8) bool {
    for (.{ "reserved", "unused", "counters", "pid", "uid", "folder" }) |part| if (std.mem.indexOf(u8, path, part) != null) return true;
    const once = .{ "magic", "layout_version", "kind", "slots", "max_deliveries", "max_request_bytes", "max_response_bytes", "channel_id", "removed" };
    for (once) |name| if (std.mem.eql(u8, path, "header." ++ name)) return true;
    return false;
}

fn place(map: *const layout.Map, field: *const Field, random: std.Random, anywhere: bool) usize {
    const geometry = &map.geometry;
    const start: u64 = switch (field.region) {
        .header => 0,
        .participant => layout.page_bytes +
            few_or_any(random, layout.participants_max, anywhere) * @sizeOf(layout.Participant),
        .cell => geometry.ring_offset + cell_index(map, random) * @sizeOf(words.Cell),
        .slot => geometry.slots_offset + few_or_any(random, geometry.slots, anywhere) * @sizeOf(layout.Slot),
        .area => area: {
            const slot = random.uintLessThan(u64, @min(geometry.slots, areas_max));
            const stride = geometry.area_stride;
            const front = if (random.boolean()) 0 else geometry.request_area_bytes;
            break :area geometry.dense_bytes + slot * stride + front;
        },
        .limit => geometry.ring_offset,
        .place => geometry.ring_offset + @offsetOf(limit_area.Area, "places") +
            few_or_any(random, limit_words.places_max, anywhere) * @sizeOf(limit_words.PlaceWord),
        .contender => geometry.ring_offset + @offsetOf(limit_area.Area, "contenders") +
            few_or_any(random, layout.participants_max, anywhere) * @sizeOf(limit_area.Contender),
    };
    const element = random.uintLessThan(u64, field.count);
    return @intFromPtr(map.base) + start + field.offset + element * field.element_bytes;
}

/// Mostly among the first, which are in use.
fn few_or_any(random: std.Random, count: u64, anywhere: bool) u64 {
    const few = @min(8, count);
    return random.uintLessThan(u64, if (!anywhere or random.uintLessThan(u8, 8) != 0) few else count);
}

/// Mostly around head and tail, where participants look.
fn cell_index(map: *const layout.Map, random: std.Random) u64 {
    const cells = map.geometry.ring_cells;
    const around = switch (random.uintLessThan(u8, 8)) {
        0 => return random.uintLessThan(u64, cells),
        1, 2, 3 => @atomicLoad(u64, &map.header().head, .monotonic),
        else => @atomicLoad(u64, &map.header().tail, .monotonic),
    };
    return (around +% random.uintLessThan(u64, 6) -% 3) & (cells - 1);
}

fn changed(
    map: *const layout.Map,
    field: *const Field,
    address: usize,
    old: u64,
    random: std.Random,
    anywhere: bool,
) u64 {
    if (field.parts.len > 0 and random.uintLessThan(u8, 3) != 0) {
        const part = field.parts[random.uintLessThan(usize, field.parts.len)];
        const mask = mask_of(part.bits) << @intCast(part.shift);
        const value = part_value(part, (old & mask) >> @intCast(part.shift), random);
        return (old & ~mask) | ((value << @intCast(part.shift)) & mask);
    }
    return switch (random.uintLessThan(u8, 10)) {
        0, 1 => random.int(u64),
        2, 3 => old ^ (@as(u64, 1) << @intCast(random.uintLessThan(u8, field.element_bytes * 8))),
        4 => 0,
        5 => std.math.maxInt(u64),
        6 => old +% 1,
        7 => old -% 1,
        8 => swapped(map, field, address, old, random, anywhere),
        else => chosen(map, random),
    };
}

fn part_value(part: Part, old: u64, random: std.Random) u64 {
    return switch (random.uintLessThan(u8, 8)) {
        0 => 0,
        1 => mask_of(part.bits),
        2 => old +% 1,
        3 => old -% 1,
        4 => random.int(u64),
        else => random.uintLessThan(u64, 8),
    };
}

fn mask_of(bits: u8) u64 {
    return if (bits == 64) std.math.maxInt(u64) else (@as(u64, 1) << @intCast(bits)) - 1;
}

/// Exchanges the words of two places.
fn swapped(
    map: *const layout.Map,
    field: *const Field,
    address: usize,
    old: u64,
    random: std.Random,
    anywhere: bool,
) u64 {
    const other = place(map, field, random, anywhere);
    if (other == address) return old;
    const value = read(other, field.element_bytes);
    write(other, field.element_bytes, old);
    return value;
}

/// Numbers at a limit.
fn chosen(map: *const layout.Map, random: std.Random) u64 {
    const geometry = &map.geometry;
    const edges = [_]u64{
        geometry.slots,                geometry.ring_cells,
        geometry.max_request_bytes,    geometry.max_response_bytes,
        geometry.response_bytes_max(), geometry.request_bytes_max(true),
        layout.note_bytes_max,         geometry.max_deliveries,
        layout.participants_max,       layout.slots_max,
        layout.inline_request_bytes,   layout.inline_response_bytes,
        layout.page_bytes,             1 << 31,
        1 << 32,                       1 << 53,
        1 << 62,                       1 << 63,
    };
    const edge = edges[random.uintLessThan(usize, edges.len)];
    return edge +% random.uintLessThan(u64, 3) -% 1;
}

fn read(address: usize, bytes: u8) u64 {
    return switch (bytes) {
        1 => @atomicLoad(u8, @as(*u8, @ptrFromInt(address)), .monotonic),
        4 => @atomicLoad(u32, @as(*u32, @ptrFromInt(address)), .monotonic),
        else => @atomicLoad(u64, @as(*u64, @ptrFromInt(address)), .monotonic),
    };
}

fn write(address: usize, bytes: u8, value: u64) void {
    switch (bytes) {
        1 => @atomicStore(u8, @as(*u8, @ptrFromInt(address)), @truncate(value), .monotonic),
        4 => @atomicStore(u32, @as(*u32, @ptrFromInt(address)), @truncate(value), .monotonic),
        else => @atomicStore(u64, @as(*u64, @ptrFromInt(address)), value, .monotonic),
    }
}
