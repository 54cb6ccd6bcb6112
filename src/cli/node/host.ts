/**
 * The process of one service of `tandem node run`: starts a node, and gives it to the module.
 *
 * @module
 */
import process from "node:process";
import { inspect } from "node:util";
import { Node, type PortId } from "@tandem/ipc/node";
import { keepAlive } from "../../runtime/timers.ts";
import type { Context } from "../context.ts";
import { CommandFailure, ExitCode } from "../exit_codes.ts";
import { given } from "../given.ts";
import { EndingSignals } from "../signals.ts";
import type { HostFlags } from "./flags.ts";
import { traceText } from "./guest.ts";
import { openServicePort } from "./service_port.ts";

/** What the port of a `tandem node run` hears from its services. */
export interface RunnerPort {
  /** The module has what it needs. */
  started(name: string, node: string): void;
}

/** Runs a service until a signal ends it, or it closes its node. */
export async function hostService(
  this: Context,
  { name, group, runner, trace }: HostFlags,
  module: string,
  ...args: readonly string[]
): Promise<void> {
  const release = keepAlive();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  // The second signal is for the runner, which then kills.
  using _signals = new EndingSignals(() => end());
  const node = await Node.start(given({
    name,
    group,
    trace: trace
      ? (record: Parameters<typeof traceText>[0]) =>
        // The level is that of sd-daemon(3): debug.
        this.process.stderr.write(`<7>${traceText(record)}\n`)
      : undefined,
  }));
  let code: number = ExitCode.done;
  try {
    // Ends with the node, also if the service closes it.
    openServicePort(node, name).signal.addEventListener("abort", () => end());
    const resource = await start(node, module, args);
    node.send<RunnerPort>(runner as PortId<RunnerPort>, "started", name, node.id);
    await ended;
    await dispose(resource);
  } catch (error) {
    code = ExitCode.failed;
    this.process.stderr.write(
      `${error instanceof CommandFailure ? error.message : inspect(error)}\n`,
    );
  } finally {
    await node.close();
    release();
  }
  for (const stream of [process.stdout, process.stderr]) {
    await new Promise<void>((resolve) => stream.write("", () => resolve()));
  }
  // Timers of the service must not keep its process.
  process.exit(code);
}

async function start(node: Node, address: string, args: readonly string[]): Promise<unknown> {
  const module = await import(address) as { readonly default?: unknown };
  if (typeof module.default === "function") return await module.default(node, ...args);
  throw new CommandFailure(
    `Cannot run ${address}: it has no function as its default export; ` +
      "write `export default (node: Node) => { … }`",
    ExitCode.failed,
  );
}

async function dispose(resource: unknown): Promise<void> {
  const { [Symbol.asyncDispose]: disposeLater, [Symbol.dispose]: dispose } = Object(resource) as
    & Partial<AsyncDisposable>
    & Partial<Disposable>;
  await (disposeLater ?? dispose)?.call(resource);
}
