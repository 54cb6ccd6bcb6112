//! Scribbles over a live channel while other processes use it.

const std = @import("std");
const linux = std.os.linux;
const abi = @import("../../abi.zig");
const fields = @import("fields.zig");
const layout = @import("../../memory/layout.zig");
const clock = @import("../../platform/sys/clock.zig");
const files = @import("../../platform/sys/files.zig");
const mappings = @import("../../platform/sys/mappings.zig");
const notes = @import("notes.zig");
const texts = @import("texts.zig");

/// Changes between two checks for the end.
const burst = 64;

/// The bytes that identify a channel, including whether it was removed.
const identity_bytes = @offsetOf(layout.Header, "reserved");

/// Instead of a field's name: changes payloads only.
const only_texts = "texts";
/// Instead of a field's name: changes the notes of forwarded requests.
const only_notes = "notes";

/// Writes `scribbling`, and at the end one line of JSON with the number of changes of each field.
pub fn run(path: [:0]const u8, seed: u64, pause_ns: u64, only: ?[]const u8, out: *std.Io.Writer) !u8 {
    const map = try open(path);
    if (only) |name| if (std.mem.eql(u8, name, only_texts)) return flip_texts(&map, out);
    if (only) |name| if (std.mem.eql(u8, name, only_notes)) return change_notes(&map, seed, pause_ns, out);
    const identity: *align(layout.page_bytes) [identity_bytes]u8 = @ptrCast(map.base);
    const intact = identity.*;
    var generator: std.Random.DefaultPrng = .init(seed);
    const random = generator.random();
    const chosen = if (only) |name| fields.find(name) orelse return error.NoSuchField else null;
    var counts: [fields.table.len]u64 = @splat(0);
    try out.print("scribbling\n", .{});
    try out.flush();
    while (!stdin_ended()) {
        for (0..burst) |_| {
            counts[fields.mutate(&map, random, chosen)] += 1;
            if (pause_ns > 0) clock.sleep_ns(random.uintLessThan(u64, 2 * pause_ns));
        }
        // Otherwise no process could open the channel any more, and little would happen in it.
        identity.* = intact;
    }
    try out.print("{{", .{});
    for (fields.table, counts, 0..) |field, count, index| try print_count(out, index, field.name, count);
    try out.print("}}\n", .{});
    return 0;
}

fn print_count(out: *std.Io.Writer, index: usize, name: []const u8, count: u64) !void {
    try out.print("{s}\"{s}\":{d}", .{ if (index == 0) "" else ",", name, count });
}

fn change_notes(map: *const layout.Map, seed: u64, pause_ns: u64, out: *std.Io.Writer) !u8 {
    var generator: std.Random.DefaultPrng = .init(seed);
    const random = generator.random();
    var counts: [notes.names.len]u64 = @splat(0);
    try out.print("scribbling\n", .{});
    try out.flush();
    while (!stdin_ended()) for (0..burst) |_| {
        counts[notes.change(map, random)] += 1;
        if (pause_ns > 0) clock.sleep_ns(random.uintLessThan(u64, 2 * pause_ns));
    };
    try out.print("{{", .{});
    for (notes.names, counts, 0..) |name, count, index| try print_count(out, index, name, count);
    try out.print("}}\n", .{});
    return 0;
}

fn flip_texts(map: *const layout.Map, out: *std.Io.Writer) !u8 {
    var count: u64 = 0;
    try out.print("scribbling\n", .{});
    try out.flush();
    while (!stdin_ended()) : (count += 1) texts.fill(map, if (count % 2 == 0) .euros else .ascii);
    try out.print("{{\"{s}\":{d}}}\n", .{ only_texts, count });
    return 0;
}

fn open(path: [:0]const u8) !layout.Map {
    const opened = files.open(path.ptr, files.o_rdwr | files.o_cloexec, 0);
    if (!opened.ok()) return error.CannotOpen;
    defer files.close(opened.fd());
    var header: layout.Header = undefined;
    const read = files.pread(opened.fd(), std.mem.asBytes(&header), 0);
    if (!read.ok() or read.value < @sizeOf(layout.Header)) return error.NotAChannel;
    const geometry = try layout.Geometry.init(
        @fromBackingInt(header.kind),
        header.slots,
        header.max_request_bytes,
        header.max_response_bytes,
        header.max_deliveries,
    );
    const mapped = mappings.map_shared(opened.fd(), geometry.file_bytes);
    if (!mapped.ok()) return error.CannotMap;
    return .{ .base = @ptrFromInt(mapped.value), .geometry = geometry };
}

fn stdin_ended() bool {
    var request: linux.pollfd = .{ .fd = 0, .events = linux.POLL.IN, .revents = 0 };
    return linux.errno(linux.poll(@ptrCast(&request), 1, 0)) == .SUCCESS and request.revents != 0;
}
