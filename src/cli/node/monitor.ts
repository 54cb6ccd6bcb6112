/**
 * What `tandem node monitor` does.
 *
 * @module
 */
import { TandemError } from "@tandem/ipc";
import type { Reason } from "@tandem/ipc/node";
import { keepAlive, laterForSure, now, timerMax } from "../../runtime/timers.ts";
import type { Context } from "../context.ts";
import { plain } from "../values.ts";
import { addressed, findPort, timeLeft } from "./address.ts";
import type { MonitorFlags } from "./flags.ts";
import { joinGroup } from "./guest.ts";
import { reasonText } from "./reason_text.ts";

/** Waits until a port, or a node, has ended, and writes why. */
export async function monitorPort(
  this: Context,
  flags: MonitorFlags,
  ...words: readonly string[]
): Promise<void> {
  const target = addressed(flags, words);
  if (target.rest.length > 0) {
    throw new TypeError(
      `Cannot monitor ${JSON.stringify(target.rest[0])}, too: give one port, or one --family`,
    );
  }
  const began = now();
  await using node = await joinGroup(this, flags);
  const port = await findPort(node, target, flags);
  const { promise, resolve } = Promise.withResolvers<Reason | null>();
  using _watch = node.monitor(port, resolve);
  const left = timeLeft(flags.timeout, began);
  const release = left > timerMax ? keepAlive() : laterForSure(left, () => resolve(null));
  const reason = await promise;
  release();
  if (reason === null) {
    throw new TandemError("TIMEOUT", `${port} has not ended in time; give a longer --timeout`);
  }
  await this.write(`${flags.json ? JSON.stringify(reason, plain) : reasonText(reason)}\n`);
}
