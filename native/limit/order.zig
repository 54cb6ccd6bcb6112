//! Who is served next.

const Handle = @import("../handle.zig").Handle;
const contenders = @import("contenders.zig");
const Seen = contenders.Seen;

pub const First = union(enum) {
    none,
    waiter: Seen,
    /// Others changed too much meanwhile.
    unsure,
};

pub fn OrderType(comptime Shared: type) type {
    return struct {
        const Contenders = contenders.ContendersType(Shared);

        /// A turn fails only if another participant made progress.
        const turns_max = 1 << 10;

        /// The waiter that is served next. The best one of a scan counts only if another scan confirms it:
        /// during the first one, a better one may have drawn its ticket behind the scan's back. All tickets that are
        /// better than a known one were drawn, or are being drawn, before the second scan begins. `guess`: a
        /// waiter that has its ticket already.
        pub fn first(handle: *Handle, newest: bool, guess: ?Seen) First {
            var candidate = guess;
            for (0..turns_max) |_| {
                const best = best_of_scan(handle, newest);
                if (best == null) return .none;
                if (candidate) |known| if (known.index == best.?.index and known.word == best.?.word) return .{ .waiter = known };
                candidate = best;
            }
            return .unsure;
        }

        fn best_of_scan(handle: *Handle, newest: bool) ?Seen {
            var best: ?Seen = null;
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.word.state != .waiting) continue;
                if (best) |other| if (!seen.word.goes_before(other.word, newest)) continue;
                best = seen;
            }
            return best;
        }
    };
}
