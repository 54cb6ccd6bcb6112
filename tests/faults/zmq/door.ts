/**
 * A process with a door, which a scene talks to by lines, and kills.
 *
 *     door.ts OPTIONS
 *
 * OPTIONS are those of `ZmqDoor` as JSON. It writes `{ endpoint }` when clients can connect, or `{ code }`. Each line of
 * stdin is answered with a line of JSON:
 *
 *     stats      the door's numbers
 *     doors N    opens and closes that many other doors, one after the other
 *     close      closes the door
 *
 * @module
 */
import process from "node:process";
import { ZmqDoor, type ZmqDoorOptions } from "../../../src/zmq/main.ts";
import { args, greet, onLine, tell, told } from "../../fixtures/lib.ts";

greet();
const options = JSON.parse(args[0]!) as ZmqDoorOptions;
const door = new ZmqDoor(options);
try {
  await door.ready;
  tell({ endpoint: door.endpoint });
} catch (error) {
  tell(told(error));
  process.exit();
}
onLine(async (line) => {
  const [what, count] = line.split(" ");
  if (what === "stats") tell(door.stats());
  if (what === "doors") tell(await openAndClose(Number(count)));
  if (what !== "close") return;
  await door.close();
  tell("closed");
  process.exit();
});

async function openAndClose(count: number): Promise<number> {
  for (let opened = 0; opened < count; opened++) {
    await using other = new ZmqDoor({ ...options, frontend: "tcp://127.0.0.1:0" });
    await other.ready;
  }
  return count;
}
