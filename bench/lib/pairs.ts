/**
 * Starts a client and a server in each pair of runtimes, with a channel or a Unix socket.
 *
 * @module
 */
import type { ChannelOptions } from "../../mod.ts";
import type { Load } from "./load.ts";
import { type Runtime, runtimes } from "./runtimes.ts";
import type { Entry } from "./slices.ts";
import type { Caller, Stage } from "./stage.ts";

/** The runtimes of a client and a server. */
export interface Pair {
  readonly client: Runtime;
  readonly server: Runtime;
  /** `"bun → deno"`. */
  readonly name: string;
}

/** All pairs. */
export const pairs: readonly Pair[] = runtimes.flatMap((client) =>
  runtimes.map((server) => ({ client, server, name: `${client} → ${server}` }))
);

/** The pairs within one runtime. */
export const samePairs: readonly Pair[] = pairs.filter(({ client, server }) => client === server);

/** All pairs, or in the short form the pairs within one runtime. */
export function comparedPairs({ isShort }: { readonly isShort: boolean }): readonly Pair[] {
  return isShort ? samePairs : pairs;
}

/**
 * Starts both sides of a channel; `contender` is one of `contenders/channel_*.ts`. `prepare` runs before,
 * while no other process has the channel open.
 */
export async function startChannel(
  stage: Stage,
  { client, server }: Pair,
  contender: string,
  options: ChannelOptions = {},
  prepare: (target: string) => void | Promise<void> = () => {},
): Promise<Caller> {
  const target = contender === "channel_int" ? stage.intChannel() : stage.channel(options);
  await prepare(target);
  const { child } = await stage.serve(server, contender, target);
  return await stage.call(client, contender, target, [child]);
}

/** The kinds of Unix sockets by the names of their contenders; in Node both are the same. */
export function socketKinds({ client, server }: Pair): Readonly<Record<string, string>> {
  const isNode = client === "node" && server === "node";
  return { unix_own: "Unix socket", ...(!isNode && { unix_net: "Unix socket, node:net" }) };
}

/** Starts both sides of a Unix socket; `contender` is one of `contenders/unix_*.ts`. */
export function startUnix(stage: Stage, pair: Pair, contender: string): Promise<Caller> {
  return stage.both(pair, contender, stage.path("sock"));
}

/** A channel, and a Unix socket of the same runtimes that takes turns with it. */
export interface Rivals {
  readonly pair: Pair;
  readonly entry: Entry;
  readonly unix: Entry;
}

/** Starts a channel and a Unix socket for each pair; `makeEntry` says what their clients do. */
export async function startBesideSockets(
  stage: Stage,
  pairs: readonly Pair[],
  makeEntry: (name: string, caller: Caller) => Entry | Promise<Entry>,
): Promise<Rivals[]> {
  const rivals: Rivals[] = [];
  for (const pair of pairs) {
    const socket = await startUnix(stage, pair, "unix_own");
    const channel = await startChannel(stage, pair, "channel_promise");
    const unix = await makeEntry(`${pair.name}, Unix socket`, socket);
    const entry = { ...await makeEntry(pair.name, channel), against: [unix] };
    rivals.push({ pair, entry, unix });
  }
  return rivals;
}

/** Starts calls over the channel that `fork` of Node opens to its child, in both forms. */
export async function startForks(stage: Stage): Promise<readonly Entry[]> {
  const started: Entry[] = [];
  for (const serialization of ["json", "advanced"]) {
    const caller = await stage.call("node", "fork_ipc", serialization);
    started.push(entryOf(`node, fork IPC, ${serialization}`, caller, promiseLoad(12, 1)));
  }
  return started;
}

/** One blocking call in this many is timed. */
export const blockingTimeEvery = 32;

/** What a contender and its load are, by the name of the form. */
export type Forms = Readonly<Record<string, { contender: string; load: Omit<Load, "ms"> }>>;

/** Calls of 12 bytes: blocking ones, and promises of which so many are outstanding. */
export function callForms(outstanding: number): Forms {
  return {
    blocking: {
      contender: "channel_blocking",
      load: { bytes: 12, form: "into", timeEvery: blockingTimeEvery },
    },
    [`promise, ${outstanding} outstanding`]: {
      contender: "channel_promise",
      load: promiseLoad(12, outstanding),
    },
  };
}

/** An entry with the same load in each slice. */
export function entryOf(
  name: string,
  caller: Caller,
  load: Omit<Load, "ms">,
  against: readonly Entry[] = [],
): Entry {
  return { name, run: (ms) => caller.run({ ...load, ms }), against };
}

/** The load of a client that keeps so many promise calls outstanding. */
export function promiseLoad(bytes: number, outstanding: number): Omit<Load, "ms"> {
  // With one call at a time, the end of a call is the beginning of the next: one look at the clock.
  return { bytes, outstanding, timeEvery: outstanding === 1 ? 1 : 16 };
}
