/**
 * The interface of a contender, which is a way of calling another process: a server that echoes, and a
 * client. Each contender is a module of this folder. programs/client.ts and programs/server.ts use it
 * unchanged in every runtime.
 *
 * @module
 */
import type { BlockingCall, PromiseCall } from "../lib/calling.ts";

/** One way of calling. */
export interface Contender {
  /**
   * Echoes for the rest of the process, and passes its address to `ready` once clients can connect.
   * Missing if the client starts its server itself.
   */
  serve?(address: string, ready: (address: string) => void): void | Promise<void>;
  connect(address: string): Connection | Promise<Connection>;
}

/** The client's end, with one of the two forms. */
export interface Connection {
  /** Makes the blocking call for a form and a size of the payload. */
  readonly blocking?: (form: string, bytes: number) => BlockingCall;
  readonly call?: PromiseCall;
}

/** Loads the module of one contender, because the dependencies of others may be missing. */
export async function contenderNamed(name: string): Promise<Contender> {
  const module = await import(`./${name}.ts`) as { contender: Contender };
  return module.contender;
}
