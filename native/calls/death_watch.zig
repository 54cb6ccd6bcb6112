//! Watching over other participants: each death watch is a pipe on which the kernel hangs up when the process at the
//! other end dies.

const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Handle = @import("../handle.zig").Handle;
const watched_max = @import("../handle.zig").watched_max;
const ParticipantsType = @import("../protocol/participants.zig").ParticipantsType;
const RepairType = @import("../protocol/repair.zig").RepairType;

pub fn DeathWatchType(comptime Shared: type) type {
    return struct {
        const Participants = ParticipantsType(Shared);
        const Repair = RepairType(Shared);

        pub const Watched = union(enum) {
            /// A pipe that the event loop has to watch.
            fd: struct { fd: i32, index: words.ParticipantIndex },
            /// All participants are watched.
            complete,
            /// A participant cannot be watched: the loop looks in slices of time instead.
            incomplete,
        };

        /// Sets up the watch over one more participant.
        pub fn watch_next(handle: *Handle) Watched {
            const joins = Shared.load(u64, &handle.map.header().joins, .seq_cst);
            var unwatchable = false;
            var budget: Repair.Budget = .{};
            for (0..Participants.used_count(handle)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                if (index == handle.index) continue;
                // Every participant that had joined by the number of joins above is seen here, because that
                // load has acquired it. Its life was announced earlier still.
                const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
                if (word.state != .joined or handle.watched[index] == word.epoch) continue;
                if (handle.watches_servers_only) {
                    // Written before the word that says `joined`, and loaded after it.
                    const role = Shared.load(u32, &handle.map.participant(index).role, .monotonic);
                    if (role == @backingInt(layout.Role.client)) continue;
                }
                if (Repair.check(handle, index, word.epoch) != .unsettled) {
                    if (!budget.spent()) continue;
                    unwatchable = true;
                    break;
                }
                if (handle.watched_count < watched_max) {
                    if (Shared.watch_life(&handle.bells, Participants.identity(handle, index, word.epoch))) |fd| {
                        handle.watched[index] = word.epoch;
                        handle.watched_count += 1;
                        handle.lend(fd, index);
                        return .{ .fd = .{ .fd = fd, .index = index } };
                    }
                }
                // It may have died or left just now.
                if (Repair.check(handle, index, word.epoch) == .unsettled) unwatchable = true;
            }
            handle.watched_joins = joins;
            return if (unwatchable) .incomplete else .complete;
        }

        /// The kernel has hung up on a watched participant. `unsettled`: its lock is still held, as it is
        /// for a moment while the kernel takes the process apart, or its repair has to be tried again.
        pub fn hung_up(handle: *Handle, index: words.ParticipantIndex) Repair.Checked {
            const epoch = handle.watched[index];
            if (epoch == 0) return .left;
            const checked = Repair.check(handle, index, epoch);
            if (checked != .unsettled) forget(handle, index);
            return checked;
        }

        /// For a participant whose pipe is closed while its process lives: the loop has to look at it in
        /// slices.
        pub fn forget(handle: *Handle, index: words.ParticipantIndex) void {
            if (handle.watched[index] == 0) return;
            handle.watched[index] = 0;
            handle.watched_count -= 1;
            // So before its next sleep the loop sets up its watch again.
            handle.watched_joins -%= 1;
        }
    };
}
