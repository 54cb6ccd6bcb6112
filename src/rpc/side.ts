/**
 * The end of typed calls as its hosts and peers see it.
 *
 * @module
 */
import type { ErrorClasses } from "../codec/error_classes.ts";
import type { Delivery, Receiver } from "../transport/transport.ts";
import type { CallContext } from "./context.ts";
import type { LotOwner } from "./lent.ts";
import type { Parcel } from "./message.ts";
import type { Limits } from "./terms.ts";
import type { Announcement } from "./parcels.ts";
import type { Reads } from "./reads.ts";
import type { Claim, Writes } from "./writes.ts";

/** The time limit of fetching a long message, and the signal that ends it. */
export interface FetchTerms {
  /** In the time of `performance.now()`. */
  readonly deadline?: number;
  readonly signal?: AbortSignal;
  /** Runs when a part has arrived. */
  readonly onPart?: () => void;
}

/** Takes a call that has arrived on a private path. Never throws. */
export type TakeCall = (delivery: Delivery, receiver: Receiver) => void;

export interface Side {
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  readonly isClosed: boolean;
  /** Takes the requests for which a host is no end: calls. Null: this end takes none. */
  readonly takeCall: TakeCall | null;
  /** Runs when the host can no longer be reached. */
  readonly onHostLost: (() => void) | null;
  /** The hooks for reading a message. */
  readonly reads: Reads;
  /**
   * Begins to write one message.
   *
   * @param call the context in which the message's streams run
   * @param owner the stream with which the message's lent values end
   */
  writes(claim: Claim, call?: CallContext, owner?: LotOwner): Writes;
  /** A number for a lent value or parcel, unique among all hosts of this end. */
  nextEntry(): number;
  /**
   * Fetches a long message.
   *
   * @throws {TandemError} `TOO_LARGE` when it is longer than this side allows; `SERVER_DIED` when its
   * sender is gone
   */
  fetch(announcement: Announcement, terms: FetchTerms): Promise<Parcel>;
}
