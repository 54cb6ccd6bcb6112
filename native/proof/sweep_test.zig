//! Participants announce that they live while another process sweeps the files of the dead beside them.

const std = @import("std");
const names = @import("../platform/bells/names.zig");
const removal = @import("../platform/bells/removal.zig");
const files = @import("../platform/sys/files.zig");
const process = @import("../platform/sys/process.zig");
const abi = @import("../abi.zig");
const own_bell = @import("../platform/bells/own_bell.zig");
const Control = abi.Control;
const folders = @import("../platform/bells/folder.zig");
const Bells = @import("../platform/bells/bells.zig").Bells;

const folder_name = "beef.bells";

const Sweeper = struct {
    parent: i32,
    ended: std.atomic.Value(bool) = .init(false),

    fn run(sweeper: *Sweeper) void {
        while (!sweeper.ended.load(.acquire)) removal.remove_anonymous(sweeper.parent, folder_name);
    }
};

/// A folder of this test's own, open.
const Place = struct {
    parent: i32,
    path: [64]u8 = undefined,

    fn make() !Place {
        var place: Place = .{ .parent = -1 };
        const path = try std.fmt.bufPrintSentinel(&place.path, "/dev/shm/tandem-sweep-{d}", .{process.id()}, 0);
        try std.testing.expect(files.mkdir(path, 0o700).ok());
        place.parent = files.openat(-100, path, files.o_path | files.o_directory | files.o_cloexec, 0).fd();
        return place;
    }

    fn remove(place: *const Place) void {
        files.close(place.parent);
        _ = files.unlinkat(-100, @ptrCast(&place.path), files.at_removedir);
    }

    fn home(place: *const Place) folders.Home {
        return .{ .parent = place.parent, .name = "beef", .uid = process.user(), .gid = 0, .mode = 0o600 };
    }
};

test "watches and sweeps without end leave nothing in the participant that they look at" {
    const place = try Place.make();
    defer place.remove();
    defer removal.remove_anonymous(place.parent, folder_name);
    var bells: Bells = .{ .channel_id = 0xbeef };
    var control: Control = .{};
    try bells.open(&place.home(), &control);
    try std.testing.expectEqual(.done, bells.announce_life(0, 1));
    const identity: names.Identity = .{ .uid = process.user(), .index = 0, .epoch = 1 };
    for (0..10_000) |_| {
        files.close(bells.watch_life(identity) orelse return error.TestUnexpectedResult);
        removal.remove_anonymous(place.parent, folder_name);
    }
    const watch = bells.watch_life(identity).?;
    defer files.close(watch);
    var watched = [1]files.Watched{.{ .fd = watch }};
    _ = files.poll(&watched, 0);
    try std.testing.expectEqual(0, watched[0].found);
    files.close(bells.life);
    bells.life = -1;
    _ = files.poll(&watched, null);
    try std.testing.expect(watched[0].found & files.poll_gone != 0);
    try std.testing.expectEqual(null, bells.watch_life(identity));
    bells.close();
}

test "a participant that cannot announce its life has no bell with a name, which nobody would sweep" {
    const place = try Place.make();
    defer place.remove();
    var control: Control = .{};
    for ([_]u32{ abi.bell_fifo, abi.bell_datagram }) |kind| {
        for ([_]bool{ false, true }) |lives| {
            var bells: Bells = .{ .channel_id = 0xbeef };
            try bells.open(&place.home(), &control);
            if (lives) try std.testing.expectEqual(.done, bells.announce_life(0, 1));
            const bell = own_bell.make(&bells, kind).?;
            try std.testing.expectEqual(lives, bell.is_named);
            // It is killed.
            files.close(bell.loop);
            files.close(bell.waker);
            if (lives) files.close(bells.life);
            bells.close_folders();
            removal.remove_anonymous(place.parent, folder_name);
            try std.testing.expect(files.stat(place.parent, folder_name) == .errno);
        }
    }
}

/// All but one.
const Living = struct {
    gone: u32,

    pub fn has(living: Living, index: u32, epoch: u64) bool {
        return index != living.gone and epoch == 1;
    }
};

test "the ends of bells stay open for those that are rung often, until they have gone" {
    const place = try Place.make();
    defer place.remove();
    defer removal.remove_anonymous(place.parent, folder_name);
    var control: Control = .{};
    var others: [2]Bells = @splat(.{ .channel_id = 0xbeef });
    var own: [2]own_bell.OwnBell = undefined;
    for (&others, &own, 0..) |*bells, *bell, index| {
        try bells.open(&place.home(), &control);
        try std.testing.expectEqual(.done, bells.announce_life(@intCast(index), 1));
        bell.* = own_bell.make(bells, abi.bell_fifo).?;
    }
    var bells: Bells = .{ .channel_id = 0xbeef };
    try bells.open(&place.home(), &control);
    for (0..3) |round| {
        bells.keeps_rung = round > 0;
        for (0..2) |index| {
            const other: names.Identity = .{ .uid = process.user(), .index = @intCast(index), .epoch = 1 };
            try std.testing.expect(bells.ring(other, abi.bell_fifo));
            try std.testing.expectEqual(round > 0, bells.cache[index].fd >= 0);
        }
        if (round == 1) {
            bells.close_gone(Living{ .gone = 1 });
            try std.testing.expect(bells.cache[0].fd >= 0);
            try std.testing.expectEqual(-1, bells.cache[1].fd);
        }
    }
    bells.close();
    for (&others, &own) |*other, *bell| {
        files.close(bell.loop);
        files.close(bell.waker);
        other.close();
    }
}

test "a sweeper does not take a participant that is just announced for a dead one" {
    const place = try Place.make();
    defer place.remove();
    const home = place.home();
    var bells: Bells = .{ .channel_id = 0xbeef };
    var sweeper: Sweeper = .{ .parent = place.parent };
    const thread = try std.Thread.spawn(.{}, Sweeper.run, .{&sweeper});
    defer {
        sweeper.ended.store(true, .release);
        thread.join();
        removal.remove_anonymous(place.parent, folder_name);
    }
    var control: Control = .{};
    for (1..3_000) |epoch| {
        // The sweeper removes the folder while it is empty.
        while (true) {
            try bells.open(&home, &control);
            if (bells.own >= 0 and bells.announce_life(0, epoch) == .done) break;
        }
        var name: [64]u8 = undefined;
        const life = try std.fmt.bufPrintSentinel(&name, "{c}0-{x}-beef", .{ names.life_letter, epoch }, 0);
        // The sweeper has looked at it by then, unless this machine has one processor.
        for (0..4) |_| try std.testing.expect(files.stat(bells.own, life) == .info);
        bells.close();
    }
}
