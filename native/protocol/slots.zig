//! The steps of a call. Each is one compare-and-swap from an exact value of its slot's word.

const std = @import("std");
const abi = @import("../abi.zig");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const Error = abi.Error;
const TableBoundsType = @import("table_bounds.zig").TableBoundsType;
const Handle = @import("../handle.zig").Handle;
const RingType = @import("ring.zig").RingType;
const SpreadType = @import("spread.zig").SpreadType;
const WaitType = @import("wait.zig").WaitType;

const SlotWord = words.SlotWord;

/// How many used slots are tried before a new one is taken into use.
const probes_max = 8;

/// A client's settings for a request.
pub const Request = struct {
    text: bool = false,
    one_way: bool = false,
    forwarded: bool = false,
    watched: bool = false,
    max_deliveries: u8 = 1,
    deadline_ns: u64 = 0,
};

pub const Call = struct { slot: u32, generation: words.Generation };

pub fn SlotsType(comptime Shared: type) type {
    return struct {
        const TableBounds = TableBoundsType(Shared);
        const Ring = RingType(Shared);
        const Spread = SpreadType(Shared);
        const Wait = WaitType(Shared);

        // ---- client ----------------------------------------------------------------------------

        /// Takes a free slot as a draft. Null: there is none.
        pub fn acquire(handle: *Handle) Error!?Call {
            while (handle.pop_hint()) |slot| {
                if (acquire_slot(handle, slot)) |call| return call;
            }
            const header = handle.map.header();
            const slots = handle.map.geometry.slots;
            var used = used_count(handle);
            for (0..@min(probes_max, used)) |_| {
                if (acquire_slot(handle, next_probe(handle, used))) |call| return call;
            }
            // A turn fails only because another participant has taken a slot into use.
            const no_space = for (0..slots) |_| {
                if (used >= slots) break false;
                Shared.commit_slot_head(handle, used) catch break true;
                // Comes before the slot's first word: a server that takes a request of it, and a participant
                // that finds its owner dead, look this far.
                if (Shared.cas(u64, &header.slots_used, used, used + 1, .acq_rel)) {
                    if (acquire_slot(handle, used)) |call| return call;
                }
                used = used_count(handle);
            } else false;
            // A slot that was used before needs no new memory.
            for (0..used) |_| {
                if (acquire_slot(handle, next_probe(handle, used))) |call| return call;
            }
            return if (no_space) error.NoSpace else null;
        }

        /// Whether `acquire` would find a slot: a last look before a sleep.
        pub fn has_free(handle: *Handle) bool {
            const used = used_count(handle);
            if (used < handle.map.geometry.slots) return true;
            for (0..used) |index| {
                const word = Shared.load(SlotWord, &handle.map.slot(@intCast(index)).word, .seq_cst);
                if (word.state == .free and word.generation < words.generation_max) return true;
            }
            return false;
        }

        fn next_probe(handle: *Handle, used: u32) u32 {
            if (handle.probe >= used) handle.probe = 0;
            defer handle.probe += 1;
            return handle.probe;
        }

        /// Null: it is not free.
        pub fn acquire_slot(handle: *Handle, index: u32) ?Call {
            const slot = handle.map.slot(index);
            // Exact; the compare-and-swap acquires what the slot's last owner left behind.
            const word = Shared.load(SlotWord, &slot.word, .monotonic);
            if (word.state != .free or word.generation == words.generation_max) return null;
            const draft: SlotWord = .{
                .state = .draft,
                .holder = handle.index,
                .generation = word.generation + 1,
            };
            if (!Shared.cas(SlotWord, &slot.word, word, draft, .acq_rel)) return null;
            // Handed over by the publishing, as everything below until then.
            Shared.store(words.Owner, &slot.owner, handle.owner(), .monotonic);
            return .{ .slot = index, .generation = draft.generation };
        }

        pub const used_count = TableBounds.slots;

        /// Gives a draft back unsent.
        pub fn discard(handle: *Handle, call: Call) void {
            if (free_draft(handle, call)) handle.push_hint(call.slot);
        }

        /// As `discard`, for a slot that is not the best one to use next.
        pub fn free_draft(handle: *Handle, call: Call) bool {
            const slot = handle.map.slot(call.slot);
            const draft: SlotWord = .{ .state = .draft, .holder = handle.index, .generation = call.generation };
            if (!Shared.cas(SlotWord, &slot.word, draft, draft.freed(), .seq_cst)) return false;
            Wait.wake_room(handle);
            return true;
        }

        /// Writes the request into a draft and queues it. `bytes` is null if they are already in place.
        /// False: the ring is full, and the draft has been given back.
        pub fn publish(handle: *Handle, call: Call, bytes: ?[]const u8, length: u32, request: Request) Error!bool {
            const slot = handle.map.slot(call.slot);
            if (bytes) |source| {
                const target = handle.map.request(call.slot, length);
                if (source.ptr != target) Shared.copy_in(target, source);
            }
            Shared.store(u32, &slot.request_length, length, .monotonic);
            // mutant:flags-of-the-last-request-kept
            var flags: u32 = @as(u32, request.max_deliveries) << 8;
            if (request.text) flags |= abi.request_text;
            if (request.one_way) flags |= abi.request_one_way;
            // mutant:forwarded-not-flagged
            if (request.forwarded) flags |= abi.request_forwarded;
            Shared.store(u32, &slot.request_flags, flags, .monotonic);
            Shared.store(u64, &slot.deadline_ns, request.deadline_ns, .monotonic);

            // Queued first, then inserted: an entry whose slot is still a draft would be skipped as stale,
            // and the call lost. Release hands the request over. That is enough, because the search for
            // sleepers comes after the insertion, which is sequentially consistent.
            const queued: SlotWord = .{
                .state = if (request.one_way) .posted else .queued,
                .generation = call.generation,
            };
            // mutant:insert-before-queued begin
            Shared.store(SlotWord, &slot.word, queued, .release);
            const inserted = Ring.insert(handle, call.slot, queued);
            // mutant:insert-before-queued end
            handle.found_ring_full = (inserted catch .full) == .full;
            if (handle.found_ring_full) {
                // If an old entry has served it meanwhile, the call is under way. Exact; the slot is handed
                // over to its next owner.
                if (Shared.cas(SlotWord, &slot.word, queued, queued.freed(), .acq_rel)) {
                    handle.push_hint(call.slot);
                    _ = try inserted;
                    return false;
                }
            }
            // A participant that removes the channel sets the mark first and then ends all calls. If this
            // call came too late to be seen there, it sees the mark here. (This requires that the word,
            // stored with release, is seen before the insertion is. The language does not promise that for
            // two different words; every processor that this is built for does.)
            const removed = Shared.load(u64, &handle.map.header().removed, .seq_cst) != 0;
            if (removed and end(handle, call, .all)) return error.NotFound;
            handle.add_call(.{
                .slot = call.slot,
                .posted = request.one_way,
                .watched = request.watched,
                .generation = call.generation,
                .deadline_ns = request.deadline_ns,
            });
            Wait.count(handle, "requests");
            // mutant:no-nudge
            if (Wait.wake_server(handle)) handle.responsible = true;
            return true;
        }

        pub const Progress = enum { waiting, ready, gone };

        pub inline fn progress(handle: *Handle, call: Call) Progress {
            const word = Shared.load(SlotWord, &handle.map.slot(call.slot).word, .seq_cst);
            if (word.generation != call.generation) return .gone;
            return switch (word.state) {
                .ready => .ready,
                .queued, .held => .waiting,
                .free, .draft, .abandoned, .posted, .posted_held => .gone,
            };
        }

        pub const Answer = struct { kind: words.AnswerKind, length: u32 };

        /// Prefetches an answer: its server has written to both lines.
        pub inline fn fetch_answer(handle: *const Handle, index: u32) void {
            const slot = handle.map.slot(index);
            Shared.prefetch(&slot.word, .write);
            Shared.prefetch(&slot.response_length, .read);
        }

        /// The answer of a call that is ready; the call stays ready.
        pub fn answer(handle: *Handle, call: Call) Error!Answer {
            fetch_answer(handle, call.slot);
            const slot = handle.map.slot(call.slot);
            // Hands the answer over, starting with its length.
            const word = Shared.load(SlotWord, &slot.word, .acquire);
            if (word.generation != call.generation or word.state != .ready) return error.Cancelled;
            switch (word.answer_kind()) {
                .bytes, .text, .remote_error => |kind| {
                    const length = Shared.load(u32, &slot.response_length, .monotonic);
                    if (length > handle.map.geometry.response_bytes_max()) return error.Corrupt;
                    // Its server has made sure of that, unless a process has written another length.
                    Shared.commit_response(handle, call.slot, length) catch return error.Corrupt;
                    return .{ .kind = kind, .length = length };
                },
                .server_died, .timed_out => |kind| return .{ .kind = kind, .length = 0 },
                _ => return error.Corrupt,
            }
        }

        /// Copies the answer out and frees the slot. `Cancelled`: another participant ended the call first,
        /// and the copy is worthless.
        pub fn get(handle: *Handle, call: Call, found: Answer, target: []u8) Error!void {
            // mutant:freed-before-copied
            if (found.length > 0) {
                Shared.copy_out(target[0..found.length], handle.map.response(call.slot, found.length));
            }
            if (!release(handle, call)) return error.Cancelled;
        }

        /// Frees the slot of an answered call.
        pub fn release(handle: *Handle, call: Call) bool {
            handle.remove_call(call.slot, call.generation);
            const slot = handle.map.slot(call.slot);
            // Exact. The copy was read before the compare-and-swap, a release, gives the slot away.
            const word = Shared.load(SlotWord, &slot.word, .monotonic);
            if (word.generation != call.generation or word.state != .ready) return false;
            if (!Shared.cas(SlotWord, &slot.word, word, word.freed(), .seq_cst)) return false;
            handle.push_hint(call.slot);
            Wait.wake_room(handle);
            return true;
        }

        /// Ends a call that has no answer yet; any participant may. False: there was nothing to end.
        pub fn cancel(handle: *Handle, call: Call) bool {
            return end(handle, call, .unanswered);
        }

        const Selection = enum { unanswered, all };

        fn end(handle: *Handle, call: Call, selection: Selection) bool {
            const slot = handle.map.slot(call.slot);
            // The word of one call changes few times; more turns mean that a process scribbles.
            for (0..64) |_| {
                const word = Shared.load(SlotWord, &slot.word, .acquire);
                if (word.generation != call.generation) return false;
                const target: SlotWord = switch (word.state) {
                    .queued => word.freed(),
                    // mutant:held-slot-freed-by-cancel
                    .held => abandoned(word),
                    .posted => if (selection == .all) word.freed() else return false,
                    .posted_held => if (selection == .all) abandoned(word) else return false,
                    // An answer counts: its client takes it.
                    .ready => return false,
                    .free, .draft, .abandoned => return false,
                };
                // Handed over with the word. It cannot be of a later call: that would be acquired from the
                // compare-and-swap below, or it fails.
                const owner = Shared.load(words.Owner, &slot.owner, .monotonic);
                if (!Shared.cas(SlotWord, &slot.word, word, target, .seq_cst)) continue;
                if (target.state == .free) {
                    if (owner == handle.owner()) handle.push_hint(call.slot);
                    Wait.wake_room(handle);
                } else {
                    // Its server may want to stop working on it.
                    Wait.wake_rarely(handle, target.holder);
                }
                if (owner != handle.owner()) Wait.wake_rarely(handle, owner.index);
                return true;
            }
            return false;
        }

        fn abandoned(word: SlotWord) SlotWord {
            var target = word;
            target.state = .abandoned;
            return target;
        }

        /// Ends every call of the channel except drafts. Returns their number.
        pub fn clear(handle: *Handle) u32 {
            var ended: u32 = 0;
            for (0..used_count(handle)) |index| {
                const slot = handle.map.slot(@intCast(index));
                // Finds the slot's call; `end` looks again. Sequentially consistent for `publish`, whose
                // store of the word comes before its insertion.
                const word = Shared.load(SlotWord, &slot.word, .seq_cst);
                const call: Call = .{ .slot = @intCast(index), .generation = word.generation };
                if (!end(handle, call, .all)) continue;
                Wait.count(handle, "cancelled");
                ended += 1;
            }
            return ended;
        }

        // ---- server ----------------------------------------------------------------------------

        pub const Received = struct {
            slot: u32,
            word: SlotWord,
            length: u32,
            flags: u32,
            deadline_ns: u64,
        };

        /// Takes the oldest request that still has a waiting client.
        pub fn receive(handle: *Handle) Error!?Received {
            // Each turn ends one call that cannot be served.
            for (0..layout.slots_max) |_| {
                const taken = try Ring.take(handle) orelse return null;
                const slot = handle.map.slot(taken.slot);
                // Handed over by the taking.
                const received: Received = .{
                    .slot = taken.slot,
                    .word = taken.word,
                    .length = Shared.load(u32, &slot.request_length, .monotonic),
                    .flags = Shared.load(u32, &slot.request_flags, .monotonic),
                    .deadline_ns = Shared.load(u64, &slot.deadline_ns, .monotonic),
                };
                if (!readable(handle, received)) {
                    // It was scribbled over: no server can serve it, and other calls are unaffected.
                    _ = finish(handle, received.slot, received.word, .server_died);
                    continue;
                }
                handle.note_length(received.slot, received.length);
                if (taken.word.delivery > 0) Wait.count(handle, "redelivered");
                if (received.deadline_ns == 0 or received.deadline_ns > Shared.now_ns()) {
                    Spread.taken(handle);
                    return received;
                }
                _ = finish(handle, received.slot, received.word, .timed_out);
            }
            // The limit of turns is reached and there are still more; the next look continues.
            return null;
        }

        /// Its client has made sure of the memory, unless a process has written another length.
        fn readable(handle: *Handle, received: Received) bool {
            const forwarded = received.flags & abi.request_forwarded != 0;
            if (received.length > handle.map.geometry.request_bytes_max(forwarded)) return false;
            Shared.commit_request(handle, received.slot, received.length) catch return false;
            return true;
        }

        pub const Held = enum { held, posted, abandoned, lost };

        /// The state of a request that was delivered to this handle.
        pub fn held(handle: *Handle, call: Call) Held {
            // A hint: it may be abandoned a moment later, which `reply` detects.
            const word = Shared.load(SlotWord, &handle.map.slot(call.slot).word, .acquire);
            if (word.generation != call.generation or word.holder != handle.index) return .lost;
            return switch (word.state) {
                .held => .held,
                .posted_held => .posted,
                .abandoned => .abandoned,
                .free, .draft, .queued, .ready, .posted => .lost,
            };
        }

        /// Makes sure that a request which this handle holds is not redelivered when its server is gone,
        /// whatever its client and the channel allow.
        pub fn last_delivery(handle: *Handle, call: Call) void {
            if (held(handle, call) == .lost) return;
            const slot = handle.map.slot(call.slot);
            // While this server holds it, no other process writes here. A repairer that hands it on after a
            // death reads it when the kernel has reported that this server is gone.
            const flags = Shared.load(u32, &slot.request_flags, .monotonic);
            // mutant:begun-once-and-handed-on
            Shared.store(u32, &slot.request_flags, (flags & 0xff) | 1 << 8, .monotonic);
        }

        /// Answers. `bytes` is null if they are in place. False: no client waits for it any more. A caller
        /// answers each request once.
        pub fn reply(handle: *Handle, call: Call, bytes: ?[]const u8, length: u32, kind: words.AnswerKind) Error!bool {
            const in_time = try answer_held(handle, call, bytes, length, kind);
            Spread.ended(handle);
            return in_time;
        }

        fn answer_held(handle: *Handle, call: Call, bytes: ?[]const u8, length: u32, kind: words.AnswerKind) Error!bool {
            const slot = handle.map.slot(call.slot);
            // A slot that this server holds can only become abandoned, and `finish` is exact about that.
            // `finish` also hands over everything that is written here.
            const word = Shared.load(SlotWord, &slot.word, .acquire);
            if (word.generation != call.generation or word.holder != handle.index) return false;
            switch (word.state) {
                .held => {
                    const geometry = &handle.map.geometry;
                    const limit = if (kind == .remote_error)
                        geometry.response_bytes_max()
                    else
                        geometry.max_response_bytes;
                    if (length > limit) return error.TooLarge;
                    try Shared.commit_response(handle, call.slot, length);
                    if (bytes) |source| {
                        const target = handle.map.response(call.slot, length);
                        if (source.ptr != target) Shared.copy_in(target, source);
                    }
                    Shared.store(u32, &slot.response_length, length, .monotonic);
                },
                .posted_held, .abandoned => {},
                .free, .draft, .queued, .ready, .posted => return false,
            }
            // Handed over with the request.
            const deadline_ns = Shared.load(u64, &slot.deadline_ns, .monotonic);
            if (deadline_ns == 0 or deadline_ns > Shared.now_ns()) return finish(handle, call.slot, word, kind);
            // Its client may not have looked yet.
            const in_time = word.state == .posted_held;
            return finish(handle, call.slot, word, .timed_out) and in_time;
        }

        /// Hands a request that this handle holds to its client as answered, or frees the slot if there is no
        /// client. True: the holder's intention was carried out.
        fn finish(handle: *Handle, index: u32, held_word: SlotWord, kind: words.AnswerKind) bool {
            const slot = handle.map.slot(index);
            // Read before the word changes, which is a release: afterwards the slot may have another owner.
            const owner = Shared.load(words.Owner, &slot.owner, .monotonic);
            var word = held_word;
            // A slot that this server holds can change only once, into abandoned.
            for (0..2) |_| {
                const target = if (word.state == .held) word.ready(kind) else word.freed();
                if (Shared.cas(SlotWord, &slot.word, word, target, .seq_cst)) {
                    if (word.state == .abandoned) {
                        Wait.wake_room(handle);
                        return false;
                    }
                    // Counted first: once its client is awake, the numbers include the answer.
                    count_end(handle, kind);
                    // mutant:answer-does-not-ring-its-client
                    if (word.state == .held) Wait.wake(handle, owner.index) else Wait.wake_room(handle);
                    return true;
                }
                // Exact, for the second turn.
                const now = Shared.load(SlotWord, &slot.word, .acquire);
                if (now.state != .abandoned or now.generation != word.generation) return false;
                if (now.holder != handle.index) return false;
                word = now;
            }
            return false;
        }

        fn count_end(handle: *Handle, kind: words.AnswerKind) void {
            switch (kind) {
                .bytes, .text => Wait.count(handle, "replies"),
                .remote_error => Wait.count(handle, "failures"),
                // Its client counts it.
                .timed_out => {},
                .server_died => Wait.count(handle, "failures"),
                _ => {},
            }
        }
    };
}
