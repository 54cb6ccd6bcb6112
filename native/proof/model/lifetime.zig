//! How a participant joins and leaves.

const memory = @import("memory.zig");
const participant = @import("participant.zig");
const setup = @import("setup.zig");
const Model = memory.Model;
const say = memory.say;
const Lifetime = @import("../../calls/lifetime.zig").LifetimeType(Model);
const Notify = @import("../../protocol/notify.zig").NotifyType(Model);
const Participants = @import("../../protocol/participants.zig").ParticipantsType(Model);
const Repair = @import("../../protocol/repair.zig").RepairType(Model);

/// As `channel.open`.
pub noinline fn join(plan: *const setup.Plan) void {
    const own = participant.self();
    participant.begin(.join);
    Participants.join(&own.handle, plan.role) catch return say(.{ .wrong = "it could not join" });
    _ = memory.ask(.{ .kind = .announce_life, .a = own.handle.index, .b = own.handle.epoch });
    Lifetime.enter(&own.handle);
}

/// As `channel.close`.
pub fn close() noreturn {
    const own = participant.self();
    participant.begin(.close);
    say(.leaving);
    for (own.pending[0..own.pending_count]) |call| participant.ended(call.call, .closed);
    Repair.settle_own(&own.handle);
    if (own.handle.notify_fd >= 0) Notify.disable(&own.handle);
    _ = memory.ask(.{ .kind = .close_bells, .a = own.handle.index, .b = own.handle.epoch });
    Participants.leave(&own.handle);
    _ = memory.ask(.{ .kind = .left });
    unreachable;
}
