//! Memory that rare huge messages took goes back to the system. Only whoever has a slot as a draft may
//! take pages from its areas: nobody else writes or reads there then. It says so in the slot, for what
//! others know to be allocated is not any more.
//!
//! A slot that long messages use all the time keeps its pages: they are taken after a second without
//! one, by those who saw the last of them, when they send, receive, sleep or leave. Nobody wakes up for
//! it again and again: a slot that is in use then is forgotten by this handle, since its next user will
//! know better.

const std = @import("std");
const abi = @import("../abi.zig");
const layout = @import("../memory/layout.zig");
const slots = @import("slots.zig");
const Handle = @import("../handle.zig").Handle;
const keep_bytes = @import("../handle.zig").keep_bytes;

/// How long a slot has had no long message before its pages go.
pub const idle_ns = std.time.ns_per_s;

/// Operations between two looks at the clock by a handle that is never idle.
const operations_between = 256;

pub fn TrimType(comptime Shared: type) type {
    return struct {
        const Slots = slots.SlotsType(Shared);

        /// For handles that go from one operation to the next.
        pub inline fn now_and_then(handle: *Handle) void {
            if (handle.large_count == 0) return;
            handle.operations +%= 1;
            if (handle.operations % operations_between == 0) _ = idle(handle);
        }

        /// Gives back what was idle for long enough. True: there is more that will be.
        pub fn idle(handle: *Handle) bool {
            if (handle.large_count == 0) return false;
            return since(handle, Shared.now_ns() -| idle_ns);
        }

        /// At the end of a handle.
        pub fn all(handle: *Handle) void {
            _ = since(handle, std.math.maxInt(u64));
        }

        fn since(handle: *Handle, used_before_ns: u64) bool {
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

        fn give_back(handle: *Handle, index: u32) void {
            const slot = handle.map.slot(index);
            const trims = Shared.load(u32, &slot.trims, .monotonic);
            // Said first: who dies in between has made others allocate once more than they need.
            Shared.store(u32, &slot.trims, trims +% 1, .monotonic);
            const geometry = &handle.map.geometry;
            const areas = [_][2]u64{
                .{ handle.map.request_offset(index), geometry.request_area_bytes },
                .{ handle.map.response_offset(index), geometry.response_area_bytes },
            };
            for (areas) |area| {
                if (area[1] > keep_bytes) Shared.punch(handle.fd, area[0] + keep_bytes, area[1] - keep_bytes);
            }
        }
    };
}
