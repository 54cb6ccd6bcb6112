/**
 * Processes in a separate namespace of process ids, with ids that the test chooses.
 *
 * @module
 */
import { assert } from "@std/assert";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { type Child, startProgram } from "../support/harness.ts";

/** Root may; other users may if the kernel allows them a user namespace. */
const privileges: readonly (readonly string[])[] = [[], ["--user", "--map-root-user"]];

const namespaceFlags = ["--pid", "--fork", "--kill-child", "--mount-proc"];

/** The flags that make namespaces here; `null`: none work. */
const usable: readonly string[] | null = privileges.find((flags) => {
  const script = "echo 99 > /proc/sys/kernel/ns_last_pid";
  return spawnSync("unshare", [...flags, ...namespaceFlags, "sh", "-c", script]).status === 0;
}) ?? null;

/** Whether {@linkcode PidNamespace.open} works on this machine. Prints why not. */
export function hasNamespaces(): boolean {
  if (!usable) console.warn("NOT TRIED: this system does not allow namespaces of process ids");
  return usable !== null;
}

/** A namespace of process ids. It ends with the test, and so does every process in it. */
export class PidNamespace {
  /** The id of the namespace's first process outside of it. */
  readonly #first: number;

  private constructor(first: number) {
    this.#first = first;
  }

  static async open(): Promise<PidNamespace> {
    assert(usable);
    // It ends when the other end of its stdin closes, even if this process dies.
    const script = "echo ready; exec cat";
    const command = ["unshare", ...usable, ...namespaceFlags, "sh", "-c", script];
    const holder = startProgram("a namespace of process ids", command);
    await holder.expect("ready");
    const [first] = childrenOf(holder.pid);
    assert(first !== undefined);
    return new PidNamespace(first);
  }

  /** `through` of a program that has this process id in the namespace. */
  through(pid: number): readonly string[] {
    // The next process gets the next free id, and no other process starts any here.
    const script = `echo ${pid - 1} > /proc/sys/kernel/ns_last_pid && exec 3<&0 || exit
      "$@" <&3 3<&- &
      exec 3<&-
      wait $!`;
    const user = usable?.includes("--user") ? ["--user", "--preserve-credentials"] : [];
    const target = ["--target", String(this.#first), ...user, "--pid", "--mount"];
    return ["nsenter", ...target, "sh", "-c", script, "sh"];
  }
}

/** Kills a program that runs in a namespace, and waits until it is gone and its id is free. */
export async function killInside(child: Child): Promise<void> {
  process.kill(programOf(child), "SIGKILL");
  await child.exited;
}

/** The id outside of the namespace of a program that was started `through` others. */
export function programOf(child: Child): number {
  let [pid, children] = [child.pid, childrenOf(child.pid)];
  while (children[0] !== undefined) [pid, children] = [children[0], childrenOf(children[0])];
  return pid;
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter((part) => part !== "").map(Number);
}
