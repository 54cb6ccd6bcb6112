/** Users' tests replace timers and clocks and move them by hand; calls still go on. */
import { assert, assertEquals } from "@std/assert";
import FakeTimers from "@sinonjs/fake-timers";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { callContext, Client, connect, serve, Server, withOptions } from "../../mod.ts";
import {
  assertRejectsCode,
  longEnough,
  newTarget,
  runtime,
  runtimes,
  test,
  text,
} from "../support/harness.ts";
import { collect, startService } from "../support/rpc_helper.ts";
import type { Api } from "../fixtures/typed.ts";

interface BunTest {
  readonly jest: { useFakeTimers(): void; useRealTimers(): void };
}

interface NodeTest {
  readonly mock: {
    readonly timers: { enable(options: { apis: readonly string[] }): void; reset(): void };
  };
}

/** Replaces the timers, and restores them. */
interface Fake {
  readonly name: string;
  install(): () => void;
}

const names = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
  "clearImmediate",
  "queueMicrotask",
] as const;

/** Throws when code uses the global functions. */
const throwing: Fake = {
  name: "functions that throw",
  install() {
    const global = globalThis as unknown as Record<string, unknown>;
    const before = names.map((name) => global[name]);
    const { now } = performance;
    const refuse = (name: string) => () => {
      throw new Error(`the global ${name} was used`);
    };
    for (const name of names) global[name] = refuse(name);
    performance.now = refuse("performance.now");
    return () => {
      names.forEach((name, index) => global[name] = before[index]);
      performance.now = now;
    };
  },
};

const sinon: Fake = {
  name: "sinon",
  install() {
    // Node looks nextTick up for its own streams: no output of a child process would arrive.
    const toNotFake = runtime === "node" ? ["nextTick" as const] : [];
    const clock = FakeTimers.install({ now: 1_000, toNotFake });
    return () => clock.uninstall();
  },
};

const fakes: Fake[] = [throwing, sinon];

if (runtime === "bun") {
  const { jest } = await import(["bun", "test"].join(":")) as BunTest;
  // They replace no function: the clock stands still.
  fakes.push({
    name: "bun:test",
    install() {
      jest.useFakeTimers();
      return () => jest.useRealTimers();
    },
  });
}

if (runtime === "node") {
  const { mock } = await import(["node", "test"].join(":")) as NodeTest;
  fakes.push({
    name: "node:test",
    install() {
      mock.timers.enable({ apis: ["setTimeout", "setInterval", "setImmediate", "Date"] });
      return () => mock.timers.reset();
    },
  });
}

async function underFakes(fake: Fake, body: () => Promise<void>): Promise<void> {
  const uninstall = fake.install();
  try {
    await body();
  } finally {
    uninstall();
  }
}

// deno-lint-ignore require-yield -- no item ever comes
async function* never(): AsyncGenerator<number> {
  await new Promise(() => {});
}

