/**
 * Numbers about a channel.
 *
 * @module
 */
/**
 * Numbers about a channel, of all its processes together, taken without stopping anyone: they may be
 * of moments that differ a little. Counts run from the making of the channel. See
 * {@linkcode ChannelHandle.stats} for an example.
 */
export interface Stats {
  /** Calls that can be in flight at once. */
  readonly slots: number;
  /** Calls in flight now. */
  readonly inFlight: number;
  /** Of these, how many no server has taken yet. */
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
   * Living participants that this handle cannot ring through the file system: their bells lie in another
   * folder, as seen from another container or with another `TANDEM_DIR`, or the last ring failed for
   * want of a right, a file or a descriptor. They are woken through the kernel's futex instead, and
   * their deaths are looked for in slices of time.
   */
  readonly unreachable: number;
}
