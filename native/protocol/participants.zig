//! The table of participants. To join, a process takes the kernel's lock on one byte of the file, at an
//! offset that no other participant ever had or will have. The kernel drops the lock when the process dies,
//! however it dies; a stopped process keeps it. So "joined and unlocked" proves a death.

const words = @import("../memory/words.zig");
const layout = @import("../memory/layout.zig");
const process = @import("../platform/sys/process.zig");
const Error = @import("../abi.zig").Error;
const Identity = @import("../platform/bells/names.zig").Identity;
const TableBoundsType = @import("table_bounds.zig").TableBoundsType;
const Handle = @import("../handle.zig").Handle;
const Role = layout.Role;

pub fn ParticipantsType(comptime Shared: type) type {
    return struct {
        const TableBounds = TableBoundsType(Shared);

        /// Enters the table. `Busy`: it is full of living participants.
        pub fn join(handle: *Handle, role: Role) Error!void {
            for (0..2) |_| {
                const used = used_count(handle);
                for (0..used) |position| {
                    if (try join_at(handle, @intCast(position), role)) return;
                }
                var next = used;
                // A turn fails only because another participant has taken an entry into use.
                for (0..layout.participants_max) |_| {
                    if (next >= layout.participants_max) break;
                    try allocate_entry(handle, @intCast(next));
                    // In the one order, this comes before this participant's first sleep. A participant that
                    // searches for sleepers too late for the sleeper's last look therefore searches this far.
                    _ = Shared.cas(u64, &handle.map.header().participants_used, next, next + 1, .seq_cst);
                    if (try join_at(handle, @intCast(next), role)) return;
                    next = used_count(handle);
                }
                free_abandoned_joins(handle);
            }
            return error.Busy;
        }

        fn join_at(handle: *Handle, index: words.ParticipantIndex, role: Role) Error!bool {
            const entry = handle.map.participant(index);
            // Acquire, here and in the compare-and-swap: the stores of the entry's last participant come
            // before ours.
            const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
            if (word.state != .free or word.epoch >= words.epoch_max) return false;
            const joining: words.ParticipantWord = .{ .state = .joining, .epoch = word.epoch + 1 };
            if (!Shared.cas(words.ParticipantWord, &entry.word, word, joining, .acq_rel)) return false;
            // The lock comes after the compare-and-swap: in this order only one process ever locks that byte.
            if (!Shared.lock_byte(handle.fd, layout.lock_offset(index, joining.epoch))) {
                // If another participant holds it, that epoch is not new: the word was scribbled over. The
                // entry is free again when that participant is gone, and another entry will do.
                const held = Shared.byte_locked(handle.fd, layout.lock_offset(index, joining.epoch)) orelse false;
                return if (held) false else error.System;
            }
            // Handed over by the compare-and-swap to `joined`, which comes last.
            Shared.store(u32, &entry.role, @backingInt(role), .monotonic);
            Shared.store(u32, &entry.bell, 0, .monotonic);
            Shared.store(u32, &entry.waker, layout.waker_none, .monotonic);
            Shared.store(u32, &entry.pid, process.id(), .monotonic);
            Shared.store(u32, &entry.runtime, process.runtime(), .monotonic);
            Shared.store(u32, &entry.uid, handle.bells.uid, .monotonic);
            Shared.store(u32, &entry.traits, handle.traits, .monotonic);
            Shared.store(u64, &entry.board, 0, .monotonic);
            Shared.store(u64, &entry.folder_device, handle.bells.device, .monotonic);
            Shared.store(u64, &entry.folder_inode, handle.bells.inode, .monotonic);
            // The numbers continue, so that a ringer that was stopped cannot mark a sleep of this
            // participant. It may mark the predecessor's last sleep late: that mark is overwritten here, or
            // fails.
            const notify = Shared.load(words.NotifyWord, &entry.notify, .monotonic);
            Shared.store(words.NotifyWord, &entry.notify, .{ .number = notify.number +% 1 }, .monotonic);
            const wait = Shared.load(words.WaitWord, &entry.wait, .monotonic);
            Shared.store(words.WaitWord, &entry.wait, .{ .number = wait.number }, .monotonic);
            const load = Shared.load(words.LoadWord, &entry.load, .monotonic);
            handle.load = .{ .looks = load.looks +% 1 };
            Shared.store(words.LoadWord, &entry.load, handle.load, .monotonic);
            const joined: words.ParticipantWord = .{ .state = .joined, .epoch = joining.epoch };
            if (!Shared.cas(words.ParticipantWord, &entry.word, joining, joined, .seq_cst)) {
                // Another participant took this one for dead while it joined: start over.
                Shared.unlock_byte(handle.fd, layout.lock_offset(index, joining.epoch));
                return false;
            }
            handle.index = index;
            handle.epoch = joining.epoch;
            return true;
        }

        /// The last step of leaving, after everything of this participant is settled.
        pub fn leave(handle: *Handle) void {
            const entry = handle.map.participant(handle.index);
            const joined: words.ParticipantWord = .{ .state = .joined, .epoch = handle.epoch };
            // Hands the entry over to its next participant. It comes before the unlocking, which the kernel
            // orders: a participant that finds the byte unlocked sees that the entry is free.
            _ = Shared.cas(words.ParticipantWord, &entry.word, joined, .{ .epoch = handle.epoch }, .acq_rel);
            Shared.unlock_byte(handle.fd, layout.lock_offset(handle.index, handle.epoch));
        }

        /// True: the participant now at `index` has died and is not repaired yet.
        pub fn dead(handle: *Handle, index: words.ParticipantIndex) bool {
            if (!TableBounds.has_participant(handle, index)) return false;
            // Acquire: the participant locked its byte before it was `joined`, so the look at the byte comes
            // after that.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            return word.state == .joined and dead_epoch(handle, index, word.epoch);
        }

        pub fn dead_epoch(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) bool {
            // A description cannot probe a lock that it holds itself.
            if (index == handle.index and epoch == handle.epoch) return false;
            const locked = Shared.byte_locked(handle.fd, layout.lock_offset(index, epoch)) orelse return false;
            if (locked) return false;
            // Between the two looks it may have left. By *kernel*, this load sees that.
            const word = Shared.load(words.ParticipantWord, &handle.map.participant(index).word, .acquire);
            return word.state == .joined and word.epoch == epoch;
        }

        /// How the bells identify a participant. The user id is a hint: whatever it is, the bells only ring a
        /// bell, or remove a file of this user.
        pub fn identity(handle: *Handle, index: words.ParticipantIndex, epoch: words.Epoch) Identity {
            const uid = Shared.load(u32, &handle.map.participant(index).uid, .monotonic);
            return .{ .uid = uid, .index = index, .epoch = epoch };
        }

        /// What a participant is beside its role: `layout.trait_*`. Loaded after the word that says `joined`.
        pub fn traits(handle: *Handle, index: words.ParticipantIndex) u32 {
            return Shared.load(u32, &handle.map.participant(index).traits, .monotonic);
        }

        /// Adds one to this participant's own.
        pub fn add_trait(handle: *Handle, trait: u32) void {
            handle.traits |= trait;
            Shared.store(u32, &handle.entry().traits, handle.traits, .monotonic);
        }

        pub const used_count = TableBounds.participants;

        /// A participant that died between the two words of joining owns nothing, so its entry is free again.
        fn free_abandoned_joins(handle: *Handle) void {
            for (0..used_count(handle)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                const entry = handle.map.participant(index);
                // As in `dead`. The compare-and-swap is exact, and hands the entry over.
                const word = Shared.load(words.ParticipantWord, &entry.word, .acquire);
                if (word.state == .free or word.state == .joined) continue;
                const locked = Shared.byte_locked(handle.fd, layout.lock_offset(index, word.epoch)) orelse continue;
                if (locked) continue;
                _ = Shared.cas(words.ParticipantWord, &entry.word, word, .{ .epoch = word.epoch }, .acq_rel);
            }
        }

        fn allocate_entry(handle: *Handle, index: words.ParticipantIndex) Error!void {
            const offset = layout.page_bytes + @as(u64, index) * @sizeOf(layout.Participant);
            if (!Shared.allocate(handle.fd, offset, @sizeOf(layout.Participant))) return error.NoSpace;
        }
    };
}
