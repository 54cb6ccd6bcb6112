//! The operations that may wait, in their blocking form and as single tries.

const std = @import("std");
const abi = @import("../abi.zig");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Error = abi.Error;
const Handle = @import("../handle.zig").Handle;
const Role = layout.Role;
const OwnCall = @import("../handle.zig").OwnCall;
const watched_max = @import("../handle.zig").watched_max;
const slots = @import("../protocol/slots.zig");
const NotifyType = @import("../protocol/notify.zig").NotifyType;
const ParticipantsType = @import("../protocol/participants.zig").ParticipantsType;
const RepairType = @import("../protocol/repair.zig").RepairType;
const RingType = @import("../protocol/ring.zig").RingType;
const SlotsType = slots.SlotsType;
const TrimType = @import("../protocol/trim.zig").TrimType;
const WaitType = @import("../protocol/wait.zig").WaitType;

/// Looks on end of an event loop, some 3 µs: more than a round trip between two processors, and
/// little for the loop's other work to wait for.
const linger_turns = 100;
/// A yield that took more gave the processor to others than a peer.
const peer_ns = std.time.ns_per_ms;
/// How long not to yield after one that served others.
const yield_pause_ns_min = 20 * std.time.ns_per_ms;
const yield_pause_ns_max = std.time.ns_per_s;

