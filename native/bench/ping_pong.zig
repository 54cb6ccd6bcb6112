//! The limit: two processes, two words on cache lines of their own, and the library's own way of waiting.
//! There is no payload, no order, and no handling of deaths: a call cannot be cheaper than this.

const std = @import("std");
const linux = std.os.linux;
const driver = @import("driver.zig");
const Shared = @import("../memory/shared.zig").Real;
const pacing = @import("../waiting/pacing.zig");
const Pacing = pacing.PacingType(Shared);

const Word = extern struct {
    value: u64 = 0,
    /// 1: the process that waits for this word sleeps.
    asleep: u64 = 0,
    padding: [112]u8 = @splat(0),
};

const Memory = extern struct { ping: Word, pong: Word };

/// One process's end, with the experience of its waits.
const End = struct {
    learned: pacing.Learned = .{},

    fn wait_for(end: *End, word: *Word, value: u64) void {
        var paced: Pacing = .of(&end.learned);
        while (Shared.load(u64, &word.value, .acquire) != value) {
            if (paced.again()) continue;
            Shared.store(u64, &word.asleep, 1, .seq_cst);
            const seen = Shared.load(u64, &word.value, .seq_cst);
            if (seen != value) Shared.futex_wait(low(word), @truncate(seen), 50 * std.time.ns_per_ms);
            Shared.store(u64, &word.asleep, 0, .seq_cst);
        }
        paced.learn(&end.learned);
    }

    fn set(_: *End, word: *Word, value: u64) void {
        Shared.store(u64, &word.value, value, .seq_cst);
        if (Shared.load(u64, &word.asleep, .seq_cst) != 0) Shared.futex_wake(low(word));
    }
};

fn low(word: *Word) *const u32 {
    return @ptrCast(&word.value);
}

pub const PingPong = struct {
    memory: *Memory,
    end: End,
    turn: u64 = 0,

    pub fn start() !PingPong {
        const bytes = 4096;
        const address = linux.mmap(null, bytes, .{ .READ = true, .WRITE = true }, .{
            .TYPE = .SHARED,
            .ANONYMOUS = true,
        }, -1, 0);
        if (linux.errno(address) != .SUCCESS) return error.NoMemory;
        const memory: *Memory = @ptrFromInt(address);
        const pid = linux.fork();
        if (linux.errno(pid) != .SUCCESS) return error.CannotFork;
        var echo: PingPong = .{ .memory = memory, .end = .{} };
        if (pid == 0) answer(memory, &echo.end);
        return echo;
    }

    fn answer(memory: *Memory, end: *End) noreturn {
        driver.end_with_parent(.KILL);
        var turn: u64 = 0;
        while (true) {
            turn += 1;
            end.wait_for(&memory.ping, turn);
            end.set(&memory.pong, turn);
        }
    }

    pub inline fn call(echo: *PingPong, payload: []const u8, out: []u8) !void {
        echo.turn += 1;
        echo.end.set(&echo.memory.ping, echo.turn);
        echo.end.wait_for(&echo.memory.pong, echo.turn);
        // There is no payload; the conductor's loop checks this.
        out[0] = payload[0];
    }
};
