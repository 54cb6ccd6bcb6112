/**
 * The library that is made for tests (native/test_library.zig): built when it is first needed, which is
 * where the tests that load it begin.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { backend } from "../../src/runtime/current.ts";
import { type Child, eventually, processState, type Runtime, spawn } from "../harness.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** Where the library is. Zig knows whether it is up to date. */
export const testLibrary: string = build();

function build(): string {
  const own = `${repository}.tools/bin/zig`;
  const zig = existsSync(own) ? own : "zig";
  const { status, stderr } = spawnSync(zig, ["build", "test-library", "--summary", "none"], {
    cwd: repository,
    env: process.env,
    encoding: "utf8",
  });
  assertEquals(status, 0, `zig build test-library: ${stderr}`);
  return `${repository}zig-out/lib/${backend().arch}/libtandem-test.so`;
}

/** Starts fixtures/stopping.ts, with a handle that is open already where it is told to have one. */
export async function startStopping(
  runtime: Runtime,
  target: string,
  role?: "server" | "client",
): Promise<Child> {
  const child = await spawn(runtime, "stopping.ts", [target, testLibrary], {
    denoPermissions: ["--allow-ffi", "--allow-env=TANDEM_LIBRARY"],
    env: { TANDEM_LIBRARY: testLibrary },
  });
  if (role) await does(child, `open ${role}`, "open");
  return child;
}

/** Tells it something, and waits until that is done. */
export async function does(child: Child, command: string, answer: string): Promise<void> {
  child.send(command);
  await child.expect(answer);
}

/** Tells it something in the middle of which it stops. It stands still, or has yet to come there. */
export async function stopsAt(child: Child, point: string, command: string): Promise<void> {
  await does(child, `arm ${point}`, "armed");
  child.send(command);
}

/** Waits until it has stopped itself. */
export async function standsStill(child: Child): Promise<void> {
  await eventually(() => processState(child.pid).state === "T", `${child.describe()} stands still`);
}

/** What a channel's numbers are; see native/proof/ageing.zig. */
export interface Age {
  readonly generation?: bigint;
  readonly position?: bigint;
  readonly epoch?: bigint;
  readonly waitNumber?: bigint;
  readonly notifyNumber?: bigint;
  readonly joins?: bigint;
}

const library = backend().bind<{
  tandem_age(path: Uint8Array, length: number, age: BigUint64Array): number;
}>(testLibrary, {
  tandem_age: { parameters: ["buffer", "u32", "buffer"], result: "i32", cold: true },
});

/** Makes a channel that nobody has opened an old one. */
export function makeOld(
  path: string,
  { generation = 0n, position = 0n, epoch = 0n, waitNumber = 0n, notifyNumber = 0n, joins = 0n }:
    Age,
): void {
  const name = new TextEncoder().encode(path);
  const age = [generation, position, epoch, waitNumber, notifyNumber, joins];
  assertEquals(library.tandem_age(name, name.length, BigUint64Array.from(age)), 0);
}
