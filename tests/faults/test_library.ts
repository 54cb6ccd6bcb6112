/**
 * The library for tests (native/test_library.zig): built when it is first needed, which is
 * when the tests that load it begin.
 *
 * @module
 */
import { assertEquals } from "@std/assert";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { backend } from "../../src/runtime/current.ts";
import { type Child, eventually, processState, type Runtime, spawn } from "../support/harness.ts";

const repository = fileURLToPath(new URL("../..", import.meta.url));

/** The path of the library. Zig rebuilds it if necessary. */
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

/** Starts fixtures/stopping.ts, with a handle that is already open if the caller asks for one. */
export async function startStopping(
  runtime: Runtime,
  target: string,
  role?: "server" | "client",
  env: Readonly<Record<string, string>> = {},
): Promise<Child> {
  const child = await spawn(runtime, "stopping.ts", [target, testLibrary], {
    denoPermissions: ["--allow-ffi", "--allow-env=TANDEM_LIBRARY"],
    env: { TANDEM_LIBRARY: testLibrary, ...env },
  });
  if (role) await does(child, `open ${role}`, "open");
  return child;
}

/** Sends a command, and waits until it is done. */
export async function does(child: Child, command: string, answer: string): Promise<void> {
  child.send(command);
  await child.expect(answer);
}

/** Sends a command in the middle of which the process stops. It may not have stopped yet. */
export async function stopsAt(child: Child, point: string, command: string): Promise<void> {
  await does(child, `arm ${point}`, "armed");
  child.send(command);
}

/** Waits until it has stopped itself. */
export async function standsStill(child: Child): Promise<void> {
  await eventually(() => processState(child.pid).state === "T", `${child.describe()} stands still`);
}

/** The numbers of an old channel; see native/proof/ageing.zig. */
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

/** Ages a channel that no process has open. */
export function makeOld(
  path: string,
  { generation = 0n, position = 0n, epoch = 0n, waitNumber = 0n, notifyNumber = 0n, joins = 0n }:
    Age,
): void {
  const name = new TextEncoder().encode(path);
  const age = [generation, position, epoch, waitNumber, notifyNumber, joins];
  assertEquals(library.tandem_age(name, name.length, BigUint64Array.from(age)), 0);
}
