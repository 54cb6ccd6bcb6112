//! The waker of a process, as a program of its own.

const layout = @import("../../memory/layout.zig");
const memory = @import("memory.zig");
const state = @import("state.zig");
const participant = @import("participant.zig");
const Model = memory.Model;
const Waker = @import("../../waiting/waker.zig").WakerType(Model);

const OwnBells = struct {
    owner: u8,

    pub fn ring_bell(bells: OwnBells) void {
        _ = memory.ask(.{ .kind = .ring_own_bell, .a = bells.owner });
    }

    pub fn ring_notify(bells: OwnBells) void {
        _ = memory.ask(.{ .kind = .write_notify, .a = bells.owner });
    }
};

/// As waiting/waker_thread.zig, for one handle. The number of the last sleep that it has rung for is compared
/// with later ones, so it is never forgotten.
pub noinline fn wake(owner: u8) noreturn {
    const own = participant.self();
    own.doing = .wake;
    const map: layout.Map = .{ .base = &memory.memory, .geometry = state.geometry };
    // Processes that do not join late get the indices in order.
    own.sleeper = .{ .entry = map.participant(owner), .knocks = 0 };
    participant.stage(1);
    participant.stage(2);
    participant.stage(3);
    while (true) {
        const knocks = Waker.answer(&own.sleeper, OwnBells{ .owner = owner });
        Model.futex_wait(Waker.futex(own.sleeper.entry), @truncate(knocks), 0);
    }
}
