//! The graph of a process's program, which is built during exploration. A node is a moment at which the
//! program waits for an answer. Two moments with the same stack and the same private memory are one node,
//! because the same behaviour follows from them. The production functions run once for each answer to a node,
//! and the result is remembered.

const std = @import("std");
const fibre = @import("fibre.zig");
const memory = @import("memory.zig");
const participant = @import("participant.zig");
const programs = @import("programs.zig");
const setup = @import("setup.zig");
const rq = @import("request.zig");
const state = @import("state.zig");
const Request = rq.Request;

pub const Node = struct {
    request: Request,
    process: u8,
    doing: rq.Doing,
    /// See `memory.held_numbers`.
    held_numbers: [8]u8,
    point: fibre.Point,
    /// In `bytes`: the stack, then the words of private memory that differ from the process's first
    /// image, as pairs of number and value.
    start: u64,
    stack_length: u32,
    differences: u32,
    first_edge: u32 = none,
};

pub const Edge = struct {
    answer: u64,
    target: u32,
    next: u32,
    remarks: u32,
    remark_count: u32,
};

pub const none: u32 = std.math.maxInt(u32);

pub var nodes: std.ArrayList(Node) = .empty;
pub var edges: std.ArrayList(Edge) = .empty;
pub var remarks: std.ArrayList(rq.Remark) = .empty;
var bytes: std.ArrayList(u8) = .empty;
var known: std.AutoHashMapUnmanaged(u128, u32) = .empty;
var images: [state.processes_max][fibre.private_bytes / 8]u64 = undefined;
var has_image: [state.processes_max]bool = @splat(false);

const gpa = std.heap.page_allocator;

pub fn clear() void {
    nodes.clearRetainingCapacity();
    edges.clearRetainingCapacity();
    remarks.clearRetainingCapacity();
    bytes.clearRetainingCapacity();
    known.clearRetainingCapacity();
    has_image = @splat(false);
}

/// Where a process begins.
pub fn first(process: u8) u32 {
    setup.current = process;
    memory.remark_count = 0;
    fibre.start(programs.entry);
    if (memory.remark_count > 0) @panic("a remark before the first access");
    images[process] = private().*;
    has_image[process] = true;
    return intern(process);
}

fn private() *[fibre.private_bytes / 8]u64 {
    return @ptrCast(&fibre.private);
}

/// The edge that an answer leads over.
pub fn next(number: u32, answer: u64) *const Edge {
    var place = nodes.items[number].first_edge;
    while (place != none) : (place = edges.items[place].next) {
        const edge = &edges.items[place];
        if (edge.answer == answer) return edge;
    }
    return run(number, answer);
}

fn run(number: u32, answer: u64) *const Edge {
    @branchHint(.cold);
    const node = nodes.items[number];
    restore(&node);
    setup.current = node.process;
    memory.remark_count = 0;
    fibre.go_on(node.point, bytes.items[node.start..][0..node.stack_length], answer);
    const said: u32 = @intCast(remarks.items.len);
    remarks.appendSlice(gpa, memory.remarks[0..memory.remark_count]) catch @panic("out of memory");
    const target = intern(node.process);
    const place: u32 = @intCast(edges.items.len);
    edges.append(gpa, .{
        .answer = answer,
        .target = target,
        .next = nodes.items[number].first_edge,
        .remarks = said,
        .remark_count = @intCast(memory.remark_count),
    }) catch @panic("out of memory");
    nodes.items[number].first_edge = place;
    return &edges.items[place];
}

fn restore(node: *const Node) void {
    private().* = images[node.process];
    const pairs: []align(1) const u64 = @ptrCast(bytes.items[node.start + node.stack_length ..][0 .. node.differences * 16]);
    var index: usize = 0;
    while (index < pairs.len) : (index += 2) private()[pairs[index]] = pairs[index + 1];
}

/// The node of the program that has just run.
fn intern(process: u8) u32 {
    const start = bytes.items.len;
    const stack = fibre.stack_now();
    const point = fibre.point_now();
    bytes.appendSlice(gpa, stack) catch @panic("out of memory");
    var differences: u32 = 0;
    for (private(), &images[process], 0..) |value, original, index| {
        if (value == original) continue;
        differences += 1;
        bytes.appendSlice(gpa, std.mem.asBytes(&[2]u64{ index, value })) catch @panic("out of memory");
    }
    // The question may have left no trace on the stack.
    const asked = &memory.asked;
    const place = [_]u64{
        process,     point.instruction,       point.frame,    point.depth,
        differences, @backingInt(asked.kind), asked.variable, asked.a,
        asked.b,     asked.c,
    };
    const low = hash_of(1, &place, bytes.items[start..]);
    const high = hash_of(2, &place, bytes.items[start..]);
    const found = known.getOrPut(gpa, @as(u128, high) << 64 | low) catch @panic("out of memory");
    if (found.found_existing) {
        bytes.items.len = start;
        return found.value_ptr.*;
    }
    const number: u32 = @intCast(nodes.items.len);
    found.value_ptr.* = number;
    nodes.append(gpa, .{
        .request = memory.asked,
        .process = process,
        .doing = participant.doing(),
        .held_numbers = memory.held_numbers(),
        .point = point,
        .start = start,
        .stack_length = @intCast(stack.len),
        .differences = differences,
    }) catch @panic("out of memory");
    return number;
}

fn hash_of(seed: u64, place: []const u64, content: []const u8) u64 {
    var hasher: std.hash.Wyhash = .init(seed);
    hasher.update(std.mem.sliceAsBytes(place));
    hasher.update(content);
    return hasher.final();
}