pub fn CallsType(comptime Shared: type) type {
    return struct {
        const Notify = NotifyType(Shared);
        const Participants = ParticipantsType(Shared);
        const Repair = RepairType(Shared);
        const Ring = RingType(Shared);
        const Slots = SlotsType(Shared);
        const Trim = TrimType(Shared);
        const Wait = WaitType(Shared);

        /// 0: no deadline. Negative and NaN are refused in TypeScript and mean none here.
        pub fn deadline_after(timeout_ms: f64) u64 {
            // A hundred years in milliseconds: whatever is longer is for ever.
            const timeout_ms_max = 100.0 * 365.0 * 86_400_000.0;
            if (!(timeout_ms >= 0) or timeout_ms > timeout_ms_max) return 0;
            return Shared.now_ns() + @as(u64, @intFromFloat(timeout_ms * std.time.ns_per_ms));
        }

        /// As `Wait.lost`. Where the file has lost its name, because others removed it, the channel ends for
        /// all its participants: no process could come to it any more.
        pub fn lost(handle: *Handle) bool {
            if (Wait.lost(handle)) return true;
            if (handle.is_unlinked and !is_removed(handle)) remove(handle);
            return false;
        }

        /// After an operation that may have rung: a ring fails where the files beside the channel are gone,
        /// and its own may have gone with them.
        pub inline fn look_after_ring(handle: *Handle) void {
            if (!handle.has_failed_ring) return;
            handle.has_failed_ring = false;
            _ = lost(handle);
        }

        /// Whether the channel has ended. Sequentially consistent: the remover says so, and
        /// looks for sleepers then; a sleeper announces itself, and asks this then.
        fn is_removed(handle: *Handle) bool {
            return Shared.load(u64, &handle.map.header().removed, .seq_cst) != 0;
        }

        /// Whether a server has nothing to wait for any more.
        fn is_over(handle: *Handle) bool {
            return is_removed(handle) and !handle.expects_removal;
        }

        fn passed(deadline_ns: u64) bool {
            return deadline_ns != 0 and Shared.now_ns() >= deadline_ns;
        }

        /// A draft for a request of `length` bytes. Null: no slot is free.
        pub fn allocate(handle: *Handle, length: u32) Error!?slots.Call {
            if (handle.is_lost) return error.Corrupt;
            // A hint, before anything is copied: publishing looks again.
            if (Shared.load(u64, &handle.map.header().removed, .monotonic) != 0) return error.NotFound;
            if (length > handle.map.geometry.max_request_bytes) return error.TooLarge;
            const call = try Slots.acquire(handle) orelse {
                handle.found_ring_full = false;
                return null;
            };
            Shared.commit_request(handle, call.slot, length) catch |err| {
                // The file system is full; what was sent before may have left memory in another slot.
                defer _ = Slots.free_draft(handle, call);
                return try Slots.acquire_committed(handle, length) orelse err;
            };
            return call;
        }

        fn try_send(handle: *Handle, bytes: []const u8, request: slots.Request) Error!?slots.Call {
            const length: u32 = @intCast(bytes.len);
            Trim.now_and_then(handle);
            const call = try allocate(handle, length) orelse return null;
            return if (try Slots.publish(handle, call, bytes, length, request)) call else null;
        }

        /// Queues a request. Null where no slot is free and it may not wait.
        pub fn send(handle: *Handle, bytes: []const u8, request: slots.Request, may_wait: bool) Error!?slots.Call {
            if (try try_send(handle, bytes, request)) |call| return call;
            if (!may_wait) {
                if (sweep_if_due(handle)) {
                    if (try try_send(handle, bytes, request)) |call| return call;
                }
                Wait.count(handle, "busy");
                return null;
            }
            // Each try looks at every slot: yield rather than spin.
            var pacing: Wait.Pacing = .yielding;
            var slice: u32 = 0;
            var announced = false;
            defer if (announced) Wait.awake(handle);
            while (true) {
                if (try try_send(handle, bytes, request)) |call| return call;
                // Before the patience as well: a look may be long.
                if (passed(request.deadline_ns)) {
                    Wait.count(handle, "busy");
                    return error.Busy;
                }
                if (!announced) {
                    if (pacing.again()) continue;
                    Wait.announce(handle, .futex, .{ .room = true });
                    announced = true;
                    continue;
                }
                try sleep(handle, &slice, request.deadline_ns);
                announced = false;
            }
        }

        /// Waits until a call is answered. `Timeout`: not by then, and the call goes on, or its own
        /// time is over.
        pub fn wait_ready(handle: *Handle, call: slots.Call, wait_deadline_ns: u64) Error!void {
            const deadline_ns = earlier(wait_deadline_ns, own_deadline(handle, call));
            var pacing: Wait.Pacing = .for_answer(&handle.pacing);
            var slice: u32 = 0;
            var announced = false;
            defer if (announced) Wait.awake(handle);
            while (true) {
                switch (Slots.progress(handle, call)) {
                    .ready => return pacing.learn(&handle.pacing),
                    .gone => {
                        handle.remove_call(call.slot, call.generation);
                        return if (handle.is_lost) error.Corrupt else error.Cancelled;
                    },
                    .waiting => {},
                }
                if (!announced) {
                    if (pacing.again()) continue;
                    Wait.announce(handle, .futex, .{});
                    announced = true;
                    continue;
                }
                if (passed(deadline_ns)) {
                    // Answered in the last moment is answered.
                    if (!over(handle, call)) return error.Timeout;
                    return if (time_out(handle, call)) error.Timeout;
                }
                try sleep(handle, &slice, deadline_ns);
                announced = false;
                reinsert_lost(handle, call);
                _ = nudge(handle);
            }
        }

        fn own_deadline(handle: *Handle, call: slots.Call) u64 {
            const own = handle.find_call(call.slot) orelse return 0;
            return if (own.generation == call.generation) own.deadline_ns else 0;
        }

        fn earlier(a: u64, b: u64) u64 {
            if (a == 0 or b == 0) return a + b;
            return @min(a, b);
        }

        /// Whether the time of an own call itself is over.
        pub fn over(handle: *Handle, call: slots.Call) bool {
            return passed(own_deadline(handle, call));
        }

        /// A call that is queued while the ring is empty has lost its entry, which only a
        /// scribbling process can bring about: insert it again. An entry too many harms nobody.
        fn reinsert_lost(handle: *Handle, call: slots.Call) void {
            const slot = handle.map.slot(call.slot);
            const word = Shared.load(words.SlotWord, &slot.word, .seq_cst);
            if (word.state != .queued or word.generation != call.generation) return;
            if (Ring.occupied(handle)) return;
            // Claimed first, removed then: had a server taken it, the word would say so by now.
            if (Shared.load(words.SlotWord, &slot.word, .seq_cst) != word) return;
            _ = Ring.insert(handle, call.slot, word) catch return;
            handle.responsible = true;
        }

        /// Ends a call whose time is over. False: it was answered in the last moment.
        pub fn time_out(handle: *Handle, call: slots.Call) bool {
            if (Slots.progress(handle, call) == .ready) return false;
            const ended = Slots.cancel(handle, call);
            if (!ended and Slots.progress(handle, call) == .ready) return false;
            handle.remove_call(call.slot, call.generation);
            Wait.count(handle, "timeouts");
            return true;
        }

        /// Waits until a request comes. Null: none by then.
        pub fn receive(handle: *Handle, deadline_ns: u64, may_wait: bool) Error!?Slots.Received {
            if (handle.is_lost) return error.Corrupt;
            Trim.now_and_then(handle);
            if (try Slots.receive(handle)) |received| return received;
            if (!may_wait) {
                if (sweep_if_due(handle)) if (try Slots.receive(handle)) |received| return received;
                return if (is_over(handle)) error.NotFound else null;
            }
            var pacing: Wait.Pacing = .of(&handle.pacing);
            var slice: u32 = 0;
            var announced = false;
            defer if (announced) Wait.awake(handle);
            while (true) {
                if (Ring.occupied(handle)) {
                    if (try Slots.receive(handle)) |received| {
                        pacing.learn(&handle.pacing);
                        return received;
                    }
                }
                if (!announced) {
                    if (pacing.again()) continue;
                    Wait.announce(handle, .futex, .{ .requests = true });
                    announced = true;
                    continue;
                }
                if (is_over(handle)) return error.NotFound;
                if (passed(deadline_ns)) return null;
                try sleep(handle, &slice, deadline_ns);
                announced = false;
            }
        }

        /// For the forms that never wait: who asks again and again has to learn of deaths as well.
        /// True: somebody was dead.
        pub fn sweep_if_due(handle: *Handle) bool {
            if (!sweep_is_due(handle)) return false;
            if (lost(handle)) return false;
            _ = Trim.idle(handle);
            return Repair.sweep(handle);
        }

        fn sweep_is_due(handle: *Handle) bool {
            const interval_ns = 5 * std.time.ns_per_ms;
            const now_ns = Shared.now_ns();
            if (now_ns -% handle.swept_ns < interval_ns) return false;
            handle.swept_ns = now_ns;
            return true;
        }

        /// One slice of a blocking wait, which was announced. `Corrupt`: the file was cut short meanwhile,
        /// and the announcement stands.
        fn sleep(handle: *Handle, slice: *u32, deadline_ns: u64) Error!void {
            const slept_ns = Wait.sleep(handle, slice, deadline_ns);
            if (lost(handle)) return error.Corrupt;
            const rung = Wait.was_rung(handle, slept_ns);
            Wait.awake(handle);
            tidy(handle, rung);
        }

        /// After a sleep. One that was ended by a ring says that somebody is alive: to ask after all of
        /// them each time takes longer than a call, and who waits for the answer falls asleep meanwhile.
        fn tidy(handle: *Handle, rung: bool) void {
            if (rung and !sweep_is_due(handle)) return;
            _ = Repair.sweep(handle);
            _ = Trim.idle(handle);
        }

        /// Whether a call is answered, without waiting. `Timeout`: its own time is over.
        pub fn is_ready(handle: *Handle, call: slots.Call) Error!bool {
            for (0..2) |_| {
                switch (Slots.progress(handle, call)) {
                    .ready => return true,
                    .gone => {
                        handle.remove_call(call.slot, call.generation);
                        return if (handle.is_lost) error.Corrupt else error.Cancelled;
                    },
                    .waiting => if (over(handle, call)) {
                        if (time_out(handle, call)) return error.Timeout;
                    } else if (!sweep_if_due(handle)) return false,
                }
            }
            return false;
        }

        /// The one that was rung for a request may be stopped before it takes anything, so whoever
        /// rang looks for another sleeper while its request is still queued. False: nothing of
        /// this handle is.
        pub fn nudge(handle: *Handle) bool {
            if (!handle.responsible) return false;
            var waiting = false;
            var place: u32 = 0;
            while (place < handle.call_count) {
                const call = handle.calls[place];
                const word = Shared.load(words.SlotWord, &handle.map.slot(call.slot).word, .seq_cst);
                const same = word.generation == call.generation;
                if (same and (word.state == .queued or word.state == .posted)) waiting = true;
                // A posted request that was taken is nobody's business here any more.
                if (call.posted and !(same and word.state == .posted)) {
                    handle.remove_call(call.slot, call.generation);
                } else {
                    place += 1;
                }
            }
            handle.responsible = waiting and Wait.wake_server(handle);
            return handle.responsible;
        }

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

        /// False: there is nothing to wait for, the call has ended.
        pub fn watch(handle: *Handle, call: slots.Call) bool {
            const own = handle.find_call(call.slot) orelse return false;
            if (own.generation != call.generation) return false;
            if (Slots.progress(handle, call) != .waiting) return false;
            own.watched = true;
            return true;
        }

        /// Calls that this handle waits for, posted ones not counted.
        pub fn pending(handle: *Handle) u32 {
            var count: u32 = 0;
            for (handle.calls[0..handle.call_count]) |call| {
                if (call.posted) continue;
                const own: slots.Call = .{ .slot = call.slot, .generation = call.generation };
                if (Slots.progress(handle, own) != .gone) count += 1;
            }
            return count;
        }

        /// Looks on end for something to do, for an event loop that expects it any moment: shorter than
        /// a turn of the loop would be. A peer on this very processor cannot bring anything meanwhile,
        /// and has it first.
        pub fn linger(handle: *Handle, what: u32) i32 {
            if (what & abi.arm_requests == 0 and handle.call_count == 0) return abi.linger_nothing;
            if (shares_processor(handle)) {
                const yielded = yield_to_peer(handle, what);
                if (yielded != abi.linger_nothing) return yielded;
            }
            for (0..linger_turns) |_| {
                Shared.pause();
                if (has_come(handle, what)) return abi.linger_work;
            }
            return abi.linger_nothing;
        }

        /// To yield is to stand last: the collectors and compilers of this process, which may share the
        /// processor as well, have it for a whole slice of time then. Where they do, sleeping is better.
        fn yield_to_peer(handle: *Handle, what: u32) i32 {
            const before_ns = Shared.now_ns();
            if (before_ns < handle.yield_after_ns) return abi.linger_crowded;
            Shared.yield();
            const took_ns = Shared.now_ns() -% before_ns;
            const has = has_come(handle, what);
            if (took_ns > peer_ns) {
                handle.yield_pause_ns = std.math.clamp(handle.yield_pause_ns * 2, yield_pause_ns_min, yield_pause_ns_max);
                handle.yield_after_ns = before_ns + took_ns + handle.yield_pause_ns;
                return if (has) abi.linger_work else abi.linger_crowded;
            }
            if (has) handle.yield_pause_ns = 0;
            return if (has) abi.linger_work else abi.linger_nothing;
        }

        /// As far as is known: a participant that has been moved since has not said so yet.
        fn shares_processor(handle: *Handle) bool {
            const own = Shared.processor() +% 1;
            if (own != handle.processor) {
                handle.processor = own;
                Shared.store(u32, &handle.map.participant(handle.index).processor, own, .monotonic);
            }
            const looked_at = @min(Participants.used_count(handle), 8);
            for (0..looked_at) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                if (index == handle.index) continue;
                const entry = handle.map.participant(index);
                // Hints, both of them.
                if (Shared.load(u32, &entry.processor, .monotonic) != own) continue;
                if (Shared.load(words.ParticipantWord, &entry.word, .monotonic).state == .joined) return true;
            }
            return false;
        }

        /// A hint: of many calls it looks at few, as each look takes a cache line from who is to write there.
        fn has_come(handle: *Handle, what: u32) bool {
            if (what & abi.arm_requests != 0 and Ring.occupied(handle)) return true;
            return has_ended(handle, handle.calls[0..@min(handle.call_count, 4)]);
        }

        /// Whether one of these is over that an event loop waits for.
        fn has_ended(handle: *Handle, calls: []const OwnCall) bool {
            for (calls) |call| {
                if (!call.watched) continue;
                const own: slots.Call = .{ .slot = call.slot, .generation = call.generation };
                if (Slots.progress(handle, own) != .waiting) return true;
            }
            return false;
        }

        /// Lies an event loop down until its bell rings. The last look of the protocol is in here:
        /// `arm_work` says that there is something to do, `arm_newcomer` that somebody came whom
        /// nobody watches yet; in both cases it stays awake.
        pub fn arm(handle: *Handle, what: u32) i32 {
            if (lost(handle)) return abi.arm_work;
            Wait.announce(handle, .bell, .{
                .requests = what & abi.arm_requests != 0,
                .room = what & abi.arm_room != 0,
            });
            var result = last_look(handle, what);
            // A ringer that cannot ring its bell cannot wake it either.
            if (result == abi.armed and !Shared.has_waker(handle)) result = abi.armed_unsure;
            const is_armed = result == abi.armed or result == abi.armed_unsure;
            if (!is_armed) Wait.awake(handle);
            return result;
        }

        fn last_look(handle: *Handle, what: u32) i32 {
            const joins = Shared.load(u64, &handle.map.header().joins, .seq_cst);
            if (joins != handle.watched_joins) return abi.arm_newcomer;
            if (what & abi.arm_requests != 0 and (Ring.occupied(handle) or is_over(handle))) return abi.arm_work;
            if (what & abi.arm_room != 0 and is_removed(handle)) return abi.arm_work;
            if (has_ended(handle, handle.calls[0..handle.call_count])) return abi.arm_work;
            if (what & abi.arm_room == 0) return abi.armed;
            // Who takes an entry out of a full ring rings nobody for it.
            if (handle.found_ring_full) return abi.armed_unsure;
            return if (Slots.has_free(handle)) abi.arm_work else abi.armed;
        }

        /// Takes a descriptor for this handle's notify descriptor; it is rung from now on.
        pub fn set_notify(handle: *Handle, fd: i32, adopted: bool) void {
            if (handle.notify_fd >= 0) Shared.close(handle.notify_fd);
            handle.notify_fd = fd;
            Notify.enable(handle, adopted);
            if (has_work(handle)) _ = Shared.write_notify(fd);
        }

        /// Makes the notify descriptor unreadable, unless there is something to take still.
        pub fn drain_notify(handle: *Handle) void {
            if (handle.notify_fd < 0) return;
            Shared.drain(handle.notify_fd);
            Notify.arm(handle);
            if (has_work(handle)) _ = Shared.write_notify(handle.notify_fd);
        }

        fn has_work(handle: *Handle) bool {
            if (handle.role == .server) return Ring.occupied(handle);
            for (handle.calls[0..handle.call_count]) |call| {
                if (call.posted) continue;
                const own: slots.Call = .{ .slot = call.slot, .generation = call.generation };
                if (Slots.progress(handle, own) != .waiting) return true;
            }
            return false;
        }

        /// Rings the other side, whether there is something for it or not.
        pub fn notify(handle: *Handle) void {
            _ = Shared.write_notify(handle.peer_notify_fd);
            for (0..Participants.used_count(handle)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                // A hint: of an entry that is taken just now it may be the last one's role.
                const role = Shared.load(u32, &handle.map.participant(index).role, .monotonic);
                if (role != @backingInt(handle.role)) Notify.ring(handle, index);
            }
        }

        pub const Watched = union(enum) {
            /// A connection to be given to the event loop.
            fd: struct { fd: i32, index: words.ParticipantIndex },
            /// Nobody is left to be watched.
            complete,
            /// Somebody cannot be watched: look in slices of time instead.
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
                // Who had joined by the number of joins above is seen here: that load has acquired it. Its
                // socket was made before, too.
                const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
                if (word.state != .joined or handle.watched[index] == word.epoch) continue;
                if (handle.watches_servers_only) {
                    // Written before the word that says that it has joined, and loaded after it.
                    const role = Shared.load(u32, &handle.map.participant(index).role, .monotonic);
                    if (role == @backingInt(Role.client)) continue;
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

        /// The kernel hung up on a watched participant. `unsettled`: its lock is held still, as it is
        /// for a moment while the kernel takes the process apart, or its repair has to be tried again.
        pub fn hung_up(handle: *Handle, index: words.ParticipantIndex) Repair.Checked {
            const epoch = handle.watched[index];
            if (epoch == 0) return .left;
            const checked = Repair.check(handle, index, epoch);
            if (checked != .unsettled) forget_watch(handle, index);
            return checked;
        }

        /// Its socket is gone and its process is not: it will have to be looked at in slices.
        pub fn forget_watch(handle: *Handle, index: words.ParticipantIndex) void {
            if (handle.watched[index] == 0) return;
            handle.watched[index] = 0;
            handle.watched_count -= 1;
            // So that the next time it lies down it looks for whom to watch.
            handle.watched_joins -%= 1;
        }

        /// The first thing that a newcomer does.
        pub fn enter(handle: *Handle) void {
            _ = Shared.fetch_add(&handle.map.header().joins, 1, .seq_cst);
            Wait.wake_all(handle);
            _ = Repair.sweep(handle);
        }

        /// Ends the channel for everybody who is attached to it.
        pub fn remove(handle: *Handle) void {
            Shared.store(u64, &handle.map.header().removed, 1, .seq_cst);
            _ = Slots.clear(handle);
            Wait.wake_all(handle);
        }
    };
}
