/**
 * Calls of ports.
 *
 * @module
 */
import { Kind } from "../frames.ts";
import { currentInvocation } from "../ports/invocation.ts";
import type { Addresses } from "./addresses.ts";
import type { NodeBase } from "./node_base.ts";
import type { Probes } from "./probes.ts";
import type { Requests } from "./requests.ts";

export class Calls {
  readonly #base: NodeBase;
  readonly #addresses: Addresses;
  readonly #requests: Requests;
  readonly #probes: Probes;

  constructor(base: NodeBase, addresses: Addresses, requests: Requests, probes: Probes) {
    this.#base = base;
    this.#addresses = addresses;
    this.#requests = requests;
    this.#probes = probes;
  }

  /** Never throws. */
  call(
    id: string,
    method: string,
    args: readonly unknown[],
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    try {
      // The promise itself: a promise of its result would settle some microtasks later.
      return this.#ask(id, method, args, timeout, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #ask(
    id: string,
    method: string,
    args: readonly unknown[],
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<unknown> {
    this.#base.checkOpen(`call ${method} of ${id}`);
    const { node, local } = this.#addresses.of(id, "call");
    signal?.throwIfAborted();
    const invocation = currentInvocation();
    const chain = invocation?.chain ?? [];
    const place = { target: id, method, node };
    const maker = this.#probes.maker(invocation);
    return this.#requests.ask(
      place,
      timeout,
      signal,
      maker,
      Kind.call,
      7,
      (encoder, number) => {
        encoder.unsigned(number);
        encoder.text(local);
        encoder.text(method);
        encoder.list("argument", args);
        encoder.list("chain", chain);
        if (Number.isNaN(timeout)) encoder.nothing();
        else encoder.value(timeout);
      },
    );
  }
}
