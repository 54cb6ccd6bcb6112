/**
 * Everything that a server can do, in its three forms.
 *
 * @module
 */
import { Server, type ServerRequest } from "../../../mod.ts";
import { readAll, signalOf } from "./clients.ts";
import { readPeer } from "./forwarders.ts";
import { bytesOf, type Lane, lengthOf, type Step, timeoutOf, work } from "./lane.ts";
import type { Random } from "./random.ts";

/** Requests that a lane keeps for later; the others are answered at once. */
const keptMax = 4;

class Kept {
  readonly #random: Random;
  readonly #requests: ServerRequest[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  take(requests: readonly (ServerRequest | null)[]): void {
    for (const request of requests) {
      if (!request) continue;
      readAll(request.bytes);
      readAsText(request);
      readPeer(request.peer);
      this.#requests.push(request);
    }
    while (this.#requests.length > keptMax) this.answer();
  }

  any(): ServerRequest | undefined {
    return this.#requests[this.#random.below(this.#requests.length)];
  }

  answer(): void {
    const request = this.#requests.shift();
    if (request) answer(request, this.#random);
  }
}

/** In every form, each of which hands a private copy to the runtime. */
function readAsText(request: ServerRequest): void {
  request.text();
  try {
    request.json();
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  new TextDecoder().decode(request.copy());
}

function answer(request: ServerRequest, random: Random): void {
  switch (random.below(4)) {
    case 0:
      request.fail(new Error("it failed on purpose", { cause: "x".repeat(lengthOf(random)) }));
      break;
    case 1: {
      const length = lengthOf(random);
      request.reply(request.allocate(length).fill(random.below(256)));
      break;
    }
    case 2:
      request.reply(request.bytes);
      break;
    default:
      request.reply(bytesOf(random));
  }
}

function common(server: Server, { random }: Lane, kept: Kept): Step[] {
  return [
    ["answer", 0, () => kept.answer()],
    ["answer", 0, () => kept.answer()],
    ["answer", 0, () => kept.answer()],
    ["tryReceive", 0, () => kept.take([server.tryReceive()])],
    ["tryReceiveMany", 0, () => kept.take(server.tryReceiveMany(1 + random.below(8)))],
    ["request.peer", 0, () => readPeer(kept.any()?.peer ?? {})],
    ["request.cancelled", 0, () => kept.any()?.cancelled],
    ["request.timeRemaining", 0, () => kept.any()?.timeRemaining],
    ["reply", 0, () => server.reply(kept.any()?.id ?? 5n, bytesOf(random))],
    ["fail", 0, () => server.fail(kept.any()?.id ?? 5n, "no")],
    ["stats", 0, () => server.stats()],
    ["clear", 0, () => random.oneIn(8) && server.clear()],
    ["notify", 0, () => server.notify()],
    ["notifyFd", 0, () => server.notifyFd],
    ["drainNotify", 0, () => server.drainNotify()],
  ];
}

/** The blocking forms, and the forms that never wait. */
export function syncServer(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, Server, (server) => {
    const kept = new Kept(random);
    return () => {
      const timeout = timeoutOf(random);
      return random.pick<Step>([
        ["receiveSync", timeout, () => kept.take([server.receiveSync({ timeout })])],
        ["receiveManySync", timeout, () => kept.take(server.receiveManySync(4, { timeout }))],
        ["serveSync", timeout, () => serveSync(server, random, timeout)],
        random.pick(common(server, lane, kept)),
        random.pick(common(server, lane, kept)),
      ]);
    };
  });
}

/** Ends after a few requests, or when no request comes. */
function serveSync(server: Server, random: Random, idleTimeout: number): void {
  let left = 5;
  server.serveSync((request) => {
    readAll(request.bytes);
    left -= 1;
    if (left === 0) server.close();
    return bytesOf(random);
  }, { idleTimeout });
}

/** The promise forms. */
export function promiseServer(lane: Lane): Promise<void> {
  const { random } = lane;
  return work(lane, Server, (server) => {
    const kept = new Kept(random);
    return () => {
      const timeout = timeoutOf(random);
      const options = { timeout, ...signalOf(random) };
      return random.pick<Step>([
        ["receive", timeout, async () => kept.take([await server.receive(options)])],
        ["receiveMany", timeout, async () => kept.take(await server.receiveMany(4, options))],
        ["serve", timeout, () => serve(server, random, timeout)],
        ["request.signal", 0, () => kept.any()?.signal.aborted],
        random.pick(common(server, lane, kept)),
        random.pick(common(server, lane, kept)),
      ]);
    };
  });
}

async function serve(server: Server, random: Random, duration: number): Promise<void> {
  const stopping = new AbortController();
  const timer = setTimeout(() => stopping.abort(), duration);
  try {
    await server.serve(async (request) => {
      readAll(request.bytes);
      if (random.oneIn(2)) await new Promise((resolve) => setTimeout(resolve, random.below(3)));
      if (random.oneIn(4)) throw new Error("the handler failed on purpose");
      return bytesOf(random);
    }, { concurrency: 3, signal: stopping.signal });
  } finally {
    clearTimeout(timer);
  }
}
