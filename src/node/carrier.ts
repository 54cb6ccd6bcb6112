/**
 * What nodes need of whatever carries their messages to other nodes. All else (ports, monitors, calls) is
 * above it and knows no memory, file or socket.
 *
 * @module
 */

/** A node as others see it. */
export interface NodeInfo {
  readonly id: string;
  readonly name: string;
  readonly pid: number;
  /** "deno", "bun" or "node". */
  readonly runtime: string;
}

/** Carries messages to other nodes. */
export interface Carrier {
  /**
   * Appends a message to the stream towards a node. Copies the bytes before it returns; never throws for a
   * node that is gone. False: no living node has this id (now); nothing was sent. Never called for the own
   * node.
   *
   * @param isAwaited an answer to this message may come at once, and something waits for it
   */
  send(node: string, message: Uint8Array, isAwaited?: boolean): boolean;
  /** What waits in this process for that node. */
  queued(node: string): { messages: number; bytes: number };
  /**
   * Resolves true when the stream towards a node has room (below half of its bound), false when the node is
   * gone.
   */
  whenRoom(node: string, signal?: AbortSignal): Promise<boolean>;
  isUp(node: string): boolean;
  /** The others, in order of joining. */
  nodes(): readonly NodeInfo[];
  /** Says farewell, sends what waits (bounded time), leaves. */
  close(): Promise<void>;
}

/** What a carrier tells its node. */
export interface CarrierListener {
  /**
   * In the order in which the other node sent them, without holes until `lost`. The bytes are valid during
   * the call only.
   */
  received(node: string, message: Uint8Array): void;
  up(node: NodeInfo): void;
  /**
   * The node has gone; all messages that it has sent and that arrived came before. Once per node.
   *
   * @param farewell it said good-bye
   */
  down(node: NodeInfo, farewell: boolean, message: string): void;
  /**
   * The stream from or to a node was cut while the node lives: messages are lost, a new stream begins.
   *
   * @param kind "overflow": our queue towards it exceeded its bound, or it says so of its own queue towards us
   */
  lost(node: NodeInfo, kind: "overflow" | "transport_error", message: string): void;
}
