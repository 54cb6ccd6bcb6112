/** Handles that the program has forgotten are closed. */
import { assertEquals } from "@std/assert";
import { Server } from "../../mod.ts";
import {
  eventually,
  newTarget,
  ownRuntime,
  processState,
  spawn,
  test,
} from "../support/harness.ts";
import { startService } from "../support/rpc_helper.ts";

const gc = { denoPermissions: ["--allow-ffi", "--v8-flags=--expose-gc"] };

interface Left {
  readonly participants: number;
  readonly texts: readonly string[];
}

for (const runtime of ownRuntime) {
  for (const kind of ["client", "server", "receiver", "requester", "patient", "call", "draft"]) {
    test(`${runtime}: a forgotten ${kind} gives back its place, its slots and its descriptors`, async () => {
      const target = newTarget();
      const child = await spawn(runtime, "forgotten.ts", [target], gc);
      await child.expect("ready");
      // The runtime's own descriptors for sockets, which stay.
      await rounds(10);
      const before = processState(child.pid).descriptors;
      await rounds(300);
      using server = Server.open(target);
      await eventually(async () => {
        await child.ask("collect");
        return server.stats().inFlight === 0;
      }, "its calls and drafts end");
      await eventually(async () => {
        await child.ask("collect");
        return processState(child.pid).descriptors <= before + 2;
      }, "descriptors go back");

      async function rounds(count: number): Promise<void> {
        child.send(`make ${kind} ${count}`);
        await child.expect("made");
        // Some may still be on the stack, or where a conservative collector takes them for references.
        await eventually(async () => (await child.ask<Left>("collect")).participants <= 4, kind);
      }
    });
  }

  for (const kind of ["remote", "stream", "instance", "lender"]) {
    test(`${runtime}: a forgotten ${kind} leaves its service's channel`, async () => {
      const target = newTarget();
      const service = await startService(runtime, `${target}.typed`);
      const child = await spawn(runtime, "forgotten.ts", [target], gc);
      await child.expect("ready");
      child.send(`make ${kind} 100`);
      await child.expect("made");
      using watcher = Server.open(`${target}.typed`);
      await eventually(async () => {
        await child.ask("collect");
        return watcher.stats().clients <= 2;
      }, "the connections are closed");
      void service;
    });
  }

  test(`${runtime}: handles for integers are collected as well`, async () => {
    const target = newTarget();
    const child = await spawn(runtime, "forgotten.ts", [target], gc);
    await child.expect("ready");
    const before = processState(child.pid).descriptors;
    for (const kind of ["intServer", "intClient"]) {
      child.send(`make ${kind} 100`);
      await child.expect("made");
    }
    await eventually(async () => {
      await child.ask("collect");
      return processState(child.pid).descriptors <= before + 10;
    }, "descriptors go back");
  });

  test(`${runtime}: a pending promise and a view keep their handle`, async () => {
    const target = newTarget();
    const child = await spawn(runtime, "forgotten.ts", [target], gc);
    await child.expect("ready");
    for (const kind of ["view 3", "pending 5"]) {
      child.send(`make ${kind}`);
      await child.expect("made");
    }
    for (let round = 0; round < 5; round++) {
      const { participants, texts } = await child.ask<Left>("collect");
      assertEquals(texts, ["seen", "seen", "seen"]);
      // The watcher, the servers that receive, and the servers whose memory a view shows.
      assertEquals(participants >= 1 + 5 + 3, true, `${participants} participants`);
    }
  });
}
