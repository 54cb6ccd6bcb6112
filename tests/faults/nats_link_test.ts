/** The link between two machines is cut, so that nobody is told, and restored. */
import { assertEquals } from "@std/assert";
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { Node } from "../../src/node/main.ts";
import type { Witnessed } from "../fixtures/node/witness.ts";
import {
  assertRejectsCode,
  type Child,
  eventually,
  folder,
  ownRuntime,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import { type Host, NetHosts, noHosts } from "../support/net_hosts.ts";
import { size } from "./size.ts";

/** In a full proof, what a program has that gives no heartbeat, and half a minute. */
const heartbeat = { interval: size(200, 1_000), timeout: size(4_000, 5_000) };
const cutMilliseconds = size(0, 30_000);

for (const runtime of ownRuntime) {
  test(
    `${runtime}: a link is cut and restored: nodes go down once on each side, and agree`,
    async () => {
      const { near: nearHost, far: [farHost] } = await NetHosts.open();
      const group = `link-${process.pid}`;
      const start = (host: Host, key: string) =>
        spawn(runtime, "node/witness.ts", [group, host.network, key, JSON.stringify(heartbeat)], {
          through: host.through,
          // Another memory, as on another machine.
          env: { TANDEM_DIR: mkdtempSync(join(folder(), "machine-")) },
          denoPermissions: ["-A"],
        });
      const near = await start(nearHost, "near");
      const far = await start(farHost!, "far");
      const ask = (child: Child, line = "") => child.ask<Witnessed>(line);
      const all = () => Promise.all([ask(near), ask(far)]);
      const both = async (condition: (witnessed: Witnessed) => boolean) =>
        (await all()).every(condition);
      await eventually(
        () => both(({ isMonitoring, came }) => isMonitoring && came > 1),
        "messages go in both directions",
      );
      farHost!.cut();
      const cut = Date.now();
      await eventually(() => both(({ ends }) => ends.length > 0), "both monitors fire");
      await ask(near, "near later");
      await ask(far, "far later");
      await sleep(Math.max(0, cutMilliseconds - (Date.now() - cut)));
      farHost!.restore();
      const things = "far,far later,near,near later";
      await eventually(() => both((one) => one.things === things), "the registries are equal")
        .catch(async (error) => {
          throw new Error(JSON.stringify(await all()), { cause: error });
        });
      const before = await all();
      await eventually(
        async () => (await all()).every(({ came }, index) => came > before[index]!.came),
        "messages go again",
      );
      for (const { seen, ends } of await all()) {
        assertEquals(seen, ["up", "transport_error", "up"]);
        assertEquals(ends, ["transport_error"]);
      }
      for (const child of [near, far]) {
        child.send("close");
        await child.closed;
      }
    },
    { skip: noHosts },
  );
}

test("a node whose network is nowhere fails after ten seconds", async () => {
  // Nobody listens there.
  const network = "nats://127.0.0.1:9";
  const starting = Node.start({ group: `nowhere-${process.pid}`, network });
  await assertRejectsCode(starting, "DISCONNECTED", "127.0.0.1:9");
}, { skip: size(0, 1) === 1 ? noHosts : "only in a full proof" });
