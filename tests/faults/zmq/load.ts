/**
 * What a process of clients does, and what it reports. Clients in Python (`clients.py`) and Node (`clients.ts`)
 * understand the same plan.
 *
 * @module
 */

/** The plan of a process, as its only argument, in JSON. */
export interface LoadPlan {
  readonly endpoint: string;
  /** `req`: one call at a time. `dealer`: many at a time, each with its id as envelope. */
  readonly form: "req" | "dealer";
  /** How many clients. */
  readonly clients: number;
  /** How many calls each client has under way. */
  readonly outstanding: number;
  /** The identities of the clients begin with it; null: they choose none. */
  readonly identity: string | null;
  readonly idFrame: boolean;
  /** The ids of the calls: from the first one on. */
  readonly first: number;
  readonly calls: number;
  /** The milliseconds that a call's work takes, at random between them. */
  readonly work: readonly [from: number, to: number];
  /**
   * After how many milliseconds without an answer a client asks again over a new connection, at random between them;
   * null: never.
   */
  readonly patience: readonly [from: number, to: number] | null;
  /** What a pirate asks again for, as well as for a call without an answer: codes of errors. */
  readonly retried: readonly string[];
  readonly seed: number;
  /** Where a line is written for each call: id, how often it was asked for, and `done` or the code of its error. */
  readonly results: string;
}

/** How a call ended. */
export interface Outcome {
  readonly id: number;
  readonly attempts: number;
  /** `done`, or the code of its error. */
  readonly end: string;
}

/** @throws {Error} for a call that has ended twice, or in no known way */
export function readOutcomes(text: string): Outcome[] {
  const seen = new Set<number>();
  return text.split("\n").filter((line) => line !== "").map((line) => {
    const [id, attempts, end] = line.split(" ") as [string, string, string];
    if (seen.has(Number(id))) throw new Error(`call ${id} has ended twice`);
    if (!/^(done|[A-Z_]+)$/.test(end)) throw new Error(`call ${id} has ended as ${end}`);
    seen.add(Number(id));
    return { id: Number(id), attempts: Number(attempts), end };
  });
}
