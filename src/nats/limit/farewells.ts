/**
 * What limits still have to tell the server after a release, a resize or a close.
 *
 * @module
 */
import { laterForSure } from "../../runtime/timers.ts";

/** For how long it keeps the process alive: if there is no link by then, leases tell the rest. */
const patience = 2_000;

const pending: Set<Promise<void>> = new Set();

/**
 * Runs something that nobody waits for. The process stays alive meanwhile, but not for long.
 *
 * @param action never rejects
 */
export function afterwards(action: () => Promise<void>): Promise<void> {
  const letEnd = laterForSure(patience, () => {});
  const running = action().finally(() => {
    letEnd();
    pending.delete(running);
  });
  pending.add(running);
  return running;
}

/** Resolves when limits have nothing left to tell. */
export async function limitsSettled(): Promise<void> {
  while (pending.size > 0) await Promise.all(pending);
}
