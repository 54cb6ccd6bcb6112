/**
 * The cases of exhausted space, and their required outcomes.
 *
 * @module
 */
import { assert, assertEquals } from "@std/assert";
import { renameSync } from "node:fs";
import type { ZmqDoorStats } from "../../../src/zmq/main.ts";
import { type Actor, Skipped, type Stage } from "./stage.ts";

interface Case {
  /** Of the file system that the channel lies in. */
  readonly size: string;
  run(stage: Stage): Promise<void>;
}

const long = 100_000;
const longer = 800_000;
/** Too long for a message. */
const longest = 3_000_000;
const short = 50;

async function pair(stage: Stage, options: object = {}): Promise<[Actor, Actor]> {
  const server = await stage.server();
  await server.does("create", stage.target, options);
  const client = await stage.client();
  await client.does("open", stage.target);
  return [server, client];
}

/** An echo of that length, in both forms. */
async function echo(client: Actor, byteLength: number): Promise<void> {
  for (const form of ["sync", "promise"] as const) {
    assertEquals(await client.does("request", form, byteLength), byteLength);
  }
}

/** Creates the channel, which works again, and calls through it. */
async function echoOnNew(stage: Stage, server: Actor, client: Actor): Promise<void> {
  await server.does("create", stage.target);
  await client.does("open", stage.target);
  await server.does("serve", 0);
  await echo(client, long);
}

