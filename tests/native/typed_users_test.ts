/** A channel between users who share a group, or nothing: long messages reach the other user, too. */
import { assert, assertEquals } from "@std/assert";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually, folder, type Runtime, spawn, test } from "../support/harness.ts";
import { asOtherUser, noRoot, otherUser, works } from "../support/privileges.ts";

const fixture = fileURLToPath(new URL("../fixtures/deployed_client.ts", import.meta.url));
const skip = noRoot ??
  (works([...asOtherUser, "test", "-r", fixture]) ? null : "another user cannot read this folder");

/** Runs as a user of its own, with a main group of its own, who is in `group`. */
function asMember(user: number, group: number): readonly string[] {
  const groups = group === 0 ? "--clear-groups" : `--groups=${group}`;
  return ["setpriv", `--reuid=${user}`, `--regid=${user}`, groups, "--inh-caps=-all"];
}

interface Case {
  readonly title: string;
  readonly mode: string;
  /** 0: they share none. */
  readonly group: number;
}

// What differs between the runtimes is not this.
const cases: readonly (readonly [Runtime, Runtime, Case])[] = [
  ["deno", "bun", {
    title: "members of one group, mode 0o660",
    mode: "0o660",
    group: otherUser + 2,
  }],
  ["bun", "node", { title: "users who share no group, mode 0o666", mode: "0o666", group: 0 }],
  ["node", "deno", {
    title: "members of one group, mode 0o660",
    mode: "0o660",
    group: otherUser + 2,
  }],
];

for (const [server, client, { title, mode, group }] of cases) {
  test(
    `${server} serves ${client}, ${title}: calls and long messages in both directions`,
    async () => {
      const shared = join(folder(), "shared");
      chmodSync(folder(), 0o711);
      mkdirSync(shared);
      chownSync(shared, 0, group);
      chmodSync(shared, group === 0 ? 0o1777 : 0o2770);
      const target = join(shared, "jobs.tandem");
      const service = await spawn(server, "deployed_service.ts", [target, "1", mode], {
        through: asMember(otherUser, group),
      });
      await service.expect("ready");
      const calling = await spawn(client, "deployed_client.ts", [target], {
        through: asMember(otherUser + 1, group),
      });
      const awaited = new Set(["first 1", "first long", "first length"]);
      await eventually(async () => awaited.delete(await calling.line()) && awaited.size === 0);
      calling.send("end");
      calling.end();
      const { answers, failures } = await calling.message<{
        readonly answers: Readonly<Record<string, number>>;
        readonly failures: readonly string[];
      }>();
      assertEquals(failures, []);
      assert(answers.long! > 0 && answers.length! > 0);
      await calling.ended();
      await service.killed();
    },
    { skip },
  );
}
