/** How streams get the copies that they lack: with a server that the test plays. */
import { assertEquals } from "@std/assert";
import { TandemError } from "../../mod.ts";
import { type CopiesConfig, mendCopies, withCopies } from "../../src/nats/copies.ts";
import { ErrorNumber, type JetStream, RefusedRequest } from "../../src/nats/jetstream.ts";
import type { Link, Numbered } from "../../src/nats/link.ts";
import { test } from "../support/harness.ts";

/** One stream, and a link whose ticks the test makes. */
class FakeServer {
  config: CopiesConfig = withCopies({ metadata: { other: "stays" } }, 1);
  cluster: object | undefined = {};
  /** Why it refuses an update; null: it does not. */
  refusal: Error | null = null;
  readonly asked: string[] = [];
  readonly users: Set<Numbered> = new Set();
  readonly link: Link;
  readonly jetStream: JetStream;

  constructor() {
    const byNumber: Numbered[] = [];
    const link: Pick<Link, "isUp" | "add" | "remove"> = {
      isUp: true,
      add: (user) => {
        this.users.add(user);
        return byNumber.push(user) - 1;
      },
      remove: (number) => void this.users.delete(byNumber[number]!),
    };
    this.link = link as Link;
    const jetStream: Pick<JetStream, "ask"> = {
      ask: async (subject, question) => {
        this.asked.push(subject);
        await Promise.resolve();
        if (subject === "STREAM.UPDATE.S") {
          if (this.refusal) throw this.refusal;
          this.config = question as CopiesConfig;
        }
        return { config: this.config, cluster: this.cluster };
      },
    };
    this.jetStream = jetStream as JetStream;
  }

  mend(): void {
    mendCopies(this.link, this.jetStream, "S", this);
  }

  async tick(count: number): Promise<void> {
    for (let done = 0; done < count; done++) {
      for (const user of [...this.users]) user.tick?.();
      // What a try awaits is settled by then.
      for (let turns = 0; turns < 8; turns++) await Promise.resolve();
    }
  }

  get updates(): number {
    return this.asked.filter((subject) => subject === "STREAM.UPDATE.S").length;
  }
}

const tooSmall = new RefusedRequest({ code: 400, err_code: ErrorNumber.noSuitablePeers });

test("copies of a stream: they are asked for until the cluster can keep them, at longer and longer intervals", async () => {
  const server = new FakeServer();
  server.refusal = tooSmall;
  server.mend();
  // Another user of the link.
  server.mend();
  assertEquals(server.users.size, 1);
  await server.tick(1);
  assertEquals(server.updates, 1);
  await server.tick(2_000);
  const { updates } = server;
  assertEquals([updates > 5, updates < 40, server.users.size], [true, true, 1], `${updates}`);
  // Another link, maybe to a server that has come back.
  for (const user of server.users) user.lost?.(new TandemError("DISCONNECTED", "on purpose"));
  server.refusal = null;
  await server.tick(256);
  const metadata = { other: "stays", "tandem-copies": "3" };
  assertEquals(server.config, { num_replicas: 3, metadata });
  assertEquals([server.users.size, server.updates], [0, updates + 1]);
  server.mend();
  assertEquals(server.users.size, 0);
});

test("copies of a stream: an operator's number stays, and so does that of a server on its own", async () => {
  const chosen: CopiesConfig[] = [
    { num_replicas: 1 },
    { num_replicas: 1, metadata: { "tandem-copies": "3" } },
    { num_replicas: 2, metadata: { "tandem-copies": "1" } },
    withCopies({}, 3),
    withCopies({}, 5),
  ];
  for (const config of chosen) {
    const server = new FakeServer();
    server.config = config;
    server.mend();
    assertEquals(server.users.size, 0, JSON.stringify(config));
    // The operator was faster than this process.
    const late = new FakeServer();
    late.mend();
    late.config = config;
    await late.tick(1);
    assertEquals([late.users.size, late.config, late.updates], [0, config, 0]);
  }
  const alone = new FakeServer();
  alone.cluster = undefined;
  alone.mend();
  assertEquals(alone.users.size, 0);
});

test("copies of a stream: who may not change it leaves it to others, for good", async () => {
  const server = new FakeServer();
  server.refusal = new TandemError("PERMISSION", "on purpose");
  server.mend();
  await server.tick(1);
  assertEquals([server.updates, server.users.size], [1, 0]);
  server.mend();
  assertEquals(server.users.size, 0);
  // A new link asks once more.
  const gone = new FakeServer();
  gone.refusal = new RefusedRequest({ code: 404, err_code: ErrorNumber.streamNotFound });
  gone.mend();
  await gone.tick(1);
  assertEquals(gone.users.size, 0);
  gone.mend();
  assertEquals(gone.users.size, 1);
});
