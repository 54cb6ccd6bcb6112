/**
 * Measures each step of a 12-byte call in nanoseconds, in every runtime. Client and server are handles of
 * one thread, so that nothing waits. A call between two processes takes longer by the way from one
 * processor to the other and back.
 *
 *     bun bench/steps.ts [--slices N]
 *
 * @module
 */
import process from "node:process";
import { Client, Server } from "../mod.ts";
import { type Channel, closeChannel, openChannel, OpenMode } from "../src/channel/channel.ts";
import { AnswerKind, Control, sendDeliveriesShift } from "../src/ffi/layout.ts";
import { report } from "./lib/child.ts";
import { parseOptions } from "./lib/options.ts";
import { Child } from "./lib/parent.ts";
import { runtimes } from "./lib/runtimes.ts";
import { fixed, summarize } from "./lib/stats.ts";
import { Target } from "./lib/target.ts";

/** Calls in progress at the same time. This many fit into the nearest cache. */
const batch = 16;
const bytes = 12;
/** Batches of each step in a slice. */
const batches = 2_000;

/** Keeps compilers from removing results that nothing reads. */
let sink: unknown;

/** Nanoseconds by step. */
type Steps = Record<string, number>;

async function main(): Promise<void> {
  const { count } = parseOptions("slices", 20);
  const rows: Record<string, Record<string, string>> = {};
  for (const runtime of runtimes) {
    using target = new Target("steps");
    await using child = Child.of(runtime, new URL(import.meta.url), [
      "measure",
      target.name,
      `${count}`,
    ]);
    for (const [step, ns] of Object.entries(await child.receive<Steps>())) {
      (rows[step] ??= {})[runtime] = fixed(ns, 0);
    }
  }
  console.log(`${bytes} bytes, one thread, best of ${count} slices, nanoseconds`);
  console.table(rows);
}

function measure(target: string, slices: number): Steps {
  const times = new Map<string, number[]>();
  for (let slice = -2; slice < slices; slice++) {
    for (const steps of [runtimeSteps(), nativeSteps(target), librarySteps(target)]) {
      for (const [step, ns] of Object.entries(steps)) {
        if (slice >= 0) times.set(step, [...times.get(step) ?? [], ns]);
      }
    }
  }
  return Object.fromEntries(Array.from(times, ([step, all]) => [step, summarize(all).min]));
}

/** Adds up the time of each part of a batch, over all batches. */
class Stopwatch {
  readonly #steps: Steps = {};
  #last = performance.now();

  start(): void {
    this.#last = performance.now();
  }

  note(step: string): void {
    const now = performance.now();
    this.#steps[step] = (this.#steps[step] ?? 0) + (now - this.#last);
    this.#last = performance.now();
  }

  /** The times for one call. */
  get steps(): Steps {
    const calls = batch * batches;
    return Object.fromEntries(
      Object.entries(this.#steps).map(([step, ms]) => [step, ms / calls * 1e6]),
    );
  }
}

function runtimeSteps(): Steps {
  const watch = new Stopwatch();
  const source = new Uint8Array(4096);
  for (let turn = 0; turn < batches; turn++) {
    watch.start();
    for (let index = 0; index < batch; index++) sink = performance.now();
    watch.note("runtime: a look at the clock");
    for (let index = 0; index < batch; index++) sink = source.slice(0, bytes);
    watch.note("runtime: a new array of 12 bytes");
    for (let index = 0; index < batch; index++) sink = new Promise((resolve) => sink = resolve);
    watch.note("runtime: a promise");
  }
  return watch.steps;
}

function nativeSteps(target: string): Steps {
  const server = openChannel("server", target, OpenMode["openOrCreate"]);
  const client = openChannel("client", target, OpenMode["attach"]);
  const watch = new Stopwatch();
  const payload = new Uint8Array(bytes).fill(1);
  const calls = Array.from({ length: batch }, () => new Uint32Array(3));
  for (let turn = 0; turn < batches; turn++) nativeBatch(client, server, payload, calls, watch);
  closeChannel(client);
  closeChannel(server);
  return watch.steps;
}

function nativeBatch(
  client: Channel,
  server: Channel,
  payload: Uint8Array,
  /** The slot and the generation of each call. */
  calls: readonly Uint32Array[],
  watch: Stopwatch,
): void {
  const { native, address, words } = client;
  const flags = 1 << sendDeliveriesShift;
  watch.start();
  for (let index = 0; index < batch; index++) native.tandem_abi_version();
  watch.note("native: a call that does nothing");
  for (const call of calls) {
    native.tandem_send(address, payload, bytes, flags, NaN, words);
    noteCall(call, words);
  }
  watch.note("native: send");
  for (let index = 0; index < batch; index++) {
    native.tandem_receive(server.address, 0, server.words);
  }
  watch.note("native: receive");
  for (const call of calls) {
    const [slot, low, high] = call as unknown as [number, number, number];
    native.tandem_reply(server.address, slot, low, high, payload, bytes, AnswerKind.bytes);
  }
  watch.note("native: reply");
  for (const call of calls) {
    const [slot, low, high] = call as unknown as [number, number, number];
    native.tandem_get(address, slot, low, high, 0, payload, bytes, words);
  }
  watch.note("native: get");
}

function noteCall(call: Uint32Array, words: Uint32Array): void {
  call[0] = words[Control.slot]!;
  call[1] = words[Control.generationLow]!;
  call[2] = words[Control.generationHigh]!;
}

function librarySteps(target: string): Steps {
  using server = Server.open(target);
  using client = Client.open(target);
  const watch = new Stopwatch();
  const payload = new Uint8Array(bytes).fill(1);
  const into = new Uint8Array(bytes);
  const options = { into };
  for (let turn = 0; turn < batches; turn++) {
    watch.start();
    const calls = Array.from({ length: batch }, () => client.trySend(payload)!);
    watch.note("library: trySend");
    const requests = Array.from({ length: batch }, () => server.tryReceive()!);
    watch.note("library: tryReceive");
    for (const request of requests) request.reply(request.bytes);
    watch.note("library: reply, with the request's bytes");
    for (const call of calls) sink = call.tryGet(options);
    watch.note("library: tryGet, with into");
  }
  void sink;
  return watch.steps;
}

if (process.argv[2] === "measure") report(measure(process.argv[3]!, Number(process.argv[4])));
else await main();
