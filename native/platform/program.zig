//! Replaces the program of this process by another one, as if the process that started this one had started
//! that one itself: what a JavaScript runtime has changed at its start is undone. The process keeps its id,
//! its terminal and its place in its group, so nothing has to pass signals or a status on.

const std = @import("std");
const files = @import("sys/files.zig");
const kernel = @import("sys/kernel.zig");
const mappings = @import("sys/mappings.zig");
const process = @import("sys/process.zig");
const programs = @import("sys/programs.zig");
const Errno = kernel.Errno;

/// Each list consists of texts that end with a zero byte.
pub const Program = struct {
    /// Tried in this order, as a search along PATH does.
    paths: []const u8,
    arguments: []const u8,
    environment: []const u8,
};

pub const Failure = struct {
    errno: Errno,
    /// The position of the path that it is about.
    path: u32 = 0,
};

/// Returns only if the process still has its old program. `kept`: descriptors that the new one inherits,
/// beside those of the standard streams.
pub fn replace(program: *const Program, kept: []const i32) Failure {
    var vectors = Vectors.create(program) orelse return .{ .errno = .NOMEM };
    defer vectors.destroy();
    var state: State = .{};
    state.prepare(kept);
    defer state.undo();
    return search(program.paths, vectors.arguments, vectors.environment);
}

fn search(paths: []const u8, arguments: programs.Texts, environment: programs.Texts) Failure {
    var failure: Failure = .{ .errno = .NOENT };
    var position: u32 = 0;
    var rest = paths;
    while (std.mem.indexOfScalar(u8, rest, 0)) |length| : (position += 1) {
        const result = programs.execve(rest[0..length :0], arguments, environment);
        switch (result.errno) {
            .NOENT, .NOTDIR, .STALE, .NODEV, .TIMEDOUT => {},
            // A later folder may have one that may be executed.
            .ACCES => if (failure.errno != .ACCES) {
                failure = .{ .errno = .ACCES, .path = position };
            },
            else => |errno| return .{ .errno = errno, .path = position },
        }
        rest = rest[length + 1 ..];
    }
    return failure;
}

const Vectors = struct {
    address: usize,
    bytes: usize,
    arguments: programs.Texts,
    environment: programs.Texts,

    fn create(program: *const Program) ?Vectors {
        const argument_count = std.mem.countScalar(u8, program.arguments, 0);
        const variable_count = std.mem.countScalar(u8, program.environment, 0);
        const bytes = (argument_count + variable_count + 2) * @sizeOf(usize);
        const memory = mappings.map_private(bytes);
        if (!memory.ok()) return null;
        const pointers: [*]?[*:0]const u8 = @ptrFromInt(memory.value);
        return .{
            .address = memory.value,
            .bytes = bytes,
            .arguments = fill(pointers, program.arguments),
            .environment = fill(pointers + argument_count + 1, program.environment),
        };
    }

    fn fill(pointers: [*]?[*:0]const u8, texts: []const u8) programs.Texts {
        var count: usize = 0;
        var rest = texts;
        while (std.mem.indexOfScalar(u8, rest, 0)) |length| : (count += 1) {
            pointers[count] = rest[0..length :0];
            rest = rest[length + 1 ..];
        }
        pointers[count] = null;
        return pointers[0..count :null];
    }

    fn destroy(vectors: *Vectors) void {
        mappings.unmap(vectors.address, vectors.bytes);
    }
};

const signal_pipe = 13;
const signal_file_size = 25;
const standard_streams = [_]i32{ 0, 1, 2 };

