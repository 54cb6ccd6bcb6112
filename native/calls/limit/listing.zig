//! Who holds a place and who waits for one, for display.

const std = @import("std");
const abi = @import("../../abi.zig");
const Control = abi.Control;
const Handle = @import("../../handle.zig").Handle;
const contenders = @import("../../limit/contenders.zig");
const PlacesType = @import("../../limit/places.zig").PlacesType;
const ParticipantsType = @import("../../protocol/participants.zig").ParticipantsType;
const RepairType = @import("../../protocol/repair.zig").RepairType;
const TermsType = @import("terms.zig").TermsType;
const Seen = contenders.Seen;

pub const field_count = @typeInfo(abi.LimitField).@"enum".field_names.len;

pub fn ListingType(comptime Shared: type) type {
    return struct {
        const Contenders = contenders.ContendersType(Shared);
        const Participants = ParticipantsType(Shared);
        const Repair = RepairType(Shared);
        const Terms = TermsType(Shared);

        /// Describes those that hold or wait, in the order in which they are served, and returns how many there
        /// are.
        pub fn list(handle: *Handle, out: []f64, control: *Control) u32 {
            _ = Repair.sweep(handle);
            var collection: Contenders.Collection = .{};
            const all = collection.collect(handle);
            const terms = Terms.current(handle);
            sort(all, terms.newest);
            var holders: u32 = 0;
            for (all, 0..) |seen, position| {
                if (seen.word.state == .held) holders += 1;
                if ((position + 1) * field_count > out.len) continue;
                describe(handle, seen, out[position * field_count ..][0..field_count]);
            }
            control.list_max = terms.places();
            control.list_order = Terms.order_of(terms);
            control.list_holders = holders;
            control.list_waiters = @intCast(all.len - holders);
            return @intCast(all.len);
        }

        fn sort(all: []Seen, newest: bool) void {
            for (1..@max(1, all.len)) |end| {
                const seen = all[end];
                var position = end;
                while (position > 0 and goes_before(seen, all[position - 1], newest)) : (position -= 1) {
                    all[position] = all[position - 1];
                }
                all[position] = seen;
            }
        }

        /// Holders first, by place.
        fn goes_before(one: Seen, other: Seen, newest: bool) bool {
            if (one.word.state != other.word.state) return one.word.state == .held;
            if (one.word.state == .waiting) return one.word.goes_before(other.word, newest);
            if (one.word.place != other.word.place) return one.word.place < other.word.place;
            return one.word.ticket < other.word.ticket;
        }

        fn describe(handle: *Handle, seen: Seen, out: *[field_count]f64) void {
            const entry = Contenders.at(handle, seen.index);
            const is_waiting = seen.word.state == .waiting;
            const token = if (is_waiting) 0 else Shared.load(u64, &entry.token, .monotonic);
            @memset(out, 0);
            set(out, .index, seen.index);
            set(out, .is_waiting, @intFromBool(is_waiting));
            set(out, .place, if (is_waiting) 0 else @as(u64, seen.word.place) + 1);
            set(out, .ticket, seen.word.ticket);
            set(out, .token_low, @as(u32, @truncate(token)));
            set(out, .token_high, token >> 32);
            set(out, .shared, @intFromBool(seen.word.shared));
            set(out, .urgent, @intFromBool(seen.word.urgent));
            const since: f64 = @bitCast(Shared.load(u64, &entry.since, .monotonic));
            // A process may have scribbled over it.
            out[@backingInt(abi.LimitField.since)] = if (std.math.isFinite(since)) since else 0;
            if (seen.index >= Participants.used_count(handle)) return;
            const participant = handle.map.participant(seen.index);
            set(out, .pid, Shared.load(u32, &participant.pid, .monotonic));
            set(out, .runtime, Shared.load(u32, &participant.runtime, .monotonic));
        }

        fn set(out: *[field_count]f64, field: abi.LimitField, value: u64) void {
            out[@backingInt(field)] = @floatFromInt(value);
        }
    };
}
