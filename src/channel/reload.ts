/**
 * Servers of replaced code. `bun --hot` evaluates the modules of a program again in the same process
 * whenever a file is saved. The handles of the earlier code stay open, so old code would answer most
 * calls. (Deno starts a new program in the same thread: see `begin` in `load.ts`.)
 *
 * The package is evaluated again as well, so each evaluation finds the earlier ones in a registry on the
 * global object. A server replaces the servers of earlier evaluations on the same channel. Several servers
 * of one evaluation are there on purpose, and so are clients that a program keeps.
 *
 * @module
 */
import { backend } from "../runtime/current.ts";

/** How long handlers of code that was replaced may take to end, in milliseconds. */
export const replacedGrace = 1_000;

/** A server, or a contender of a limit, that newer code can replace. */
export interface Replaceable {
  /** Ends what it does, and leaves the channel or limit. */
  replace(): void;
}

interface Entry {
  /** The copy of the package: a second copy is not another evaluation. Undefined in a bundle that is no module. */
  readonly copy: string | undefined;
  readonly evaluation: object;
  readonly server: WeakRef<Replaceable>;
}

/** The servers of each path. */
type Registry = Map<string, Set<Entry>>;

const key = Symbol.for("@tandem/ipc servers");
const evaluation: object = {};
const copy = import.meta.url as string | undefined;

function registry(): Registry {
  const global = globalThis as unknown as { [key]?: Registry };
  return global[key] ??= new Map();
}

/**
 * A server has opened the channel at `path`, or a contender the limit: this ends those of replaced code. It
 * calls the returned function when it closes.
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
