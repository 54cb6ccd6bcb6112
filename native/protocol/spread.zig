//! Spreading the requests of a channel over its servers. Each server publishes in its entry how many requests
//! it works on. Before a server that works on some takes another one, it looks for a less busy server. If there
//! is one, it makes sure that this one is awake, and leaves the request to it: it *stands back*.
//!
//! Standing back only delays a look. The server does not sleep while the ring has a request, and takes the
//! request itself if the other one does not within the grace. So a server that is dead, stopped or hung delays
//! a request by one grace. It is unresponsive then, and is not waited for until it has looked again.
//!
//! Everything that servers read of each other here is a hint: whatever it says, it decides only which server
//! takes a request, and when.

const std = @import("std");
const words = @import("../memory/words.zig");
const Handle = @import("../handle.zig").Handle;
const RingType = @import("ring.zig").RingType;
const TableBoundsType = @import("table_bounds.zig").TableBoundsType;
const WaitType = @import("wait.zig").WaitType;

/// A sleeper takes 0.1 ms to wake up, and several times that on a busy machine.
const grace_ns = 10 * std.time.ns_per_ms;
/// The most that the time between two looks counts: the machine may have been busy with something else.
const step_ns = std.time.ns_per_ms / 2;

pub fn SpreadType(comptime Shared: type) type {
    return struct {
        const Ring = RingType(Shared);
        const TableBounds = TableBoundsType(Shared);
        const Wait = WaitType(Shared);

        // ---- what a server publishes -------------------------------------------------------------

        /// It works on one more request.
        pub inline fn taken(handle: *Handle) void {
            handle.load.calls +|= 1;
            publish(handle);
        }

        /// It works on one less.
        pub inline fn ended(handle: *Handle) void {
            handle.load.calls -|= 1;
            publish(handle);
        }

        /// It looks for a request: it takes this one or the next.
        pub noinline fn looks(handle: *Handle) void {
            handle.load.looks = Shared.next_look(handle.load.looks);
            handle.load.accepts = true;
            publish(handle);
            if (handle.is_serving) return;
            handle.is_serving = true;
            Wait.set(&handle.map.header().serving_servers, handle.index);
        }

        /// It takes no request until it looks again: it has no room for one, or it ends.
        pub noinline fn rests(handle: *Handle) void {
            handle.load.accepts = false;
            publish(handle);
        }

        inline fn publish(handle: *Handle) void {
            // Own, and a hint to others.
            Shared.store(words.LoadWord, &handle.entry().load, handle.load, .monotonic);
        }

        /// A participant joins or leaves: a dead predecessor may have left the bit behind.
        pub noinline fn forget(handle: *Handle) void {
            handle.is_serving = false;
            Wait.clear(&handle.map.header().serving_servers, handle.index);
        }

        // ---- what it does about others -----------------------------------------------------------

        const Other = struct { index: words.ParticipantIndex = 0, look: u47 = 0, busyness: u32 = std.math.maxInt(u32) };

        /// The other servers of the channel that accept a request and respond.
        const Survey = struct {
            accepting: u32 = 0,
            calls: u32 = 0,
            /// The least busy of them, if possible one that is awake.
            least: Other = .{},
        };

        noinline fn survey(handle: *Handle) Survey {
            var found: Survey = .{};
            var servers: Wait.Members = .of(handle, &handle.map.header().serving_servers);
            while (servers.next()) |index| {
                if (index == handle.index or !TableBounds.has_participant(handle, index)) continue;
                const entry = handle.map.participant(index);
                if (Shared.load(words.ParticipantWord, &entry.word, .acquire).state != .joined) continue;
                const load = Shared.load(words.LoadWord, &entry.load, .monotonic);
                if (!load.accepts or handle.unresponsive[index] == @as(u64, load.looks) +% 1) continue;
                found.accepting +%= 1;
                found.calls +%= load.calls;
                const sleeps = Shared.load(words.WaitWord, &entry.wait, .seq_cst).asleep();
                const busyness = @as(u32, load.calls) << 1 | @intFromBool(sleeps);
                if (busyness >= found.least.busyness) continue;
                found.least = .{ .index = index, .look = load.looks, .busyness = busyness };
            }
            return found;
        }

        /// A look of a server that takes requests as they come. True: another server gets the next one.
        ///
        /// `is_first`: its program has run since the last look. If it has not, calls that it took in a row may be
        /// answered in a moment, so it wakes no other server for their sake.
        pub fn stands_back(handle: *Handle, is_first: bool) bool {
            looks(handle);
            if (is_first) handle.allowance = 0;
            const calls: u32 = handle.load.calls;
            // A server that works on nothing takes what there is. So never do all stand back.
            if (calls == 0) return false;
            if (handle.allowance > 0) {
                handle.allowance -= 1;
                return false;
            }
            if (!Ring.occupied(handle)) return false;
            const header = handle.map.header();
            while (true) {
                const others = survey(handle);
                const head = Shared.load(u64, &header.head, .monotonic);
                const queued: u32 = @truncate(@min(Shared.load(u64, &header.tail, .monotonic) -% head, handle.map.geometry.slots));
                // Rounded up, and a little more for servers that are very busy: between these, an exact
                // balance would only cost looks.
                const share = (calls +% others.calls +% queued +% others.accepting) / (others.accepting +% 1);
                const limit = share +% share / 8;
                if (others.accepting == 0 or calls < limit) {
                    // Counted without a further survey.
                    handle.allowance = limit -| calls -| 1;
                    return false;
                }
                if (!is_first) return true;
                const patience = &handle.patience;
                const now_ns = Shared.now_ns();
                const begins = patience.seen_ns == 0 or patience.head != head;
                if (begins) patience.* = .{ .head = head };
                // On a busy machine the other server may get the processor as late as this one.
                if (!begins) patience.waited_ns +|= @min(now_ns -% patience.seen_ns, step_ns);
                patience.seen_ns = now_ns;
                // mutant:patience-without-end
                if (begins or !Shared.is_over(patience.waited_ns, grace_ns)) {
                    // mutant:less-busy-server-sleeps-on
                    if (others.least.busyness & 1 != 0) Wait.wake_rarely(handle, others.least.index);
                    return true;
                }
                patience.seen_ns = 0;
                handle.unresponsive[others.least.index] = @as(u64, others.least.look) +% 1;
            }
        }
    };
}
