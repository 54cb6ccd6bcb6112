/**
 * A child that runs.
 *
 * @module
 */
import { describe } from "../../base/checks.ts";
import { report, textOf } from "../../base/guard.ts";
import type { Reason } from "../../errors.ts";
import { later, timerMax } from "../../runtime/timers.ts";
import type { Node } from "../node.ts";
import { Port } from "../ports/port.ts";
import { isNormal, reasonText } from "../reason.ts";
import type { Child, ChildHandle } from "./options.ts";

/** How a child has ended. */
export interface Exit {
  readonly isNormal: boolean;
  /** In words. */
  readonly text: string;
  /** If the child was a port. */
  readonly reason?: Reason;
}

export interface RunningChild {
  /** What `start` has returned. */
  readonly child: Child;
  /** Ends it. Resolves when it has ended, or when the time is over. Never rejects. */
  stop(): Promise<void>;
}

/** @param ended runs once, when the child has ended */
export function watchChild(
  node: Node,
  child: Child,
  stopTimeout: number,
  ended: (exit: Exit) => void,
): RunningChild {
  const { promise: end, resolve } = Promise.withResolvers<void>();
  let isOver = false;
  const tell = (exit: Exit) => {
    isOver = true;
    resolve();
    ended(exit);
  };
  const tellToEnd = child instanceof Port || typeof child === "string"
    ? watchPort(node, child instanceof Port ? child.id : child, tell)
    : watchHandle(child, tell);
  const stop = async (): Promise<void> => {
    if (isOver) return;
    try {
      await within(stopTimeout, Promise.all([tellToEnd(), end]));
    } catch (error) {
      report(tellToEnd, "a child of a supervisor, when closed,", error);
    }
  };
  return { child, stop };
}

function watchPort(node: Node, id: string, ended: (exit: Exit) => void): () => void {
  node.monitor(id, (reason) => {
    ended({ isNormal: isNormal(reason), text: reasonText(reason), reason });
  });
  return () => node.kill(id);
}

function watchHandle(handle: ChildHandle, ended: (exit: Exit) => void): () => unknown {
  const { finished, close } = Object(handle) as ChildHandle;
  if (typeof finished?.then !== "function" || typeof close !== "function") {
    throw new TypeError(
      `Cannot supervise ${
        describe(handle)
      }: let start() return a port, the id of a port, or an object with ` +
        "a promise named finished and a method close()",
    );
  }
  Promise.resolve(finished).then(
    () => ended({ isNormal: true, text: "it has finished" }),
    (error) => ended({ isNormal: false, text: textOf(error) }),
  );
  return () => handle.close();
}

/** @param timeout NaN: for ever */
async function within(timeout: number, promise: Promise<unknown>): Promise<void> {
  if (Number.isNaN(timeout)) return void await promise;
  let cancel!: () => void;
  const over = new Promise<void>((resolve) => {
    cancel = later(Math.min(timeout, timerMax), resolve);
  });
  try {
    await Promise.race([promise, over]);
  } finally {
    cancel();
  }
}
