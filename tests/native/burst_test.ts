/** Bursts of long calls in little shared memory, such as a container's 64 MB: they wait for each other. */
import { assertEquals } from "@std/assert";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  type Child,
  fixtureCommand,
  folder,
  longEnough,
  pairs,
  type Runtime,
  runtime,
  spawn,
  test,
} from "../support/harness.ts";
import { noRoot, withMount, works } from "../support/privileges.ts";

const skip = noRoot ??
  (works([...withMount("tmpfs", "size=16k", "/mnt"), "true"]) ? null : "mounting is refused");

interface Burst {
  readonly size: string;
  readonly options?: object;
  readonly calls: number;
  readonly bytes: number;
  readonly timeout: number;
}

/** Runs service and client in a shared memory of that size, and returns the client. */
async function burst(server: Runtime, client: Runtime, what: Burst): Promise<Child> {
  const { size, options = {}, calls, bytes, timeout } = what;
  const directory = join(folder(), "memory");
  mkdirSync(directory, { recursive: true });
  const service = fixtureCommand(server, "typed.ts", ["burst", JSON.stringify(options)]);
  const numbers = [calls, bytes, timeout].map(String);
  return await spawn(client, "burst.ts", [JSON.stringify(service), ...numbers], {
    denoPermissions: ["-A"],
    env: { TANDEM_DIR: directory },
    through: withMount("tmpfs", `size=${size}`, directory),
  });
}

for (const { server, client, title } of pairs) {
  test(`${title}: 200 calls of 900 KB at once in 64 MB: all are answered`, async () => {
    const what = { size: "64m", calls: 200, bytes: 900_000, timeout: 60_000 };
    const calls = await burst(server, client, what);
    assertEquals(JSON.parse(await calls.line()), { ok: 200 });
  }, { skip });

  test(`${title}: long messages in parts, 40 at once in 64 MB: all are answered`, async () => {
    const what = { size: "64m", calls: 40, bytes: 3_000_000, timeout: 60_000 };
    const calls = await burst(server, client, what);
    assertEquals(JSON.parse(await calls.line()), { ok: 40 });
  }, { skip });
}

test(`${runtime}: little memory and few places: all calls are answered`, async () => {
  const options = { concurrency: 2 };
  const what = { size: "8m", options, calls: 60, bytes: 900_000, timeout: 60_000 };
  const calls = await burst(runtime, runtime, what);
  assertEquals(JSON.parse(await calls.line()), { ok: 60 });
}, { skip });

test(`${runtime}: no memory for a single call: NO_SPACE when its time runs out`, async () => {
  await longEnough(300, async (timeout) => {
    const what = { size: "600k", options: { slots: 4 }, calls: 3, bytes: 900_000, timeout };
    const calls = await burst(runtime, runtime, what);
    const outcomes = JSON.parse(await calls.line());
    await calls.ended();
    // One that stood still for the whole time has not looked for memory.
    if ("TIMEOUT" in outcomes) return false;
    assertEquals(outcomes, { NO_SPACE: 3 });
    return true;
  });
}, { skip });
