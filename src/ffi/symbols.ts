/**
 * Everything that the native library exports, once, for all runtimes. What each function does is
 * said in native/lib.zig; the numbers are named in layout.ts.
 *
 * Handles and addresses travel as doubles, 64-bit values through the control block; `low` and `high`
 * are the words of a call's generation.
 *
 * @module
 */

import type { Signature, Table } from "../runtime/backend.ts";

/** The symbol table. CI compares its names with what the library exports. */
export const symbols = {
  tandem_abi_version: { parameters: [], result: "u32", probe: true },
  tandem_begin: { parameters: [/* runtime */ "u32"], result: "void", cold: true },
  tandem_open: {
    parameters: [
      /* bytes */ "buffer",
      /* length */ "u32",
      /* flags */ "u32",
      /* options */ "buffer",
      /* control */ "buffer",
      /* path */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_fd: {
    parameters: [/* handle */ "f64", /* control */ "buffer"],
    result: "i32",
    cold: true,
  },
  tandem_close: {
    parameters: [/* handle */ "f64", /* keep views */ "u32"],
    result: "void",
    cold: true,
  },
  tandem_unlink: {
    parameters: [/* bytes */ "buffer", /* length */ "u32", /* control */ "buffer"],
    result: "i32",
    cold: true,
  },
  tandem_expect_removal: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_send: {
    parameters: [
      /* handle */ "f64",
      /* bytes */ "bytes",
      /* length */ "u32",
      /* flags */ "u32",
      /* milliseconds */ "f64",
      /* control */ "buffer",
    ],
    result: "i32",
  },
  tandem_request: {
    parameters: [
      /* handle */ "f64",
      /* bytes */ "bytes",
      /* length */ "u32",
      /* flags */ "u32",
      /* milliseconds */ "f64",
      /* out */ "buffer",
      /* length */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
  },
  tandem_get: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* milliseconds */ "f64",
      /* out */ "buffer",
      /* length */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
  },
  tandem_send_all: {
    parameters: [
      /* handle */ "f64",
      /* bytes */ "buffer",
      /* calls */ "buffer",
      /* count */ "u32",
      /* flags */ "u32",
      /* milliseconds */ "f64",
    ],
    result: "i32",
    cold: true,
  },
  tandem_get_all: {
    parameters: [
      /* handle */ "f64",
      /* out */ "buffer",
      /* longest */ "u32",
      /* calls */ "buffer",
      /* count */ "u32",
    ],
    result: "i32",
    cold: true,
  },
  tandem_ready: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* milliseconds */ "f64",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_cancel: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* how */ "u32",
    ],
    result: "i32",
  },
  tandem_has_room: { parameters: [/* handle */ "f64", /* limit */ "u32"], result: "i32" },
  tandem_joins: { parameters: [/* handle */ "f64"], result: "f64" },
  tandem_allocate: {
    parameters: [/* handle */ "f64", /* length */ "u32", /* control */ "buffer"],
    result: "i32",
  },
  tandem_publish: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* length */ "u32",
      /* flags */ "u32",
      /* milliseconds */ "f64",
    ],
    result: "i32",
  },
  tandem_receive: {
    parameters: [/* handle */ "f64", /* milliseconds */ "f64", /* control */ "buffer"],
    result: "i32",
  },
  tandem_rest: { parameters: [/* handle */ "f64"], result: "void" },
  tandem_reply: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* bytes */ "bytes",
      /* length */ "u32",
      /* kind */ "u32",
    ],
    result: "i32",
  },
  tandem_reserve: {
    parameters: [/* handle */ "f64", /* slot */ "u32", /* length */ "u32"],
    result: "i32",
  },
  tandem_held: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_sender: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
  },
  tandem_reserve_instead: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* length */ "u32",
    ],
    result: "i32",
    cold: true,
  },
  tandem_last_delivery: {
    parameters: [/* handle */ "f64", /* slot */ "u32", /* low */ "u32", /* high */ "u32"],
    result: "void",
  },
  tandem_watch_call: {
    parameters: [/* handle */ "f64", /* slot */ "u32", /* low */ "u32", /* high */ "u32"],
    result: "i32",
  },
  tandem_poll: {
    parameters: [/* handle */ "f64", /* calls */ "buffer", /* length */ "u32"],
    result: "i32",
  },
  tandem_linger: { parameters: [/* handle */ "f64", /* what for */ "u32"], result: "i32" },
  tandem_linger_among: {
    parameters: [/* handle */ "f64", /* what for */ "u32", /* crowd */ "f64"],
    result: "i32",
  },
  tandem_arm: { parameters: [/* handle */ "f64", /* what for */ "u32"], result: "i32" },
  tandem_trim: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_disarm: { parameters: [/* handle */ "f64"], result: "void" },
  tandem_bell: { parameters: [/* handle */ "f64", /* kind */ "u32"], result: "i32", cold: true },
  tandem_watch_next: {
    parameters: [/* handle */ "f64", /* control */ "buffer"],
    result: "i32",
    cold: true,
  },
  tandem_keep_watch: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_watch_servers_only: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_hung_up: {
    parameters: [/* handle */ "f64", /* participant */ "u32", /* give up */ "u32"],
    result: "i32",
    cold: true,
  },
  tandem_sweep: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_nudge: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_notify_fd: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_forget_private: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_remove: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_adopt_notify: {
    parameters: [/* handle */ "f64", /* fd */ "u32", /* peer */ "u32"],
    result: "i32",
    cold: true,
  },
  tandem_drain_notify: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_notify: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_clear: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_pending: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_departures: { parameters: [/* handle */ "f64"], result: "f64", cold: true },
  tandem_boards: { parameters: [/* handle */ "f64"], result: "f64", cold: true },
  tandem_follow_boards: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_unfollow_boards: { parameters: [/* handle */ "f64"], result: "void", cold: true },
  tandem_board_write: {
    parameters: [
      /* handle */ "f64",
      /* bytes */ "buffer",
      /* length */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_board_read: {
    parameters: [
      /* handle */ "f64",
      /* position */ "u32",
      /* epoch low */ "u32",
      /* epoch high */ "u32",
      /* out */ "buffer",
      /* room */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_servers: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_zmq_receive: {
    parameters: [/* socket */ "f64", /* batch */ "buffer", /* out */ "buffer", /* length */ "u32"],
    result: "i32",
    cold: true,
  },
  tandem_zmq_send: {
    parameters: [
      /* socket */ "f64",
      /* batch */ "buffer",
      /* messages */ "buffer",
      /* length */ "u32",
      /* placed */ "buffer",
      /* length */ "u32",
    ],
    result: "void",
    cold: true,
  },
  tandem_participant: {
    parameters: [
      /* handle */ "f64",
      /* position */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_roll: {
    parameters: [/* handle */ "f64", /* out */ "buffer", /* length */ "u32"],
    result: "i32",
    cold: true,
  },
  tandem_stats: {
    parameters: [/* handle */ "f64", /* numbers */ "buffer"],
    result: "void",
    cold: true,
  },
  tandem_record_create: {
    parameters: [/* entries */ "u32", /* control */ "buffer"],
    result: "f64",
    cold: true,
  },
  tandem_record_fd: { parameters: [/* record */ "f64"], result: "i32", cold: true },
  tandem_record_read: {
    parameters: [/* record */ "f64", /* numbers */ "buffer", /* length */ "u32"],
    result: "i32",
    cold: true,
  },
  tandem_record_condemn: {
    parameters: [
      /* record */ "f64",
      /* entry */ "u32",
      /* sequence */ "f64",
      /* reason */ "u32",
    ],
    result: "i32",
    cold: true,
  },
  tandem_record_close: { parameters: [/* record */ "f64"], result: "void", cold: true },
  tandem_guard_start: {
    parameters: [
      /* fd of the record */ "u32",
      /* fd of the lifeline */ "u32",
      /* grace, milliseconds */ "f64",
      /* hung, milliseconds */ "f64",
    ],
    result: "i32",
    cold: true,
  },
  tandem_work_begin: {
    parameters: [
      /* handle */ "f64",
      /* slot */ "u32",
      /* low */ "u32",
      /* high */ "u32",
      /* method */ "u32",
    ],
    result: "i32",
  },
  tandem_work_end: { parameters: [/* entry */ "u32", /* has failed */ "u32"], result: "void" },
  tandem_kill_tree: { parameters: [/* pid */ "u32"], result: "void", cold: true },
  tandem_kill_children: { parameters: [], result: "void", cold: true },
  tandem_set_title: {
    parameters: [/* bytes */ "buffer", /* length */ "u32"],
    result: "void",
    cold: true,
  },
  tandem_exec: {
    parameters: [
      /* handle */ "f64",
      /* paths */ "buffer",
      /* length */ "u32",
      /* arguments */ "buffer",
      /* length */ "u32",
      /* environment */ "buffer",
      /* length */ "u32",
      /* flags */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_limit_terms: {
    parameters: [
      /* handle */ "f64",
      /* max */ "u32",
      /* order */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_limit_request: {
    parameters: [
      /* handle */ "f64",
      /* flags */ "u32",
      /* standby */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
  },
  tandem_limit_look: {
    parameters: [/* handle */ "f64", /* control */ "buffer"],
    result: "i32",
  },
  tandem_limit_wait: {
    parameters: [/* handle */ "f64", /* milliseconds */ "f64", /* control */ "buffer"],
    result: "i32",
    cold: true,
  },
  tandem_limit_withdraw: {
    parameters: [/* handle */ "f64", /* control */ "buffer"],
    result: "i32",
    cold: true,
  },
  tandem_limit_release: { parameters: [/* handle */ "f64"], result: "i32" },
  tandem_limit_state: { parameters: [/* handle */ "f64"], result: "i32" },
  tandem_limit_heartbeat: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
  tandem_limit_names: {
    parameters: [/* out */ "buffer", /* length */ "u32", /* control */ "buffer"],
    result: "i32",
    cold: true,
  },
  tandem_limit_resize: {
    parameters: [/* handle */ "f64", /* max */ "u32"],
    result: "i32",
    cold: true,
  },
  tandem_limit_list: {
    parameters: [
      /* handle */ "f64",
      /* numbers */ "buffer",
      /* length */ "u32",
      /* control */ "buffer",
    ],
    result: "i32",
    cold: true,
  },
  tandem_title_standby: { parameters: [/* begins */ "u32"], result: "void", cold: true },
  tandem_title_of: {
    parameters: [/* pid */ "u32", /* out */ "buffer", /* length */ "u32"],
    result: "u32",
    cold: true,
  },
  tandem_claim: { parameters: [/* handle */ "f64"], result: "i32", cold: true },
} as const;

/**
 * Functions that do the work of many calls, in a table of their own: what is often called is expensive to bind, and only
 * threads that have doors need them.
 */
export const batchSymbols: Table = {
  tandem_abi_version: symbols.tandem_abi_version,
  tandem_send_all: often(symbols.tandem_send_all),
  tandem_get_all: often(symbols.tandem_get_all),
  tandem_zmq_receive: often(symbols.tandem_zmq_receive),
  tandem_zmq_send: often(symbols.tandem_zmq_send),
};

function often({ parameters, result }: Signature): Signature {
  return { parameters, result };
}

/** The functions in {@linkcode batchSymbols}. */
export type NativeBatches = Pick<
  Native,
  "tandem_send_all" | "tandem_get_all" | "tandem_zmq_receive" | "tandem_zmq_send"
>;

type Value<Kind> = Kind extends "buffer" ? ArrayBufferView
  : Kind extends "bytes" ? Uint8Array
  : Kind extends "void" ? void
  : number;
type Values<Kinds> = { -readonly [Index in keyof Kinds]: Value<Kinds[Index]> };

/** The library's functions, with types that follow from the table. */
export type Native = {
  readonly [Name in keyof typeof symbols]: (
    ...values: Values<(typeof symbols)[Name]["parameters"]>
  ) => Value<(typeof symbols)[Name]["result"]>;
};
