//! The unit tests of the library.

test {
    _ = @import("abi.zig");
    _ = @import("bells.zig");
    _ = @import("bells/folder.zig");
    _ = @import("bench/driver.zig");
    _ = @import("copy_on_write.zig");
    _ = @import("handle.zig");
    _ = @import("layout.zig");
    _ = @import("lib.zig");
    _ = @import("participants.zig");
    _ = @import("occupancy.zig");
    _ = @import("private.zig");
    _ = @import("protocol_test.zig");
    _ = @import("retired.zig");
    _ = @import("shared.zig");
    _ = @import("stress.zig");
    _ = @import("sys.zig");
    _ = @import("target.zig");
    _ = @import("words.zig");
    _ = @import("wrap_test.zig");
}
