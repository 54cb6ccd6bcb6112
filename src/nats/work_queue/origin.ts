/**
 * What the server tells of a message from a queue: the subject at which it is acknowledged says it.
 *
 * @module
 */

/** Where and when a message was stored, and how often it was given to a service. */
export interface QueueOrigin {
  /** 1 the first time. */
  readonly deliveries: number;
  /** By the server's clock, in milliseconds since the epoch. */
  readonly storedAt: number;
}

/** `$JS.ACK`, a stream, a consumer, and five numbers; newer servers may put two tokens before the stream. */
const shortTokens = 9;
const longTokens = 11;

/** @returns null: it is no such subject */
export function readOrigin(acknowledge: string): QueueOrigin | null {
  const tokens = acknowledge.split(".");
  if (tokens[0] !== "$JS" || tokens[1] !== "ACK") return null;
  const isLong = tokens.length >= longTokens;
  if (!isLong && tokens.length !== shortTokens) return null;
  const at = isLong ? 6 : 4;
  const deliveries = Number(tokens[at]);
  const storedAt = Number(tokens[at + 3]) / 1e6;
  return deliveries >= 1 && storedAt >= 0 ? { deliveries, storedAt } : null;
}
