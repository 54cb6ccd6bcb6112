/**
 * Everything that a client can do, in its three forms.
 *
 * @module
 */
import { type Call, Client, type Draft } from "../../../mod.ts";
import { bytesOf, type Lane, lengthOf, type Step, timeoutOf, work } from "./lane.ts";
import { aborted } from "./ledger.ts";
import type { Random } from "./random.ts";

/** Of the calls that a lane keeps open. */
const keptMax = 6;

/** Reads all of the bytes, as a program would. */
export function readAll(bytes: Uint8Array | null): number {
  let sum = 0;
  for (const byte of bytes ?? []) sum += byte;
  return sum;
}

/** A signal that aborts within a few milliseconds, or none. */
export function signalOf(random: Random): { signal?: AbortSignal } {
  if (!random.oneIn(4)) return {};
  const controller = new AbortController();
  setTimeout(() => controller.abort(aborted), random.below(10));
  return { signal: controller.signal };
}

/** Calls that this process has sent and not yet seen end. */
class Kept {
  readonly calls: Call[] = [];
  readonly #random: Random;

  constructor(random: Random) {
    this.#random = random;
  }

  add(call: Call | null): void {
    if (!call) return;
    this.calls.push(call);
    if (this.calls.length > keptMax) this.calls.shift()?.release();
  }

  any(): Call | undefined {
    return this.calls[this.#random.below(this.calls.length)];
  }
}

/** No form waits longer than another. */
function common(client: Client, { random }: Lane, kept: Kept): Step[] {
  return [
    ["post", 0, () => client.post(bytesOf(random))],
    ["stats", 0, () => client.stats()],
    ["servers", 0, () => client.servers],
    ["pending", 0, () => client.pending],
    ["cancel", 0, () => client.cancel(BigInt(random.below(1 << 20)))],
    ["notify", 0, () => client.notify()],
    ["notifyFd", 0, () => client.notifyFd],
    ["drainNotify", 0, () => client.drainNotify()],
    ["call.tryGet", 0, () => readAll(kept.any()?.tryGet() ?? null)],
    ["call.view", 0, () => readAll(kept.any()?.view() ?? null)],
    ["call.cancel", 0, () => kept.any()?.cancel()],
    ["call.release", 0, () => kept.any()?.release()],
    ["draft.post", 0, () => fill(client, random).post()],
    ["draft.discard", 0, () => fill(client, random).discard()],
  ];
}

function fill(client: Client, random: Random): Draft {
  const draft = client.allocate(lengthOf(random));
  draft.bytes.fill(random.below(256));
  return draft;
}

/** The blocking forms, and the forms that never wait. */
export function syncClient(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, Client, (client) => {
    const kept = new Kept(random);
    return () => {
      const timeout = timeoutOf(random);
      const options = { timeout, maxDeliveries: 1 + random.below(client.maxDeliveries) };
      return random.pick<Step>([
        ["requestSync", timeout, () => readAll(client.requestSync(bytesOf(random), options))],
        ["requestSync", timeout, () => readAll(client.requestSync("x".repeat(50), options))],
        [
          "requestSync into",
          timeout,
          () => client.requestSync("x", { ...options, into: new Uint8Array(200) }),
        ],
        ["sendSync", timeout, () => kept.add(client.sendSync(bytesOf(random), options))],
        ["trySend", 0, () => kept.add(client.trySend(bytesOf(random), options))],
        ["call.getSync", timeout, () => readAll(kept.any()?.getSync({ timeout }) ?? null)],
        ["call.readySync", timeout, () => kept.any()?.readySync({ timeout })],
        ["draft.requestSync", timeout, () => readAll(fill(client, random).requestSync(options))],
        ["draft.send", 0, () => kept.add(fill(client, random).send(options))],
        random.pick(common(client, lane, kept)),
      ]);
    };
  });
}

/** The promise forms. */
export function promiseClient(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, Client, (client) => {
    const kept = new Kept(random);
    return () => {
      const timeout = timeoutOf(random);
      const options = { timeout, ...signalOf(random) };
      return random.pick<Step>([
        ["request", timeout, async () => readAll(await client.request(bytesOf(random), options))],
        ["requests", timeout, () => several(client, random, options)],
        ["send", timeout, async () => kept.add(await client.send(bytesOf(random), options))],
        ["call.get", timeout, async () => readAll(await kept.any()?.get(options) ?? null)],
        ["call.ready", timeout, () => kept.any()?.ready(options)],
        [
          "draft.request",
          timeout,
          async () => readAll(await fill(client, random).request(options)),
        ],
        ["connect", timeout, async () => (await Client.connect(lane.target, options)).close()],
        random.pick(common(client, lane, kept)),
      ]);
    };
  });
}

/** Several at once, each of which ends by itself. */
async function several(
  client: Client,
  random: Random,
  options: { timeout: number; signal?: AbortSignal },
): Promise<void> {
  const requests = [1, 2, 3, 4].map(() => client.request(bytesOf(random), options));
  const results = await Promise.allSettled(requests);
  for (const result of results) if (result.status === "rejected") throw result.reason;
}
