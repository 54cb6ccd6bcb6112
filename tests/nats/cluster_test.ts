/** Calls and limits over a cluster of three NATS servers, of which each is killed in turn. */
import { assert, assertEquals } from "@std/assert";
import { connect, type ErrorCode, serve, TandemError } from "../../mod.ts";
import { atEnd, eventually, present, runtime, sleep, test } from "../support/harness.ts";
import { startProcess } from "../support/limit.ts";
import { hasNats, rawConnection } from "../support/nats.ts";
import { leaderOf, newCluster } from "../support/nats_cluster.ts";
import { allSaid, natsLimits, sees } from "../support/nats_limit.ts";

const skip = hasNats ? null : "scripts/setup --tests installs a NATS server";

/** How the calls have ended that one client has made. */
interface Tally {
  begun: number;
  answered: number;
  readonly codes: Map<ErrorCode, number>;
}

test(
  "NATS cluster: each server is killed under load: every call ends, none is done twice, and calls flow again",
  async () => {
    const cluster = await newCluster();
    const done: Map<number, number> = new Map();
    const servings = [0, 0, 0];
    const services = servings.map((_, index) =>
      serve(cluster.targetOf(index, "load"), {
        async mark(id: number) {
          done.set(id, (done.get(id) ?? 0) + 1);
          servings[index]! += 1;
          await sleep(id % 4);
          return id;
        },
      })
    );
    for (const service of services) atEnd(() => service.close({ timeout: 0 }));
    await Promise.all(services.map(({ ready }) => ready));
    const targets = [0, 1, 2].map((index) => cluster.targetOf(index, "load"));
    targets.push(cluster.target("load"));
    let isOver = false;
    let lastId = 0;
    const tallies = targets.map((): Tally => ({ begun: 0, answered: 0, codes: new Map() }));
    const loops = targets.flatMap((target, index) => {
      const remote = connect<{ mark(id: number): number }>(target, { timeout: 60_000 });
      atEnd(() => Promise.resolve(remote[Symbol.dispose]()));
      const tally = tallies[index]!;
      return Array.from({ length: 16 }, async () => {
        while (!isOver) {
          const id = lastId += 1;
          tally.begun += 1;
          try {
            assertEquals(await remote.mark(id), id);
            tally.answered += 1;
            assert(done.has(id));
          } catch (error) {
            assert(error instanceof TandemError, String(error));
            tally.codes.set(error.code, (tally.codes.get(error.code) ?? 0) + 1);
            // A loop of rejections would keep the events out.
            await sleep(10);
          }
        }
      });
    });
    const allFlow = async () => {
      const answers = tallies.map(({ answered }) => answered);
      const served = [...servings];
      await eventually(
        () =>
          tallies.every(({ answered }, index) => answered >= answers[index]! + 100) &&
          servings.every((count, index) => count > served[index]!),
        "calls of all clients and to all services flow",
      );
    };
    await allFlow();
    for (const member of cluster.members) {
      await member.kill();
      await allFlow();
      member.restart();
      await cluster.joined();
    }
    isOver = true;
    await Promise.all(loops);
    for (const { begun, answered, codes } of tallies) {
      const failed = [...codes.values()].reduce((sum, count) => sum + count, 0);
      assertEquals(begun, answered + failed);
      for (const code of codes.keys()) {
        assert(["UNKNOWN_OUTCOME", "DISCONNECTED"].includes(code), code);
      }
    }
    assertEquals([...done.values()].filter((times) => times > 1), []);
  },
  { skip },
);

test(
  "NATS cluster: the leader of a limit is killed: it goes on, its tokens grow, and one holds at a time",
  async () => {
    const cluster = await newCluster();
    // Longer than this test waits: what is released while there is no leader must not wait for its lease to end.
    const lease = 600_000;
    const limits = [0, 1, 2].flatMap((index) =>
      natsLimits(1, { lease }, cluster.targetOf(index, "nightly"))
    );
    let isOver = false;
    let last = 0n;
    const turns = [0, 0, 0];
    const loops = limits.map(async (limit, index) => {
      while (!isOver) {
        const lock = present(await limit.acquire());
        assert(lock.token > last, `${lock.token} after ${last}`);
        last = lock.token;
        // Who holds the place knows of it, or has lost it by its own clock.
        assert(limits.filter(({ isHeld }) => isHeld).length <= 1, "two hold the place");
        turns[index]! += 1;
        await sleep(1);
        lock.release();
      }
    });
    for (const loop of loops) loop.catch(() => {});
    const allTakeTurns = async () => {
      const before = [...turns];
      await eventually(
        () => turns.every((count, index) => count >= before[index]! + 3),
        "all contenders get the place again",
      );
    };
    await allTakeTurns();
    const leader = await leaderOf(cluster, "KV_tandem_-limits");
    await leader.kill();
    await allTakeTurns();
    leader.restart();
    await allTakeTurns();
    isOver = true;
    await Promise.all(loops);
    for (const limit of limits) limit.close();
    await allSaid();
  },
  { skip },
);

