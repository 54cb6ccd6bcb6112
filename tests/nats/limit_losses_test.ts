/** Each single message between a contender and its server is lost once: every attempt ends with a lock. */
import { assert, assertEquals } from "@std/assert";
import { present, test } from "../support/harness.ts";
import { allSaid, natsLimits, newNatsLimit, noNats, sees } from "../support/nats_limit.ts";
import { NatsProxy } from "../support/nats_proxy.ts";

/** As short as leases may be: what a lost message leaves behind ends with one. */
const lease = 1_000;

/** Two contenders take turns, one of them over a way that loses one message. Returns their tokens, and the messages. */
async function takeTurns(
  target: string,
  lost: number,
): Promise<{ tokens: bigint[]; seen: number }> {
  const { port, pathname } = new URL(target.replace("nats:", "http:"));
  await using way = await NatsProxy.start(Number(port));
  way.lost = lost;
  const [limit] = natsLimits(1, { lease }, `nats://${way.address}${pathname}`);
  const [other] = natsLimits(1, { lease }, target);
  const first = present(await limit!.acquire());
  const waits = other!.acquire();
  await sees(other!, 1, 1);
  first.release();
  const second = present(await waits);
  const waitsAgain = limit!.acquire();
  await sees(other!, 1, 1);
  second.release();
  const third = present(await waitsAgain);
  assert(third.isHeld);
  limit!.close();
  const last = present(await other!.acquire());
  assertEquals([last.id, other!.holders().length, other!.waiters().length], [1, 1, 0]);
  other!.close();
  await allSaid();
  return { tokens: [first, second, third, last].map(({ token }) => token), seen: way.seen };
}

test(
  "NATS limit: each single message is lost once: every attempt gets the place, with a greater token",
  async () => {
    const { seen } = await takeTurns(newNatsLimit(), 0);
    assert(seen > 20, `${seen}`);
    const runs = Array.from({ length: seen }, async (_, index) => {
      const what = `without message ${index + 1} of ${seen}`;
      try {
        const { tokens } = await takeTurns(newNatsLimit(), index + 1);
        for (const [at, token] of tokens.entries()) assert(at === 0 || token > tokens[at - 1]!);
      } catch (error) {
        throw new Error(what, { cause: error });
      }
    });
    await Promise.all(runs);
  },
  { skip: noNats },
);
