//! The participants of a channel among themselves: who is gone, and what they publish.

const abi = @import("../abi.zig");
const arguments = @import("arguments.zig");
const board = @import("../platform/bells/board.zig");
const words = @import("../memory/words.zig");
const Control = abi.Control;
const Shared = @import("../memory/shared.zig").Chosen;
const Boards = @import("../protocol/boards.zig").BoardsType(Shared);
const DeathWatch = @import("../calls/death_watch.zig").DeathWatchType(Shared);
const Participants = @import("../protocol/participants.zig").ParticipantsType(Shared);
const Roster = @import("../protocol/roster.zig").RosterType(Shared);

/// From now on this handle's event loop watches the participants after it, always: others rely on that.
export fn tandem_keep_watch(handle_address: f64) void {
    DeathWatch.become_sentinel(arguments.handle_at(handle_address));
}

/// How often a participant has died and was settled, or has left.
export fn tandem_departures(handle_address: f64) f64 {
    return @floatFromInt(Shared.load(u64, &arguments.handle_at(handle_address).map.header().departures, .acquire));
}

/// How often somebody has gone, in two words, and who lives at which place, and how many boards it has published, in
/// three words for each place. `out` is zero, or as another roll has left it. Returns how many places there are.
export fn tandem_roll(handle_address: f64, out: [*]u32, out_words: u32) i32 {
    return @intCast(Roster.roll(arguments.handle_at(handle_address), out[0..out_words]));
}

/// How often boards were published.
export fn tandem_boards(handle_address: f64) f64 {
    return @floatFromInt(Boards.count(arguments.handle_at(handle_address)));
}

/// From now on this handle's loop is woken for boards.
export fn tandem_follow_boards(handle_address: f64) void {
    Boards.follow(arguments.handle_at(handle_address));
}

/// From now on it is not.
export fn tandem_unfollow_boards(handle_address: f64) void {
    Boards.unfollow(arguments.handle_at(handle_address));
}

/// Publishes this participant's board.
export fn tandem_board_write(handle_address: f64, bytes: [*]const u8, length: u32, control: *Control) i32 {
    const handle = arguments.handle_at(handle_address);
    board.write(&handle.bells, bytes[0..length], control) catch |err| return arguments.failed(err);
    Boards.published(handle);
    return 0;
}

/// The length of a participant's board, which is in `out`; the negative of `longer`: only its beginning fits there, and
/// the control block has its length.
export fn tandem_board_read(
    handle_address: f64,
    position: u32,
    epoch_low: u32,
    epoch_high: u32,
    out: [*]u8,
    room: u32,
    control: *Control,
) i32 {
    const handle = arguments.handle_at(handle_address);
    if (position >= Participants.used_count(handle)) return abi.Status.not_found.result();
    const epoch: words.Epoch = @truncate(@as(u64, epoch_high) << 32 | epoch_low);
    const length = board.read(&handle.bells, Participants.identity(handle, @intCast(position), epoch), out[0..room]) catch |err|
        return arguments.failed(err);
    control.length = length;
    return if (length > room) abi.Status.longer.result() else @intCast(length);
}
