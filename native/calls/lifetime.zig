//! The beginning and the end: of a participant on a channel, of the channel, and of its file.

const layout = @import("../memory/layout.zig");
const Handle = @import("../handle.zig").Handle;
const BoardsType = @import("../protocol/boards.zig").BoardsType;
const RepairType = @import("../protocol/repair.zig").RepairType;
const SlotsType = @import("../protocol/slots.zig").SlotsType;
const SpreadType = @import("../protocol/spread.zig").SpreadType;
const WaitType = @import("../protocol/wait.zig").WaitType;

pub fn LifetimeType(comptime Shared: type) type {
    return struct {
        const Boards = BoardsType(Shared);
        const Repair = RepairType(Shared);
        const Slots = SlotsType(Shared);
        const Spread = SpreadType(Shared);
        const Wait = WaitType(Shared);

        /// The first thing that a newcomer does.
        pub fn enter(handle: *Handle) void {
            // Contenders watch those ahead of them, and no newcomer is.
            if (handle.map.geometry.kind == .limit) {
                _ = Repair.sweep(handle);
                return;
            }
            Spread.forget(handle);
            Boards.forget(handle);
            // Nobody has to watch it.
            if (handle.has_trait(layout.trait_quiet)) {
                _ = Repair.sweep(handle);
                return;
            }
            _ = Shared.fetch_add(&handle.map.header().joins, 1, .seq_cst);
            // mutant:newcomer-rings-no-sleeper
            Wait.wake_all(handle);
            _ = Repair.sweep(handle);
        }

        /// Ends the channel for all its participants.
        pub fn remove(handle: *Handle) void {
            Shared.store(u64, &handle.map.header().removed, 1, .seq_cst);
            _ = Slots.clear(handle);
            // mutant:removal-does-not-ring
            Wait.wake_all(handle);
        }

        /// Whether the channel has ended. Sequentially consistent: the remover sets the mark and then looks
        /// for sleepers; a sleeper announces itself and then looks here.
        pub fn is_removed(handle: *Handle) bool {
            return Shared.load(u64, &handle.map.header().removed, .seq_cst) != 0;
        }

        /// Whether a server has nothing to wait for any more.
        pub fn is_over(handle: *Handle) bool {
            return is_removed(handle) and !handle.expects_removal;
        }

        /// As `Wait.lost`. If other processes have removed the file's name, the channel ends for all its
        /// participants, because no process can open it any more.
        pub fn lost(handle: *Handle) bool {
            if (Wait.lost(handle)) return true;
            // mutant:lost-name-overlooked
            if (handle.is_unlinked and !is_removed(handle)) remove(handle);
            return false;
        }

        /// After an operation that may have rung. A failed ring says that the files beside the channel may
        /// be gone, and the channel's own file with them.
        pub inline fn look_after_ring(handle: *Handle) void {
            if (!handle.has_failed_ring) return;
            handle.has_failed_ring = false;
            _ = lost(handle);
        }
    };
}
