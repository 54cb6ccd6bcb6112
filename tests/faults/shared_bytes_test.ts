/** Another process changes bytes while this one's runtime reads them: no crash. */
import { assertEquals } from "@std/assert";
import { Server } from "../../mod.ts";
import { newTarget, ownRuntime, spawn, test } from "../support/harness.ts";
import { openAnonymousPair } from "../support/open_pair.ts";
import { size, tried } from "./size.ts";

const times = size(8_000, 400_000);

interface Results {
  readonly done: number;
  readonly failed: number;
}

for (const runtime of ownRuntime) {
  for (const form of ["text", "json", "typed"]) {
    // The short one is copied to reused memory, the long one to its own.
    for (const length of [9_000, 60_000]) {
      test(
        `${runtime}: a request that changes while it is read as ${form}, ${length} bytes`,
        async () => {
          const target = newTarget();
          Server.create(target).close();
          const flipping = await spawn("bun", "flipped.ts", [target, "flip", form, String(length)]);
          await flipping.expect("flipping");
          const reading = await spawn(runtime, "flipped.ts", [target, "read", form, String(times)]);
          await reading.expect("reading");
          const { done, failed } = await reading.message<Results>();
          assertEquals(done + failed, times);
          tried(times, `readings of ${length} bytes as ${form} while they change, ${runtime}`);
        },
        { timeout: 600_000 },
      );
    }
  }

  for (const form of ["error", "typed"]) {
    test(`${runtime}: an answer that changes while it is read as ${form}`, async () => {
      const target = newTarget();
      Server.create(target).close();
      const flipping = await spawn("bun", "flipped.ts", [target, "flip-answer", form, "9000"]);
      const reading = await spawn(runtime, "flipped.ts", [
        target,
        "read-answer",
        form,
        String(times),
      ]);
      await flipping.expect("flipping");
      const { done, failed } = await reading.message<Results>();
      assertEquals(done + failed, times);
    }, { timeout: 600_000 });
  }
}

test("a copy of a request is private and stays", () => {
  using pair = openAnonymousPair();
  const { server, client } = pair;
  using draft = client.allocate(3);
  const { bytes } = draft;
  bytes.set([1, 2, 3]);
  using call = draft.send();
  const request = server.tryReceive()!;
  const copy = request.copy();
  // The sender can still write to the request that it has sent.
  bytes.set([4, 5, 6]);
  assertEquals([[...request.bytes], [...copy]], [[4, 5, 6], [1, 2, 3]]);
  request.reply();
  assertEquals([copy.buffer.byteLength, [...copy]], [3, [1, 2, 3]]);
  void call;
});