for (const fake of fakes) {
  for (const name of runtimes) {
    test(`${fake.name}, ${name} serves: calls, streams, long messages, time-outs`, async () => {
      const target = newTarget();
      void await startService(name, target);
      await underFakes(fake, async () => {
        using remote = connect<Api>(target, { timeout: 30_000 });
        assertEquals(await remote.add(1, 2), 3);
        assertEquals(await Promise.all([1, 2, 3].map((n) => remote.add(n, n))), [2, 4, 6]);
        assertEquals((await collect(remote.pieces(3, 4))).length, 4);
        assertEquals((await remote.big(3_000_000)).byteLength, 3_000_000);
        const long = new Uint8Array(3_000_000).fill(7);
        assertEquals(await remote.length(long), 3_000_000);
        // The method must print nothing: the streams of Bun's child processes use the faked functions.
        await assertRejectsCode(withOptions(remote, { timeout: 30 }).sum(never()), "TIMEOUT");
      });
    });
  }

  test(`${fake.name}: time-outs of every kind, and waiting for a channel`, async () => {
    const [target, later] = [newTarget(), newTarget()];
    await underFakes(fake, async () => {
      await using server = Server.create(target, { slots: 1 });
      using client = Client.open(target);
      assertEquals(await server.receive({ timeout: 20 }), null);
      await assertRejectsCode(client.request("x", { timeout: 20 }), "TIMEOUT");
      using call = client.sendSync("takes the only slot");
      await assertRejectsCode(client.send("y", { timeout: 20 }), "BUSY");
      await assertRejectsCode(call.get({ timeout: 20 }), "TIMEOUT");
      await assertRejectsCode(Client.connect(later, { timeout: 20 }), "TIMEOUT");
      using absent = connect<{ x(): void }>(later, { timeout: 20 });
      await assertRejectsCode(absent.x(), "NO_SERVER");
      const connecting = Client.connect(later, { timeout: 30_000 });
      await assertRejectsCode(client.request("z", { timeout: 20 }), "BUSY");
      using late = Server.create(later);
      using found = await connecting;
      assertEquals(found.servers, late.stats().servers);
    });
  });

  test(`${fake.name}: a service here, its deadlines, retries and its end`, async () => {
    const target = newTarget();
    await underFakes(fake, async () => {
      let [tries, aborted] = [0, 0];
      const api = {
        left: () => callContext()!.timeRemaining,
        async outlast(): Promise<void> {
          tries += 1;
          const { signal } = callContext()!;
          // Its deadline may have passed on the way to here.
          if (!signal.aborted) {
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          }
          aborted += 1;
        },
        async *items(): AsyncGenerator<number> {
          for (let item = 0; item < 3; item++) yield await Promise.resolve(item);
        },
      };
      await using service = serve(target, api);
      using remote = connect<typeof api>(target, { timeout: 20_000, idempotent: true });
      const left = await remote.left();
      assert(left > 0 && left <= 20_000, `${left}`);
      assertEquals(await collect(remote.items()), [0, 1, 2]);
      await longEnough(30, async (timeout) => {
        await assertRejectsCode(withOptions(remote, { timeout }).outlast(), "TIMEOUT");
        await remote.left();
        return tries > 0;
      });
      service.unlink();
      await service.close();
      assertEquals([tries, aborted], [1, 1]);
    });
  });

  test(`${fake.name}: a raw server serves`, async () => {
    const target = newTarget();
    await underFakes(fake, async () => {
      await using server = Server.create(target);
      const serving = server.serve((request) => request.text().toUpperCase(), { concurrency: 1 });
      using client = Client.open(target);
      const answers = await Promise.all(["a", "b", "c"].map((word) => client.request(word)));
      assertEquals(answers.map(text), ["A", "B", "C"]);
      server.close();
      await serving;
    });
  });
}

test("no source uses the global timers and clocks, but for the one that keeps them", () => {
  const root = fileURLToPath(new URL("../../src", import.meta.url));
  const keepers = ["runtime/timers.ts", "runtime/bun_timers.ts"];
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"));
  assert(files.length > 50 && keepers.every((name) => files.includes(name)));
  const imported = /import \{[^}]*\} from "[./a-z]*(?:timers|current)\.ts";/g;
  const found: string[] = [];
  for (const name of files.filter((name) => !keepers.includes(name))) {
    const source = readFileSync(join(root, name), "utf8");
    const own = (source.match(imported) ?? []).join();
    const code = source.replace(/\/\*[^]*?\*\/|\/\/.*$/gm, "").replace(imported, "");
    for (const global of [...names, "performance", "AbortSignal.timeout", "Date.now"]) {
      const uses = new RegExp(`\\b${global.replace(".", "\\.")}\\b`).test(code);
      if (uses && !own.includes(global)) found.push(`${name}: ${global}`);
    }
  }
  assertEquals(found, []);
});