export const cases: Readonly<Record<string, Case>> = {
  "the file system is full at create": {
    size: "2m",
    async run(stage) {
      const server = await stage.server();
      const client = await stage.client();
      stage.fill();
      await server.isRefused("create", stage.target);
      await client.isRefused("open", stage.target, { create: {} });
      assertEquals(stage.files(), ["filler"]);
      stage.free();
      await echoOnNew(stage, server, client);
    },
  },

  "the file system is full during streams and long messages": {
    size: "24m",
    async run(stage) {
      const server = await stage.server();
      await server.does("serveMethods", stage.target);
      const client = await stage.client();
      await client.does("connect", stage.target);
      assertEquals(await client.does("add"), 3);
      // The private channel cannot be created.
      stage.fill();
      await client.isRefused("stream", long);
      assertEquals(await client.does("add"), 3);
      stage.free();
      assertEquals(await client.does("stream", short, longer, short), short);
      stage.fill();
      // There is no space for an item, but there is for its refusal.
      await client.isRefused("item");
      assertEquals(await client.does("add"), 3);
      // Streams with short items go on.
      assertEquals(await client.does("stream", short, short), short);
      assertEquals(await client.does("item"), short);
      await client.isRefused("echo", longest);
      stage.free();
      for (let round = 0; round < 2; round++) {
        assertEquals(await client.does("stream", short, longer), short);
        assertEquals(await client.does("item"), longer);
        assertEquals(await client.does("lend", short, longer, short), 3);
        assertEquals(await client.does("echo", longest), longest);
      }
    },
  },

  "the file system is full at send": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage);
      // Existing messages stay whole.
      await client.does("send", "sync", long);
      await client.does("allocate", long);
      stage.fill();
      await client.isRefused("send", "sync", long);
      await client.isRefused("send", "promise", long);
      await client.isRefused("send", "try", long);
      await client.isRefused("post", long);
      await client.does("sendDraft");
      await client.isRefused("allocate", long);
      for (let count = 0; count < 2; count++) {
        assertEquals(await server.does("receive"), { byteLength: long, deliveries: 1 });
        await server.does("reply", short);
        assertEquals(await client.does("get"), short);
      }
      await server.does("serve", 0);
      await echo(client, short);
      assertEquals((await client.does("stats") as { inFlight: number }).inFlight, 0);
      stage.free();
      await client.does("send", "sync", long);
      await client.does("send", "promise", long);
      await client.does("send", "try", long);
      for (let count = 0; count < 3; count++) assertEquals(await client.does("get"), long);
      await echo(client, long);
    },
  },

  "the file system is full at reply": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage, { maxDeliveries: 2 });
      for (const form of ["sync", "promise", "try", "sync"] as const) {
        await client.does("send", form, short);
      }
      stage.fill();
      // Open for a shorter answer.
      await server.does("receive");
      await server.isRefused("reply", long);
      await server.isRefused("replyInPlace", long);
      await server.does("reply", short);
      assertEquals(await client.does("get"), short);
      // Errors are cut to the space that there is.
      await server.does("receive");
      await server.does("fail", 5000);
      client.start("get");
      await client.fails("REMOTE");
      // The same answer when there is space again.
      for (const reply of ["reply", "replyInPlace"] as const) {
        await server.does("receive");
        await server.isRefused(reply, long);
        stage.free();
        await server.does(reply, long);
        assertEquals(await client.does("get"), long);
        stage.fill();
      }
      // An answer without space fails its call, and serving goes on.
      await server.does("serve", 2 * long);
      client.start("request", "promise", short);
      await client.fails("REMOTE");
      stage.free();
      assertEquals(await client.does("request", "promise", short), 2 * long);
    },
  },

  "the file system is full and a participant joins or unlinks": {
    size: "2m",
    async run(stage) {
      const [server, client] = await pair(stage);
      await server.does("serve", 0);
      await echo(client, short);
      stage.fill();
      // An entry of the table lies on a page that was never used.
      await client.isRefused("openMany", stage.target, 40);
      await echo(client, short);
      stage.free();
      await client.does("openMany", stage.target, 20);
      stage.fill();
      const other = await stage.client();
      await other.does("open", stage.target);
      await echo(other, short);
      assertEquals(await other.does("unlink", stage.target), true);
      client.start("request", "promise", short);
      await client.fails("NOT_FOUND");
    },
  },

  "the file system is full and the amount in use is scribbled over": {
    size: "1m",
    async run(stage) {
      const [server, client] = await pair(stage, { slots: 300 });
      await server.does("serve", 0);
      await echo(client, short);
      stage.fill();
      // The library does not touch memory that is not committed: on a full file system that would be SIGBUS.
      const fields = [
        "header.participants_used",
        "header.slots_used",
        "header.waiting_servers",
        "header.waiting_for_room",
        "header.notified_servers",
        "slot.owner",
        "slot.request_length",
        "slot.response_length",
      ];
      for (const field of fields) {
        await stage.scribble(field, async () => {
          await client.does("lookAround", 30);
        });
      }
      stage.free();
      for (const actor of [server, client]) await actor.does("close");
      await server.does("unlink", stage.target);
      await echoOnNew(stage, server, client);
    },
  },

  "/dev/shm has 64 MiB": {
    size: "1m",
    async run(stage) {
      stage.mountAt("64m", "/dev/shm");
      // An empty TANDEM_DIR counts as unset.
      const env = { TANDEM_DIR: "" };
      const server = await stage.server(env);
      const client = await stage.client(env);
      await server.does("create", "channel");
      await client.does("open", "channel");
      const megabyte = 1 << 20;
      let posted = 0;
      while (await accepts(client, stage, megabyte)) posted += 1;
      assert(posted >= 50 && posted < 64, `${posted} requests of 1 MiB`);
      assertEquals(await server.does("drain"), Array(posted).fill(megabyte));
      // Slots with committed memory are used again.
      for (let count = 0; count < posted; count++) await client.does("post", megabyte);
      await client.isRefused("post", megabyte);
      assertEquals(await server.does("drain"), Array(posted).fill(megabyte));
      await server.does("serve", 0);
      await echo(client, short);
      await server.does("unlink", "channel");
    },
  },

  "the file system is full behind a ZeroMQ door": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage);
      await openDoor(client, stage.target);
      const askShort = async () => {
        client.start("ask", short);
        assertEquals(await server.does("receive"), { byteLength: short, deliveries: 1 });
        await server.does("reply", short);
        assertEquals(await client.succeeds(), short);
      };
      await askShort();
      // There is no space for the request.
      stage.fill();
      await client.isRefused("ask", long);
      await askShort();
      // A call in flight waits for space for its answer.
      stage.free();
      client.start("ask", long);
      assertEquals(await server.does("receive"), { byteLength: long, deliveries: 1 });
      stage.fill();
      await server.isRefused("reply", long);
      stage.free();
      await server.does("reply", long);
      assertEquals(await client.succeeds(), long);
      // Serving goes on when there is no space for an answer.
      await server.does("serve", longer);
      stage.fill();
      await client.isRefused("ask", short);
      stage.free();
      assertEquals(await client.does("ask", short), longer);
      const { requests, answers, errors, inFlight } = await client.does(
        "doorStats",
      ) as ZmqDoorStats;
      assertEquals({ requests, answers, errors, inFlight }, {
        ...{ requests: 6, answers: 6, errors: 2, inFlight: 0 },
      });
    },
  },

  "the file system is full when a ZeroMQ door finds its channel": {
    size: "2m",
    async run(stage) {
      const client = await stage.client();
      // It waits for the target.
      await openDoor(client, stage.target);
      const [server, other] = await Promise.all([stage.server(), stage.client()]);
      const elsewhere = stage.beside("elsewhere");
      await server.does("create", elsewhere);
      await server.does("serve", 0);
      stage.fill();
      // Now one more participant needs memory.
      await other.isRefused("openMany", elsewhere, 40);
      renameSync(elsewhere, stage.target);
      client.start("ask", short);
      // The door tries to join meanwhile.
      await new Promise((resolve) => setTimeout(resolve, 500));
      stage.free();
      assertEquals(await client.succeeds(), short);
      assertEquals(await client.does("ask", long), long);
    },
  },

  "the file system is full when nodes join": {
    size: "8m",
    async run(stage) {
      const [one, other] = await nodes(stage);
      stage.fill();
      await one.isRefused("startNode");
      assertEquals(stage.files(), ["filler"]);
      stage.free();
      const id = await one.does("startNode");
      const before = stage.files();
      stage.fill();
      await other.isRefused("startNode");
      assertEquals(stage.files().sort(), [...before, "filler"].sort());
      assertEquals(await one.does("nodes"), []);
      stage.free();
      await other.does("startNode");
      assertEquals(await other.does("nodes"), [id]);
      await other.does("count", 1, 100);
      await one.becomes(100, "got");
      for (const actor of [one, other]) await actor.does("closeNode");
    },
  },

  "the file system is full while nodes run": {
    size: "8m",
    async run(stage) {
      const [one, other] = await nodes(stage);
      await one.does("startNode");
      await other.does("startNode");
      await one.does("set", "small", short);
      await other.becomes(["small"], "keys");
      await one.does("count", 1, 1_000);
      await other.becomes(1_000, "got");
      stage.fill();
      // The board keeps what it has said before.
      await one.does("set", "large", long);
      assertEquals(await one.does("keys"), ["small", "large"]);
      await one.isRefused("claim", "key");
      // The mailbox has memory that it has used before.
      await one.does("count", 1_001, 1_100);
      await other.becomes(1_100, "got");
      // What has no room waits.
      await one.does("count", 1_101, 30_000);
      assertEquals(await other.does("keys"), ["small"]);
      stage.free();
      await other.becomes(30_000, "got");
      await other.becomes(["small", "large"], "keys");
      await one.does("claim", "key");
      for (const actor of [one, other]) await actor.does("closeNode");
    },
  },

  "a process has no address space left": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage, { slots: 4 });
      await server.does("serve", 0);
      await echo(client, long);
      const large = stage.beside("large");
      const other = await stage.server();
      await other.does("create", large);
      // Half a gigabyte of addresses, which the limit does not allow.
      stage.limitAddresses(client, 200 << 20);
      await client.isRefused("openMany", large, 1);
      await echo(client, long);
      stage.limitAddresses(client, null);
      await client.does("openMany", large, 1);
      await echo(client, long);
      stage.limitAddresses(other, 200 << 20);
      await other.isRefused("openServer", large);
      stage.limitAddresses(other, null);
      await other.does("openServer", large);
    },
  },

  "a server is killed for memory, and its request has an error": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage);
      await client.does("send", "promise", long);
      await server.does("receive");
      client.start("get");
      await killForMemory(stage, server);
      await client.fails("SERVER_DIED");
      await goesOn(stage, client);
    },
  },

  "a server is killed for memory, and its request goes on": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage, { maxDeliveries: 2 });
      await client.does("send", "promise", long);
      await server.does("receive");
      const next = await stage.server();
      await next.does("openServer", stage.target);
      next.start("receive");
      await killForMemory(stage, server);
      assertEquals(await next.succeeds(), { byteLength: long, deliveries: 2 });
      await next.does("reply", short);
      assertEquals(await client.does("get"), short);
    },
  },

  "a client is killed for memory, and its slots come back": {
    size: "4m",
    async run(stage) {
      const [server, client] = await pair(stage, { slots: 2 });
      for (const form of ["sync", "promise"] as const) await client.does("send", form, long);
      await killForMemory(stage, client);
      const next = await stage.client();
      await next.does("open", stage.target);
      await next.does("send", "promise", short);
      assertEquals(await server.does("receive"), { byteLength: short, deliveries: 1 });
    },
  },
};

