/**
 * Two processes race for a claim, and are killed: there are never two holders, and tokens grow. Whoever holds the claim
 * keeps writing its token into one file, so a token that comes after a greater one was written by a second holder.
 */
import { assert, assertEquals } from "@std/assert";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type Child,
  doomed,
  folder,
  present,
  type Runtime,
  runtime,
  runtimes,
  sleep,
  spawn,
  test,
} from "../support/harness.ts";
import { size, tried } from "./size.ts";

const rounds = size(24, 1_000);

/** Every runtime meets the next one. */
const other: Runtime = runtimes[(runtimes.indexOf(runtime) + 1) % runtimes.length]!;

class Claimer {
  readonly runtime: Runtime;
  readonly log: string;
  child!: Child;
  /** What it tells first: that it has the claim, or that it was refused a few times. */
  first: Promise<unknown> = Promise.resolve();
  /** Resolves when it has the claim. Null: it is not asked, or was killed. */
  claiming: Promise<Claimer> | null = null;

  constructor(runtime: Runtime, log: string) {
    this.runtime = runtime;
    this.log = log;
  }

  async start(): Promise<this> {
    this.child = await spawn(this.runtime, "node/claimer.ts", ["race", this.log], {
      // Deno lets nothing less write into /dev/shm.
      denoPermissions: ["--allow-all"],
    });
    return this;
  }

  claim(): void {
    const { child } = this;
    child.send("claim");
    this.first = doomed(child.message());
    this.claiming = doomed(
      this.first.then((told) => told === "refused" ? child.message() : told).then(() => this),
    );
  }

  async release(): Promise<void> {
    this.child.send("release");
    assertEquals(await this.child.message(), "released");
    this.claiming = null;
  }

  async killed(): Promise<void> {
    await this.child.killed();
    this.claiming = null;
  }
}

test("two processes race for a claim with kills: never two holders, and tokens grow", async () => {
  const log = join(folder(), "log");
  writeFileSync(log, "");
  const claimers = await Promise.all(
    [runtime, other].map((each) => new Claimer(each, log).start()),
  );
  let grants = 0;
  for (let round = 0; round < rounds; round++) {
    for (const claimer of claimers) claimer.claim();
    let victim: Claimer | null = null;
    if (round % 3 === 0) {
      // While they race, or just after.
      await sleep(Math.random() * 4);
      victim = present(claimers[round % 2]);
    } else {
      const holder = await Promise.race(claimers.map(({ claiming }) => claiming!));
      grants += 1;
      const other = present(claimers.find((claimer) => claimer !== holder));
      assertEquals(await other.first, "refused", "the claim has a second holder");
      if (round % 3 === 1) victim = holder;
      else await holder.release();
    }
    if (victim) {
      await victim.killed();
      await victim.start();
    }
    for (const { claiming } of claimers) {
      if (!claiming) continue;
      const holder = await claiming;
      grants += 1;
      await holder.release();
    }
  }
  const tokens = readFileSync(log, "utf8").trim().split("\n").map(BigInt);
  tokens.forEach((token, at) =>
    assert(at === 0 || token >= tokens[at - 1]!, `line ${at}: ${token}`)
  );
  assert(new Set(tokens).size >= grants, `${new Set(tokens).size} tokens of ${grants} claims`);
  tried(rounds, `rounds with ${grants} claims`);
  const files = readdirSync(folder()).filter((name) => name.includes(".claim."));
  assertEquals(files, [], "the last holder has removed the file");
  for (const { child } of claimers) await child.killed();
}, { timeout: 180_000 + rounds * 3_000 });
