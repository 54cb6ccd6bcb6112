//! The contenders of a limit: how one publishes an attempt, and how others read it.
//!
//! A contender says that it is choosing, draws a ticket and publishes it. It may be stopped or die in between,
//! so whoever sees it choosing draws a ticket for it. After a look at all contenders no smaller ticket can
//! appear: one that was idle then draws later, and one that was choosing has a ticket now.

const Handle = @import("../handle.zig").Handle;
const words = @import("../memory/words.zig");
const limit_words = @import("../memory/limit_words.zig");
const limit_area = @import("../memory/limit_area.zig");
const WaitType = @import("../protocol/wait.zig").WaitType;
const ContenderWord = limit_words.ContenderWord;
const QueueWord = limit_words.QueueWord;
const ParticipantIndex = words.ParticipantIndex;

/// A contender, as its word said at one moment.
pub const Seen = struct { index: ParticipantIndex = 0, word: ContenderWord = .{} };

pub fn ContendersType(comptime Shared: type) type {
    return struct {
        const Wait = WaitType(Shared);

        /// One attempt changes its word a few times while somebody looks. More changes mean that a process
        /// scribbles.
        const turns_max = 64;

        /// Every index has memory, because the area is allocated whole.
        pub inline fn at(handle: *Handle, index: ParticipantIndex) *limit_area.Contender {
            return &handle.map.limit().contenders[index];
        }

        pub fn own(handle: *Handle) *limit_area.Contender {
            return at(handle, handle.index);
        }

        /// Sequentially consistent, as every look at a contender: those that leave and those that wait search
        /// for each other.
        pub inline fn word_of(handle: *Handle, index: ParticipantIndex) ContenderWord {
            return Shared.load(ContenderWord, &at(handle, index).word, .seq_cst);
        }

        pub fn own_word(handle: *Handle) ContenderWord {
            return word_of(handle, handle.index);
        }

        pub fn change(handle: *Handle, index: ParticipantIndex, from: ContenderWord, to: ContenderWord) bool {
            // Exact: with its ticket, a word never recurs. Sequentially consistent, see `word_of`.
            return Shared.cas(ContenderWord, &at(handle, index).word, from, to, .seq_cst);
        }

        /// Draws a ticket; the word is the one before. Null: there are no tickets left.
        pub fn draw(handle: *Handle) ?QueueWord {
            const queue = &handle.map.limit().queue;
            // A hint: it stays far from the end.
            if (Shared.load(QueueWord, queue, .monotonic).next > limit_words.ticket_max) return null;
            // Sequentially consistent: it comes after the word that says `choosing`.
            return @bitCast(Shared.fetch_add(@ptrCast(queue), 1, .seq_cst));
        }

        /// Publishes an attempt. Returns the terms that were in force when it got its ticket. Null: there are
        /// no tickets left. `attempt` has the flags.
        pub fn publish(handle: *Handle, attempt: ContenderWord) ?QueueWord {
            const entry = own(handle);
            // Before the word: a scan that does not see the bit comes before the drawing.
            mark(handle);
            // Read by `list` only, and by those who grant, as a hint.
            Shared.store(u64, &entry.token, 0, .monotonic);
            // Own: nobody else changes an idle word.
            const last = Shared.load(ContenderWord, &entry.word, .monotonic);
            var choosing = attempt;
            choosing.state = .choosing;
            choosing.ticket = last.ticket;
            // mutant:ticket-drawn-before-choosing begin
            Shared.store(ContenderWord, &entry.word, choosing, .seq_cst);
            const drawn = draw(handle) orelse {
                if (change(handle, handle.index, choosing, last.idle())) Wait.clear(&handle.map.limit().contending, handle.index);
                return null;
            };
            // If it fails, another participant has drawn for this one, and this ticket stays unused.
            _ = change(handle, handle.index, choosing, choosing.waiting(drawn.next));
            // mutant:ticket-drawn-before-choosing end
            return drawn;
        }

        /// Sets this contender's bit, unless it stands: see `DepartureType.leave`.
        fn mark(handle: *Handle) void {
            const set = &handle.map.limit().contending;
            const bit = @as(u64, 1) << @truncate(handle.index);
            // Own: only this contender changes this bit.
            if (Shared.load(u64, &set[handle.index / 64], .monotonic) & bit == 0) Wait.set(set, handle.index);
        }

        /// A contender's word; if it is choosing, after drawing a ticket for it.
        pub noinline fn settled_word(handle: *Handle, index: ParticipantIndex) ContenderWord {
            for (0..turns_max) |_| {
                const word = word_of(handle, index);
                // mutant:choosing-taken-for-idle
                if (word.state != .choosing) return word;
                // Without tickets it gets none itself, and leaves.
                const drawn = draw(handle) orelse break;
                _ = change(handle, index, word, word.waiting(drawn.next));
            }
            return .{};
        }

        /// Those that are not idle, in no order. It may see one twice, but misses none that contends all the
        /// time.
        pub const Each = struct {
            handle: *Handle,
            members: Wait.Members,

            pub fn of(handle: *Handle) Each {
                return .{ .handle = handle, .members = .of(handle, &handle.map.limit().contending) };
            }

            pub noinline fn next(each: *Each) ?Seen {
                const index = each.members.next() orelse return null;
                return .{ .index = index, .word = settled_word(each.handle, index) };
            }
        };

        /// Whether a contender beside this one is not idle.
        pub fn has_others(handle: *Handle) bool {
            var members: Wait.Members = .of(handle, &handle.map.limit().contending);
            while (members.next()) |index| {
                if (index != handle.index and word_of(handle, index).state != .idle) return true;
            }
            return false;
        }

        /// All that hold or wait, collected in private memory.
        pub const Collection = struct {
            count: u32 = 0,
            all: [Shared.contenders_max]Seen = undefined,

            pub noinline fn collect(collection: *Collection, handle: *Handle) []Seen {
                collection.count = 0;
                var each: Each = .of(handle);
                while (each.next()) |seen| {
                    if (!seen.word.contends() or collection.count == collection.all.len) continue;
                    collection.all[collection.count] = seen;
                    collection.count += 1;
                }
                return collection.all[0..collection.count];
            }
        };

        /// Wakes a contender if it sleeps.
        pub fn wake(handle: *Handle, index: ParticipantIndex) void {
            if (index != handle.index) Wait.wake_rarely(handle, index);
        }

        /// Rings all that wait, so that they look and watch anew.
        pub fn wake_waiters(handle: *Handle) void {
            var each: Each = .of(handle);
            while (each.next()) |seen| if (sleeps_for_a_place(handle, seen)) wake(handle, seen.index);
        }

        /// It waits, or was granted a place and has not noticed. A holder may sleep as well, until a thief
        /// comes; it need not look.
        pub fn sleeps_for_a_place(handle: *Handle, seen: Seen) bool {
            if (seen.word.state == .waiting) return true;
            return is_unaware(handle, seen);
        }

        /// Its word has changed, and its owner may not know.
        pub fn is_unaware(handle: *Handle, seen: Seen) bool {
            return switch (seen.word.state) {
                // A hint: the owner stores its token when it has noticed.
                .held => Shared.load(u64, &at(handle, seen.index).token, .monotonic) == 0,
                .lost => true,
                else => false,
            };
        }
    };
}
