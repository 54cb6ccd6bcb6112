/**
 * A process whose node sends numbered messages until it is killed.
 *
 *     flooder.ts PLAN
 *
 * It tells its port's id when the keepers expect it. The command `{ burst, dieAt }` lets it send `burst` messages to
 * each keeper at once, and then as many again and again; it kills itself in the middle of number `dieAt`.
 * It answers when the first burst is under way, and would be the last one without room for more.
 *
 * @module
 */
import process from "node:process";
import { Node, type PortId } from "../../../src/node/main.ts";
import { tell } from "../../fixtures/lib.ts";
import type { Keeper } from "./keeper.ts";
import { begin, obey } from "./program.ts";

export interface Flood {
  readonly burst: number;
  readonly dieAt: number | null;
}

const { group, keepers } = begin<{ keepers: readonly PortId<Keeper>[] }>();
const node = await Node.start({ name: "flooder", group });
const port = node.port();
for (const keeper of keepers) await known(keeper);
tell(port.id);
let last = 0;
obey<Flood>((flood) => {
  send(flood);
  // Not before this answer.
  setImmediate(() => void sendOn(flood));
  return last;
});

/** On a slow machine, others may be found only some time after the start. */
async function known(keeper: PortId<Keeper>): Promise<void> {
  while (!node.isUp(node.nodeOf(keeper))) await new Promise((resolve) => setTimeout(resolve, 5));
  await node.at<Keeper>(keeper).expect(port.id, process.pid);
}

function send({ burst, dieAt }: Flood): void {
  for (let left = burst; left > 0; left--) {
    last += 1;
    for (const keeper of keepers) {
      node.send<Keeper>(keeper, "number", port.id, last);
      if (last === dieAt) process.kill(process.pid, "SIGKILL");
    }
  }
}

async function sendOn(flood: Flood): Promise<void> {
  for (;;) {
    for (const keeper of keepers) await node.ready(keeper);
    send(flood);
  }
}
