//! How far the tables of participants and slots are in use. The numbers stand in shared memory, where any
//! process can change them. Entries beyond the true end may have no memory, and on a full file system reading
//! them would cause SIGBUS. So each handle makes sure that the memory exists, once for each page, before it
//! looks.

const std = @import("std");
const layout = @import("../memory/layout.zig");
const Handle = @import("../handle.zig").Handle;

/// The size of an entry in both tables.
const entry_bytes = @sizeOf(layout.Participant);

comptime {
    std.debug.assert(@sizeOf(layout.Slot) == entry_bytes);
}

pub fn TableBoundsType(comptime Shared: type) type {
    return struct {
        /// The number of participant entries that were ever used and may be looked at.
        pub fn participants(handle: *Handle) u32 {
            const shared = Shared.load(u64, &handle.map.header().participants_used, .seq_cst);
            const used: u32 = @intCast(@min(shared, layout.participants_max));
            if (used <= handle.participants_known) return used;
            const known = &handle.participants_known;
            known.* = grown(handle, layout.page_bytes, known.*, used, layout.participants_max);
            return @min(used, known.*);
        }

        /// Whether an index from shared memory may be looked at.
        pub inline fn has_participant(handle: *Handle, index: u32) bool {
            return index < handle.participants_known or index < participants(handle);
        }

        /// The number of slots that were ever used and may be looked at.
        pub fn slots(handle: *Handle) u32 {
            // This handle needs to know nothing about slots that others are just taking into use.
            const shared = Shared.load(u64, &handle.map.header().slots_used, .acquire);
            const used: u32 = @intCast(@min(shared, handle.map.geometry.slots));
            if (used <= handle.slots_known) return used;
            const known = &handle.slots_known;
            const geometry = &handle.map.geometry;
            known.* = grown(handle, geometry.slots_offset, known.*, used, geometry.slots);
            return @min(used, known.*);
        }

        pub inline fn has_slot(handle: *Handle, index: u32) bool {
            return index < handle.slots_known or index < slots(handle);
        }

        /// The number of entries that have memory, up to the end of the last page.
        noinline fn grown(handle: *Handle, table: u64, known: u32, used: u32, all: u32) u32 {
            const wanted = @min(std.mem.alignForward(u32, used, layout.page_bytes / entry_bytes), all);
            const offset = table + @as(u64, known) * entry_bytes;
            const length = @as(u64, wanted - known) * entry_bytes;
            return if (Shared.allocate(handle.fd, offset, length)) wanted else known;
        }
    };
}
