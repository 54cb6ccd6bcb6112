//! Who is served next.

const Handle = @import("../handle.zig").Handle;
const contenders = @import("contenders.zig");
const Seen = contenders.Seen;

pub const First = union(enum) {
    none,
    waiter: Seen,
    /// A waiter beside whom nobody contends.
    lone: Seen,
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
                const found = scan(handle, newest);
                const best = found.best orelse return .none;
                // mutant:first-waiter-not-confirmed
                if (candidate) |known| if (known.index == best.index and known.word == best.word) return found.first(known);
                candidate = best;
            }
            return .unsure;
        }

        const Scan = struct {
            best: ?Seen = null,
            contenders: u32 = 0,

            fn first(found: Scan, waiter: Seen) First {
                return if (found.contenders == 1) .{ .lone = waiter } else .{ .waiter = waiter };
            }
        };

        fn scan(handle: *Handle, newest: bool) Scan {
            var found: Scan = .{};
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.word.state != .idle) found.contenders += 1;
                if (seen.word.state != .waiting) continue;
                if (found.best) |other| if (!seen.word.goes_before(other.word, newest)) continue;
                found.best = seen;
            }
            return found;
        }
    };
}
