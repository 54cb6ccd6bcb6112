/**
 * The registry as programs see it.
 *
 * @module
 */
import { type Maker, notConstructible } from "../../base/maker.ts";
import type { PortId } from "../ids.ts";
import type { Port } from "../ports/port.ts";
import type { Boards } from "./boards.ts";
import { type Claim, ClaimMaker } from "./claim.ts";
import { type ClaimRights, NearClaims } from "./claim_lock.ts";
import { RegistryCore } from "./registry_core.ts";
import type { RegistrySeam } from "./seam.ts";
import type { RegistryChange, RegistryEntry, RegistryWatch } from "./types.ts";

/**
 * What all nodes of a group know by name: values by key, in families. Each node has entries of its own, and sees those
 * of all. They go when the node closes or its process dies. {@linkcode Node.registry} is the registry.
 *
 * Two nodes may have an entry with the same key. The one that was made first shows, and when it goes, the other. A
 * {@linkcode claim} is for keys that only one may have, and shows before all other entries.
 *
 * Values are copied, as messages are. A node's own entries show at once on that node, and on others a moment
 * later: registries are for what seldom changes. All entries of a node together may take 4 MiB.
 *
 * A family is a letter, followed by any of the characters `A-Z a-z 0-9 _ :`. A key is any string but the empty one.
 *
 * @example Workers that can be found
 * ```ts
 * import { Node } from "@tandem/ipc/node";
 * import { assertEquals } from "@std/assert";
 *
 * interface Worker {
 *   double(n: number): number;
 * }
 *
 * await using node = await Node.start({ name: "docs" });
 * using worker = node.port<Worker>({ double: (n) => 2 * n });
 * node.registry.register("workers", worker, { speed: 7 });
 *
 * // Any node of the group:
 * const found = await node.registry.pick<Worker>("workers");
 * assertEquals(await node.at(found!).double(21), 42);
 * ```
 */
export class Registry {
  readonly #core: RegistryCore;

  private constructor(core: RegistryCore) {
    if (!(core instanceof RegistryCore)) throw notConstructible("Registry", "node.registry");
    this.#core = core;
  }

  /**
   * Adds an entry, or gives the one that this node has another value. The same value again is no change.
   *
   * @returns disposing it removes the entry, unless it was set again meanwhile
   * @throws {TandemError} `NOT_SERIALIZABLE`; `TOO_LARGE`; `EXISTS`: this node has claimed the key; `CLOSED`
   * @throws {TypeError} for a wrong family or key
   */
  set(family: string, key: string, value: unknown): Disposable {
    return this.#core.set(family, key, value);
  }

  /**
   * Adds an entry for a port of this node. Its key is the port's id. It goes when the port ends, at once if it has.
   *
   * @returns disposing it removes the entry, unless it was set again meanwhile
   * @throws {TandemError} as {@linkcode set}
   * @throws {TypeError} for a wrong family, or a port of another node
   */
  register(family: string, port: Port | PortId, value?: unknown): Disposable {
    return this.#core.register(family, typeof port === "string" ? port : port.id, value);
  }

  /**
   * Removes entries of this node. Those of other nodes stay. A claim of this node ends.
   *
   * @throws {TypeError} for a wrong family or key
   */
  delete(family: string, ...keys: string[]): void {
    this.#core.delete(family, keys);
  }

  /**
   * Adds an entry that no other node can claim at the same time, and neither can this one again. It does not wait: to
   * learn when the key may be free, {@linkcode watch} the family.
   *
   * @example A leader
   * ```ts
   * import { Node } from "@tandem/ipc/node";
   * import { assert, assertEquals } from "@std/assert";
   *
   * await using node = await Node.start({ name: "docs" });
   * {
   *   using leader = await node.registry.claim("roles", "leader", { since: "today" });
   *   assert(leader);
   *   assertEquals(await node.registry.claim("roles", "leader", null), null);
   * }
   * using next = await node.registry.claim("roles", "leader", null);
   * assert(next);
   * ```
   *
   * With a network, all claims of a node have one lease of `lease` milliseconds, which the node renews: a claim whose
   * process has died is free after that time, which nothing tells, so try again every few seconds; and a claim whose
   * node has lost its link for so long ends. The NATS server needs JetStream.
   *
   * @returns null: a living node has claimed it
   * @throws (rejects) {@linkcode TandemError} as {@linkcode set}, and what `new Limit` and its `acquire` throw; with a
   * network also `DISCONNECTED`, `UNSUPPORTED` (no JetStream), `PERMISSION`, `NO_SPACE`
   */
  async claim(family: string, key: string, value: unknown): Promise<Claim | null> {
    const claim = await this.#core.claim(family, key, value);
    return claim && new ClaimMaker(claim);
  }

