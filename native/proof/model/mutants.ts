/**
 * The protocol broken on purpose. Each mutant replaces the lines that a comment in the native code marks,
 * and names a configuration of the model that catches it. `// mutant:name` marks the next line of code;
 * `// mutant:name begin` and `// mutant:name end` mark the lines between them.
 *
 * @module
 */

/** One change for the worse. */
export interface Mutant {
  readonly name: string;
  /** Replaces the marked lines, and is indented as they are; empty: they are removed. */
  readonly replacement: string;
  /** What goes wrong with it. */
  readonly why: string;
  /** Of the model, as on its command line. */
  readonly configuration: string;
}

const oneCall = "slots=1 cells=2 client:request server:serve";
const busy = "slots=2 cells=2 client:post,post server:serve_busy server:serve_busy";
const leaving = "slots=1 cells=2 deliveries=2 client:request server:serve_close server:serve";
const sentinels = "ring=1 slots=1 cells=1 cold=1";
const boards = "slots=1 cells=1 cold=1 client:sweep,publish client:await_board client:await_board";
const oneEach = "max=1 contender:acquire,release contender:acquire,release";

export const mutants: readonly Mutant[] = [
  {
    name: "insert-before-queued",
    replacement: `const inserted = Ring.insert(handle, call.slot, queued);
Shared.store(SlotWord, &slot.word, queued, .release);`,
    why: "an entry whose slot is still a draft is dropped as stale, and the call is lost",
    configuration: oneCall,
  },
  {
    name: "forwarded-not-flagged",
    replacement: "",
    why: "a server takes the note about the peer for a part of the payload",
    configuration: "slots=1 cells=2 client:forward server:serve",
  },
  {
    name: "flags-of-the-last-request-kept",
    replacement:
      `var flags = @as(u32, request.max_deliveries) << 8 | Shared.load(u32, &slot.request_flags, .monotonic) & 0xff;`,
    why: "a server takes the end of a payload for a note about a peer",
    configuration: "slots=1 cells=2 client:forward,request server:serve",
  },
  {
    name: "no-help-of-a-tail-behind-its-cell",
    replacement: "} else if (ahead == 0) {",
    why: "a producer that dies between its two compare-and-swaps wedges the ring",
    configuration: "slots=1 cells=2 deaths=1 mortal=0 client:request client:request server:serve",
  },
  {
    name: "cell-emptied-by-a-store",
    replacement: `Shared.store(words.Cell, cell, emptied, .release);
if (false) {`,
    why: "a server that was stopped wipes a later entry",
    configuration: "slots=1 cells=1 client:request,request server:serve server:serve",
  },
  {
    name: "handed-on-before-inserted",
    replacement:
      `if (!Shared.cas(SlotWord, &handle.map.slot(index).word, word, next, .seq_cst)) return word;
return if (try_insert(handle, index, next)) next else null;`,
    why: "a process that stops or dies between the two loses the call",
    configuration: `deaths=1 mortal=1 ${leaving}`,
  },
  {
    name: "redelivery-in-progress-skipped",
    replacement: ".held, .posted_held => redelivers(handle, entry, word) and false,",
    why: "the entry is dropped, and the request is queued without one",
    configuration: leaving,
  },
  {
    name: "redelivery-of-the-dead-only",
    replacement: `if (entry.delivery != word.delivery + 1) return false;
return @import("participants.zig").ParticipantsType(Shared).dead(handle, word.holder);`,
    why: "a server that leaves is not dead, and a dead one may be repaired between two looks",
    configuration: leaving,
  },
  {
    name: "held-slot-freed-by-cancel",
    replacement: ".held => word.freed(),",
    why: "the next request overwrites one that a server still reads",
    configuration: "slots=1 cells=2 client:request_abort,request server:serve",
  },
  {
    name: "no-last-look",
    replacement: "var result = if (wanted == 1 << 31) last_look(handle, wanted) else abi.armed;",
    why: "work that comes between the look and the announcement rings no bell",
    configuration: oneCall,
  },
  {
    name: "marked-before-rung",
    replacement: `if (word.asleep()) {
    const marked: words.WaitWord = .{ .state = .rung, .number = word.number };
    _ = Shared.cas(words.WaitWord, &entry.wait, word, marked, .acq_rel);
}
switch (word.state) {`,
    why: "a ringer that is stopped in between hides the sleeper from all others",
    configuration: "slots=2 cells=4 stops=1 stoppable=0 client:post client:request server:serve",
  },
  {
    name: "no-sleep-number",
    replacement:
      "Shared.store(words.WaitWord, &entry.wait, .{ .state = state, .number = old.number }, .seq_cst);",
    why: "the mark of a slow ringer falls on the next sleep, and no ring ends that one",
    configuration: "slots=1 cells=2 client:post,request server:serve",
  },
  {
    name: "no-nudge",
    replacement: "_ = Wait.wake_server(handle);",
    why: "a call hangs behind a server that was rung and is stopped, while another sleeps",
    configuration: "slots=1 cells=2 stops=1 stoppable=1 client:request server:serve server:serve",
  },
  {
    name: "newcomer-rings-no-sleeper",
    replacement: "",
    why: "sleepers do not watch the newcomer, and never learn of its death",
    configuration: "slots=1 cells=2 deaths=1 mortal=1 client:request +server:serve",
  },
  {
    name: "newcomer-not-watched",
    replacement: "if (joins == 1 << 63) return abi.arm_newcomer;",
    why: "sleepers never learn of the death of a participant that joined later",
    configuration: "slots=1 cells=2 deaths=1 mortal=1 client:request +server:serve",
  },
  {
    name: "departure-not-counted",
    replacement: "_ = handle;",
    why: "a sentinel that sleeps does not choose again, and whom it would watch is watched by none",
    configuration: `${sentinels} client:await_departure client:await_departure client:close`,
  },
  {
    name: "departure-counted-after-the-ring",
    replacement: `Wait.wake_all(handle);
if (is_whole) count_departure(handle);`,
    why: "a sleeper that was rung looks too early, and sleeps on",
    configuration:
      `${sentinels} deaths=1 mortal=2 client:await_departure client:await_departure client:watch_over`,
  },
  {
    name: "departure-not-looked-at",
    replacement: "",
    why: "a sentinel sleeps on when another is gone, and does not watch further",
    configuration:
      `${sentinels} deaths=1 mortal=2 client:await_departure client:await_departure client:watch_over`,
  },
  {
    name: "leaver-not-marked",
    replacement: "",
    why: "who learns of a departure still finds the participant there, and is not told again",
    configuration: `${sentinels} client:await_departure client:await_departure client:close`,
  },
  {
    name: "gone-one-not-replaced",
    replacement: "",
    why: "a participant relies on a sentinel that has left since",
    configuration: `${sentinels} deaths=1 mortal=1 client:watch_close client:nothing +client:rest`,
  },
  {
    name: "board-counted-after-the-ring",
    replacement: `var followers: Wait.Members = .of(handle, &handle.map.header().board_followers);
while (followers.next()) |index| Wait.wake_rarely(handle, index);
_ = Shared.fetch_add(&handle.map.header().boards, 1, .seq_cst);`,
    why: "a follower that was rung looks too early, and sleeps on",
    configuration: boards,
  },
  {
    name: "board-not-looked-at",
    replacement: "",
    why: "a board that comes between the look and the announcement rings no bell",
    configuration: boards,
  },
  {
    name: "follower-not-noted",
    replacement: "",
    why: "a follower that sleeps is never rung",
    configuration: boards,
  },
  {
    name: "successor-taken-for-the-dead",
    replacement: "",
    why: "a repairer that was stopped takes the draft of the next participant at the same index",
    configuration:
      "slots=1 cells=2 deaths=1 mortal=0 client:nothing client:sweep client:sweep +client:post",
  },
  {
    name: "repair-by-a-store",
    replacement: "Shared.store(SlotWord, &slot.word, target, .seq_cst);",
    why: "a participant that settles a slot late undoes what others have done to it",
    configuration: "slots=1 cells=2 client:request_abort server:serve_close",
  },
  {
    name: "answer-does-not-ring-its-client",
    replacement:
      "if (word.state == .held) Wait.wake_room(handle) else Wait.wake(handle, owner.index);",
    why: "its client sleeps for ever",
    configuration: oneCall,
  },
  {
    name: "free-slot-rings-one-event-loop",
    replacement: `switch (ring(handle, index, targets)) {
    .rung => return,
    .rung_blocking => targets = .event_loops,
    else => {},
}`,
    why: "if that loop is stopped before it looks, the others sleep beside a free slot",
    configuration:
      "slots=1 cells=2 stops=1 stoppable=0 client:post,request client:request server:serve",
  },
  {
    name: "no-last-look-for-a-free-slot",
    replacement: "return abi.armed;",
    why: "a slot became free between the failed try and the announcement, and no sleeper was rung",
    configuration: "slots=1 cells=2 client:request client:request server:serve",
  },
  {
    name: "freed-before-copied",
    replacement: `if (!release(handle, call)) return error.Cancelled;
if (found.length > 0) {`,
    why: "the answer may be overwritten while it is copied",
    configuration: oneCall,
  },
  {
    name: "one-delivery-too-many",
    replacement: "if (@as(u32, word.delivery) < allowed and departure != .left_in_a_hurry) {",
    why: "a request that kills its servers is delivered once more than allowed",
    configuration: "slots=1 cells=2 deliveries=1 client:request server:serve_close server:serve",
  },
  {
    name: "no-last-look-at-the-deadline",
    replacement: "_ = ended;",
    why: "an answer of the last moment is never taken, and its slot is lost",
    configuration: "slots=1 cells=2 client:request_timeout server:serve",
  },
  {
    name: "posted-request-not-inserted-again",
    replacement: "return true;",
    why: "the request is lost if its sender dies between publishing and inserting",
    configuration: "slots=1 cells=2 deaths=1 mortal=0 client:post server:serve",
  },
  {
    name: "draft-not-given-back",
    replacement: ".draft => return true,",
    why: "the slot of a client that died while writing is lost",
    configuration: "slots=1 cells=2 deaths=1 mortal=0 client:request server:serve",
  },
  {
    name: "unfinished-repair-taken-for-done",
    replacement: "return .dead;",
    why: "requests of a dead server are never handed on if the ring was full at the time",
    configuration:
      "--walks 40000 slots=2 cells=1 deaths=1 mortal=1 deliveries=2 client:post,post,post,post,post,post,post server:serve server:serve",
  },
  {
    name: "full-ring-rings-no-sleeper",
    replacement: `if (!is_whole) return false;
count_departure(handle);
Wait.wake_all(handle);`,
    why: "the ring is full of requests whose dead sender rang no server, and the server sleeps",
    configuration: "slots=2 cells=1 deaths=1 deliveries=2 client:post,post,post server:serve",
  },
  {
    name: "failed-ring-dropped",
    replacement: "comes_at_once = true;",
    why: "the sleeper is marked as rung before any ringer has rung it",
    configuration: `failures=1 ${oneCall} waker:0 waker:1`,
  },
  {
    name: "knock-without-wake",
    replacement: "",
    why: "the waker sleeps on",
    configuration: `failures=1 ${oneCall} waker:0 waker:1`,
  },
  {
    name: "wake-before-the-count",
    replacement: `Shared.futex_wake(futex(entry));
_ = Shared.fetch_add(&entry.knocks, 1, .seq_cst);`,
    why: "the waker looks in between, and sleeps again on a count that is out of date",
    configuration: `failures=1 ${oneCall} waker:0 waker:1`,
  },
  {
    name: "count-read-after-the-look",
    replacement: "return Shared.load(u64, &entry.knocks, .seq_cst);",
    why: "a knock between the look and the count is slept through",
    configuration: "slots=2 cells=2 failures=2 client:post,post server:serve waker:1",
  },
  {
    name: "sleep-read-before-the-count",
    replacement: `const wait = Shared.load(words.WaitWord, &entry.wait, .seq_cst);
const knocks = Shared.load(u64, &entry.knocks, .seq_cst);
if (knocks == sleeper.knocks) return knocks;
sleeper.knocks = knocks;`,
    why: "a sleeper that was awake earlier still counts as awake",
    configuration: "slots=2 cells=2 failures=2 client:post,post server:serve waker:1",
  },
  {
    name: "one-ring-for-all-sleeps",
    replacement: "if (wait.state != .awake and sleeper.rung_sleep == null) {",
    why: "the waker mistakes a later sleep for one that it has rung for",
    configuration: "slots=2 cells=2 failures=2 client:post,post server:serve waker:1",
  },
  {
    name: "no-slices-without-a-waker",
    replacement: "if (result == abi.armed_large) result = abi.armed;",
    why: "a ring fails, and no waker answers a knock",
    configuration: `failures=1 ${oneCall}`,
  },
  {
    name: "failed-notify-ring-dropped",
    replacement: "if (true) return;",
    why: "a foreign event loop is never rung",
    configuration: "slots=1 cells=2 failures=1 client:request server:serve_notify waker:1",
  },
  {
    name: "removal-does-not-ring",
    replacement: "",
    why: "servers sleep on a channel that no client can reach any more",
    configuration: "slots=1 cells=2 client:discard,remove server:serve",
  },
  {
    name: "no-last-look-for-a-removal",
    replacement:
      "if (wanted & abi.arm_requests != 0 and Ring.occupied(handle)) return abi.arm_work;",
    why: "the removal came between the failed try and the announcement, and no sleeper was rung",
    configuration: "slots=1 cells=2 client:discard,remove server:serve",
  },
  {
    name: "lost-name-overlooked",
    replacement: "",
    why: "a server of a file that other processes have removed serves no client, and never notices",
    configuration: "slots=1 cells=2 client:discard,lose_file,request server:serve",
  },
  {
    name: "begun-once-and-handed-on",
    replacement: "Shared.store(u32, &slot.request_flags, (flags & 0xff) | 2 << 8, .monotonic);",
    why: "a call that may not run twice is given to a second server",
    configuration:
      "slots=1 cells=2 deaths=1 mortal=1 deliveries=2 client:request server:serve_last server:serve_last",
  },
  {
    name: "patience-without-end",
    replacement: "if (begins or !Shared.is_over(patience.waited_ns, grace_ns) or true) {",
    why: "a server leaves a request for ever to one that is stopped",
    configuration: `stops=1 stoppable=1 ${busy}`,
  },
  {
    name: "less-busy-server-sleeps-on",
    replacement: "",
    why: "a server leaves a request to one that sleeps, and that no process has rung",
    configuration: `stops=1 stoppable=0 ${busy}`,
  },
  {
    name: "call-ended-by-a-store",
    replacement: `Shared.store(Word, &entry.word, .{ .sequence = sequence }, .release);
return true;`,
    why: "a worker that was condemned goes on, and its next call dies",
    configuration: "record",
  },
  {
    name: "condemned-without-its-sequence",
    replacement: `const word = Shared.load(Word, &entry.word, .acquire);
return word.state == .running and Shared.cas(Word, &entry.word, word, condemned, .acq_rel);`,
    why: "a killer that was stopped kills the worker for its next call",
    configuration: "record",
  },
  {
    name: "sequence-not-raised",
    replacement: "const sequence = word.sequence;",
    why: "two calls have the same word, and a killer that was stopped takes one for the other",
    configuration: "record-guard",
  },
  {
    name: "described-after-announced",
    replacement: `const sequence = Record.begin(entry, running(call, method)) orelse return null;
describe(place, call);`,
    why: "the guard judges a call by what it knows of the one before",
    configuration: "record-guard",
  },
  {
    name: "place-read-once",
    replacement: `_ = .{ entry, word };
return call;`,
    why: "the guard looks for the slot of one call in the channel of another",
    configuration: "record-guard",
  },
  {
    name: "record-read-once",
    replacement: "return .{ .word = word, .call = call };",
    why: "the supervisor names another call than the one that runs",
    configuration: "record-supervisor",
  },
  {
    name: "void-place-counts",
    replacement: "if (stands(handle, number, word) or true) return word;",
    why: "a place stays reserved for a contender that has left",
    configuration: "--walks 10 max=1 contender:acquire,release,acquire,release",
  },
  {
    name: "shared-place-freed-with-its-last-sharer",
    replacement: "return false;",
    why: "an exclusive contender is granted a place that others still share",
    configuration:
      "max=1 contender:share,release contender:share,release contender:acquire,release",
  },
  {
    name: "place-taken-by-a-store",
    replacement:
      "Shared.store(PlaceWord, &handle.map.limit().places[place.number], taken, .seq_cst);",
    why: "a granter that was stopped gives away a place that others hold",
    configuration: `switches=2 ${oneEach} contender:acquire,release`,
  },
  {
    name: "one-place-too-many",
    replacement: "if (found.occupied <= terms.places()) if (found.free) |free| break :place free;",
    why: "there is one holder more than places",
    configuration: "max=1 used=2 contender:acquire,release contender:acquire,release",
  },
  {
    name: "ticket-drawn-before-choosing",
    replacement: `const drawn = draw(handle) orelse return null;
Shared.store(ContenderWord, &entry.word, choosing.waiting(drawn.next), .seq_cst);`,
    why: "a contender is overtaken while it draws",
    configuration: oneEach,
  },
  {
    name: "choosing-taken-for-idle",
    replacement: "if (word.state != .choosing or true) return word;",
    why: "a contender is overtaken while it draws",
    configuration: oneEach,
  },
  {
    name: "resize-rings-no-sleeper",
    replacement: "",
    why: "who raises the number of places and dies leaves waiters asleep beside a free place",
    configuration:
      "max=1 deaths=1 mortal=2 contender:acquire,listen contender:acquire contender:resize_2",
  },
  {
    name: "successor-taken-for-the-dead-contender",
    replacement: "",
    why: "a repairer that was stopped ends the attempt of the next contender at the same index",
    configuration:
      "max=1 switches=2 deaths=1 mortal=0 contender:nothing contender:sweep contender:sweep +contender:acquire,release",
  },
  {
    name: "leaver-rings-no-sleeper",
    replacement: "_ = word;",
    why: "waiters watch one that has left, and never learn of the death of those before it",
    configuration:
      "max=1 deaths=1 mortal=0 contender:acquire,listen contender:acquire_timeout contender:acquire",
  },
  {
    name: "terms-changed-under-contenders",
    replacement: "_ = control;",
    why: "contenders hold more places than others believe there are",
    configuration: "max=1 contender:acquire,release contender:adopt_2",
  },
  {
    name: "newcomer-ahead-rings-no-sleeper",
    replacement: "",
    why: "an older standby sleeps on, although a newer one has come",
    configuration: "max=1 newest=1 contender:acquire,listen contender:acquire contender:acquire",
  },
  {
    name: "stolen-before-the-token",
    replacement: "",
    why: "a contender uses a place that was stolen while it drew its token",
    configuration: "max=1 contender:acquire,release contender:steal,release",
  },
  {
    name: "sharers-count-for-each",
    replacement: "has_sharer = has_sharer and last.word.shared;",
    why: "a waiter watches two who share a place, and not the one who has the other place",
    configuration:
      "--walks 300 max=2 switches=1 deaths=1 mortal=0 contender:acquire,listen contender:share,listen contender:share,listen contender:acquire",
  },
  {
    name: "no-last-look-at-the-limit",
    replacement: "const result: i32 = abi.armed;",
    why: "a place that was given back between the look and the announcement rings no bell",
    configuration: oneEach,
  },
  {
    name: "waiter-watches-nobody",
    replacement: ".unwatched => return asleep,",
    why: "the death of a holder wakes nobody",
    configuration: `deaths=1 ${oneEach}`,
  },
  {
    name: "entitled-and-asleep",
    replacement: "",
    why:
      "a holder has gone since the look and dies before it rings; nobody watches one that is gone",
    configuration: `deaths=1 ${oneEach}`,
  },
  {
    name: "blocking-sleep-not-announced",
    replacement: "",
    why: "no process rings a thread that does not say that it sleeps",
    configuration: "max=1 contender:acquire,release contender:acquire_sync,release",
  },
  {
    name: "lone-waiter-not-alone",
    replacement: "",
    why: "a newcomer overtakes those that wait",
    configuration: oneEach,
  },
];
