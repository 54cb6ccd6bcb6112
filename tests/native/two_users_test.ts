/** Private channels are for every user of their channel, and for nobody else. */
import { assertEquals } from "@std/assert";
import { chmodSync, mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { topic } from "../../mod.ts";
import type { Item } from "../fixtures/topic.ts";
import { folder, runtimes, spawn, test } from "../support/harness.ts";
import { asOtherUser, noRoot, works } from "../support/privileges.ts";

const fixture = fileURLToPath(new URL("../fixtures/topic.ts", import.meta.url));

/** Why a test that starts programs as another user cannot run here; null: it can. */
const noOtherUser: string | null = noRoot ??
  (works([...asOtherUser, "test", "-r", fixture]) ? null : "another user cannot read this folder");

/** A folder that every user may write to, as /tmp is. */
function sharedFolder(): string {
  chmodSync(folder(), 0o711);
  const shared = join(folder(), "shared");
  mkdirSync(shared);
  chmodSync(shared, 0o1777);
  return shared;
}

for (const each of runtimes) {
  test(
    `${each}: another user publishes to this one and subscribes, where the mode allows it`,
    async () => {
      const target = join(sharedFolder(), "numbers");
      using own = topic<Item>(target, { mode: 0o666 });
      using seen = own.subscribe();
      const other = await spawn(each, "topic.ts", [target], { through: asOtherUser });
      await other.expect("ready");
      assertEquals(await other.ask({ do: "subscribe", options: {} }), "subscribed");
      assertEquals(await other.ask({ do: "publish", from: "other", count: 2 }), [2, 2]);
      assertEquals((await seen.next()).value, { from: "other", number: 1 });
      assertEquals(own.publish({ from: "own", number: 1 }), 2);
      assertEquals(await other.ask<Item[]>({ do: "read", count: 3 }), [
        { from: "other", number: 1 },
        { from: "other", number: 2 },
        { from: "own", number: 1 },
      ]);
      other.kill("SIGTERM");
      await other.exited;
    },
    { skip: noOtherUser },
  );
}

for (const mode of [0o600, 0o660, 0o666]) {
  test(`a private channel has the mode ${mode.toString(8)} of its channel`, () => {
    const target = join(sharedFolder(), "numbers");
    using own = topic<number>(target, { mode });
    using _seen = own.subscribe();
    const user = join(`${own.path}.bells`, `u${process.geteuid!()}`);
    const [name] = readdirSync(user).filter((name) => /^p[^.]*$/.test(name));
    assertEquals(statSync(join(user, name!)).mode & 0o777, mode);
  });
}
