/** Answers of hosts: data, ends and refusals are never confused. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  connect,
  type ErrorCode,
  type Payload,
  type Remote,
  serve,
  TandemError,
  withOptions,
} from "../../mod.ts";
import { RequestCore } from "../../src/channel/request_core.ts";
import { type Checks, isPattern, pattern } from "../fixtures/typed_checks.ts";
import {
  assertRejectsCode,
  longEnough,
  newTarget,
  ownRuntime,
  runtimes,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import { collect, rejection, startChecks } from "../support/rpc_helper.ts";

const mebibyte = 2 ** 20;

/** Lets `isRefused` say which answers of this process's hosts find no room. */
function refuseAnswers(isRefused: (byteLength: number) => boolean, code: ErrorCode): Disposable {
  const { prototype } = RequestCore;
  const { allocate, reply } = prototype;
  const refuse = (byteLength: number) => {
    if (isRefused(byteLength)) throw new TandemError(code, "as the test wants it");
  };
  prototype.allocate = function (byteLength: number) {
    // Without the header.
    refuse(byteLength - 8);
    return allocate.call(this, byteLength);
  };
  prototype.reply = function (payload: Payload) {
    // Neither refusals nor messages that are in place already.
    if (payload instanceof Uint8Array && payload[1] !== 5 && payload[1] !== 13) {
      refuse(payload.byteLength);
    }
    return reply.call(this, payload);
  };
  return { [Symbol.dispose]: () => void Object.assign(prototype, { allocate, reply }) };
}

const api = {
  length: (bytes: Uint8Array): number => bytes.byteLength,
  big: (byteLength: number): Uint8Array => new Uint8Array(byteLength).fill(7),
  async *items(byteLength: number): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(byteLength);
  },
};

for (const code of ["NO_SPACE", "CANCELLED", "TOO_LARGE", "BUSY"] as const) {
  test(`a part that is refused keeps its code: ${code}`, async () => {
    const target = newTarget();
    await using service = serve(target, api, { maxRequestBytes: 4_096, maxResponseBytes: 4_096 });
    using remote = connect<typeof api>(target, { timeout: 30_000 });
    const long = new Uint8Array(3 * mebibyte);
    using refusing = refuseAnswers((byteLength) => byteLength === mebibyte, code);
    const calls = [
      (remote: Remote<typeof api>) => remote.length(long),
      (remote: Remote<typeof api>) => remote.big(long.byteLength),
      (remote: Remote<typeof api>) => collect(remote.items(long.byteLength)),
    ];
    for (const call of calls) {
      // Full memory may have room again until shortly before the time runs out; a busy machine is late with the news.
      await longEnough(code === "NO_SPACE" ? 500 : 30_000, async (timeout) => {
        const error = await rejection<TandemError>(call(withOptions(remote, { timeout })));
        if (code === "NO_SPACE" && error.code === "TIMEOUT") return false;
        assertEquals(error.code, code);
        assertStringIncludes(error.message, "as the test wants it");
        return true;
      });
    }
    assertEquals(await remote.length(new Uint8Array(10)), 10);
    void [service, refusing];
  });
}

test("a refusal is no part, however long it is", async () => {
  const target = newTarget();
  await using service = serve(target, api, { maxRequestBytes: 4_096, maxResponseBytes: 4_096 });
  using remote = connect<typeof api>(target);
  for (let rest = 1; rest < 200; rest++) {
    using refusing = refuseAnswers((byteLength) => byteLength === rest, "BUSY");
    const length = mebibyte + rest;
    await assertRejectsCode(remote.length(new Uint8Array(length)), "BUSY");
    await assertRejectsCode(remote.big(length), "BUSY");
    void refusing;
  }
  assertEquals(await remote.length(new Uint8Array(mebibyte + 121)), mebibyte + 121);
  void service;
});

/** Numbers that are the same in each run. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9 | 0;
    return ((state >>> 3) % below + below) % below;
  };
}

const borders = [-1, 0, 1, 7, 8, 9, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 4_095];

const largeSlots = { maxRequestBytes: 65_536, maxResponseBytes: 65_536 };

for (const runtime of runtimes) {
  test(`${runtime} serves: calls that end at any moment run with their bytes or not at all`, async () => {
    const target = newTarget();
    const service = await startChecks(runtime, target, largeSlots);
    using remote = connect<Checks>(target, { timeout: 30_000 });
    const random = numbersFrom(20261129);
    const outcomes: Record<string, number> = {};
    for (let round = 0; round < 250; round++) {
      // Half of them where the last part is as long as the refusal of a call that is over.
      const rest = random(2) === 0 ? 121 : borders[random(borders.length)]!;
      const length = (1 + random(4)) * mebibyte + rest;
      const seed = random(1000);
      const controller = new AbortController();
      const ending = random(3);
      const delay = random(600) / 100;
      const options = ending === 1 ? { timeout: delay } : { signal: controller.signal };
      const limited = withOptions(remote, options);
      const isSent = random(2) === 0;
      const call = isSent
        ? limited.check(pattern(length, seed), length, seed)
        : limited.make(length, seed);
      if (ending === 0) void sleep(delay).then(() => controller.abort(new Error("enough")));
      let outcome = "ok";
      try {
        const result = await call;
        if (isSent) assertEquals(result, length);
        else assert(isPattern(result as Uint8Array, length, seed), "the result as it was sent");
      } catch (error) {
        const { code, message } = error as Error & { code?: string };
        outcome = code ?? message;
      }
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    }
    // No other outcome, such as CORRUPT.
    for (const outcome of Object.keys(outcomes)) {
      assert(["ok", "enough", "TIMEOUT", "BUSY"].includes(outcome), JSON.stringify(outcomes));
    }
    assert(outcomes["ok"]! > 0, JSON.stringify(outcomes));
    assertEquals(await remote.wrong(), 0);
    service.send("stop");
    await service.expect("stopped");
  });

  for (const client of ownRuntime) {
    test(`${runtime} serves ${client}: a client that is killed while it sends`, async () => {
      const target = newTarget();
      const service = await startChecks(runtime, target, largeSlots);
      using remote = connect<Checks>(target, { timeout: 30_000 });
      const random = numbersFrom(7);
      for (let round = 0; round < 5; round++) {
        const child = await spawn(client, "typed_checks.ts", ["client", target]);
        await child.expect("sending");
        await sleep(random(30));
        await child.killed();
      }
      assertEquals(await remote.wrong(), 0);
      assert(await remote.runs() >= 5);
      service.send("stop");
      await service.expect("stopped");
    });
  }
}
