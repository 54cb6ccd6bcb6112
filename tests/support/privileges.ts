/**
 * The privileges that this machine gives the tests: other users, mounts, namespaces.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";

/** A user without processes, also of other runs of these tests. */
export const otherUser: number = 2_000_000_000 + process.pid % 100_000_000;

/** Starts a command as that user, without further rights. */
export const asOtherUser: readonly string[] = [
  "setpriv",
  `--reuid=${otherUser}`,
  `--regid=${otherUser}`,
  "--clear-groups",
  "--inh-caps=-all",
];

/** Whether a command succeeds on this machine. */
export function works(command: readonly string[]): boolean {
  const { status } = spawnSync("/usr/bin/env", command, { stdio: "ignore", timeout: 10_000 });
  return status === 0;
}

/** Why a test that needs root cannot run here; null: it can. */
export const noRoot: string | null = process.geteuid?.() === 0 ? null : "only root can";

/** Mounts a small file system over a folder, only for the command. */
export function withMount(type: string, options: string, directory: string): readonly string[] {
  const script = 'mount -t "$1" -o "$2" "$1" "$3" && shift 3 && exec "$@"';
  return ["unshare", "-m", "sh", "-c", script, "sh", type, `mode=700,${options}`, directory];
}

/** Runs a shell command as the other user, and returns whether it succeeded. */
export function otherUserCan(script: string, ...args: readonly string[]): boolean {
  const [command, ...rest] = [...asOtherUser, "sh", "-c", script, "sh", ...args];
  return spawnSync(command!, rest, { stdio: "ignore" }).status === 0;
}
