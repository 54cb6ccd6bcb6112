//! Participants announce that they live while another process sweeps the files of the dead beside them.

const std = @import("std");
const names = @import("../platform/bells/names.zig");
const removal = @import("../platform/bells/removal.zig");
const files = @import("../platform/sys/files.zig");
const process = @import("../platform/sys/process.zig");
const Bells = @import("../platform/bells/bells.zig").Bells;

const folder_name = "beef.bells";

const Sweeper = struct {
    parent: i32,
    ended: std.atomic.Value(bool) = .init(false),

    fn run(sweeper: *Sweeper) void {
        while (!sweeper.ended.load(.acquire)) removal.remove_anonymous(sweeper.parent, folder_name);
    }
};

test "a sweeper does not take a participant that is just announced for a dead one" {
    var buffer: [64]u8 = undefined;
    const parent_name = try std.fmt.bufPrintSentinel(&buffer, "/dev/shm/tandem-sweep-{d}", .{process.id()}, 0);
    try std.testing.expect(files.mkdir(parent_name, 0o700).ok());
    defer _ = files.unlinkat(-100, parent_name, files.at_removedir);
    const parent = files.openat(-100, parent_name, files.o_path | files.o_directory | files.o_cloexec, 0).fd();
    defer files.close(parent);

    var bells: Bells = .{ .channel_id = 0xbeef };
    const home: @import("../platform/bells/folder.zig").Home = .{ .parent = parent, .name = "beef", .uid = process.user(), .gid = 0, .mode = 0o600 };
    var sweeper: Sweeper = .{ .parent = parent };
    const thread = try std.Thread.spawn(.{}, Sweeper.run, .{&sweeper});
    defer {
        sweeper.ended.store(true, .release);
        thread.join();
        removal.remove_anonymous(parent, folder_name);
    }
    var control: @import("../abi.zig").Control = .{};
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
