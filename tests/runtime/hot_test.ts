/** Programs whose code is replaced while they run: the handles of the old code close. */
import { assertEquals } from "@std/assert";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, connect, topic } from "../../mod.ts";
import {
  type Child,
  eventually,
  folder,
  newTarget,
  type Runtime,
  runtime,
  runtimePath,
  startProgram,
  test,
} from "../support/harness.ts";
import { rejection } from "../support/rpc_helper.ts";

interface Api {
  version(): number;
  hang(): Promise<void>;
}

const limits = new URL("../../src/limit/main.ts", import.meta.url).href;
const library = new URL("../../mod.ts", import.meta.url).href;

/** Makes a program that prints `own`, its version, and the number of its save, once it runs. */
type MakeText = (version: number, target: string, save: number) => string;

/** A program that serves, each time that it is saved. */
const typed: MakeText = (version, target, save) =>
  `import { connect, serve } from ${JSON.stringify(library)};
const target = ${JSON.stringify(target)};
serve(target, { version: () => ${version}, hang: () => new Promise(() => {}) }, { slots: 8 });
// On purpose, with other options.
serve(target, { version: () => ${version}, hang: () => new Promise(() => {}) }, { concurrency: 2 });
const remote = connect(target, { timeout: 30_000 });
console.log("own", await remote.version(), ${save});
`;

const raw: MakeText = (version, target, save) =>
  `import { Client, Server } from ${JSON.stringify(library)};
const target = ${JSON.stringify(target)};
const server = Server.open(target);
void (async () => {
  for await (const request of server) request.reply("${version}");
})();
const other = Server.open(target);
void other.serve((request) => "${version}");
const client = Client.open(target);
console.log("own", new TextDecoder().decode(await client.request("x")), ${save});
`;

const subscriber: MakeText = (version, target, save) =>
  `import { topic } from ${JSON.stringify(library)};
const seen = topic(${JSON.stringify(target)}).subscribe();
console.log("own", ${version}, ${save});
void (async () => {
  for await (const _ of seen);
})();
`;

const leader: MakeText = (version, target, save) =>
  `import { Limit } from ${JSON.stringify(limits)};
const limit = new Limit(${JSON.stringify(target)});
const lock = await limit.acquire({ timeout: 10_000 });
if (!lock) process.exit(1);
console.log("own", ${version}, ${save});
`;

/** Ways to run a program so that it is replaced when it is saved. */
const modes: readonly (readonly [Runtime, string])[] = [
  ["deno", "--watch-hmr"],
  ["deno", "--watch"],
  ["bun", "--hot"],
  ["bun", "--watch"],
];
const saves = 15;

/** A program that is saved as a new version. */
class Program {
  readonly #path: string = join(folder(), `program-${Math.random().toString(36).slice(2)}.ts`);
  readonly #text: MakeText;
  readonly #target: string;
  #saves = 0;
  readonly child: Child;

  constructor(runtime: Runtime, flag: string, text: MakeText, target: string) {
    this.#text = text;
    this.#target = target;
    this.write(0);
    const flags = runtime === "deno" ? ["run", "-A", "--quiet", flag] : [flag];
    const command = [runtimePath(runtime), ...flags, "--no-clear-screen", this.#path];
    this.child = startProgram(`${runtime} ${flag}`, command, { NO_COLOR: "1" });
  }

  /** Resolves when that version runs. */
  async save(version: number): Promise<void> {
    if (version > 0) this.write(version);
    // Again: Deno may miss a save right after the start. Each time later, because a save ends a start that is slow.
    let again: ReturnType<typeof setTimeout> | undefined;
    const writeAfter = (milliseconds: number) => {
      again = setTimeout(() => {
        this.write(version);
        writeAfter(2 * milliseconds);
      }, milliseconds);
    };
    writeAfter(1_500);
    try {
      // A save may be seen as two. The newest one counts: it ends what runs before it.
      while (await this.child.line() !== `own ${version} ${this.#saves}`);
    } finally {
      clearTimeout(again);
    }
  }

  /** In place: not every runtime watches a file that was renamed over the old one. */
  write(version: number): void {
    this.#saves += 1;
    writeFileSync(this.#path, this.#text(version, this.#target, this.#saves));
  }
}

for (const [name, flag] of modes.filter(([name]) => name === runtime)) {
  test(
    `${name} ${flag}: after ${saves} saves the newest services answer, and no call hangs`,
    async () => {
      const target = newTarget();
      const program = new Program(name, flag, typed, target);
      await program.save(0);
      using client = Client.open(target);
      using remote = connect<Api>(target, { timeout: 50_000 });
      const old = rejection(remote.hang());
      assertEquals(await remote.version(), 0);
      for (let version = 1; version <= saves; version++) {
        await program.save(version);
        await eventually(() => client.servers === 2, `two services, after save ${version}`);
        for (let round = 0; round < 4; round++) assertEquals(await remote.version(), version);
      }
      // It was created before the first save.
      assertEquals((await old as Error & { code?: string }).code, "SERVER_DIED");
    },
    { timeout: 600_000 },
  );

  test(`${name} ${flag}: only the newest code subscribes`, async () => {
    const target = newTarget();
    const program = new Program(name, flag, subscriber, target);
    using numbers = topic<number>(target);
    for (let version = 0; version <= 2; version++) {
      await program.save(version);
      await eventually(() => numbers.publish(version) === 1, `one, after save ${version}`);
    }
  });

  test(`${name} ${flag}: the newest code gets the lock of the code before it`, async () => {
    const program = new Program(name, flag, leader, newTarget());
    for (let version = 0; version <= 2; version++) await program.save(version);
  });

  test(`${name} ${flag}: raw servers are replaced as well`, async () => {
    const target = newTarget();
    const program = new Program(name, flag, raw, target);
    await program.save(0);
    using client = Client.open(target);
    for (let version = 1; version <= 4; version++) {
      await program.save(version);
      await eventually(() => client.servers === 2, `two servers, after save ${version}`);
      const answers = await Promise.all([1, 2, 3, 4].map(() => client.request("x")));
      for (const answer of answers) assertEquals(new TextDecoder().decode(answer), `${version}`);
    }
  });
}

test("bun --hot: a service and a remote on the global object go on", async () => {
  const target = newTarget();
  const text: MakeText = (version, target, save) =>
    `import { connect, serve } from ${JSON.stringify(library)};
const target = ${JSON.stringify(target)};
globalThis.service ??= serve(target, { version: () => ${version} });
globalThis.remote ??= connect(target, { timeout: 30_000 });
if (await globalThis.remote.version() === 0) console.log("own", ${version}, ${save});
`;
  const program = new Program("bun", "--hot", text, target);
  for (let version = 0; version < 3; version++) {
    await program.save(version);
  }
});
