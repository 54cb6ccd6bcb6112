//! The steps of a call that may have to wait, as blocking operations and as single tries.

const std = @import("std");
const numbers = @import("../numbers.zig");
const words = @import("../memory/words.zig");
const Error = @import("../abi.zig").Error;
const Handle = @import("../handle.zig").Handle;
const LifetimeType = @import("lifetime.zig").LifetimeType;
const slots = @import("../protocol/slots.zig");
const RepairType = @import("../protocol/repair.zig").RepairType;
const RingType = @import("../protocol/ring.zig").RingType;
const SlotsType = slots.SlotsType;
const SpreadType = @import("../protocol/spread.zig").SpreadType;
const TrimType = @import("../protocol/trim.zig").TrimType;
const WaitType = @import("../protocol/wait.zig").WaitType;

pub fn CallsType(comptime Shared: type) type {
    return struct {
        const Lifetime = LifetimeType(Shared);
        const Repair = RepairType(Shared);
        const Ring = RingType(Shared);
        const Slots = SlotsType(Shared);
        const Spread = SpreadType(Shared);
        const Trim = TrimType(Shared);
        const Wait = WaitType(Shared);

        /// 0: no deadline.
        pub fn deadline_after(timeout_ms: f64) u64 {
            const left_ns = numbers.nanoseconds(timeout_ms) orelse return 0;
            return Shared.now_ns() + left_ns;
        }

        fn passed(deadline_ns: u64) bool {
            return deadline_ns != 0 and Shared.now_ns() >= deadline_ns;
        }

        /// A draft for a request of `length` bytes. Null: no slot is free.
        pub fn allocate(handle: *Handle, length: u32) Error!?slots.Call {
            return draft(handle, length, handle.map.geometry.request_bytes_max(false));
        }

        fn draft(handle: *Handle, length: u32, length_max: u32) Error!?slots.Call {
            if (handle.is_lost) return error.Corrupt;
            // A hint, before anything is copied: publishing looks again.
            if (Shared.load(u64, &handle.map.header().removed, .monotonic) != 0) return error.NotFound;
            if (length > length_max) return error.TooLarge;
            const call = try Slots.acquire(handle) orelse {
                handle.found_ring_full = false;
                return null;
            };
            Shared.commit_request(handle, call.slot, length) catch |err| {
                // The file system is full; earlier messages may have left memory in free slots.
                Trim.give_back(handle, call.slot);
                Trim.free_slots(handle);
                Shared.commit_request(handle, call.slot, length) catch {
                    _ = Slots.free_draft(handle, call);
                    return err;
                };
            };
            return call;
        }

        /// Queues a request. Null: no slot is free at once.
        pub fn try_send(handle: *Handle, bytes: []const u8, request: slots.Request) Error!?slots.Call {
            const length: u32 = @intCast(bytes.len);
            Trim.now_and_then(handle);
            const length_max = handle.map.geometry.request_bytes_max(request.forwarded);
            const call = try draft(handle, length, length_max) orelse return null;
            return if (try Slots.publish(handle, call, bytes, length, request)) call else null;
        }

        /// Queues a request. Null: no slot is free, and it may not wait.
        pub fn send(handle: *Handle, bytes: []const u8, request: slots.Request, may_wait: bool) Error!?slots.Call {
            if (try try_send(handle, bytes, request)) |call| return call;
            if (!may_wait) {
                if (sweep_if_due(handle)) {
                    if (try try_send(handle, bytes, request)) |call| return call;
                }
                Wait.count(handle, "busy");
                return null;
            }
            // Each try looks at every slot, so yield rather than spin.
            var pacing: Wait.Pacing = .yielding;
            var slice: u32 = 0;
            var announced = false;
            defer if (announced) Wait.awake(handle);
            while (true) {
                if (try try_send(handle, bytes, request)) |call| return call;
                // Also before the pacing: a try may take long.
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

        /// Waits until a call is answered. `Timeout`: the wait's deadline has passed and the call goes on, or
        /// the call's own deadline has passed.
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
                    // An answer of the last moment counts.
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

        /// Whether an own call's deadline has passed.
        fn over(handle: *Handle, call: slots.Call) bool {
            return passed(own_deadline(handle, call));
        }

        /// Inserts a call again that is queued although the ring is empty: only a process that scribbles can
        /// have removed its entry. A surplus entry does no harm.
        fn reinsert_lost(handle: *Handle, call: slots.Call) void {
            const slot = handle.map.slot(call.slot);
            const word = Shared.load(words.SlotWord, &slot.word, .seq_cst);
            if (word.state != .queued or word.generation != call.generation) return;
            if (Ring.occupied(handle)) return;
            // A server claims the slot before it removes the entry, so by now the word would say so.
            if (Shared.load(words.SlotWord, &slot.word, .seq_cst) != word) return;
            _ = Ring.insert(handle, call.slot, word) catch return;
            handle.responsible = true;
        }

        /// Ends a call whose deadline has passed. False: it was answered in the last moment.
        pub fn time_out(handle: *Handle, call: slots.Call) bool {
            if (Slots.progress(handle, call) == .ready) return false;
            const ended = Slots.cancel(handle, call);
            // mutant:no-last-look-at-the-deadline
            if (!ended and Slots.progress(handle, call) == .ready) return false;
            handle.remove_call(call.slot, call.generation);
            Wait.count(handle, "timeouts");
            return true;
        }

        /// The look of an event loop, which learns of deaths by itself. Searching for them takes system calls, and
        /// after a silence a request waits for this look.
        pub fn look(handle: *Handle) Error!?Slots.Received {
            if (handle.is_lost) return error.Corrupt;
            Trim.now_and_then(handle);
            if (try Slots.receive(handle)) |received| return received;
            return if (Lifetime.is_over(handle)) error.NotFound else null;
        }

        /// Waits until a request comes. Null: none came before the deadline.
        pub fn receive(handle: *Handle, deadline_ns: u64, may_wait: bool) Error!?Slots.Received {
            if (handle.is_lost) return error.Corrupt;
            Trim.now_and_then(handle);
            if (try Slots.receive(handle)) |received| return received;
            if (!may_wait) {
                if (sweep_if_due(handle)) if (try Slots.receive(handle)) |received| return received;
                return if (Lifetime.is_over(handle)) error.NotFound else null;
            }
            Spread.looks(handle);
            // The handler of the request may block the thread.
            defer Spread.rests(handle);
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
                if (Lifetime.is_over(handle)) return error.NotFound;
                if (passed(deadline_ns)) return null;
                try sleep(handle, &slice, deadline_ns);
                announced = false;
                Spread.looks(handle);
            }
        }

        /// For the operations that never wait: a caller that repeats them has to learn of deaths as well.
        /// True: a participant was dead.
        pub fn sweep_if_due(handle: *Handle) bool {
            if (!sweep_is_due(handle)) return false;
            if (Lifetime.lost(handle)) return false;
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

        /// One slice of a blocking wait that was announced. `Corrupt`: the file was cut short meanwhile;
        /// `Cancelled`: the thread has to end. In both cases the announcement stands.
        fn sleep(handle: *Handle, slice: *u32, deadline_ns: u64) Error!void {
            const slept_ns = Wait.sleep(handle, slice, deadline_ns);
            if (Lifetime.lost(handle)) return error.Corrupt;
            // No code of the program runs any more: the thread ends, and its end closes this handle.
            if (handle.interruption.is_due()) return error.Cancelled;
            const rung = Wait.was_rung(handle, slept_ns);
            Wait.awake(handle);
            sweep_after_sleep(handle, rung);
        }

        /// A ring that ended the sleep says that its ringer is alive. Looking at all participants each time
        /// would take longer than a call, and the client that waits for the answer would fall asleep.
        fn sweep_after_sleep(handle: *Handle, rung: bool) void {
            if (rung and !sweep_is_due(handle)) return;
            _ = Repair.sweep(handle);
            _ = Trim.idle(handle);
        }

        /// Whether a call is answered, without waiting. `Timeout`: its own deadline has passed.
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

        /// A server that was rung may be stopped before it takes the request, so the ringer looks for another
        /// sleeper while its request is queued. False: no request of this handle is queued.
        pub fn nudge(handle: *Handle) bool {
            if (!handle.responsible) return false;
            var waiting = false;
            var position: u32 = 0;
            while (position < handle.call_count) {
                const call = handle.calls[position];
                const word = Shared.load(words.SlotWord, &handle.map.slot(call.slot).word, .seq_cst);
                const same = word.generation == call.generation;
                if (same and (word.state == .queued or word.state == .posted)) waiting = true;
                // This handle has no further interest in a posted request that was taken.
                if (call.posted and !(same and word.state == .posted)) {
                    handle.remove_call(call.slot, call.generation);
                } else {
                    position += 1;
                }
            }
            handle.responsible = waiting and Wait.wake_server(handle);
            return handle.responsible;
        }

        /// The number of calls that this handle waits for, without posted requests.
        pub fn pending(handle: *Handle) u32 {
            var count: u32 = 0;
            for (handle.calls[0..handle.call_count]) |call| {
                if (call.posted) continue;
                const own: slots.Call = .{ .slot = call.slot, .generation = call.generation };
                if (Slots.progress(handle, own) != .gone) count += 1;
            }
            return count;
        }
    };
}
