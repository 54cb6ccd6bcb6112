/**
 * Locks of tests: their names, and requests that are held until the test says so.
 *
 * @module
 */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { atEnd } from "./harness.ts";
import { targetOf } from "../../src/limit/lock_names.ts";

/** What a lock of the specification has. */
export interface WebLock {
  readonly name: string;
  readonly mode: string;
}

/** The specification's LockManager, as its tests use it: with wrong arguments, too. */
export interface WebLocks {
  // deno-lint-ignore no-explicit-any
  request(...args: any[]): Promise<any>;
  query(): Promise<{ held?: WebLockInfo[]; pending?: WebLockInfo[] }>;
}

/** What a snapshot of the specification has of each request. */
export interface WebLockInfo {
  readonly name?: string;
  readonly mode?: string;
  readonly clientId?: string;
}

/** The files of the claims and of the ids of a group of nodes. */
export function locksOfGroup(group: string): string[] {
  return readdirSync(limitFolder()).filter((name) => name.startsWith(`lock__${group}.`));
}

export function removeLocksOfGroup(group: string): void {
  for (const name of locksOfGroup(group)) {
    rmSync(join(limitFolder(), name), { recursive: true, force: true });
  }
}

let names = 0;

/** The name of a lock that no other test uses. Its file goes with the test. */
export function newLockName(beginning = "test"): string {
  const name = `${beginning}-${process.pid}-${names++}`;
  forgetLock(name);
  return name;
}

/** Removes the files of a lock when the test has ended. */
export function forgetLock(name: string): void {
  const path = join(limitFolder(), `${targetOf(name)}.limit`);
  atEnd(() => {
    for (const file of [path, `${path}.bells`]) rmSync(file, { recursive: true, force: true });
    return Promise.resolve();
  });
}

/** Where limits with names are. */
export function limitFolder(): string {
  return process.env["TANDEM_DIR"] || `/dev/shm/tandem-${process.geteuid!()}`;
}

/** A request whose callback ends when the test says so. */
export interface Held {
  /** Resolves when the lock is granted. */
  readonly granted: Promise<WebLock | null>;
  /** What the request resolves to. */
  readonly result: Promise<unknown>;
  /** Lets the callback return this. */
  release(value?: unknown): void;
  /** Lets the callback reject. */
  fail(error: unknown): void;
  readonly isGranted: boolean;
}

/** Requests a lock and holds it. */
export function hold(manager: WebLocks, name: string, options: object = {}): Held {
  const granting = Promise.withResolvers<WebLock | null>();
  const end = Promise.withResolvers<unknown>();
  let isGranted = false;
  const result = manager.request(name, options, (lock: WebLock | null) => {
    isGranted = true;
    granting.resolve(lock);
    return end.promise;
  });
  // A request that fails is granted to nobody.
  result.catch((error) => granting.reject(error));
  granting.promise.catch(() => {});
  return {
    granted: granting.promise,
    result,
    release: (value) => end.resolve(value),
    fail: (error) => end.reject(error),
    get isGranted() {
      return isGranted;
    },
  };
}

/** Whether a request would get the lock at once. */
export function isFree(manager: WebLocks, name: string, mode = "exclusive"): Promise<boolean> {
  return manager.request(
    name,
    { mode, ifAvailable: true },
    (lock: WebLock | null) => lock !== null,
  );
}

/** The modes of the requests of one name, in their order. */
export async function stateOf(
  manager: WebLocks,
  name: string,
): Promise<{ held: (string | undefined)[]; pending: (string | undefined)[] }> {
  const { held = [], pending = [] } = await manager.query();
  const modes = (infos: WebLockInfo[]) =>
    infos.filter((info) => info.name === name).map(({ mode }) => mode);
  return { held: modes(held), pending: modes(pending) };
}
