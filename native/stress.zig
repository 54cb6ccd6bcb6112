//! Runs proof/stress.zig for a given time:
//!
//!     zig-out/bin/tandem-stress [--seconds N] [--threads N] [--seed N]

const std = @import("std");
const stress = @import("proof/stress.zig");

pub fn main(init: std.process.Init) !void {
    const arguments = try init.minimal.args.toSlice(init.arena.allocator());
    const options = parse(arguments[1..]) orelse {
        std.debug.print(
            "usage: zig-out/bin/tandem-stress [--seconds N] [--threads N] [--seed N]; up to {d} threads of each role\n",
            .{stress.threads_max},
        );
        std.process.exit(2);
    };
    std.debug.print("{d} s, {d} clients and {d} servers, --seed {d}\n", .{
        options.seconds, options.threads, options.threads, options.seed,
    });
    const summary = stress.run(options) catch |err| {
        std.debug.print("FAILED: {s}\n", .{@errorName(err)});
        std.process.exit(1);
    };
    inline for (comptime std.meta.fieldNames(stress.Summary)) |name| {
        std.debug.print("{s} {d}\n", .{ name, @field(summary, name) });
    }
    std.debug.print("ok: every call ended once, with its own answer or a reason\n", .{});
}

fn parse(arguments: []const [:0]const u8) ?stress.Options {
    var seed: u64 = undefined;
    @import("platform/sys/process.zig").random(std.mem.asBytes(&seed));
    var options: stress.Options = .{ .seconds = 10, .seed = seed >> 32 };
    if (arguments.len % 2 != 0) return null;
    var index: usize = 0;
    while (index < arguments.len) : (index += 2) {
        const name = arguments[index];
        const value = std.fmt.parseInt(u32, arguments[index + 1], 10) catch return null;
        if (std.mem.eql(u8, name, "--seconds")) {
            options.seconds = value;
        } else if (std.mem.eql(u8, name, "--threads")) {
            if (value < 1 or value > stress.threads_max) return null;
            options.threads = value;
        } else if (std.mem.eql(u8, name, "--seed")) {
            options.seed = value;
        } else {
            return null;
        }
    }
    return options;
}
