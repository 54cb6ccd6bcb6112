//! Who is there. To join, a process takes the kernel's lock on one byte of the file, at an offset
//! that no other participant ever had or will have. The kernel drops the lock when the process
//! dies, however it dies; a stopped process keeps it. "Joined and unlocked" is death, without doubt.

const std = @import("std");
const words = @import("words.zig");
const layout = @import("layout.zig");
const sys = @import("sys.zig");
const Error = @import("abi.zig").Error;
const Handle = @import("handle.zig").Handle;
const Role = @import("handle.zig").Role;

pub fn ParticipantsType(comptime Shared: type) type {
    return struct {
        /// Enters the table. `Busy`: it is full of the living.
        pub fn join(handle: *Handle, role: Role) Error!void {
            for (0..2) |_| {
                const used = used_count(handle);
                for (0..used) |position| {
                    if (try join_at(handle, @intCast(position), role)) return;
                }
                var next = used;
                while (next < layout.participants_max) : (next = used_count(handle)) {
                    try handle_page(handle, @intCast(next));
                    _ = Shared.cas(u64, &handle.map.header().participants_used, next, next + 1, .acq_rel);
                    if (try join_at(handle, @intCast(next), role)) return;
                }
                free_abandoned_joins(handle);
            }
            return error.Busy;
        }

        fn join_at(handle: *Handle, index: words.ParticipantIndex, role: Role) Error!bool {
            const entry = handle.map.participant(index);
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            if (word.state != .free) return false;
            const joining: words.ParticipantWord = .{ .state = .joining, .epoch = word.epoch +% 1 };
            if (!Shared.cas(words.ParticipantWord, &entry.word, word, joining, .acq_rel)) return false;
            // Only now the lock: in this order one process alone ever locks that byte.
            if (!Shared.lock_byte(handle.fd, lock_offset(index, joining.epoch))) return error.System;
            Shared.store(u32, &entry.role, @backingInt(role), .monotonic);
            Shared.store(u32, &entry.bell, 0, .monotonic);
            Shared.store(u32, &entry.pid, sys.getpid(), .monotonic);
            // Numbers go on, so that a ringer that was stopped marks nothing of this participant's.
            const notify = Shared.load(words.NotifyWord, &entry.notify, .monotonic);
            Shared.store(words.NotifyWord, &entry.notify, .{ .number = notify.number +% 1 }, .monotonic);
            const wait = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            Shared.store(words.WaitWord, &entry.wait, .{ .number = wait.number }, .monotonic);
            const joined: words.ParticipantWord = .{ .state = .joined, .epoch = joining.epoch };
            if (!Shared.cas(words.ParticipantWord, &entry.word, joining, joined, .seq_cst)) {
                // Taken for one that died on the way in: start over.
                Shared.unlock_byte(handle.fd, lock_offset(index, joining.epoch));
                return false;
            }
            handle.index = index;
            handle.epoch = joining.epoch;
            return true;
        }

        /// The last step of leaving: everything of this participant is settled.
        pub fn leave(handle: *Handle) void {
            const entry = handle.map.participant(handle.index);
            const joined: words.ParticipantWord = .{ .state = .joined, .epoch = handle.epoch };
            _ = Shared.cas(words.ParticipantWord, &entry.word, joined, .{ .epoch = handle.epoch }, .acq_rel);
            Shared.unlock_byte(handle.fd, lock_offset(handle.index, handle.epoch));
        }

        /// True: the participant now at `index` has died and is not repaired yet.
        pub fn dead(handle: *Handle, index: words.ParticipantIndex) bool {
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            return word.state == .joined and dead_epoch(handle, index, word.epoch);
        }

        pub fn dead_epoch(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) bool {
            // A description cannot probe a lock that it holds itself.
            if (index == handle.index and epoch == handle.epoch) return false;
            const locked = Shared.byte_locked(handle.fd, lock_offset(index, epoch)) orelse return false;
            if (locked) return false;
            // Between the two looks it may have left in an orderly way.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            return word.state == .joined and word.epoch == epoch;
        }

        pub fn used_count(handle: *Handle) u32 {
            const used = Shared.load(u64, &handle.map.header().participants_used, .seq_cst);
            return @intCast(@min(used, layout.participants_max));
        }

        /// Who died between the two words of joining owns nothing: its entry is free again.
        fn free_abandoned_joins(handle: *Handle) void {
            for (0..used_count(handle)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                const entry = handle.map.participant(index);
                const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
                if (word.state == .free or word.state == .joined) continue;
                const locked = Shared.byte_locked(handle.fd, lock_offset(index, word.epoch)) orelse continue;
                if (locked) continue;
                _ = Shared.cas(words.ParticipantWord, &entry.word, word, .{ .epoch = word.epoch }, .acq_rel);
            }
        }

        fn handle_page(handle: *Handle, index: words.ParticipantIndex) Error!void {
            const offset = layout.page_bytes + @as(u64, index) * @sizeOf(layout.Participant);
            if (!Shared.allocate(handle.fd, offset, @sizeOf(layout.Participant))) return error.NoSpace;
        }
    };
}

/// Beyond the end of every file, one byte for each participant that ever was.
pub fn lock_offset(index: words.ParticipantIndex, epoch: words.Epoch) u64 {
    const epoch_bits = 50;
    return (1 << 62) | (@as(u64, index) << epoch_bits) | (epoch & ((1 << epoch_bits) - 1));
}

test "no two participants share a byte" {
    try std.testing.expect(lock_offset(1, 0) != lock_offset(0, (1 << 50) - 1));
    try std.testing.expect(lock_offset(1023, (1 << 50) - 1) < std.math.maxInt(i64));
    try std.testing.expect(lock_offset(0, 0) > layout.file_bytes_max);
}
