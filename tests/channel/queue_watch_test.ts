/** A handle that notices requests and takes none: src/channel/queue_watch.ts. */
import { assertEquals } from "@std/assert";
import { Client, Server } from "../../mod.ts";
import { QueueWatch } from "../../src/channel/queue_watch.ts";
import { ServerCore } from "../../src/channel/server_core.ts";
import { atEnd, eventually, present, test, text } from "../support/harness.ts";

/** A channel without a server. */
function channel(): Client {
  using server = Server.anonymous({ slots: 8 });
  const client = Client.fromFd(server.fd);
  // deno-lint-ignore require-await -- an end of a test is a promise
  atEnd(async () => client.close());
  return client;
}

/** A watch that is closed when the test ends, and how often it has noticed something. */
class Noticing {
  readonly watch: QueueWatch;
  count = 0;

  constructor(client: Client) {
    this.watch = new QueueWatch(client.fd);
    // deno-lint-ignore require-await -- an end of a test is a promise
    atEnd(async () => this.watch.close());
    this.start();
  }

  start(): void {
    this.watch.start(() => void (this.count += 1));
  }
}

/** Waits until the handle sleeps: then nothing but its bell wakes it. */
async function asleep(client: Client): Promise<void> {
  await eventually(() => client.stats().waitingClients === 1, "it sleeps");
}

test("a sleeping watch notices a request once, and leaves it to a server", async () => {
  const client = channel();
  const noticing = new Noticing(client);
  await asleep(client);
  client.post("first");
  await eventually(() => noticing.count === 1, "it is noticed");
  client.post("second");
  using server = Server.fromFd(client.fd);
  for (const word of ["first", "second"]) {
    const request = present(server.tryReceive());
    assertEquals(text(request.bytes), word);
    request.reply("");
  }
  assertEquals(noticing.count, 1);
  noticing.start();
  await asleep(client);
  client.post("third");
  await eventually(() => noticing.count === 2, "the next one is noticed");
});

test("a request that waits already is noticed", async () => {
  const client = channel();
  client.post("early");
  const noticing = new Noticing(client);
  await eventually(() => noticing.count === 1, "it is noticed");
});

test("a watch that is stopped or closed notices nothing, and one beside it does", async () => {
  const client = channel();
  const [stopped, closed, other] = [1, 2, 3].map(() => new Noticing(client)) as [
    Noticing,
    Noticing,
    Noticing,
  ];
  await eventually(() => client.stats().waitingClients === 3, "they sleep");
  stopped.watch.stop();
  closed.watch.close();
  client.post("x");
  await eventually(() => other.count === 1, "it is noticed");
  assertEquals([stopped.count, closed.count], [0, 0]);
});

test("the end of the channel is noticed", async () => {
  const client = channel();
  const noticing = new Noticing(client);
  await asleep(client);
  const server = ServerCore.fromFd(client.fd);
  server.endChannel();
  server.close();
  await eventually(() => noticing.count === 1, "it is noticed");
});
