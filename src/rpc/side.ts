/**
 * What hosts and peers need of the end of typed calls that they belong to.
 *
 * @module
 */
import type { ErrorClasses } from "../codec/error_classes.ts";
import type { CallContext } from "./context.ts";
import type { Parcel } from "./message.ts";
import type { Limits } from "./options.ts";
import type { Announcement } from "./parcels.ts";
import type { Reads } from "./reads.ts";
import type { Claim, Writes } from "./writes.ts";

/** How long the fetching of a long message may take, and what else ends it. */
export interface FetchTerms {
  readonly timeout?: number;
  readonly signal?: AbortSignal;
}

export interface Side {
  readonly errorClasses: ErrorClasses;
  readonly limits: Limits;
  readonly isClosed: boolean;
  /** To read messages with. */
  readonly reads: Reads;
  /**
   * Begins to write one message.
   *
   * @param call in whose context its streams go on
   */
  writes(claim: Claim, call?: CallContext): Writes;
  /** A number for something that others fetch, unique among all hosts of this end. */
  nextEntry(): number;
  /**
   * Fetches a long message.
   *
   * @throws {TandemError} `TOO_LARGE` when it is longer than this side allows; `SERVER_DIED` when its
   * sender is gone
   */
  fetch(announcement: Announcement, terms: FetchTerms): Promise<Parcel>;
}
