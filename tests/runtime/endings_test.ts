/** Processes that end in the middle of a call: by exit, by errors that nothing catches, by signals. */
import { assertEquals } from "@std/assert";
import { Client } from "../../mod.ts";
import {
  assertRejectsCode,
  doomed,
  eventually,
  type Exit,
  newTarget,
  ownRuntime,
  present,
  spawn,
  test,
  text,
} from "../support/harness.ts";
import { openPair } from "../support/open_pair.ts";

const ways: Readonly<Record<string, Exit>> = {
  exit: { code: 3, signal: null },
  throw: { code: 1, signal: null },
  reject: { code: 1, signal: null },
  SIGTERM: { code: null, signal: "SIGTERM" },
};

for (const name of ownRuntime) {
  for (const [how, exit] of Object.entries(ways)) {
    const argument = how === "SIGTERM" ? "wait" : how;

    test(`${name}: a server ends while it handles a request (${how}): SERVER_DIED`, async () => {
      const target = newTarget();
      using client = Client.open(target, { create: {} });
      const child = await spawn(name, "ending.ts", [target, "server", argument]);
      await child.expect("ready");
      const answer = doomed(client.request("x"));
      await child.expect("under way");
      if (how === "SIGTERM") child.kill("SIGTERM");
      await assertRejectsCode(answer, "SERVER_DIED");
      assertEquals(await child.exited, exit);
      await eventually(() => client.servers === 0);
      assertEquals(client.stats().inFlight, 0);
    });

    test(`${name}: a client ends while it waits (${how}): its slot is free again`, async () => {
      using pair = openPair({ slots: 2 });
      const { server, client, target } = pair;
      const child = await spawn(name, "ending.ts", [target, "client", argument]);
      await child.expect("ready");
      const request = present(await server.receive());
      child.send("end");
      await child.expect("under way");
      if (how === "SIGTERM") child.kill("SIGTERM");
      assertEquals(await child.exited, exit);
      // Only an orderly end gives calls up. Others look for the dead when they next wait.
      if (how === "exit") await eventually(() => request.cancelled, "it gives up its call");
      request.reply("late");
      const serving = server.serve((request) => request.bytes);
      assertEquals(text(await client.request("y")), "y");
      await eventually(() => client.stats().inFlight === 0);
      server.close();
      await serving;
    });
  }
}
