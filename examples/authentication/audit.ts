/**
 * A service that only the accounts may call. Its lines have the ids of the requests that users have made.
 *
 * @module
 */
import { serve } from "@tandem/ipc";
import { type Audit, errors } from "./api.ts";
import { checked } from "./around.ts";

const stop = new AbortController();
const notes: string[] = [];

const api: Audit = {
  note: (what) => void notes.push(what),
  quit: () => stop.abort(),
};

// In a real program, tokens come from the environment or from a file.
const around = checked(new Map([["accounts", "secret of the accounts"]]));
const { signal } = stop;
const service = serve("example-authentication-audit", api, { around, errors, signal });
// When the signal aborts, the service answers the calls in progress, and ends.
await service.finished;
console.log(`noted: ${notes.join(", ")}`);
service.unlink();
