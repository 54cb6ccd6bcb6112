//! The unit tests of the library.

test {
    _ = @import("abi.zig");
    _ = @import("platform/bells/bells.zig");
    _ = @import("platform/bells/folder.zig");
    _ = @import("bench/driver.zig");
    _ = @import("platform/copy_on_write.zig");
    _ = @import("handle.zig");
    _ = @import("memory/layout.zig");
    _ = @import("memory/limit_words.zig");
    _ = @import("proof/limit_test.zig");
    _ = @import("lib.zig");
    _ = @import("node/bound.zig");
    _ = @import("numbers.zig");
    _ = @import("node/quick.zig");
    _ = @import("protocol/participants.zig");
    _ = @import("memory/occupancy.zig");
    _ = @import("platform/bells/private.zig");
    _ = @import("proof/protocol_test.zig");
    _ = @import("proof/repair_test.zig");
    _ = @import("proof/sweep_test.zig");
    _ = @import("platform/program.zig");
    _ = @import("platform/retired.zig");
    _ = @import("memory/shared.zig");
    _ = @import("proof/stress.zig");
    _ = @import("platform/sys/clock.zig");
    _ = @import("platform/sys/locks.zig");
    _ = @import("platform/sys/programs.zig");
    _ = @import("platform/target.zig");
    _ = @import("waiting/pacing.zig");
    _ = @import("memory/words.zig");
    _ = @import("proof/wrap_test.zig");
    _ = @import("worker/judgement.zig");
    _ = @import("worker/process_tree.zig");
    _ = @import("worker/record.zig");
    _ = @import("worker/record_memory.zig");
    _ = @import("worker/title.zig");
    _ = @import("zmq/batch.zig");
}
