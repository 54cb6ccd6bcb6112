//! Who has published a board, and who wants to know. The boards themselves are files: see platform/bells/board.zig.

const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Handle = @import("../handle.zig").Handle;
const WaitType = @import("wait.zig").WaitType;

pub fn BoardsType(comptime Shared: type) type {
    return struct {
        const Wait = WaitType(Shared);

        /// This participant's board is in place: a reader that sees the count finds that board or a later one.
        pub fn published(handle: *Handle) void {
            const board = &handle.entry().board;
            // Own. Release: hands over the file.
            Shared.store(u64, board, Shared.load(u64, board, .monotonic) +% 1, .release);
            // Sequentially consistent, as `joins`: it comes before the search for sleepers.
            // mutant:board-counted-after-the-ring begin
            _ = Shared.fetch_add(&handle.map.header().boards, 1, .seq_cst);
            var followers: Wait.Members = .of(handle, &handle.map.header().board_followers);
            while (followers.next()) |index| Wait.wake_rarely(handle, index);
            // mutant:board-counted-after-the-ring end
        }

        /// From now on this participant is rung for boards.
        pub fn follow(handle: *Handle) void {
            handle.follows_boards = true;
            // mutant:follower-not-noted
            Wait.set(&handle.map.header().board_followers, handle.index);
            handle.watched_joins -%= 1;
        }

        /// From now on it is not.
        pub fn unfollow(handle: *Handle) void {
            handle.follows_boards = false;
            forget(handle);
        }

        /// A participant joins or leaves: a dead predecessor may have left the bit behind.
        pub fn forget(handle: *Handle) void {
            Wait.clear(&handle.map.header().board_followers, handle.index);
        }

        /// Whether a board was published since this handle has looked.
        pub fn is_outdated(handle: *Handle) bool {
            return count(handle) != handle.boards_seen;
        }

        pub fn count(handle: *Handle) u64 {
            return Shared.load(u64, &handle.map.header().boards, .seq_cst);
        }
    };
}
