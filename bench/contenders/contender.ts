/**
 * What a way of calling another process has to offer to be measured: a server that echoes, and a
 * client. Each contender is a module of this folder; all are used by programs/client.ts and
 * programs/server.ts, unchanged in every runtime that they run in.
 *
 * @module
 */
import type { BlockingCall, PromiseCall } from "../lib/calling.ts";

/** One way of calling. */
export interface Contender {
  /**
   * Echoes for the rest of the process; says at which address once it can be reached. Missing where
   * the client starts its other side itself.
   */
  serve?(address: string, ready: (address: string) => void): void | Promise<void>;
  connect(address: string): Connection | Promise<Connection>;
}

/** A client's end. It has one of the two. */
export interface Connection {
  /** The call that blocks, made anew for each form and payload. */
  readonly blocking?: (form: string, bytes: number) => BlockingCall;
  readonly call?: PromiseCall;
}

/** Loads the module of a contender; the others' dependencies may be missing. */
export async function contenderNamed(name: string): Promise<Contender> {
  const module = await import(`./${name}.ts`) as { contender: Contender };
  return module.contender;
}
