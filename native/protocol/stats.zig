//! Numbers about a channel, taken without stopping any participant. Each is true, but they need not all be of
//! one moment. No decision depends on them, so the loads need no order; the load of an entry's word is an
//! acquire for the role beside it, and for `dead`.

const std = @import("std");
const abi = @import("../abi.zig");
const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const files = @import("../platform/sys/files.zig");
const Handle = @import("../handle.zig").Handle;
const Role = layout.Role;
const ParticipantsType = @import("participants.zig").ParticipantsType;
const SlotsType = @import("slots.zig").SlotsType;

pub const field_count = std.meta.tags(abi.StatField).len;

pub fn StatsType(comptime Shared: type) type {
    return struct {
        const Participants = ParticipantsType(Shared);
        const Slots = SlotsType(Shared);

        pub fn read(handle: *Handle, out: *[field_count]f64) void {
            @memset(out, 0);
            set(out, .slots, handle.map.geometry.slots);
            count_slots(handle, out);
            for (0..Participants.used_count(handle)) |index| count_participant(handle, @intCast(index), out);
            switch (files.stat(handle.fd, "")) {
                .info => |info| set(out, .committed_bytes, info.blocks * 512),
                .errno => {},
            }
            set(out, .mapped_bytes, handle.map.geometry.file_bytes);
        }

        /// Whether another living participant can be rung only by a knock: its bells lie in another folder
        /// than this one's, or the last ring has failed.
        fn is_unreachable(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) bool {
            if (index == handle.index) return false;
            if (handle.unreachable_epochs[index] == epoch) return true;
            const own = handle.map.participant(handle.index);
            const other = handle.map.participant(index);
            const inode = Shared.load(u64, &own.folder_inode, .monotonic);
            if (inode == 0 or inode != Shared.load(u64, &other.folder_inode, .monotonic)) return true;
            const device = Shared.load(u64, &own.folder_device, .monotonic);
            return device != Shared.load(u64, &other.folder_device, .monotonic);
        }

        /// Counts the living handles in one role.
        pub fn count_role(handle: *Handle, role: Role) u32 {
            var found: u32 = 0;
            for (0..Participants.used_count(handle)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                if (!has_role(handle, index, role)) continue;
                if (!Participants.dead(handle, index)) found += 1;
            }
            return found;
        }

        fn has_role(handle: *Handle, index: words.ParticipantIndex, role: Role) bool {
            const entry = handle.map.participant(index);
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            if (word.state != .joined) return false;
            return Shared.load(u32, &entry.role, .monotonic) == @backingInt(role);
        }

        fn count_slots(handle: *Handle, out: *[field_count]f64) void {
            for (0..Slots.used_count(handle)) |index| {
                const slot = handle.map.slot(@intCast(index));
                switch (Shared.load(words.SlotWord, &slot.word, .monotonic).state) {
                    .free, .draft => {},
                    .queued, .posted => {
                        add(out, .in_flight, 1);
                        add(out, .queued, 1);
                    },
                    .held, .posted_held, .abandoned, .ready => add(out, .in_flight, 1),
                }
            }
        }

        fn count_participant(handle: *Handle, index: words.ParticipantIndex, out: *[field_count]f64) void {
            const entry = handle.map.participant(index);
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            const is_quiet = Participants.traits(handle, index) & layout.trait_quiet != 0;
            if (word.state == .joined and !is_quiet and is_unreachable(handle, index, word.epoch) and
                !Participants.dead_epoch(handle, index, word.epoch)) add(out, .@"unreachable", 1);
            const server = has_role(handle, index, .server);
            const client = has_role(handle, index, .client);
            const waits = Shared.load(words.WaitWord, &entry.wait, .monotonic).asleep();
            if (server) add(out, .servers, 1);
            if (client) add(out, .clients, 1);
            if (server and waits) add(out, .waiting_servers, 1);
            if (client and waits) add(out, .waiting_clients, 1);
            inline for (.{
                .requests,      .replies,       .failures,  .cancelled, .timeouts, .redelivered,
                .server_deaths, .client_deaths, .reclaimed, .busy,      .wakeups,
            }) |name| {
                const counter = &@field(entry.counters, @tagName(name));
                add(out, name, Shared.load(u64, counter, .monotonic));
            }
        }

        fn set(out: *[field_count]f64, field: abi.StatField, value: u64) void {
            out[@backingInt(field)] = @floatFromInt(value);
        }

        fn add(out: *[field_count]f64, field: abi.StatField, value: u64) void {
            out[@backingInt(field)] += @floatFromInt(value);
        }
    };
}
