//! Changes channels as a hostile process might, in memory and in files, and performs every operation of the
//! library with them, under safety checks and with guard pages around every mapping.
//!
//!     tandem-fuzz [--seed N] [--runs N]     catches a crash and prints its seed; repeat it with
//!                                           --seed N --runs 1
//!     tandem-fuzz --scribble PATH [--seed N] [--pause NANOSECONDS] [--only FIELD]
//!                                           scribbles over a live channel until its stdin ends;
//!                                           the field `texts` is the contents of all payloads, `notes` what
//!                                           follows the payloads of forwarded requests

const std = @import("std");
const linux = std.os.linux;
const fields = @import("proof/fuzz/fields.zig");
const memory = @import("proof/fuzz/memory.zig");
const run = @import("proof/fuzz/run.zig");
const scribbler = @import("proof/fuzz/scribbler.zig");
const actor = @import("proof/fuzz/actor.zig");
const abi = @import("abi.zig");

// The memory that the library uses here.
pub const SharedMemory = memory.SharedMemory;
pub const Mappings = memory.Mappings;

const Arguments = struct { seed: u64 = 1, runs: u64 = 1000, pause: u64 = 0, scribble: ?[:0]const u8 = null, only: ?[:0]const u8 = null };

/// The number of runs per process. If it dies, another process continues.
const batch = 100;
/// The time limit of one batch, far longer than a batch takes.
const batch_seconds = 120;

pub fn main(init: std.process.Init) !u8 {
    const arguments = parse(try init.minimal.args.toSlice(init.arena.allocator())) catch |err| {
        std.debug.print("tandem-fuzz: {t}; usage: tandem-fuzz [--seed N] [--runs N] | --scribble PATH [--seed N] [--pause NS] [--only FIELD]\n", .{err});
        return 2;
    };
    var buffer: [4096]u8 = undefined;
    var stdout = std.Io.File.stdout().writer(init.io, &buffer);
    const out = &stdout.interface;
    defer out.flush() catch {};
    if (arguments.scribble) |path| return scribbler.run(path, arguments.seed, arguments.pause, arguments.only, out);

    const shared = linux.mmap(null, @sizeOf(run.Report), .{ .READ = true, .WRITE = true }, .{ .TYPE = .SHARED, .ANONYMOUS = true }, -1, 0);
    if (linux.errno(shared) != .SUCCESS) return error.OutOfMemory;
    const report: *run.Report = @ptrFromInt(shared);
    var folder_buffer: [64]u8 = undefined;
    const folder = try std.fmt.bufPrint(&folder_buffer, "/dev/shm/tandem-fuzz-{d}", .{linux.getpid()});
    try std.Io.Dir.createDirAbsolute(init.io, folder, .fromMode(0o700));
    defer std.Io.Dir.cwd().deleteTree(init.io, folder) catch {};

    const findings = try all(folder, arguments, report, out);
    try summarize(out, arguments, report, findings);
    return if (findings == 0) 0 else 1;
}

fn all(folder: []const u8, arguments: Arguments, report: *run.Report, out: *std.Io.Writer) !u64 {
    var findings: u64 = 0;
    var seed = arguments.seed;
    const end = arguments.seed +% arguments.runs;
    while (seed != end) {
        const last = seed +% @min(batch, end -% seed);
        // Otherwise a child would write the content of the buffer again.
        try out.flush();
        const forked = linux.fork();
        if (linux.errno(forked) != .SUCCESS) return error.CannotFork;
        if (forked == 0) child(folder, seed, last, report);
        var status: i32 = undefined;
        while (linux.errno(linux.waitpid(@intCast(forked), &status, 0)) == .INTR) {}
        if (status == 0) {
            seed = last;
            continue;
        }
        findings += 1;
        const ended: u32 = @bitCast(status);
        try out.print("seed {d}: the process ended by signal {d}, code {d}; again: tandem-fuzz --seed {d} --runs 1\n", .{
            report.seed, ended & 0x7f, ended >> 8 & 0xff, report.seed,
        });
        seed = report.seed +% 1;
    }
    return findings;
}

fn child(folder: []const u8, first: u64, end: u64, report: *run.Report) noreturn {
    const timer: linux.itimerspec = .{
        .it_interval = .{ .sec = 0, .nsec = 0 },
        .it_value = .{ .sec = batch_seconds, .nsec = 0 },
    };
    // Also if the parent is killed.
    _ = linux.prctl(@backingInt(linux.PR.SET_PDEATHSIG), @backingInt(linux.SIG.KILL), 0, 0, 0);
    _ = linux.setitimer(@backingInt(linux.ITIMER.REAL), &timer, null);
    var seed = first;
    while (seed != end) : (seed +%= 1) {
        report.seed = seed;
        run.once(folder, seed, report);
    }
    linux.exit_group(0);
}

fn summarize(out: *std.Io.Writer, arguments: Arguments, report: *const run.Report, findings: u64) !void {
    var scribbles: u64 = 0;
    var fewest: u64 = std.math.maxInt(u64);
    for (report.scribbles) |count| {
        scribbles += count;
        fewest = @min(fewest, count);
    }
    var operations: u64 = 0;
    try out.print("results of each operation:\n", .{});
    for (actor.operations, report.tally) |operation, results| {
        try out.print("  {t}: {d} done", .{ operation, results[0] });
        operations += results[0];
        for (std.enums.values(abi.Status)) |status| {
            const count = results[@intCast(@backingInt(status))];
            operations += count;
            if (count > 0) try out.print(", {d} {t}", .{ count, status });
        }
        try out.print("\n", .{});
    }
    try out.print(
        "seed {d}: {d} runs, {d} operations, {d} deaths, {d} changes of files, {d} of words in {d} fields ({d} or more in each): {d} crashes\n",
        .{ arguments.seed, report.runs, operations, report.deaths, report.file_changes, scribbles, fields.table.len, fewest, findings },
    );
}

fn parse(arguments: []const [:0]const u8) !Arguments {
    var result: Arguments = .{};
    var index: usize = 1;
    while (index < arguments.len) : (index += 2) {
        const name = arguments[index];
        if (index + 1 == arguments.len) return error.MissingValue;
        const value = arguments[index + 1];
        if (std.mem.eql(u8, name, "--scribble")) {
            result.scribble = value;
        } else if (std.mem.eql(u8, name, "--only")) {
            result.only = value;
        } else inline for (.{ "seed", "runs", "pause" }) |field| {
            if (std.mem.eql(u8, name, "--" ++ field)) {
                @field(result, field) = try std.fmt.parseInt(u64, value, 10);
                break;
            }
        } else return error.UnknownArgument;
    }
    return result;
}
