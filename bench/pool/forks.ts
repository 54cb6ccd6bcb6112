/**
 * A pool as programs write it by hand: child processes of `fork`, each with a number of tasks in progress.
 *
 * @module
 */
import { type ChildProcess, fork, type SerializationType } from "node:child_process";
import { fileURLToPath } from "node:url";
import { failing, type OpenPool, type PoolMode } from "./pools.ts";

/** A task on its way to a child: its id, and its number; null ends the child. */
export type Task = readonly [id: number, value: number | null];

interface Waiting {
  readonly child: ChildProcess;
  readonly resolve: (value: number) => void;
  readonly reject: (error: Error) => void;
}

const file = fileURLToPath(new URL("./fork_child.ts", import.meta.url));

export function open({ workers, options }: PoolMode): OpenPool {
  const waiting = new Map<number, Waiting>();
  const children: ChildProcess[] = [];
  let lastId = 0;
  let isClosed = false;

  const start = (): void => {
    const serialization = options?.["serialization"] as SerializationType | undefined;
    const child = fork(file, { serialization: serialization ?? "json" });
    children.push(child);
    child.on("message", ([id, value]: readonly [number, number]) => {
      waiting.get(id)?.resolve(value);
      waiting.delete(id);
    });
    child.once("exit", () => {
      children.splice(children.indexOf(child), 1);
      for (const [id, call] of waiting) {
        if (call.child !== child) continue;
        waiting.delete(id);
        call.reject(new Error("the child has ended"));
      }
      if (!isClosed) start();
    });
  };
  const send = (value: number | null): Promise<number> => {
    const id = lastId += 1;
    const child = children[id % children.length]!;
    return new Promise((resolve, reject) => {
      waiting.set(id, { child, resolve, reject });
      child.send([id, value] satisfies Task);
    });
  };

  for (let count = 0; count < workers; count++) start();
  return {
    run: send,
    crash: () => failing(send(null)),
    close: async () => {
      isClosed = true;
      await Promise.all(children.map((child) => {
        child.kill("SIGKILL");
        return new Promise((resolve) => child.once("exit", resolve));
      }));
    },
  };
}
