/**
 * What all parts of a node know of it.
 *
 * @module
 */
import { remark, textOf } from "../../base/guard.ts";
import { ErrorClasses } from "../../codec/error_classes.ts";
import { TandemError } from "../../errors.ts";
import { captureContext } from "../../runtime/context.ts";
import { FrameLimits } from "../frames.ts";
import type { NodeTerms } from "../options.ts";
import type { NodeIdentity } from "../parts.ts";
import { runDelivery } from "../ports/invocation.ts";
import { Holder } from "./holder.ts";

/** So many messages that are none are reported. */
const malformedReported = 10;

export class NodeBase {
  readonly identity: NodeIdentity;
  readonly id: string;
  readonly terms: NodeTerms;
  readonly limits: FrameLimits;
  /** The classes that thrown errors keep. */
  readonly thrownClasses: ErrorClasses;
  readonly holder: Holder = new Holder();
  /** Runs functions of the program outside of what happens to run now. */
  readonly atHome: ReturnType<typeof captureContext> = runDelivery(captureContext);
  isClosing = false;
  isClosed = false;
  /** Messages of other nodes that were none. */
  malformed = 0;

  constructor(identity: NodeIdentity, terms: NodeTerms) {
    this.identity = identity;
    this.id = identity.id;
    this.terms = terms;
    this.limits = new FrameLimits(terms.maxMessageBytes, terms.errors);
    this.thrownClasses = new ErrorClasses(terms.errors);
  }

  /** @throws {TandemError} `CLOSED` */
  checkOpen(tried: string): void {
    if (!this.isClosed) return;
    throw new TandemError("CLOSED", `Cannot ${tried}: the node ${this.id} was closed`);
  }

  /** Counts a message that is none. */
  dropMalformed(from: string, error: unknown): void {
    this.malformed += 1;
    if (this.malformed > malformedReported) return;
    remark(`the node ${this.id} has got a message of ${from} that it drops: ${textOf(error)}`);
  }
}
