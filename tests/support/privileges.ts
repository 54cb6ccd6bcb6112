/**
 * What this machine lets the tests do: other users, mounts, namespaces.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";

/** A user that nobody is, in no other run of these tests either. */
export const otherUser: number = 2_000_000_000 + process.pid % 100_000_000;

/** Starts a command as that user, who has no further rights. */
export const asOtherUser: readonly string[] = [
  "setpriv",
  `--reuid=${otherUser}`,
  `--regid=${otherUser}`,
  "--clear-groups",
  "--inh-caps=-all",
];

/** A command that the system has, and lets this process use. */
export function works(command: readonly string[]): boolean {
  const { status } = spawnSync("/usr/bin/env", command, { stdio: "ignore", timeout: 10_000 });
  return status === 0;
}

/** Why a test that needs root cannot run here; null: it can. */
export const noRoot: string | null = process.geteuid?.() === 0 ? null : "only root can";

/** Mounts a small file system over a folder, for the command alone. */
export function withMount(type: string, options: string, directory: string): readonly string[] {
  const script = 'mount -t "$1" -o "$2" "$1" "$3" && shift 3 && exec "$@"';
  return ["unshare", "-m", "sh", "-c", script, "sh", type, `mode=700,${options}`, directory];
}

/** Runs a shell command as the other user, and says whether it succeeded. */
export function otherUserCan(script: string, ...args: readonly string[]): boolean {
  const [command, ...rest] = [...asOtherUser, "sh", "-c", script, "sh", ...args];
  return spawnSync(command!, rest, { stdio: "ignore" }).status === 0;
}
