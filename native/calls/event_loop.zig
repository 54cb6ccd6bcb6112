//! The native part of an event loop: what it polls, how it lingers, and how it goes to sleep.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("../memory/layout.zig");
const words = @import("../memory/words.zig");
const slots = @import("../protocol/slots.zig");
const Handle = @import("../handle.zig").Handle;
const OwnCall = @import("../handle.zig").OwnCall;
const BoardsType = @import("../protocol/boards.zig").BoardsType;
const DeathWatchType = @import("death_watch.zig").DeathWatchType;
const LifetimeType = @import("lifetime.zig").LifetimeType;
const ParticipantsType = @import("../protocol/participants.zig").ParticipantsType;
const RingType = @import("../protocol/ring.zig").RingType;
const WaitType = @import("../protocol/wait.zig").WaitType;

/// Looks of one `linger`, some 3 µs: more than a round trip between two processors, and only a short delay
/// for the loop's other work.
const linger_turns = 100;
/// Of one `linger_among`, some 20 µs: the answer of a peer there passes through more code, and a turn of the loop
/// meanwhile makes the caller wait for longer.
const linger_turns_among = 600;
/// A yield that took longer gave the processor to something else than a peer.
const peer_ns = std.time.ns_per_ms;
/// How long not to yield after a yield that served others.
const yield_pause_ns = 20 * std.time.ns_per_ms;

/// When a loop may yield again, after a yield at `before_ns` that took so long; null: at once.
fn yields_again_at(before_ns: u64, took_ns: u64) ?u64 {
    return if (took_ns > peer_ns) before_ns + took_ns + yield_pause_ns else null;
}

test "a loop does not yield for 20 ms after a yield that served others than a peer" {
    try std.testing.expectEqual(null, yields_again_at(5, 0));
    try std.testing.expectEqual(null, yields_again_at(5, peer_ns));
    try std.testing.expectEqual(5 + peer_ns + 1 + 20_000_000, yields_again_at(5, peer_ns + 1));
}