/// What a program inherits, and what it was before.
const State = struct {
    const kept_max = 2;
    const Kept = struct { fd: i32, flags: u32 };
    const Stream = struct { own: ?u32 = null, status: ?u32 = null };
    const Signal = struct { number: u32, action: ?programs.Action = null };

    kept: [kept_max]Kept = undefined,
    kept_count: usize = 0,
    streams: [standard_streams.len]Stream = @splat(.{}),
    /// Runtimes ignore them, which programs inherit and do not expect.
    signals: [2]Signal = .{ .{ .number = signal_pipe }, .{ .number = signal_file_size } },
    signal_mask: u64 = 0,
    descriptor_limits: ?programs.Limits = null,

    fn prepare(state: *State, kept: []const i32) void {
        for (kept) |fd| {
            const flags = programs.flags_of(fd, .own) orelse continue;
            state.kept[state.kept_count] = .{ .fd = fd, .flags = flags };
            state.kept_count += 1;
            programs.set_flags(fd, .own, 0);
        }
        for (&state.streams, standard_streams) |*stream, fd| {
            stream.own = programs.flags_of(fd, .own);
            stream.status = programs.flags_of(fd, .status);
            if (stream.own) |_| programs.set_flags(fd, .own, 0);
            if (stream.status) |flags| {
                if (flags & files.o_nonblock != 0) programs.set_flags(fd, .status, flags & ~files.o_nonblock);
            }
        }
        for (&state.signals) |*signal| {
            const action = programs.action_of(signal.number) orelse continue;
            if (!action.ignores()) continue;
            signal.action = action;
            programs.set_action(signal.number, .{});
        }
        state.lower_descriptor_limit();
        state.signal_mask = process.set_signal_mask(0);
    }

    /// Runtimes raise it as far as they may. What it was before, the parent still has.
    fn lower_descriptor_limit(state: *State) void {
        const limits = programs.descriptor_limits() orelse return;
        const soft = descriptor_limit_of(programs.parent()) orelse return;
        if (soft >= limits.soft) return;
        state.descriptor_limits = limits;
        programs.set_descriptor_limits(.{ .soft = soft, .hard = limits.hard });
    }

    fn undo(state: *const State) void {
        _ = process.set_signal_mask(state.signal_mask);
        if (state.descriptor_limits) |limits| programs.set_descriptor_limits(limits);
        for (state.signals) |signal| if (signal.action) |action| programs.set_action(signal.number, action);
        for (state.streams, standard_streams) |stream, fd| {
            if (stream.own) |flags| programs.set_flags(fd, .own, flags);
            if (stream.status) |flags| {
                if (flags & files.o_nonblock != 0) programs.set_flags(fd, .status, flags);
            }
        }
        for (state.kept[0..state.kept_count]) |kept| programs.set_flags(kept.fd, .own, kept.flags);
    }
};

/// Read as a text, because the kernel tells the limits of other users' processes in no other way.
fn descriptor_limit_of(pid: u32) ?u64 {
    var path_buffer: [32]u8 = undefined;
    const path = std.fmt.bufPrintSentinel(&path_buffer, "/proc/{d}/limits", .{pid}, 0) catch unreachable;
    const opened = files.open(path, files.o_rdonly | files.o_cloexec, 0);
    if (!opened.ok()) return null;
    defer files.close(opened.fd());
    var buffer: [4096]u8 = undefined;
    const result = files.read(opened.fd(), &buffer);
    return if (result.ok()) descriptor_limit_in(buffer[0..result.value]) else null;
}

fn descriptor_limit_in(text: []const u8) ?u64 {
    const title = "\nMax open files ";
    const start = std.mem.indexOf(u8, text, title) orelse return null;
    var fields = std.mem.tokenizeScalar(u8, text[start + title.len ..], ' ');
    const soft = fields.next() orelse return null;
    if (std.mem.eql(u8, soft, "unlimited")) return std.math.maxInt(u64);
    return std.fmt.parseInt(u64, soft, 10) catch null;
}

test "the limit of descriptors among the others" {
    const text = "Limit                     Soft Limit           Hard Limit           Units     \n" ++
        "Max core file size        0                    unlimited            bytes     \n" ++
        "Max open files            1024                 524288               files     \n";
    try std.testing.expectEqual(1024, descriptor_limit_in(text).?);
    try std.testing.expectEqual(null, descriptor_limit_in("Limit\n"));
    try std.testing.expectEqual(programs.descriptor_limits().?.soft, descriptor_limit_of(process.id()).?);
}

test "nothing has changed when no path can be executed" {
    const program: Program = .{ .paths = "/none\x00/\x00", .arguments = "none\x00", .environment = "" };
    const mask = process.set_signal_mask(1);
    const failure = replace(&program, &.{});
    try std.testing.expectEqual(Failure{ .errno = .ACCES, .path = 1 }, failure);
    try std.testing.expectEqual(1, process.set_signal_mask(mask));
    const missing: Program = .{ .paths = "/none\x00", .arguments = "none\x00", .environment = "A=b\x00" };
    try std.testing.expectEqual(Errno.NOENT, replace(&missing, &.{}).errno);
}
