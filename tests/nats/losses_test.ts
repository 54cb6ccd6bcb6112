/** Each single message between a client and its server is lost once: every call ends with an answer or a code. */
import { assert, assertEquals } from "@std/assert";
import {
  callContext,
  connect,
  type ErrorCode,
  proxy,
  type Remote,
  RemoteError,
  serve,
  TandemError,
  withOptions,
} from "../../mod.ts";
import { linksClosed } from "../../src/nats/link.ts";
import { afterEnd, atEnd, sleep, test } from "../support/harness.ts";
import { hasNats, natsAddress, newNatsTarget } from "../support/nats.ts";
import { NatsProxy } from "../support/nats_proxy.ts";
import { collect } from "../support/rpc_helper.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

const api = {
  echo: <T>(value: T): T => value,
  same: (bytes: Uint8Array): Uint8Array => bytes,
  /** So long that the service reports that it works. */
  async slow(): Promise<string> {
    await sleep(700);
    return "done";
  },
  hold: () =>
    new Promise<void>((resolve) => {
      const { signal } = callContext()!;
      if (signal.aborted) resolve();
      else signal.addEventListener("abort", () => resolve(), { once: true });
    }),
  async *count(end: number): AsyncGenerator<number> {
    for (let number = 0; number < end; number++) yield await Promise.resolve(number);
  },
  sum: async (numbers: AsyncIterable<number>) =>
    (await collect(numbers)).reduce((one, other) => one + other, 0),
  twice: async (change: (value: number) => Promise<number>) => await change(await change(1)),
};

type Api = typeof api;

/** Conversations, each with what comes of it when nothing is lost. */
const talks: Readonly<Record<string, (remote: Remote<Api>) => Promise<unknown>>> = {
  "a call": (remote) => remote.echo("text"),
  "a long call": (remote) => remote.slow(),
  "a call that is cancelled": async (remote) => {
    const cancel = new AbortController();
    const holding = withOptions(remote, { signal: cancel.signal }).hold();
    holding.catch(() => {});
    await remote.echo("there");
    cancel.abort(new TandemError("CANCELLED", "on purpose"));
    return await holding.catch(({ code }) => code);
  },
  "a long message": async (remote) => (await remote.same(new Uint8Array(1_500_000))).byteLength,
  "a stream": async (remote) => await collect(remote.count(12)),
  "a stream that goes in": (remote) => remote.sum(api.count(4)),
  "a function that goes in": (remote) =>
    remote.twice(proxy((value: number) => Promise.resolve(value + 1))),
};

const answers: Readonly<Record<string, unknown>> = {
  "a call": "text",
  "a long call": "done",
  "a call that is cancelled": "CANCELLED",
  "a long message": 1_500_000,
  "a stream": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
  "a stream that goes in": 6,
  "a function that goes in": 3,
};

const codes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "TIMEOUT",
  "UNKNOWN_OUTCOME",
  "NO_SERVER",
  "SERVER_DIED",
  "CANCELLED",
]);

/** What the method has thrown, because what goes in has ended. */
const goneIn = /^TandemError: Cannot go on: /;

const patience = 60_000;

/** Talks over a way of its own, on which one message is lost. */
async function talkWithout(
  target: string,
  name: string,
  lost: number,
): Promise<{ outcome: unknown; next: unknown; seen: number }> {
  const { port } = new URL(`tcp://${natsAddress()}`);
  await using way = await NatsProxy.start(Number(port));
  using remote = connect<Api>(target.replace(natsAddress(), way.address), {
    // Where nothing is lost, no time may run out.
    timeout: lost === 0 ? patience : 3_000,
  });
  // The link is up.
  await remote.echo(0);
  way.seen = 0;
  way.lost = lost;
  let isOver = false;
  const late = (async () => {
    for (let waited = 0; waited < patience && !isOver; waited += 50) await sleep(50);
    return `hangs without message ${lost}`;
  })();
  const talk = talks[name]!(remote).catch((error: unknown) => error);
  const outcome = await Promise.race([talk, late]);
  isOver = true;
  await late;
  const { seen } = way;
  way.lost = 0;
  // What was lost harms no later conversation.
  const patient = withOptions(remote, { timeout: patience });
  const next = await talks[name]!(patient).catch((error: unknown) => error);
  return { outcome, next, seen };
}

test(
  "NATS: each single message is lost once: every call ends with an answer or a code",
  async () => {
    const target = newNatsTarget();
    const service = serve(target, api);
    atEnd(() => service.close({ timeout: 0 }));
    afterEnd(linksClosed);
    await service.ready;
    const counts: Map<string, number> = new Map();
    for (const name of Object.keys(talks)) {
      const { outcome, seen } = await talkWithout(target, name, 0);
      assertEquals(outcome, answers[name], name);
      counts.set(name, seen);
    }
    const runs = [...counts].flatMap(([name, count]) =>
      Array.from({ length: count }, async (_, index) => {
        const { outcome, next } = await talkWithout(target, name, index + 1);
        const what = `${name} without message ${index + 1} of ${count}: ${outcome}`;
        if (outcome instanceof RemoteError) assert(goneIn.test(outcome.message), what);
        else if (outcome instanceof TandemError) assert(codes.has(outcome.code), what);
        else assertEquals(outcome, answers[name], what);
        assertEquals(next, answers[name], `${what}; then ${next}`);
      })
    );
    await Promise.all(runs);
  },
  { skip },
);
