//! The sleep of a blocking wait. The thread's event loop does not run meanwhile, so the wait has watches of its
//! own, and listens to the loop's bell, or to a bell of its own if there is no loop yet.

const std = @import("std");
const abi = @import("../../abi.zig");
const Handle = @import("../../handle.zig").Handle;
const watched_max = @import("../../handle.zig").watched_max;
const files = @import("../../platform/sys/files.zig");
const own_bell = @import("../../platform/bells/own_bell.zig");
const waker_thread = @import("../../waiting/waker_thread.zig");
const words = @import("../../memory/words.zig");
const RepairType = @import("../../protocol/repair.zig").RepairType;
const WaitType = @import("../../protocol/wait.zig").WaitType;
const WatchingType = @import("watching.zig").WatchingType;

/// The kernel closes a dying process's descriptors one by one, so its lock may go a moment after its pipe.
const retries_ms = [_]u64{ 1, 5, 20, 50, 100 };
/// Where no ring or no hang-up may come.
const slice_ns = 50 * std.time.ns_per_ms;

const Watch = struct { fd: i32, index: words.ParticipantIndex, retries: u32 = 0 };

pub fn SleepType(comptime Shared: type) type {
    return struct {
        const Sleep = @This();
        const Repair = RepairType(Shared);
        const Wait = WaitType(Shared);
        const Watching = WatchingType(Shared);

        handle: *Handle,
        /// -1: there is none, and the thread sleeps on its word.
        bell: i32,
        watches: [watched_max]Watch,
        count: u32,
        /// Somebody ahead may have died unnoticed.
        is_blind: bool,
        slice: u32,
        loops_watched: [*]words.Epoch,
        loops_count: u32,

        pub fn begin(sleep: *Sleep, handle: *Handle) void {
            sleep.handle = handle;
            sleep.bell = bell_of(handle) orelse -1;
            sleep.count = 0;
            sleep.is_blind = false;
            sleep.slice = 0;
            sleep.loops_watched = handle.watched;
            sleep.loops_count = handle.watched_count;
            handle.watched = handle.watched_blocking;
            handle.watched_count = 0;
        }

        pub fn end(sleep: *Sleep) void {
            while (sleep.count > 0) sleep.forget(sleep.count - 1);
            sleep.handle.watched = sleep.loops_watched;
            sleep.handle.watched_count = sleep.loops_count;
        }

        fn bell_of(handle: *Handle) ?i32 {
            if (handle.lent_bell()) |fd| return fd;
            if (handle.blocking_bell < 0) {
                const bell = own_bell.make(&handle.bells, abi.bell_fifo) orelse return null;
                waker_thread.add_bell(&handle.waker, handle.entry(), bell.waker, abi.bell_fifo);
                // As in `tandem_bell`: the first sleep that may be rung is announced later.
                if (bell.is_named) Shared.store(u32, &handle.entry().bell, abi.bell_fifo, .release);
                handle.blocking_bell = bell.loop;
            }
            return handle.blocking_bell;
        }

        /// Watches everyone who has to be watched.
        pub fn watch(sleep: *Sleep) void {
            while (true) {
                switch (Watching.watch_next(sleep.handle)) {
                    .fd => |new| {
                        // A predecessor at the same index was watched before.
                        sleep.close_of(new.index);
                        sleep.watches[sleep.count] = .{ .fd = new.fd, .index = new.index };
                        sleep.count += 1;
                    },
                    .drop => |index| sleep.close_of(index),
                    .complete, .incomplete => return,
                }
            }
        }

        fn close_of(sleep: *Sleep, index: words.ParticipantIndex) void {
            for (sleep.watches[0..sleep.count], 0..) |known, position| {
                if (known.index == index) return sleep.remove(@intCast(position));
            }
        }

        fn remove(sleep: *Sleep, position: u32) void {
            files.close(sleep.watches[position].fd);
            sleep.count -= 1;
            sleep.watches[position] = sleep.watches[sleep.count];
        }

        fn forget(sleep: *Sleep, position: u32) void {
            const handle = sleep.handle;
            const index = sleep.watches[position].index;
            handle.watched[index] = 0;
            handle.watched_count -= 1;
            sleep.remove(position);
        }

        /// Sleeps until something happens. Touches no shared memory before it looks at the watches, because the file
        /// may have been cut short.
        pub fn run(sleep: *Sleep, is_unsure: bool, deadline_ns: u64) void {
            const handle = sleep.handle;
            sleep.is_blind = is_unsure or sleep.bell < 0;
            if (sleep.bell < 0) {
                _ = Wait.sleep(handle, &sleep.slice, deadline_ns);
                return;
            }
            var longest_ns: ?u64 = if (is_unsure or handle.interruption.ask != null) slice_ns else null;
            if (deadline_ns != 0) longest_ns = @min(longest_ns orelse std.math.maxInt(u64), deadline_ns -| Shared.now_ns());
            var polled: [1 + watched_max]files.Watched = undefined;
            polled[0] = .{ .fd = sleep.bell, .events = files.poll_in };
            for (sleep.watches[0..sleep.count], polled[1..][0..sleep.count]) |known, *watched| {
                watched.* = .{ .fd = if (known.retries == 0) known.fd else -1 };
                if (known.retries == 0) continue;
                const retry_ns = retries_ms[known.retries - 1] * std.time.ns_per_ms;
                longest_ns = @min(longest_ns orelse retry_ns, retry_ns);
            }
            _ = Shared.poll(polled[0 .. 1 + sleep.count], longest_ns);
            if (polled[0].found & files.poll_in != 0) Shared.drain(sleep.bell);
            if (Wait.lost(handle)) return;
            var position = sleep.count;
            while (position > 0) {
                position -= 1;
                const is_hung_up = polled[1 + position].found & files.poll_gone != 0;
                if (is_hung_up or sleep.watches[position].retries > 0) sleep.hung_up(position);
            }
        }

        fn hung_up(sleep: *Sleep, position: u32) void {
            const handle = sleep.handle;
            const known = &sleep.watches[position];
            const epoch = handle.watched[known.index];
            if (Repair.check(handle, known.index, epoch) == .unsettled) {
                known.retries += 1;
                if (known.retries <= retries_ms.len) return;
                // Its pipe is closed while it lives.
                handle.unwatchable[known.index] = epoch;
            }
            sleep.forget(position);
        }
    };
}
