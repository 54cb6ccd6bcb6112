/** Clients of the npm package zeromq. */
import { assertEquals } from "@std/assert";
import { spawn, test } from "../support/harness.ts";
import { counted, noPyzmq, openServed, shout } from "../support/zmq.ts";

test(
  "zeromq for Node: Request, CORRELATE with RELAXED, Dealer, several frames and long payloads",
  async () => {
    const { door } = await openServed(shout, { slots: 300 });
    const client = await spawn("node", "zmq/node_client.ts", [door.endpoint]);
    const answers = Array.from({ length: 20 }, (_, round) => `WORK ${round}`);
    assertEquals(await client.message(), answers);
    assertEquals(await client.message(), ["TANDEM-ERROR", "UNSUPPORTED"]);
    assertEquals(await client.message(), ["WORK"]);
    assertEquals(await client.message(), 200);
    assertEquals(await client.message(), [1_000_000, "XXX"]);
    await client.ended();
    await counted(door, { requests: 222, malformed: 1, refused: 2, inFlight: 0, connections: 0 });
  },
  { skip: noPyzmq },
);
