//! Spreading the requests of a channel over its servers. Each server publishes in its entry how many requests it
//! works on.

const words = @import("../memory/words.zig");
const Handle = @import("../handle.zig").Handle;

pub fn SpreadType(comptime Shared: type) type {
    return struct {
        // Own, and a hint to others: a store needs no order.

        /// This server works on one more request.
        pub inline fn taken(handle: *Handle) void {
            handle.load.calls +|= 1;
            publish(handle);
        }

        /// It works on one less.
        pub inline fn ended(handle: *Handle) void {
            handle.load.calls -|= 1;
            publish(handle);
        }

        inline fn publish(handle: *Handle) void {
            Shared.store(words.LoadWord, &handle.entry().load, handle.load, .monotonic);
        }
    };
}
