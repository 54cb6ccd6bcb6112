//! The notify descriptor of a handle, for event loops other than the runtime's own.

const words = @import("../memory/words.zig");
const slots = @import("../protocol/slots.zig");
const Handle = @import("../handle.zig").Handle;
const NotifyType = @import("../protocol/notify.zig").NotifyType;
const ParticipantsType = @import("../protocol/participants.zig").ParticipantsType;
const RingType = @import("../protocol/ring.zig").RingType;

pub fn NotifyDescriptorType(comptime Shared: type) type {
    return struct {
        const Notify = NotifyType(Shared);
        const Participants = ParticipantsType(Shared);
        const Ring = RingType(Shared);
        const Slots = slots.SlotsType(Shared);

        /// Takes a descriptor as this handle's notify descriptor; it is rung from now on.
        pub fn set(handle: *Handle, fd: i32, adopted: bool) void {
            if (handle.notify_fd >= 0) Shared.close(handle.notify_fd);
            handle.notify_fd = fd;
            Notify.enable(handle, adopted);
            if (has_work(handle)) _ = Shared.write_notify(fd);
        }

        /// Makes the notify descriptor unreadable, unless there is still something to take.
        pub fn drain(handle: *Handle) void {
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

        /// Rings the other side, whether it has something to take or not.
        pub fn ring_others(handle: *Handle) void {
            _ = Shared.write_notify(handle.peer_notify_fd);
            for (0..Participants.used_count(handle)) |position| {
                const index: words.ParticipantIndex = @intCast(position);
                // A hint: while an entry is being taken, this may be its predecessor's role.
                const role = Shared.load(u32, &handle.map.participant(index).role, .monotonic);
                if (role != @backingInt(handle.role)) Notify.ring(handle, index);
            }
        }
    };
}
