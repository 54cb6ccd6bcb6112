//! An attempt to get a place, from the request to the end. None of these operations waits.

const abi = @import("../../abi.zig");
const Error = abi.Error;
const Control = abi.Control;
const Handle = @import("../../handle.zig").Handle;
const limit_words = @import("../../memory/limit_words.zig");
const contenders = @import("../../limit/contenders.zig");
const DepartureType = @import("../../limit/departure.zig").DepartureType;
const LookType = @import("../../limit/look.zig").LookType;
const LifetimeType = @import("../lifetime.zig").LifetimeType;
const TermsType = @import("terms.zig").TermsType;
const WaitType = @import("../../protocol/wait.zig").WaitType;
const ContenderWord = limit_words.ContenderWord;
const Seen = contenders.Seen;

/// A place (its number, from 1) or one of `abi.limit_*`.
pub const Outcome = i32;

pub const Request = struct {
    shared: bool = false,
    /// Takes the places of all holders.
    steal: bool = false,
    /// Gives up if it gets no place at once.
    brief: bool = false,
    /// How many may wait.
    standby: u32 = abi.limit_no_standby,
};

pub fn AttemptsType(comptime Shared: type) type {
    return struct {
        const Contenders = contenders.ContendersType(Shared);
        const Departure = DepartureType(Shared);
        const Lifetime = LifetimeType(Shared);
        const Look = LookType(Shared);
        const Terms = TermsType(Shared);
        const Wait = WaitType(Shared);

        /// A thief takes places until it has one; others may be handed a place meanwhile.
        const thefts_max = 64;

        pub fn request(handle: *Handle, wanted: Request, control: *Control) Error!Outcome {
            if (handle.is_lost) return error.Corrupt;
            switch (Contenders.own_word(handle).state) {
                .waiting, .held => return look(handle),
                .lost => _ = Departure.release(handle),
                else => {},
            }
            // A hint: a place in a file that has just lost its name is found out later.
            if (Shared.load(u64, &handle.map.header().removed, .monotonic) != 0) return error.NotFound;
            const own = &handle.contention;
            own.token = 0;
            own.standby = wanted.standby;
            const attempt: ContenderWord = .{ .shared = wanted.shared, .urgent = wanted.steal, .brief = wanted.brief };
            const terms = Contenders.publish(handle, attempt) orelse {
                control.fail(.tickets, 0);
                return error.Busy;
            };
            if (!Terms.agreed(handle, terms)) Terms.agree(handle, control) catch |err| {
                // It may have been granted a place meanwhile.
                Departure.settle_own(handle);
                own.known = .idle;
                return err;
            };
            // A newcomer goes before those that sleep, so they watch it.
            // mutant:newcomer-ahead-rings-no-sleeper
            if (wanted.steal or terms.newest) Contenders.wake_waiters(handle);
            if (wanted.steal) steal(handle) else look_first(handle);
            const outcome = acknowledge(handle);
            if (outcome != abi.limit_waits) return outcome;
            return stay(handle, wanted.brief);
        }

        /// Right after the ticket was drawn.
        fn look_first(handle: *Handle) void {
            const waiter = guess(handle);
            if (waiter) |own| if (Look.grant_alone(handle, own)) return;
            _ = Look.run(handle, waiter);
        }

        fn guess(handle: *Handle) ?Seen {
            const word = Contenders.own_word(handle);
            return if (word.state == .waiting) .{ .index = handle.index, .word = word } else null;
        }

        /// Takes the places of all others. Nobody else is granted one meanwhile, except by a look that had
        /// begun before.
        fn steal(handle: *Handle) void {
            for (0..thefts_max) |_| {
                var each: Contenders.Each = .of(handle);
                while (each.next()) |seen| {
                    if (seen.index == handle.index or seen.word.state != .held) continue;
                    // Exact.
                    if (Contenders.change(handle, seen.index, seen.word, seen.word.lost())) Contenders.wake(handle, seen.index);
                }
                _ = Look.run(handle, null);
                if (Contenders.own_word(handle).state != .waiting) return;
            }
        }

        /// What has become of the current attempt. A contender that was handed a place draws its token.
        pub fn acknowledge(handle: *Handle) Outcome {
            const own = &handle.contention;
            const word = Contenders.own_word(handle);
            own.known = word.state;
            switch (word.state) {
                .waiting => return abi.limit_waits,
                .held => {},
                .lost => return abi.limit_lost,
                else => return abi.limit_idle,
            }
            if (own.token == 0) {
                const entry = Contenders.own(handle);
                // Sequentially consistent: whoever holds the place next draws later, and gets a greater one.
                own.token = Shared.fetch_add(&handle.map.limit().tokens, 1, .seq_cst) +% 1;
                note_time(handle);
                // For display, and a hint to those who ring.
                Shared.store(u64, &entry.token, own.token, .monotonic);
                // A thief may have come before the token was drawn; then the thief's own is not greater. The drawing
                // and this load are sequentially consistent.
                // mutant:stolen-before-the-token
                if (Contenders.own_word(handle) != word) return acknowledge_loss(handle);
            }
            return @as(Outcome, word.place) + 1;
        }

        fn acknowledge_loss(handle: *Handle) Outcome {
            handle.contention.known = Contenders.own_word(handle).state;
            return if (handle.contention.known == .lost) abi.limit_lost else abi.limit_idle;
        }

        fn note_time(handle: *Handle) void {
            const now = Shared.wall_ms();
            handle.contention.granted_at = now;
            // For display.
            const since: f64 = @floatFromInt(now);
            Shared.store(u64, &Contenders.own(handle).since, @bitCast(since), .monotonic);
        }

        /// The attempt was not granted a place: whether it may wait.
        fn stay(handle: *Handle, is_brief: bool) Outcome {
            const is_newest = Terms.current(handle).newest;
            const standby = handle.contention.standby;
            const refusal = if (is_brief)
                abi.limit_not_now
            else if (!is_newest and standby != abi.limit_no_standby)
                abi.limit_refused_full
            else {
                note_time(handle);
                return abi.limit_waits;
            };
            // Those ahead may be dead, and nobody need have noticed.
            if (repair_rivals(handle)) {
                _ = Look.run(handle, null);
                const outcome = acknowledge(handle);
                if (outcome != abi.limit_waits) return outcome;
            }
            if (!is_brief and waiters_ahead(handle, is_newest) < standby) {
                note_time(handle);
                return abi.limit_waits;
            }
            return refuse(handle, refusal);
        }

        /// Gives up, unless a place was granted meanwhile.
        fn refuse(handle: *Handle, refusal: Outcome) Outcome {
            if (!Departure.withdraw(handle)) {
                const outcome = acknowledge(handle);
                if (outcome != abi.limit_lost) return outcome;
                _ = Departure.release(handle);
            }
            handle.contention.known = .idle;
            return refusal;
        }

        /// True: at least one of those that hold or wait was dead.
        fn repair_rivals(handle: *Handle) bool {
            var any = false;
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.index == handle.index or !seen.word.contends()) continue;
                if (Terms.repaired(handle, seen.index)) any = true;
            }
            return any;
        }

        /// How many that may wait are served before this contender.
        fn waiters_ahead(handle: *Handle, newest: bool) u32 {
            const own = Contenders.own_word(handle);
            var count: u32 = 0;
            var each: Contenders.Each = .of(handle);
            while (each.next()) |seen| {
                if (seen.index == handle.index or seen.word.state != .waiting or seen.word.brief) continue;
                if (seen.word.goes_before(own, newest)) count += 1;
            }
            return count;
        }

        /// Looks again. An older standby retires when newer ones wait.
        pub fn look(handle: *Handle) Error!Outcome {
            if (handle.is_lost) return error.Corrupt;
            var outcome = acknowledge(handle);
            if (outcome != abi.limit_waits) return outcome;
            _ = Look.run(handle, guess(handle));
            outcome = acknowledge(handle);
            if (outcome != abi.limit_waits) return outcome;
            if (is_replaced(handle)) {
                if (repair_rivals(handle)) {
                    _ = Look.run(handle, null);
                    outcome = acknowledge(handle);
                    if (outcome != abi.limit_waits) return outcome;
                }
                if (is_replaced(handle)) return refuse(handle, abi.limit_refused_replaced);
            }
            // The limit goes on in another file.
            return if (Lifetime.is_removed(handle)) error.NotFound else abi.limit_waits;
        }

        /// Whether this waiter is one standby too many.
        pub fn is_replaced(handle: *Handle) bool {
            if (!Terms.current(handle).newest) return false;
            const standby = handle.contention.standby;
            return waiters_ahead(handle, true) >= if (standby == abi.limit_no_standby) 1 else standby;
        }

        /// Gives up waiting. The outcome may be a place that was granted meanwhile.
        pub fn withdraw(handle: *Handle) Outcome {
            if (!Departure.withdraw(handle)) return acknowledge(handle);
            handle.contention.known = .idle;
            return abi.limit_idle;
        }

        pub fn release(handle: *Handle) bool {
            const has_held = Departure.release(handle);
            handle.contention.known = Contenders.own_word(handle).state;
            return has_held;
        }

        /// Where the own attempt stands, without any duty.
        pub fn state(handle: *Handle) Outcome {
            const word = Contenders.own_word(handle);
            return switch (word.state) {
                .waiting => abi.limit_waits,
                .held => @as(Outcome, word.place) + 1,
                .lost => abi.limit_lost,
                else => abi.limit_idle,
            };
        }

        /// Whether the file had its name when the place was granted, or shortly before: a look at it takes longer
        /// than the whole attempt.
        pub fn was_named(handle: *const Handle) bool {
            const trusted_ms = 200;
            const own = &handle.contention;
            // Also false if the clock was set back meanwhile.
            return own.granted_at -% own.named_at < trusted_ms;
        }

        /// Whether the place is still held, in a file that others can find.
        pub fn heartbeat(handle: *Handle) Outcome {
            if (Lifetime.lost(handle) or Lifetime.is_removed(handle)) return abi.limit_lost;
            handle.contention.named_at = Shared.wall_ms();
            return switch (Contenders.own_word(handle).state) {
                .held => 1,
                .lost => abi.limit_lost,
                else => 0,
            };
        }
    };
}
