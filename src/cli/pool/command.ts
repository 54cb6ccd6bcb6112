/**
 * What `tandem pool` does: it reads its settings, becomes the user that they name, and supervises.
 *
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { TandemError } from "@tandem/ipc";
import type { Context } from "../context.ts";
import { becomeUser } from "./become_user.ts";
import { PidFile, preparePidFile } from "./pid_file.ts";
import { type Flags, type Settings, settingsIn, settingsOf } from "./settings.ts";
import { supervise } from "./supervise.ts";

/** Runs a pool until a signal ends it. */
export async function runPool(
  this: Context,
  flags: Flags,
  workerName: string | undefined,
  ...args: readonly string[]
): Promise<void> {
  const settings = {
    ...(flags.conf === undefined ? {} : readConfiguration(flags.conf)),
    ...settingsOf(flags, workerName, args),
  };
  const { worker, user, group, pidFile, ...rest } = settings;
  if (worker === undefined) {
    throw new TypeError("Cannot run a pool: there is no worker file; give its path");
  }
  const file = workerUrl(worker);
  becomeUser({ user, group }, (uid, gid) => {
    if (pidFile !== undefined) preparePidFile(pidFile, uid, gid);
  });
  checkPresent(file);
  using _pidFile = pidFile === undefined ? null : new PidFile(resolve(pidFile));
  await supervise(this, file, rest);
}

/** Paths in the file are relative to its folder. */
function readConfiguration(file: string): Settings {
  let json: string;
  try {
    json = readFileSync(file, "utf8");
  } catch (error) {
    throw new TypeError(`Cannot read ${file}: ${(error as Error).message}; give another file`);
  }
  const settings = settingsIn(json, file);
  const folder = dirname(file);
  const { worker, cwd, pidFile } = settings;
  return {
    ...settings,
    ...(worker === undefined || isUrl(worker) ? {} : { worker: resolve(folder, worker) }),
    ...(cwd === undefined ? {} : { cwd: resolve(folder, cwd) }),
    ...(pidFile === undefined ? {} : { pidFile: resolve(folder, pidFile) }),
  };
}

function workerUrl(worker: string): URL {
  return isUrl(worker) ? new URL(worker) : pathToFileURL(resolve(worker));
}

function isUrl(text: string): boolean {
  return /^(?:file|https?|jsr|npm|data):/.test(text);
}

function checkPresent(file: URL): void {
  if (file.protocol !== "file:" || existsSync(file)) return;
  throw new TandemError(
    "NOT_FOUND",
    `Cannot run a pool of ${decodeURIComponent(file.pathname)}: there is no such file, or user ` +
      `${process.geteuid!()} may not read it; give the path of the worker file`,
  );
}