pub fn EventLoopType(comptime Shared: type) type {
    return struct {
        const Boards = BoardsType(Shared);
        const DeathWatch = DeathWatchType(Shared);
        const Lifetime = LifetimeType(Shared);
        const Participants = ParticipantsType(Shared);
        const Ring = RingType(Shared);
        const Slots = slots.SlotsType(Shared);
        const Wait = WaitType(Shared);

        /// Writes slot and generation of watched calls that have ended, three words each, and
        /// stops watching them.
        pub fn poll(handle: *Handle, out: []u32) u32 {
            const words_each = 3;
            var found: u32 = 0;
            for (handle.calls[0..handle.call_count]) |*call| {
                if (!call.watched) continue;
                if ((found + 1) * words_each > out.len) break;
                const own: slots.Call = .{ .slot = call.slot, .generation = call.generation };
                if (Slots.progress(handle, own) == .waiting) continue;
                call.watched = false;
                Slots.fetch_answer(handle, call.slot);
                const generation: u64 = call.generation;
                out[found * words_each ..][0..words_each].* = .{
                    call.slot,
                    @truncate(generation),
                    @truncate(generation >> 32),
                };
                found += 1;
            }
            return found;
        }

        /// False: the call has ended, so there is nothing to wait for.
        pub fn watch(handle: *Handle, call: slots.Call) bool {
            const own = handle.find_call(call.slot) orelse return false;
            if (own.generation != call.generation) return false;
            if (Slots.progress(handle, call) != .waiting) return false;
            own.watched = true;
            return true;
        }

        /// Polls for some microseconds, for an event loop that expects something any moment: this is
        /// shorter than a turn of the loop would be. A peer on this very processor cannot bring anything
        /// meanwhile, so the loop first yields to it.
        pub fn linger(handle: *Handle, wanted: u32) i32 {
            return linger_for(handle, wanted, handle, linger_turns);
        }

        /// As `linger`, where peers wait on channels of their own, and find each other among the participants of
        /// another one: `crowd` is this process's handle there.
        pub fn linger_among(handle: *Handle, wanted: u32, crowd: *Handle) i32 {
            return linger_for(handle, wanted, crowd, linger_turns_among);
        }

        noinline fn linger_for(handle: *Handle, wanted: u32, crowd: *Handle, turns: u32) i32 {
            if (wanted & abi.arm_requests == 0 and handle.call_count == 0) return abi.linger_nothing;
            if (shares_processor(crowd)) {
                const yielded = yield_to_peer(handle, wanted);
                if (yielded != abi.linger_nothing) return yielded;
            }
            for (0..turns) |_| {
                Shared.pause();
                if (has_come(handle, wanted)) return abi.linger_work;
            }
            return abi.linger_nothing;
        }

        /// A yield puts this thread last: the collectors and compilers of this process may share the
        /// processor as well, and then they have it for a whole time slice. In that case sleeping is better.
        fn yield_to_peer(handle: *Handle, wanted: u32) i32 {
            const before_ns = Shared.now_ns();
            if (before_ns < handle.yield_after_ns) return abi.linger_crowded;
            Shared.yield();
            const took_ns = Shared.now_ns() -% before_ns;
            const has = has_come(handle, wanted);
            if (yields_again_at(before_ns, took_ns)) |again_ns| {
                handle.yield_after_ns = again_ns;
                return if (has) abi.linger_work else abi.linger_crowded;
            }
            return if (has) abi.linger_work else abi.linger_nothing;
        }

        /// As far as is known: a participant that has moved to another processor may not have said so yet.
        fn shares_processor(handle: *Handle) bool {
            const own = Shared.processor() +% 1;
            if (own != handle.processor) {
                handle.processor = own;
                Shared.store(u32, &handle.entry().processor, own, .monotonic);
            }
            const other = neighbour(handle, own);
            if (other == 0 or other > Participants.used_count(handle)) return false;
            const entry = handle.map.participant(@intCast(other - 1));
            if (Shared.load(u32, &entry.processor, .monotonic) != own) return false;
            return Shared.load(words.ParticipantWord, &entry.word, .monotonic).state == .joined;
        }

        /// One more than the other participant whose event loop waited on this processor last; 0: none. Two that
        /// take turns find each other there, and write nothing.
        fn neighbour(handle: *Handle, processor: u32) u32 {
            const waited_last = &handle.map.header().waited_last;
            const place = 2 * (processor % (waited_last.len / 2));
            const me = @as(u32, handle.index) + 1;
            const first = Shared.load(u32, &waited_last[place], .monotonic);
            const second = Shared.load(u32, &waited_last[place + 1], .monotonic);
            if (first == me) return second;
            if (second != me) {
                Shared.store(u32, &waited_last[place + 1], first, .monotonic);
                Shared.store(u32, &waited_last[place], me, .monotonic);
            }
            return first;
        }

        /// A hint. It looks at few of many calls, because each look steals the cache line that a server is
        /// about to write.
        fn has_come(handle: *Handle, wanted: u32) bool {
            if (wanted & abi.arm_requests != 0 and Ring.occupied(handle)) return true;
            return has_ended(handle, handle.calls[0..@min(handle.call_count, 4)]);
        }

        /// Whether one of these calls has ended and the event loop waits for it.
        fn has_ended(handle: *Handle, calls: []const OwnCall) bool {
            for (calls) |call| {
                if (!call.watched) continue;
                const own: slots.Call = .{ .slot = call.slot, .generation = call.generation };
                if (Slots.progress(handle, own) != .waiting) return true;
            }
            return false;
        }

        /// Announces that an event loop sleeps until its bell rings. This includes the protocol's last look:
        /// `arm_work` says that there is something to do, `arm_newcomer` that the handle has to
        /// choose again whom it watches. In both cases the loop stays awake.
        pub fn arm(handle: *Handle, wanted: u32) i32 {
            if (Lifetime.lost(handle)) return abi.arm_work;
            Wait.announce(handle, .bell, .{
                .requests = wanted & abi.arm_requests != 0,
                .room = wanted & abi.arm_room != 0,
            });
            // mutant:no-last-look
            var result = last_look(handle, wanted);
            // A ringer that cannot ring this handle's bell cannot wake it by a knock either.
            // mutant:no-slices-without-a-waker
            if (result == abi.armed and !Shared.has_waker(handle)) result = abi.armed_unsure;
            const is_armed = result == abi.armed or result == abi.armed_unsure;
            if (!is_armed) Wait.awake(handle);
            return result;
        }

        fn last_look(handle: *Handle, wanted: u32) i32 {
            const joins = Shared.load(u64, &handle.map.header().joins, .seq_cst);
            // mutant:newcomer-not-watched
            if (joins != handle.watched_joins) return abi.arm_newcomer;
            // mutant:departure-not-looked-at
            if (handle.has_trait(layout.trait_sentinel) and DeathWatch.is_outdated(handle)) return abi.arm_newcomer;
            // mutant:board-not-looked-at
            if (handle.follows_boards and Boards.is_outdated(handle)) return abi.arm_newcomer;
            // mutant:no-last-look-for-a-removal
            if (wanted & abi.arm_requests != 0 and (Ring.occupied(handle) or Lifetime.is_over(handle))) return abi.arm_work;
            if (wanted & abi.arm_room != 0 and Lifetime.is_removed(handle)) return abi.arm_work;
            if (has_ended(handle, handle.calls[0..handle.call_count])) return abi.arm_work;
            if (wanted & abi.arm_room == 0) return abi.armed;
            // A server that takes an entry out of a full ring rings no client for it.
            if (handle.found_ring_full) return abi.armed_unsure;
            // mutant:no-last-look-for-a-free-slot
            return if (Slots.has_free(handle)) abi.arm_work else abi.armed;
        }
    };
}
