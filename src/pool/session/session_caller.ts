/**
 * Makes the calls of a session.
 *
 * @module
 */
import type { Caller } from "../../rpc/remote.ts";
import type { CallTerms } from "../../rpc/terms.ts";
import type { SessionCore } from "./session_core.ts";

/** Releases the sessions that the program has forgotten. */
const forgotten: FinalizationRegistry<SessionCore> = new FinalizationRegistry(
  (core) => void core.close(),
);

/** Makes the calls of a session. A session is forgotten when this is. */
export class SessionCaller implements Caller {
  readonly core: SessionCore;

  constructor(core: SessionCore) {
    this.core = core;
    forgotten.register(this, core);
  }

  call(method: string, args: readonly unknown[], terms: CallTerms): unknown {
    return this.core.call(method, args, terms, this);
  }
}

/** A session, and its calls. */
export interface SessionParts {
  readonly caller: SessionCaller;
  readonly remote: object;
}
