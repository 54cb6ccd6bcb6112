/**
 * The methods of a pool's workers, as its front offers them: each passes its call on.
 *
 * @module
 */
import { TandemError } from "../../errors.ts";
import { bareName, type Callee, canBeOffered, type Offered } from "../../rpc/interface.ts";
import { everyWorker } from "../link/control.ts";

/** The workers know which methods there are, so each name has one. Those of the package stay within the machine. */
export class PassedMethods extends Map<string, Offered> {
  readonly #known: () => readonly string[];
  readonly #call: (method: string, args: readonly unknown[]) => unknown;

  /**
   * @param known the methods of the workers; none: no worker has told them yet
   * @param everywhere calls a method in every worker
   */
  constructor(
    known: () => readonly string[],
    call: (method: string, args: readonly unknown[]) => unknown,
    everywhere: (method: string, args: readonly unknown[]) => Promise<readonly unknown[]>,
  ) {
    super();
    this.#known = known;
    this.#call = call;
    const bare: Callee = (method, args) => {
      if (typeof method === "string" && Array.isArray(args) && this.#isOffered(method)) {
        return everywhere(method, args);
      }
      throw new TandemError(
        "UNKNOWN_METHOD",
        "Cannot call every worker: no worker offers such a method",
      );
    };
    this.set(everyWorker, { ...common, name: everyWorker, bare, isHidden: true });
  }

  override get(name: string): Offered | undefined {
    const found = super.get(name);
    if (found) return found;
    if (!this.#isOffered(name)) return undefined;
    const bare: Callee = (...args) => this.#call(name, args);
    const method = { ...common, name, bare };
    // The workers refuse others: callers must not fill the memory of this process with names.
    if (this.#known().includes(name)) this.set(name, method);
    return method;
  }

  #isOffered(name: string): boolean {
    return name === bareName ? this.#isBare : this.#mayBe(name);
  }

  get #isBare(): boolean {
    const known = this.#known();
    return known.length === 0 || known.includes(bareName);
  }

  #mayBe(name: string): boolean {
    return canBeOffered(name) && !name.startsWith("tandem:");
  }

  override values(): MapIterator<Offered> {
    for (const name of this.#known()) this.get(name);
    return super.values();
  }
}

const common = { self: undefined, wasRaw: false } as const;