test(
  "NATS cluster: a holder that stands still past its lease is refused afterwards",
  async () => {
    const cluster = await newCluster();
    const lease = 1_000;
    const [next] = natsLimits(1, { lease }, cluster.targetOf(0, "paused"));
    const contender = await startProcess(runtime, ["--allow-net", "--allow-env", "--allow-sys"]);
    await contender.open(cluster.targetOf(1, "paused"), { lease });
    const paused = BigInt(present((await contender.acquire()).token));
    const waits = next!.acquire();
    await sees(next!, 1, 1);
    await contender.child.stopped();
    const lock = present(await waits);
    assert(lock.token > paused);
    contender.child.kill("SIGCONT");
    assertEquals(await contender.tell({ do: "heartbeat" }), false);
    assertEquals(await contender.tell({ do: "state" }), {
      isHeld: false,
      refusal: null,
      lock: { isHeld: false, isAborted: true },
    });
    assertEquals(lock.isHeld, true);
    await contender.child.killed();
    next!.close();
    await allSaid();
  },
  { skip },
);

interface StreamInfo {
  readonly config: { readonly num_replicas: number };
  readonly cluster?: { readonly replicas?: readonly { readonly current: boolean }[] };
}

test(
  "NATS cluster: streams that were made with too few servers get their copies later, but not against an operator",
  async () => {
    const cluster = await newCluster("", 2);
    const serving = async (name: string) => {
      const api = { twice: (value: number) => 2 * value };
      const options = { maxDeliveries: 2, idempotent: ["twice"] };
      const service = serve(cluster.targetOf(0, name), api, options);
      atEnd(() => service.close({ timeout: 0 }));
      await service.ready;
      const remote = connect<typeof api>(cluster.targetOf(1, name), {
        timeout: 60_000,
        idempotent: true,
      });
      atEnd(() => Promise.resolve(remote[Symbol.dispose]()));
      assertEquals(await remote.twice(2), 4);
      return remote;
    };
    const [early] = await Promise.all([serving("early"), serving("chosen")]);
    // Contenders of two links: both mend the bucket.
    const limits = [0, 1].flatMap((index) => natsLimits(1, {}, cluster.targetOf(index, "early")));
    present(await limits[0]!.acquire()).release();
    present(await limits[1]!.acquire()).release();
    const raw = await rawConnection(cluster.members[0]!.address);
    const ask = (subject: string, question?: object) =>
      raw.ask<StreamInfo>(`STREAM.${subject}`, question, 10_000);
    const copiesOf = async (stream: string) => (await ask(`INFO.${stream}`)).config.num_replicas;
    const [queue, bucket, chosen] = [
      "QUEUE_tandem=early",
      "KV_tandem_-limits",
      "QUEUE_tandem=chosen",
    ];
    for (const stream of [queue, bucket, chosen]) assertEquals(await copiesOf(stream!), 1, stream);
    const { config } = await ask(`INFO.${chosen}`);
    await ask(`UPDATE.${chosen}`, { ...config, num_replicas: 2 });
    let isOver = false;
    const load = (async () => {
      for (let value = 0; !isOver; value++) {
        assertEquals(await early.twice(value), 2 * value);
        present(await limits[value % 2]!.acquire()).release();
      }
    })();
    load.catch(() => {});
    await cluster.members[2]!.start();
    await cluster.formed();
    for (const stream of [queue, bucket]) {
      await eventually(async () => {
        const { config, cluster } = await ask(`INFO.${stream}`);
        const others = cluster?.replicas ?? [];
        return config.num_replicas === 3 && others.length === 2 &&
          others.every(({ current }) => current);
      }, `${stream} has three copies`);
    }
    isOver = true;
    await load;
    assertEquals(await copiesOf(chosen!), 2);
    // They outlive the first server, which alone had them before.
    for (const limit of limits) limit.close();
    await allSaid();
    await cluster.members[0]!.kill();
    const [last] = natsLimits(1, {}, cluster.targetOf(2, "early"));
    present(await last!.acquire()).release();
    last!.close();
    await allSaid();
  },
  { skip },
);
