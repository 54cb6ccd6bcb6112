/** Memory for long messages that arrive in parts is bounded over all of them. */
import { assert, assertEquals, assertStrictEquals } from "@std/assert";
import { connect, serve, type TandemError } from "../../mod.ts";
import { Assemblies, assemblies, type Assembly } from "../../src/rpc/assemblies.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  newTarget,
  runtimes,
  spawn,
  test,
} from "../support/harness.ts";

/** A part that was asked for and has arrived. */
function arrive(assembly: Assembly, bytes: number): void {
  assembly.asked();
  assembly.arrived(bytes);
}

test("parts are asked for at once until the bytes that have arrived reach the bound", () => {
  const all = new Assemblies(100);
  const [first, second] = [all.begin(), all.begin()];
  // What is asked for does not count, however much it is.
  for (let count = 0; count < 1000; count++) second.asked();
  assertEquals([first.ask(Infinity), all.used], [undefined, 0]);
  arrive(first, 60);
  arrive(second, 30);
  assertEquals([second.ask(Infinity), all.used], [undefined, 90]);
  second.end();
  assertEquals([all.used, all.waiting], [60, 0]);
  first.end();
  assertEquals(all.used, 0);
});

test("the oldest message goes on, the others wait until it is complete", async () => {
  const all = new Assemblies(100);
  const [first, second, third] = [all.begin(), all.begin(), all.begin()];
  for (const assembly of [second, third]) arrive(assembly, 50);
  assertEquals(first.ask(Infinity), undefined);
  arrive(first, 500);
  const waits = [second.ask(Infinity), third.ask(Infinity)];
  assert(waits.every((wait) => wait !== undefined));
  assertEquals(all.waiting, 2);
  first.end();
  // Now the second is the oldest, and there is no room for the third.
  await waits[0];
  assertEquals(all.waiting, 1);
  second.end();
  await waits[1];
  third.end();
  assertEquals([all.used, all.waiting], [0, 0]);
});

test("a silent sender is refused while others wait, and only then", async () => {
  const all = new Assemblies(100);
  const [stopped, announced, other] = [all.begin(), all.begin(), all.begin()];
  stopped.asked();
  stopped.asked();
  stopped.arrived(100);
  announced.asked();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assertEquals([stopped.signal.aborted, all.used], [false, 100]);
  await other.ask(Infinity);
  assert(stopped.signal.aborted);
  assertEquals((stopped.signal.reason as TandemError).code, "BUSY");
  // It holds nothing that others could use.
  assertEquals([announced.signal.aborted, all.used], [false, 0]);
  announced.end();
  other.end();
});

test("the privilege of the oldest passes on from one that was only announced", async () => {
  const all = new Assemblies(100);
  const [announced, second, third] = [all.begin(), all.begin(), all.begin()];
  announced.asked();
  arrive(second, 100);
  const last = doomed(third.ask(Infinity)!);
  await second.ask(Infinity);
  assertEquals([announced.signal.aborted, all.used, all.waiting], [false, 100, 1]);
  for (const assembly of [announced, second]) assembly.end();
  await last;
  third.end();
});

test("a message that waits for memory is not silent, and a sender may be slow", async () => {
  const all = new Assemblies(100);
  const [slow, waiting] = [all.begin(), all.begin()];
  arrive(slow, 100);
  arrive(waiting, 10);
  const wait = doomed(waiting.ask(Infinity)!);
  for (let part = 0; part < 8; part++) {
    slow.asked();
    await new Promise((resolve) => setTimeout(resolve, 300));
    slow.arrived(1);
  }
  assertEquals([slow.signal.aborted, waiting.signal.aborted], [false, false]);
  slow.end();
  await wait;
  waiting.end();
});

test("a wait for memory ends at its deadline, and with its message", async () => {
  const all = new Assemblies(10);
  const [first, second, third] = [all.begin(), all.begin(), all.begin()];
  arrive(first, 10);
  await assertRejectsCode(second.ask(performance.now() + 10)!, "TIMEOUT", "memory");
  const reason = new Error("aborted");
  const wait = third.ask(Infinity)!;
  third.end(reason);
  assertStrictEquals(await wait.catch((error) => error), reason);
  for (const assembly of [first, second]) assembly.end();
  assertEquals([all.used, all.waiting], [0, 0]);
});

for (const runtime of runtimes) {
  test(`a ${runtime} sender that is stopped while it sends blocks no other`, async () => {
    const target = newTarget();
    const api = { take: (bytes: Uint8Array) => bytes.byteLength };
    await using service = serve(target, api);
    const max = assemblies.max;
    assemblies.max = 2 ** 22;
    try {
      const length = 2 ** 28;
      const stopped = await spawn(runtime, "long_sender.ts", [target, String(length)]);
      // As soon as more has arrived than all may have.
      while (assemblies.used < 2 * assemblies.max) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      stopped.kill("SIGSTOP");
      await eventually(() => assemblies.used > 0);
      using remote = connect<typeof api>(target);
      const others = [1, 2, 3].map((count) => remote.take(new Uint8Array(count * 2 ** 23)));
      assertEquals(await Promise.all(others), [1, 2, 3].map((count) => count * 2 ** 23));
      stopped.kill("SIGCONT");
      await stopped.expect("refused BUSY");
      await eventually(() => assemblies.used === 0 && assemblies.waiting === 0);
    } finally {
      assemblies.max = max;
    }
    service.unlink();
  });
}
