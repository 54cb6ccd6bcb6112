/**
 * The link of a machine to the NATS server is cut, so that nobody is told, and restored: what becomes of calls from it
 * and to it. One machine keeps its link; each of the others loses its own in another way.
 */
import { assert, assertEquals } from "@std/assert";
import { mkdtempSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { MachinePlan, MachineState, Wish } from "../fixtures/nats_machine.ts";
import {
  type Child,
  eventually,
  folder,
  newTarget,
  ownRuntime,
  type Runtime,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import { type Cut, type FarHost, NetHosts, noHosts } from "../support/net_hosts.ts";
import { poolDefaults, workerFile } from "../support/pool.ts";
import { size } from "./size.ts";

/** How each of the machines is cut off, by its name. */
const cuts: Readonly<Record<string, Cut>> = {
  silent: "both",
  unplugged: "cable",
  mute: "to the server",
  deaf: "from the server",
};
/** Beyond the time until everybody has noticed. */
const cutMilliseconds = size(0, 25_000);
const still = "still";
const names = Object.keys(cuts);
/** Who has a pool, beside the machine that keeps its link. */
const pools = [still, "silent"];

/** The server notices as well that a client has gone. */
const config = `
  ping_interval: "1s"
  ping_max: 2
  jetstream { store_dir: "FOLDER" }
`;

/** A process on a host. */
class Machine {
  readonly name: string;
  readonly host: FarHost;
  readonly cutAs: Cut;
  readonly #child: Child;

  private constructor(name: string, host: FarHost, child: Child) {
    this.name = name;
    this.host = host;
    this.cutAs = cuts[name] ?? "both";
    this.#child = child;
  }

  static async start(
    runtime: Runtime,
    host: FarHost,
    name: string,
    journal: string,
  ): Promise<Machine> {
    const plan: MachinePlan = {
      name,
      network: host.network,
      peers: name === still ? names : [still],
      pools,
      worker: workerFile("far.ts").href,
      poolOptions: poolDefaults,
      journal,
      lease: 2_000,
    };
    const child = await spawn(runtime, "nats_machine.ts", [JSON.stringify(plan)], {
      through: host.through,
      // Another memory, as on another machine.
      env: { TANDEM_DIR: mkdtempSync(join(folder(), "machine-")) },
      denoPermissions: ["-A"],
    });
    return new Machine(name, host, child);
  }

  tell<T = null>(...wish: Wish): Promise<T> {
    return this.#child.ask<T>(wish);
  }

  state(): Promise<MachineState> {
    return this.tell("state");
  }

  /** Waits until its state is as wanted. */
  async is(condition: (state: MachineState) => unknown, what: string): Promise<void> {
    let last: MachineState | undefined;
    try {
      await eventually(async () => condition(last = await this.state()), `${this.name}: ${what}`);
    } catch (error) {
      const { answered: _, ...rest } = last!;
      throw new Error(`${(error as Error).message}: ${JSON.stringify(rest)}`, { cause: error });
    }
  }

  async ended(): Promise<void> {
    await this.tell("close");
    this.#child.end();
    await this.#child.ended();
  }
}

/** How many calls of each kind had an answer. */
function oks({ load }: MachineState): number[] {
  return Object.values(load).map(({ ok = 0 }) => ok);
}

/** Every kind of call has had more answers than before, and values come again. */
function flowsSince(before: MachineState): (state: MachineState) => boolean {
  const sums = (state: MachineState) => [...oks(state), ...Object.values(state.values)];
  return (state) => sums(state).every((sum, index) => sum > sums(before)[index]!);
}

const flows = (state: MachineState) =>
  [...oks(state), ...Object.values(state.values)].every((sum) => sum > 0);

/** Single calls that were under way when the link was cut, but for those from a queue, which outlive that. */
const haveEnded = ({ single }: MachineState) =>
  Object.entries(single).every(([kind, end]) => end !== null || kind.startsWith("queued "));

/** Without its link, a machine hears at once that it has none. Calls that go through a queue may wait. */
const isRefused = ({ load, published }: MachineState) =>
  Object.entries({ ...load, published }).every(([kind, ends]) =>
    /^(?:once|again) /.test(kind) || ends["DISCONNECTED"]! > 0
  );

for (const runtime of ownRuntime) {
  test(
    `${runtime}: links are cut and restored: calls end with an answer or a code, and go on`,
    async () => {
      const journal = newTarget();
      const { near, far } = await NetHosts.open(names.length + 1, config);
      const machines = await Promise.all(
        [still, ...names].map((name, index) => Machine.start(runtime, far[index]!, name, journal)),
      );
      const [stays, ...others] = machines as [Machine, ...Machine[]];
      const all = (action: (machine: Machine) => Promise<unknown>) =>
        Promise.all(machines.map(action));
      const each = (action: (machine: Machine) => Promise<unknown>) =>
        Promise.all(others.map(action));
      await all((machine) => machine.is(flows, "all calls flow"));
      await all(async (machine) => {
        await machine.tell("hold");
        if (machine !== stays) await machine.tell("acquire", machine.name);
        const callers = machine === stays ? names.length : 1;
        await machine.is(
          ({ items, openStreams, inFlight, locks }) =>
            openStreams === callers && inFlight >= 2 * callers &&
            Object.values(items).every((count) => count > 1) &&
            (machine === stays || locks[machine.name]),
          "everything is under way",
        );
      });
      const tokens: Map<string, string> = new Map();
      await each(async (machine) => {
        const { name } = machine;
        const { token } = (await machine.state()).locks[name]!;
        tokens.set(name, token);
        assertEquals(await machine.tell("write", still, name, token), true);
      });
      for (const name of names) await stays.tell("acquire", name);

      for (const { host, cutAs } of others) host.cut(cutAs);
      await all((machine) => machine.tell("hasty", 1_000));
      await all((machine) => machine.is(haveEnded, "calls that were under way have ended"));
      await each((machine) => machine.is(isRefused, "new calls are refused"));
      await eventually(() => near.clients === 1, "the server has noticed");
      // The leases of the others are over.
      await stays.is(({ locks }) => names.every((name) => locks[name]), "has all locks");
      const { locks } = await stays.state();
      for (const name of names) {
        const { token } = locks[name]!;
        assert(BigInt(token) > BigInt(tokens.get(name)!));
        assertEquals(await stays.tell("write", still, name, token), true);
      }

      await sleep(cutMilliseconds);

      const before = new Map(
        await Promise.all(machines.map(async (one) => [one, await one.state()] as const)),
      );
      for (const { host, cutAs } of others) host.restore(cutAs);
      await all((machine) => machine.is(flowsSince(before.get(machine)!), "all calls flow again"));
      await each(async (machine) => {
        const { name } = machine;
        // Its lock was lost, whatever it thinks, and its token is refused.
        assertEquals(await machine.tell("write", still, name, tokens.get(name)!), false);
        assertEquals((await machine.state()).locks[name]!.isHeld, false);
      });
      const ends = await Promise.all(machines.map((machine) => machine.tell<MachineState>("rest")));
      checkEnds(ends);
      const lines = () => readFileSync(journal, "utf8").trimEnd().split("\n");
      checkRuns(lines(), ends);
      await all((machine) =>
        machine.is(
          (state) =>
            state.inFlight === 0 && state.openStreams === 0 && machine.host.openConnections === 1,
          "nothing is left",
        )
      );
      await eventually(() => near.clients === machines.length, "each has one connection");
      await eventually(() => {
        const all = lines();
        return pools.every((name) => all.includes(`aborted hold of ${name}`));
      }, "workers of pools hear that nobody waits for their calls");
      await all((machine) => machine.ended());
      await eventually(() => near.clients === 0, "no connection is left");
    },
    { skip: noHosts },
  );
}

/** How single calls of each kind may end; the others are never answered. */
const singleEnds: Readonly<Record<string, readonly string[]>> = {
  plain: ["UNKNOWN_OUTCOME"],
  pool: ["UNKNOWN_OUTCOME"],
  hasty: ["TIMEOUT", "UNKNOWN_OUTCOME"],
  // The answer may have been on its way to a link that was lost.
  queued: ["ok", "UNKNOWN_OUTCOME"],
  stream: ["UNKNOWN_OUTCOME", "SERVER_DIED"],
};

function checkEnds(ends: readonly MachineState[]): void {
  for (const { load, single, published } of ends) {
    for (const [kind, counts] of Object.entries({ ...load, published })) {
      for (const code of Object.keys(counts)) {
        assert(["ok", "UNKNOWN_OUTCOME", "DISCONNECTED"].includes(code), `${kind}: ${code}`);
      }
    }
    for (const [kind, end] of Object.entries(single)) {
      assert(singleEnds[kind.split(" ")[0]!]!.includes(end!), `${kind}: ${end}`);
    }
  }
  const [stays, ...others] = ends as [MachineState, ...MachineState[]];
  // Of those who must miss nothing, only the ones hear of a loss whose own link was lost.
  assertEquals(stays.strict, {});
  for (const { strict } of others) assertEquals(strict, { [still]: "DISCONNECTED" });
}

/** A call that must not run again has run once if it was answered, and once at most otherwise. */
function checkRuns(journal: readonly string[], ends: readonly MachineState[]): void {
  const runs: Map<string, number> = new Map();
  for (const key of journal) runs.set(key, (runs.get(key) ?? 0) + 1);
  for (const [key, count] of runs) {
    assert(count === 1 || key.startsWith("again "), `${key}: ${count}`);
  }
  for (const key of ends.flatMap(({ answered }) => answered)) assert(runs.has(key), key);
}
