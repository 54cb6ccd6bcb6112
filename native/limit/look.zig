//! The look: grants whatever can be granted. Anyone may run it, any number at once, and it may stop or die
//! anywhere: another look continues.

const std = @import("std");
const Handle = @import("../handle.zig").Handle;
const limit_words = @import("../memory/limit_words.zig");
const contenders = @import("contenders.zig");
const OrderType = @import("order.zig").OrderType;
const PlacesType = @import("places.zig").PlacesType;
const ResizingType = @import("resizing.zig").ResizingType;
const PlaceWord = limit_words.PlaceWord;
const QueueWord = limit_words.QueueWord;
const Seen = contenders.Seen;

pub fn LookType(comptime Shared: type) type {
    return struct {
        const Contenders = contenders.ContendersType(Shared);
        const Order = OrderType(Shared);
        const Places = PlacesType(Shared);
        const Resizing = ResizingType(Shared);

        /// Each turn grants a place, or another participant has made progress. A process that scribbles can fake
        /// either, so after many turns the clock decides.
        const turns_max = 1 << 16;
        const turns_untimed = 64;
        const longest_ns = 10 * std.time.ns_per_ms;

        /// False: others changed too much; the caller looks again after a while. `guess`: the waiter that is
        /// probably the first.
        pub fn run(handle: *Handle, guess: ?Seen) bool {
            var wish = Resizing.begin(handle);
            var hint = guess;
            var started_ns: u64 = 0;
            const is_sure = for (0..turns_max) |count| {
                if (count % turns_untimed == turns_untimed - 1) {
                    const now_ns = Shared.now_ns();
                    if (started_ns == 0) started_ns = now_ns;
                    if (now_ns -% started_ns > longest_ns) break false;
                }
                switch (turn(handle, hint)) {
                    .granted => hint = null,
                    .unsure => break false,
                    .done => {
                        if (!Resizing.finish(handle, wish)) break true;
                        // Another wish came meanwhile.
                        wish = Resizing.begin(handle);
                        hint = null;
                    },
                }
            } else false;
            ring_unaware(handle);
            return is_sure;
        }

        /// As `run`, for this contender when nobody else contends, and in fewer steps. False: nothing was granted.
        pub fn grant_alone(handle: *Handle, own: Seen) bool {
            if (Resizing.wish(handle).max != 0) return false;
            // As the scan of `Order.first`: whoever contends from now on has a later ticket, and looks.
            // mutant:lone-waiter-not-alone
            if (Contenders.has_others(handle)) return false;
            // So no place is held. This is the lowest one, which others would grant as well.
            const word = Shared.load(PlaceWord, &handle.map.limit().places[0], .seq_cst);
            return word.state == .free and Places.grant(handle, .{ .number = 0, .word = word }, own);
        }

        const Turn = enum { granted, done, unsure };

        fn turn(handle: *Handle, hint: ?Seen) Turn {
            const terms = Shared.load(QueueWord, &handle.map.limit().queue, .seq_cst);
            const waiter = switch (Order.first(handle, terms.newest, hint)) {
                .none => return .done,
                .unsure => return .unsure,
                .waiter => |waiter| waiter,
            };
            // Comes after the first waiter is known. All who grant at once take the lowest free place, so they
            // collide there, and no two of them count the same gap.
            const found = Places.survey(handle);
            const place = place: {
                if (waiter.word.shared) if (found.shared) |shared| break :place shared;
                // mutant:one-place-too-many
                if (found.occupied < terms.places()) if (found.free) |free| break :place free;
                // The survey may have handed a place to this very waiter.
                if (Contenders.word_of(handle, waiter.index) != waiter.word) return .granted;
                return if (found.is_unsure) .unsure else .done;
            };
            if (Contenders.word_of(handle, waiter.index) != waiter.word) return .granted;
            _ = Places.grant(handle, place, waiter);
            return .granted;
        }

        /// Somebody who granted a place or stole one may have died, or been stopped, before the ring.
        fn ring_unaware(handle: *Handle) void {
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.index != handle.index and Contenders.is_unaware(handle, seen)) Contenders.wake(handle, seen.index);
            }
        }
    };
}
