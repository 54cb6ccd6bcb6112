/**
 * Remotes whose calls go to one certain process.
 *
 * @module
 */
import { checkWhole } from "../base/checks.ts";
import { InstanceLines } from "./instance_lines.ts";
import { remoteThrough, stateOf } from "./remote.ts";

/**
 * The same remote interface, whose calls all go to the services of one process: for a session that lives
 * in that process, for example, or to ask a certain one how it is. {@linkcode services} lists the processes,
 * and a method can return its own `process.pid`.
 *
 * If that process has several services on the target, the calls go to the first one that {@linkcode
 * services} lists. A call fails at once with `NO_SERVER` if the process has none, and with `SERVER_DIED` if
 * it dies or closes before it has answered; no other service gets the call, and no call waits for the
 * process to come back. Both remotes share one connection: disposing the original closes it, disposing this
 * one does nothing.
 *
 * @example
 * ```ts
 * import { connect, instance, serve, services } from "@tandem/ipc";
 * import { assertEquals } from "@std/assert";
 *
 * let visits = 0;
 * await using service = serve("counters", { visit: () => ++visits });
 * using counters = connect<{ visit(): number }>("counters", { timeout: 5_000 });
 *
 * const [first] = await services(counters);
 * const one = instance(counters, first!.pid);
 * assertEquals([await one.visit(), await one.visit()], [1, 2]);
 * service.unlink();
 * ```
 *
 * @param remote a remote that {@linkcode connect}, {@linkcode withOptions} or this function returned
 * @param pid the process id, as that process sees it itself
 * @throws {TypeError} for a value that is no remote; {RangeError} for a number that is no process id
 */
export function instance<R extends Disposable>(remote: R, pid: number): R {
  const state = stateOf(remote, "address an instance of");
  checkWhole(pid, "pid", 1, 2 ** 32 - 1);
  const lines = new InstanceLines(state.connection.lines.main, {
    title: `process ${pid}`,
    find: (receivers) => receivers.find((receiver) => receiver.pid === pid),
  });
  const { target, options, connection } = state;
  return remoteThrough({ target, options, connection: connection.through(lines) }) as unknown as R;
}
