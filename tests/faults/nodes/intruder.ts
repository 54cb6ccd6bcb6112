/**
 * A process with a node that behaves for a moment, and then writes garbage wherever it may write: into the mailboxes of
 * others, and on its board.
 *
 *     intruder.ts PLAN
 *
 * It tells where its own mailbox is when it is about to begin. It counts what it has written on the command `"count"`.
 *
 * @module
 */
import { readdirSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ClientCore } from "../../../src/channel/client_core.ts";
import { connectPrivateQuietly } from "../../../src/channel/private.ts";
import { defaultParts } from "../../../src/node/default_parts.ts";
import { batchMark } from "../../../src/node/hall/batch.ts";
import type { NearNodes } from "../../../src/node/hall/near_nodes.ts";
import { startNode } from "../../../src/node/node.ts";
import { tell } from "../../fixtures/lib.ts";
import { Random } from "../hostile/random.ts";
import { pause } from "../pool/stage.ts";
import { family } from "./dwelling.ts";
import { Garbage } from "./garbage.ts";
import { begin, obey } from "./program.ts";

const plan = begin<{ seed: number }>();
const random = new Random(plan.seed);
let hall!: NearNodes;
const node = await startNode({ name: "intruder", group: plan.group }, {
  async join(identity, terms) {
    const joined = await defaultParts.join(identity, terms);
    return { ...joined, open: (listener) => hall = joined.open(listener) as NearNodes };
  },
});
node.port().onMessage(() => {});
node.registry.set("things", "intruder.1", 1);

// Whom it bothers.
const watcher = ClientCore.open(`${plan.group}.nodes`);
const members = watcher.members().filter(({ role, place }) =>
  role === "server" && place.position !== hall.place.position
);
const mailboxes = members.map(({ privatePath }) => connectPrivateQuietly(watcher, privatePath));
const ports = await node.registry.keys(family);
const garbage = new Garbage(
  random,
  { mark: batchMark, place: hall.place, link: 100, sequence: 0 },
  ports.map((port) => port.slice(port.indexOf("#") + 1)),
  node.nodes(),
);

// What is on its own board, and where.
const bells = `${watcher.path}.bells`;
const own = (prefix: string) =>
  readdirSync(bells, { recursive: true }).map(String)
    .find((name) => new RegExp(`/${prefix}${hall.place.position}-[^/.]*$`).test(name));
const identity = new TextEncoder().encode("intruder");
const board = Uint8Array.from([
  ...[0x85, 1, 0x78, node.id.length, ...new TextEncoder().encode(node.id)],
  ...[0x68, ...identity, 0x68, ...new TextEncoder().encode("abcdefgh"), 0x80],
]);

tell(join(bells, own("p")!));
const counts = { posts: 0, refused: 0, boards: 0, changed: 0 };
obey<"count">(() => counts);
process.on("SIGTERM", () => process.exit(0));

for (let round = 0;; round++) {
  const mailbox = random.pick(mailboxes);
  for (let left = random.pick([1, 10, 10, 200, 3_000]); left > 0; left--) {
    try {
      if (mailbox.post(garbage.post())) counts.posts += 1;
      else counts.refused += 1;
    } catch {
      // It is gone, or its mailbox is full of what this process has written.
      counts.refused += 1;
    }
  }
  if (random.oneIn(2)) publish();
  if (random.oneIn(2)) changeBoard();
  await pause(random.below(10));
}

function publish(): void {
  try {
    hall.boards.publish(garbage.board(board));
    counts.boards += 1;
  } catch {
    // What others have said of it may have cut it off.
  }
}

/** Changes the board's file, which others may be reading. */
function changeBoard(): void {
  const file = own("d");
  if (file === undefined) return;
  try {
    if (random.oneIn(2)) truncateSync(join(bells, file), random.pick([0, 1, 100, 5_000_000]));
    else writeFileSync(join(bells, file), garbage.board(board));
    counts.changed += 1;
  } catch {
    // The next board has taken its place.
  }
}
