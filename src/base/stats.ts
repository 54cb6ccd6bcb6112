/**
 * Numbers about a channel.
 *
 * @module
 */
/**
 * Numbers about a channel and all its processes. Taking them stops no process, so they may belong to
 * slightly different moments. Counts start when the channel is made. See {@linkcode ChannelHandle.stats}
 * for an example.
 */
export interface Stats {
  /** Calls that can be in flight at once. */
  readonly slots: number;
  /** Calls in flight now. */
  readonly inFlight: number;
  /**
   * Calls in flight that no server has taken yet. With a `nats://` target, those wait at their clients, or in the queue on
   * the server, and this is the number of calls that this service has got from the queue and has no place for yet: 0 if
   * the target has no queue (`maxDeliveries`).
   */
  readonly queued: number;
  /** Client handles that are open. */
  readonly clients: number;
  /** Server handles that are open. */
  readonly servers: number;
  /** Requests sent. */
  readonly requests: number;
  /** Answers given. */
  readonly replies: number;
  /** Calls that ended with a handler's error or with their server's death. */
  readonly failures: number;
  /** Calls cancelled or cleared. */
  readonly cancelled: number;
  /** Calls whose time ran out. */
  readonly timeouts: number;
  /** Requests handed to another server after the death of one. */
  readonly redelivered: number;
  /** Servers found dead. */
  readonly serverDeaths: number;
  /** Clients found dead. */
  readonly clientDeaths: number;
  /** Slots freed for participants that died or left. */
  readonly reclaimed: number;
  /** Sends that found no free slot. */
  readonly busy: number;
  /** Sleepers woken. */
  readonly wakeups: number;
  /** Servers asleep until a request comes. */
  readonly waitingServers: number;
  /** Clients asleep until an answer comes. */
  readonly waitingClients: number;
  /** Real memory of the channel in bytes. */
  readonly committedBytes: number;
  /** Address space of the channel in bytes. */
  readonly mappedBytes: number;
  /**
   * Living participants whose bells this handle cannot ring. Their bells lie in another folder, as seen
   * from another container or with another `TANDEM_DIR`, or the last ring failed for lack of a right, a
   * file or a descriptor. This handle wakes them through a futex instead, and checks at intervals whether
   * they have died.
   */
  readonly unreachable: number;
}

/** What only shared memory has. */
type MemoryNumbers = Pick<
  Stats,
  | "serverDeaths"
  | "clientDeaths"
  | "reclaimed"
  | "wakeups"
  | "waitingServers"
  | "waitingClients"
  | "committedBytes"
  | "mappedBytes"
  | "unreachable"
>;

/** For targets without shared memory. */
export const noMemory: MemoryNumbers = {
  serverDeaths: 0,
  clientDeaths: 0,
  reclaimed: 0,
  wakeups: 0,
  waitingServers: 0,
  waitingClients: 0,
  committedBytes: 0,
  mappedBytes: 0,
  unreachable: 0,
};
