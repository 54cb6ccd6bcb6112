/**
 * The protocol broken on purpose. Each is one replacement of a text that stands in its file exactly
 * once, and a configuration that catches it.
 *
 * @module
 */

/** One change for the worse. */
export interface Mutant {
  readonly name: string;
  /** Under native/. */
  readonly file: string;
  readonly text: string;
  readonly replacement: string;
  /** What goes wrong with it. */
  readonly why: string;
  /** Of the model, as on its command line. */
  readonly configuration: string;
}

const oneCall = "slots=1 cells=2 client:request server:serve";
const leaving = "slots=1 cells=2 deliveries=2 client:request server:serve_close server:serve";

export const mutants: readonly Mutant[] = [
  {
    name: "insert-before-queued",
    file: "protocol/slots.zig",
    text: `            Shared.store(SlotWord, &slot.word, queued, .release);
            const inserted = Ring.insert(handle, call.slot, queued);`,
    replacement: `            const inserted = Ring.insert(handle, call.slot, queued);
            Shared.store(SlotWord, &slot.word, queued, .release);`,
    why: "an entry whose slot is still a draft is dropped as stale, and the call is lost",
    configuration: oneCall,
  },
  {
    name: "no-help-of-a-tail-behind-its-cell",
    file: "protocol/ring.zig",
    text: "                } else if (ahead >= 0) {",
    replacement: "                } else if (ahead == 0) {",
    why: "a producer that dies between its two compare-and-swaps wedges the ring",
    configuration: "slots=1 cells=2 deaths=1 mortal=0 client:request client:request server:serve",
  },
  {
    name: "cell-emptied-by-a-store",
    file: "protocol/ring.zig",
    text: "            if (!Shared.cas(words.Cell, cell, value, emptied, .acq_rel)) {",
    replacement: `            Shared.store(words.Cell, cell, emptied, .release);
            if (false) {`,
    why: "a server that was stopped wipes a later entry",
    configuration: "slots=1 cells=1 client:request,request server:serve server:serve",
  },
  {
    name: "handed-on-before-inserted",
    file: "protocol/repair.zig",
    text: "                return if (try_insert(handle, index, next)) next else null;",
    replacement:
      `                if (!Shared.cas(SlotWord, &handle.map.slot(index).word, word, next, .seq_cst)) return word;
                return if (try_insert(handle, index, next)) next else null;`,
    why: "who is stopped or dies between the two loses the call",
    configuration: `deaths=1 mortal=1 ${leaving}`,
  },
  {
    name: "redelivery-in-progress-skipped",
    file: "protocol/ring.zig",
    text: "                .held, .posted_held => redelivers(handle, entry, word),",
    replacement:
      "                .held, .posted_held => redelivers(handle, entry, word) and false,",
    why: "the entry is dropped, and the request is queued without one",
    configuration: leaving,
  },
  {
    name: "redelivery-of-the-dead-alone",
    file: "protocol/ring.zig",
    text: "            return entry.delivery == word.delivery + 1 and word.holder != handle.index;",
    replacement: `            if (entry.delivery != word.delivery + 1) return false;
            return @import("participants.zig").ParticipantsType(Shared).dead(handle, word.holder);`,
    why: "a server that leaves is not dead, and a dead one may be repaired between two looks",
    configuration: leaving,
  },
  {
    name: "held-slot-freed-by-cancel",
    file: "protocol/slots.zig",
    text: "                    .held => abandoned(word),",
    replacement: "                    .held => word.freed(),",
    why: "the next request is written over the one that a server still reads",
    configuration: "slots=1 cells=2 client:request_abort,request server:serve",
  },
  {
    name: "no-last-look",
    file: "calls/calls.zig",
    text: "            var result = last_look(handle, what);",
    replacement:
      "            var result = if (what == 1 << 31) last_look(handle, what) else abi.armed;",
    why: "what came between the look and the announcement rings nobody",
    configuration: oneCall,
  },
  {
    name: "marked-before-rung",
    file: "protocol/wait.zig",
    text: "            switch (word.state) {\n                .awake => return .not_asleep,",
    replacement: `            if (word.asleep()) {
                const marked: words.WaitWord = .{ .state = .rung, .number = word.number };
                _ = Shared.cas(words.WaitWord, &entry.wait, word, marked, .acq_rel);
            }
            switch (word.state) {
                .awake => return .not_asleep,`,
    why: "a ringer that is stopped in between hides the sleeper from all others",
    configuration: "slots=2 cells=4 stops=1 stoppable=0 client:post client:request server:serve",
  },
  {
    name: "no-sleep-number",
    file: "protocol/wait.zig",
    text:
      "            Shared.store(words.WaitWord, &entry.wait, .{ .state = state, .number = old.number +% 1 }, .seq_cst);",
    replacement:
      "            Shared.store(words.WaitWord, &entry.wait, .{ .state = state, .number = old.number }, .seq_cst);",
    why: "the mark of a slow ringer falls on the next sleep, which nobody ends then",
    configuration: "slots=1 cells=2 client:post,request server:serve",
  },
  {
    name: "no-nudge",
    file: "protocol/slots.zig",
    text: "            if (Wait.wake_server(handle)) handle.responsible = true;",
    replacement: "            _ = Wait.wake_server(handle);",
    why: "a call hangs behind a server that was rung and is stopped, while another sleeps",
    configuration: "slots=1 cells=2 stops=1 stoppable=1 client:request server:serve server:serve",
  },
  {
    name: "newcomer-rings-nobody",
    file: "calls/calls.zig",
    text: "            Wait.wake_all(handle);\n            _ = Repair.sweep(handle);",
    replacement: "            _ = Repair.sweep(handle);",
    why: "who sleeps does not watch it, and never learns of its death",
    configuration: "slots=1 cells=2 deaths=1 mortal=1 client:request +server:serve",
  },
  {
    name: "newcomer-not-watched",
    file: "calls/calls.zig",
    text: "            if (joins != handle.watched_joins) return abi.arm_newcomer;",
    replacement: "            if (joins == 1 << 63) return abi.arm_newcomer;",
    why: "who sleeps never learns of the death of one that came later",
    configuration: "slots=1 cells=2 deaths=1 mortal=1 client:request +server:serve",
  },
  {
    name: "successor-taken-for-the-dead",
    file: "protocol/repair.zig",
    text: "                if (!present(handle, gone)) return true;\n",
    replacement: "",
    why: "a repairer that was stopped takes the draft of the next participant at the same index",
    configuration:
      "slots=1 cells=2 deaths=1 mortal=0 client:nothing client:sweep client:sweep +client:post",
  },
  {
    name: "repair-by-a-store",
    file: "protocol/repair.zig",
    text:
      "                if (!Shared.cas(SlotWord, &slot.word, word, target, .seq_cst)) continue;",
    replacement: "                Shared.store(SlotWord, &slot.word, target, .seq_cst);",
    why: "who settles a slot late undoes what others have done to it",
    configuration: "slots=1 cells=2 client:request_abort server:serve_close",
  },
  {
    name: "answer-rings-nobody",
    file: "protocol/slots.zig",
    text:
      "                    if (word.state == .held) Wait.wake(handle, owner.index) else Wait.wake_room(handle);",
    replacement:
      "                    if (word.state == .held) Wait.wake_room(handle) else Wait.wake(handle, owner.index);",
    why: "its client sleeps for ever",
    configuration: oneCall,
  },
  {
    name: "free-slot-rings-one-event-loop",
    file: "protocol/wait.zig",
    text: "                if (ring(handle, index, who) == .rung_blocking) who = .event_loops;",
    replacement: `                switch (ring(handle, index, who)) {
                    .rung => return,
                    .rung_blocking => who = .event_loops,
                    else => {},
                }`,
    why: "where that one is stopped before it looks, the others sleep beside a free slot",
    configuration:
      "slots=1 cells=2 stops=1 stoppable=0 client:post,request client:request server:serve",
  },
  {
    name: "no-last-look-for-a-free-slot",
    file: "calls/calls.zig",
    text: "            return if (Slots.has_free(handle)) abi.arm_work else abi.armed;",
    replacement: "            return abi.armed;",
    why: "it became free between the failed try and the announcement, and no sleeper was rung",
    configuration: "slots=1 cells=2 client:request client:request server:serve",
  },
  {
    name: "freed-before-copied",
    file: "protocol/slots.zig",
    text: "            if (found.length > 0) {\n",
    replacement: `            if (!release(handle, call)) return error.Cancelled;
            if (found.length > 0) {\n`,
    why: "the answer may be overwritten while it is copied",
    configuration: oneCall,
  },
  {
    name: "one-delivery-too-many",
    file: "protocol/repair.zig",
    text: "            if (@as(u32, word.delivery) + 1 < allowed and",
    replacement: "            if (@as(u32, word.delivery) < allowed and",
    why: "a request that kills its servers goes round once more than was allowed",
    configuration: "slots=1 cells=2 deliveries=1 client:request server:serve_close server:serve",
  },
  {
    name: "no-last-look-at-the-deadline",
    file: "calls/calls.zig",
    text: "            if (!ended and Slots.progress(handle, call) == .ready) return false;",
    replacement: "            _ = ended;",
    why: "an answer of the last moment is never taken, and its slot is lost",
    configuration: "slots=1 cells=2 client:request_timeout server:serve",
  },
  {
    name: "posted-request-not-inserted-again",
    file: "protocol/repair.zig",
    text: "                        return try_insert(handle, index, word);",
    replacement: "                        return true;",
    why: "it is lost when its sender dies between publishing and inserting",
    configuration: "slots=1 cells=2 deaths=1 mortal=0 client:post server:serve",
  },
  {
    name: "draft-not-given-back",
    file: "protocol/repair.zig",
    text:
      "                    .draft => if (word.holder == gone.index) word.freed() else return true,",
    replacement: "                    .draft => return true,",
    why: "the slot of a client that died while it wrote is lost",
    configuration: "slots=1 cells=2 deaths=1 mortal=0 client:request server:serve",
  },
  {
    name: "unfinished-repair-taken-for-done",
    file: "protocol/repair.zig",
    text:
      "            return if (present(handle, .{ .index = index, .epoch = epoch })) .unsettled else .dead;",
    replacement: "            return .dead;",
    why: "what the dead held is never handed on, where the ring was full when it should have been",
    configuration:
      "--walks 40000 slots=2 cells=1 deaths=1 mortal=1 deliveries=2 client:post,post,post,post,post,post,post server:serve server:serve",
  },
  {
    name: "full-ring-rings-nobody",
    file: "protocol/repair.zig",
    text: "            Wait.wake_all(handle);\n            if (!complete) return false;",
    replacement: "            if (!complete) return false;\n            Wait.wake_all(handle);",
    why: "the ring is full of what its dead sender rang nobody for, and the server sleeps",
    configuration: "slots=2 cells=1 deaths=1 deliveries=2 client:post,post,post server:serve",
  },
  {
    name: "failed-ring-dropped",
    file: "protocol/wait.zig",
    text: "                        comes_at_once = Waker.knock(entry);",
    replacement: "                        comes_at_once = true;",
    why: "the sleeper is marked as rung before any ringer has rung it",
    configuration: `failures=1 ${oneCall} waker:0 waker:1`,
  },
  {
    name: "knock-without-wake",
    file: "waiting/waker.zig",
    text: "            Shared.futex_wake(futex(entry));\n",
    replacement: "",
    why: "the waker sleeps on",
    configuration: `failures=1 ${oneCall} waker:0 waker:1`,
  },
  {
    name: "wake-before-the-count",
    file: "waiting/waker.zig",
    text: `            _ = Shared.fetch_add(&entry.knocks, 1, .seq_cst);
            Shared.futex_wake(futex(entry));`,
    replacement: `            Shared.futex_wake(futex(entry));
            _ = Shared.fetch_add(&entry.knocks, 1, .seq_cst);`,
    why: "the waker looks in between, and sleeps again on what is old then",
    configuration: `failures=1 ${oneCall} waker:0 waker:1`,
  },
  {
    name: "count-read-after-the-look",
    file: "waiting/waker.zig",
    text: "            return knocks;\n        }\n\n        /// The low half",
    replacement:
      "            return Shared.load(u64, &entry.knocks, .seq_cst);\n        }\n\n        /// The low half",
    why: "a knock between the look and the count is slept through",
    configuration: "slots=2 cells=2 failures=2 client:post,post server:serve waker:1",
  },
  {
    name: "sleep-read-before-the-count",
    file: "waiting/waker.zig",
    text: `            const knocks = Shared.load(u64, &entry.knocks, .seq_cst);
            if (knocks == sleeper.knocks) return knocks;
            sleeper.knocks = knocks;
            const wait = Shared.load(words.WaitWord, &entry.wait, .seq_cst);`,
    replacement: `            const wait = Shared.load(words.WaitWord, &entry.wait, .seq_cst);
            const knocks = Shared.load(u64, &entry.knocks, .seq_cst);
            if (knocks == sleeper.knocks) return knocks;
            sleeper.knocks = knocks;`,
    why: "a sleeper that was awake then counts as awake still",
    configuration: "slots=2 cells=2 failures=2 client:post,post server:serve waker:1",
  },
  {
    name: "one-ring-for-all-sleeps",
    file: "waiting/waker.zig",
    text: "sleeper.rung_sleep != wait.number",
    replacement: "sleeper.rung_sleep == null",
    why: "the waker takes a later sleep for one that it has rung for",
    configuration: "slots=2 cells=2 failures=2 client:post,post server:serve waker:1",
  },
  {
    name: "no-slices-without-a-waker",
    file: "calls/calls.zig",
    text:
      "            if (result == abi.armed and !Shared.has_waker(handle)) result = abi.armed_unsure;\n",
    replacement: "            if (result == abi.armed_large) result = abi.armed;\n",
    why: "a ring fails, and no waker answers a knock",
    configuration: `failures=1 ${oneCall}`,
  },
  {
    name: "failed-notify-ring-dropped",
    file: "protocol/notify.zig",
    text: "                if (!Waker.knock(entry)) return;",
    replacement: "                if (true) return;",
    why: "a foreign event loop is never told",
    configuration: "slots=1 cells=2 failures=1 client:request server:serve_notify waker:1",
  },
  {
    name: "removal-does-not-ring",
    file: "calls/calls.zig",
    text: "            _ = Slots.clear(handle);\n            Wait.wake_all(handle);",
    replacement: "            _ = Slots.clear(handle);",
    why: "servers sleep on a channel that no client can reach any more",
    configuration: "slots=1 cells=2 client:discard,remove server:serve",
  },
  {
    name: "no-last-look-for-a-removal",
    file: "calls/calls.zig",
    text: "(Ring.occupied(handle) or is_over(handle))",
    replacement: "Ring.occupied(handle)",
    why: "it came between the failed try and the announcement, and no sleeper was rung",
    configuration: "slots=1 cells=2 client:discard,remove server:serve",
  },
  {
    name: "lost-name-overlooked",
    file: "calls/calls.zig",
    text: "            if (handle.is_unlinked and !is_removed(handle)) remove(handle);\n",
    replacement: "",
    why: "a server of a file that others have removed serves no client, and does not know",
    configuration: "slots=1 cells=2 client:discard,lose_file,request server:serve",
  },
  {
    name: "begun-once-and-handed-on",
    file: "protocol/slots.zig",
    text: "(flags & 0xff) | 1 << 8",
    replacement: "(flags & 0xff) | 2 << 8",
    why: "a call that may not run twice is given to a second server",
    configuration:
      "slots=1 cells=2 deaths=1 mortal=1 deliveries=2 client:request server:serve_last server:serve_last",
  },
];