  /**
   * A port of those that are registered in a family, a random one.
   *
   * @typeParam P the interface of the ports
   * @returns null: there is none
   * @throws (rejects) {TypeError} for a wrong family; {@linkcode TandemError} `CLOSED`
   */
  // deno-lint-ignore no-explicit-any require-await -- any interface; what it throws rejects the promise
  async pick<P = any>(family: string): Promise<PortId<P> | null> {
    return this.#core.pick(family);
  }

  /**
   * All entries of a family by their keys. The map and the values belong to the caller.
   *
   * @typeParam V the values
   * @throws (rejects) as {@linkcode pick}
   */
  // deno-lint-ignore no-explicit-any require-await -- any value; what it throws rejects the promise
  async get<V = any>(family: string): Promise<Map<string, RegistryEntry<V>>> {
    return this.#core.get(family);
  }

  /**
   * The keys of a family.
   *
   * @throws (rejects) as {@linkcode pick}
   */
  // deno-lint-ignore require-await -- what it throws rejects the promise
  async keys(family: string): Promise<string[]> {
    return this.#core.keys(family);
  }

  /**
   * The values of a family.
   *
   * @typeParam V the values
   * @throws (rejects) as {@linkcode pick}
   */
  // deno-lint-ignore no-explicit-any require-await -- any value; what it throws rejects the promise
  async values<V = any>(family: string): Promise<V[]> {
    return this.#core.values(family) as V[];
  }

  /**
   * Calls `callback` with the entries of a family, at once and whenever they have changed. It is never called within
   * `watch` itself; the first call comes also if there is no entry. Errors go to the console. A watch keeps the
   * process alive, and ends with its node.
   *
   * @typeParam V the values
   * @returns disposing it ends the watch
   * @throws {TypeError} for a wrong family or callback
   * @throws {TandemError} `CLOSED`
   */
  // deno-lint-ignore no-explicit-any -- any value
  watch<V = any>(
    family: string,
    callback: (change: RegistryChange<V>) => unknown,
  ): Disposable;
  /**
   * The same, to be asked for one by one.
   *
   * @example
   * ```ts
   * import { Node } from "@tandem/ipc/node";
   * import { assertEquals } from "@std/assert";
   *
   * await using node = await Node.start({ name: "docs" });
   * node.registry.set("colors", "red", "#f00");
   * for await (const { entries, added } of node.registry.watch<string>("colors")) {
   *   assertEquals(added, ["red"]);
   *   assertEquals(entries.get("red")?.value, "#f00");
   *   break;
   * }
   * ```
   *
   * @typeParam V the values
   * @throws {TypeError} for a wrong family
   * @throws {TandemError} `CLOSED`
   */
  // deno-lint-ignore no-explicit-any -- any value
  watch<V = any>(family: string): RegistryWatch<V>;
  watch(
    family: string,
    callback?: (change: RegistryChange) => unknown,
  ): Disposable | RegistryWatch {
    return callback === undefined ? this.#core.iterate(family) : this.#core.watch(family, callback);
  }
}

const RegistryMaker = Registry as unknown as Maker<RegistryCore, Registry>;

/** The registry of a node, as the node needs it. */
export interface NodeRegistry {
  /** What programs see. */
  readonly face: Registry;
  readonly core: RegistryCore;
  /** Takes the node's entries back. Ports see `shutdown` afterwards. */
  close(): void;
}

/** @param rights without them, claims are unique on this machine */
export function makeRegistry(
  seam: RegistrySeam,
  boards: Boards,
  rights: ClaimRights = new NearClaims(seam.terms),
): NodeRegistry {
  const core = new RegistryCore(seam, boards, rights);
  return { face: new RegistryMaker(core), core, close: () => core.close() };
}
