/**
 * Servers of code that was replaced. `bun --hot` evaluates the modules of a program anew in the same
 * process whenever a file is saved: what the code before has opened stays open, and old code would
 * answer most calls. (Deno makes a new program in the same thread: see `begin` in `load.ts`.)
 *
 * The package is evaluated anew as well, so that each evaluation knows those before it by a registry on
 * the global object. A server replaces those of earlier evaluations on the same channel. Several
 * servers of one evaluation are there on purpose, and so are clients that a program keeps.
 *
 * @module
 */
import { backend } from "../runtime/current.ts";

/** How long handlers of code that was replaced may take to end, in milliseconds. */
export const replacedGrace = 1_000;

/** What can be replaced. */
export interface Replaceable {
  /** Ends what is served, and leaves the channel. */
  replace(): void;
}

interface Entry {
  /** The copy of the package: another one is not another evaluation. */
  readonly copy: string;
  readonly evaluation: object;
  readonly server: WeakRef<Replaceable>;
}

/** By path. */
type Registry = Map<string, Set<Entry>>;

const key = Symbol.for("@tandem/ipc servers");
const evaluation: object = {};
const copy = import.meta.url;

function registry(): Registry {
  const global = globalThis as unknown as { [key]?: Registry };
  return global[key] ??= new Map();
}

/**
 * A server is open on the channel at `path`: those of replaced code go. Returns what is to be called when
 * it is closed.
 */
export function opened(path: string, server: Replaceable): () => void {
  if (!backend().replacesCode) return () => {};
  const servers = registry().get(path) ?? new Set();
  registry().set(path, servers);
  for (const entry of [...servers]) {
    if (entry.copy !== copy || entry.evaluation === evaluation) continue;
    servers.delete(entry);
    entry.server.deref()?.replace();
  }
  const own = { copy, evaluation, server: new WeakRef(server) };
  servers.add(own);
  return () => servers.delete(own);
}
