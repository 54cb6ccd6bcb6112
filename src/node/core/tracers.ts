/**
 * Who sees the messages of a node. A node without any pays one look for each message.
 *
 * @module
 */
import { Listeners } from "../../base/listeners.ts";
import type { NodeTerms, TraceRecord } from "../options.ts";

type Tracer = (record: TraceRecord) => void;

export class Tracers {
  readonly #terms: NodeTerms;
  readonly #listeners: Listeners<TraceRecord> = new Listeners("trace");

  /** @param terms have the one of the options */
  constructor(terms: NodeTerms) {
    this.#terms = terms;
    if (terms.trace) this.#listeners.add(terms.trace);
  }

  /** @throws {TypeError} unless it is a function */
  add(tracer: Tracer): Disposable {
    const entry = this.#listeners.add(tracer);
    this.#terms.trace = (record) => this.#listeners.tell(record);
    return {
      [Symbol.dispose]: () => {
        entry[Symbol.dispose]();
        if (this.#listeners.isEmpty) this.#terms.trace = undefined;
      },
    };
  }
}
