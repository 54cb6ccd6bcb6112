/**
 * Nodes are killed while 10,000 numbered messages of theirs are under way to each of two others, which are running,
 * busy, or stopped. These have the first so many of them without a hole, then learn of the end of the port and of the
 * node, once each, and nothing comes after that.
 *
 * @module
 */
import { check, pause, Tally } from "../pool/stage.ts";
import type { Account } from "./keeper.ts";
import { eventually, type NodeStage, type Player } from "./stage.ts";

const burst = 10_000;

/** How a flooder ends. */
const ways = ["by itself in a burst", "after a moment", "while a receiver stands still"] as const;

export async function kills(stage: NodeStage): Promise<string> {
  const { random } = stage;
  const keepers: Player[] = [];
  const ports: string[] = [];
  for (let index = 0; index < 2; index++) {
    const keeper = await stage.start(stage.runtimeOf(index), "keeper", {});
    keepers.push(keeper);
    ports.push(await keeper.hear("the port"));
  }
  const accounts = new Map<string, Account[]>();
  const tally = new Tally();
  let came = 0;
  const rounds = stage.size(200, 6);
  for (let round = 0; round < rounds; round++) {
    const flooder = await stage.start(stage.runtimeOf(round), "flooder", { keepers: ports });
    const port = await flooder.hear<string>("the port");
    const way = ways[(round + Math.floor(round / ways.length)) % ways.length]!;
    tally.add(way);
    await kill(stage, flooder, keepers, way);
    const found = await Promise.all(keepers.map((keeper) => end(keeper, port)));
    accounts.set(port, found);
    came += found.reduce((sum, { last }) => sum + last, 0);
    if (stage.plan.isFull && round % 20 === 19) console.log(`  ${round + 1} kills`);
    // So that some come with others behind them, and some after a rest.
    await pause(random.between(0, 20));
  }
  for (const [port, before] of accounts) {
    for (const [index, keeper] of keepers.entries()) {
      const now = await keeper.ask<Account>("an account", { of: port });
      check(
        JSON.stringify(now) === JSON.stringify(before[index]),
        `something came after the end of ${port}: ${JSON.stringify(now)}`,
      );
    }
  }
  for (const keeper of keepers) {
    const said = await keeper.ends();
    check(said === "", `${keeper.title} has said: ${said}`);
  }
  return `${rounds} kills (${tally}): ${came} messages have come, in order and without holes, ` +
    `and then ${rounds * 4} monitors have fired`;
}

async function kill(
  stage: NodeStage,
  flooder: Player,
  keepers: readonly Player[],
  way: typeof ways[number],
): Promise<void> {
  const { random } = stage;
  if (way === "by itself in a burst") {
    flooder.send(JSON.stringify({ burst, dieAt: random.between(1, 2 * burst) }));
    await flooder.closed;
    check(flooder.signal === "SIGKILL", `${flooder.title} ${flooder.end}`);
    return;
  }
  const stopped = way === "after a moment" ? null : random.pick(keepers);
  stopped?.deliver("SIGSTOP");
  await flooder.ask("the beginning", { burst, dieAt: null });
  await pause(random.skewed(1, 60));
  await flooder.killed();
  stopped?.deliver("SIGCONT");
}

/** Waits until a keeper knows that a flooder is dead. */
async function end(keeper: Player, port: string): Promise<Account> {
  const account = await eventually(`the end of ${port} at ${keeper.title}`, async () => {
    const account = await keeper.ask<Account>("an account", { of: port });
    return account.notices.length >= 2 ? account : null;
  });
  const { last, notices } = account;
  const expected = ["port", "node"];
  const isRight = notices.length === 2 &&
    notices.every((notice) =>
      expected.includes(notice.of) && notice.kind === "transport_error" && notice.last === last
    ) && notices[0]!.of !== notices[1]!.of;
  check(isRight, `${keeper.title} has of ${port}: ${JSON.stringify(account)}`);
  return account;
}
