//! Memory of rare long messages goes back to the system. Only a participant that has a slot as a draft may
//! take pages from its areas, because no other participant writes or reads there then; and a server may take
//! those of a request that it holds. It marks this in the slot, so that others no longer rely on the
//! allocation.
//!
//! A slot that long messages use all the time keeps its pages. They are taken after a second without one, by
//! participants that saw the last long message, when they send, receive, sleep or leave. No participant wakes
//! up repeatedly for this: if a slot is in use at that time, this handle forgets it, because its next user
//! will remember it.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("../memory/layout.zig");
const slots = @import("slots.zig");
const Handle = @import("../handle.zig").Handle;
const keep_bytes = @import("../handle.zig").keep_bytes;

/// A slot's pages are taken after so long without a long message.
pub const idle_ns = std.time.ns_per_s;

/// A handle that is never idle looks at the clock after so many operations.
const operations_between = 256;

pub fn TrimType(comptime Shared: type) type {
    return struct {
        const Slots = slots.SlotsType(Shared);

        /// For handles that are never idle.
        pub inline fn now_and_then(handle: *Handle) void {
            if (handle.large_count == 0) return;
            handle.operations +%= 1;
            if (handle.operations % operations_between == 0) _ = idle(handle);
        }

        /// Gives back memory that was idle for long enough. True: more will become idle.
        pub fn idle(handle: *Handle) bool {
            if (handle.large_count == 0) return false;
            return since(handle, Shared.now_ns() -| idle_ns);
        }

        /// At the end of a handle.
        pub fn all(handle: *Handle) void {
            _ = since(handle, std.math.maxInt(u64));
        }

        /// For an answer that finds no memory: gives it that of the request, which this handle holds and has
        /// read, and gives back that of free slots. The request cannot be delivered again.
        pub fn request_of(handle: *Handle, call: slots.Call, length: u32) void {
            free_slots(handle);
            if (Slots.held(handle, call) != .held) return;
            Slots.last_delivery(handle, call);
            mark(handle, call.slot);
            const bytes = handle.map.geometry.request_area_bytes;
            const piece = std.mem.alignForward(u64, bytes / 16, std.heap.page_size_min);
            var from: u64 = keep_bytes;
            // In pieces: a sender that waits for memory as well would take all of it in between, and the answer
            // could wait for that request.
            while (from < bytes) : (from += piece) {
                Shared.punch(handle.fd, handle.map.request_offset(call.slot) + from, @min(piece, bytes - from));
                _ = Shared.allocate(handle.fd, handle.map.response_offset(call.slot), @min(from + piece, length));
            }
        }

        /// For a message that finds no memory: gives back that of all free slots, whichever participant used it.
        pub noinline fn free_slots(handle: *Handle) void {
            for (0..Slots.used_count(handle)) |index| {
                const call = Slots.acquire_slot(handle, @intCast(index)) orelse continue;
                give_back(handle, call.slot);
                Slots.discard(handle, call);
            }
        }

        noinline fn since(handle: *Handle, used_before_ns: u64) bool {
            var place: u32 = 0;
            while (place < handle.large_count) {
                const slot = handle.large[place];
                if (handle.committed[slot].used_ns > used_before_ns) {
                    place += 1;
                    continue;
                }
                handle.forget_large(place);
                const call = Slots.acquire_slot(handle, slot) orelse continue;
                give_back(handle, slot);
                Slots.discard(handle, call);
            }
            return handle.large_count > 0;
        }

        /// Of a slot that this handle has as a draft.
        pub noinline fn give_back(handle: *Handle, index: u32) void {
            mark(handle, index);
            const geometry = &handle.map.geometry;
            punch(handle, handle.map.request_offset(index), geometry.request_area_bytes);
            punch(handle, handle.map.response_offset(index), geometry.response_area_bytes);
        }

        /// Before the pages are taken: a participant that dies in between only makes others allocate once
        /// more than necessary.
        fn mark(handle: *Handle, index: u32) void {
            const slot = handle.map.slot(index);
            const trims = Shared.load(u32, &slot.trims, .monotonic);
            Shared.store(u32, &slot.trims, trims +% 1, .monotonic);
        }

        fn punch(handle: *Handle, offset: u64, length: u64) void {
            if (length > keep_bytes) Shared.punch(handle.fd, offset + keep_bytes, length - keep_bytes);
        }
    };
}