/** Two processes whose nodes meet in the file system. */
async function nodes(stage: Stage): Promise<[Actor, Actor]> {
  return [await stage.server(), await stage.client()];
}

async function openDoor(actor: Actor, target: string): Promise<void> {
  try {
    await actor.does("openDoor", target);
  } catch (error) {
    const { message } = error as Error;
    throw message.includes("UNSUPPORTED") ? new Skipped(message) : error;
  }
}

/** Whether a request of that length could be posted. */
async function accepts(client: Actor, stage: Stage, byteLength: number): Promise<boolean> {
  client.start("post", byteLength);
  try {
    return await client.succeeds() === true;
  } catch (error) {
    assert((error as Error).message.includes("NO_SPACE"), (error as Error).message);
    stage.refusals += 1;
    return false;
  }
}

/** The kernel ends a process that takes more memory than its cgroup may have. */
async function killForMemory(stage: Stage, actor: Actor): Promise<void> {
  stage.confine(actor, 64 << 20);
  actor.start("eatMemory");
  await actor.closed;
  assertEquals(actor.signal, "SIGKILL");
  assert(stage.timesAtLimit() > 0, "it was killed for something else");
}

/** Replaces the server that died. */
async function goesOn(stage: Stage, client: Actor): Promise<void> {
  const next = await stage.server();
  await next.does("openServer", stage.target);
  await next.does("serve", 0);
  await echo(client, short);
}
