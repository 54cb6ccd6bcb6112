/**
 * What `at` returns: an object whose methods call a port.
 *
 * @module
 */
import { canBeOffered } from "../rpc/interface.ts";

/** Makes a call. */
export type CallPort = (method: string, args: readonly unknown[]) => Promise<unknown>;

type Method = (...args: unknown[]) => Promise<unknown>;

class RemotePort implements ProxyHandler<object> {
  readonly #text: string;
  readonly #call: CallPort;

  constructor(id: string, call: CallPort) {
    this.#text = `[Port ${id}]`;
    this.#call = call;
  }

  get(_: object, name: string | symbol): unknown {
    if (typeof name === "string" && canBeOffered(name)) {
      return ((...args) => this.#call(name, args)) satisfies Method;
    }
    return this.#local(name);
  }

  /** What printers and conversions look for: they make no call. */
  #local(name: string | symbol): unknown {
    switch (name) {
      case "toString":
      case "toLocaleString":
      case Symbol.for("nodejs.util.inspect.custom"):
      case Symbol.for("Deno.customInspect"):
        return () => this.#text;
      case Symbol.toPrimitive:
        return (hint: string) => hint === "number" ? NaN : this.#text;
      case Symbol.toStringTag:
        return "RemotePort";
    }
    return undefined;
  }

  has(_: object, name: string | symbol): boolean {
    return typeof name === "string" && canBeOffered(name);
  }

  ownKeys(): string[] {
    return [];
  }

  getOwnPropertyDescriptor(): undefined {
    return undefined;
  }

  set(): boolean {
    return false;
  }

  defineProperty(): boolean {
    return false;
  }

  deleteProperty(): boolean {
    return false;
  }

  setPrototypeOf(): boolean {
    return false;
  }
}

export function remotePort(id: string, call: CallPort): object {
  return new Proxy({}, new RemotePort(id, call));
}
