/**
 * A process with contenders of limits, as its parent sees it.
 *
 * @module
 */
import { TandemError } from "../../mod.ts";
import type { LimitOptions } from "../../src/limit/main.ts";
import type { AcquireOptions, Command, Event, Form } from "../fixtures/limit/commands.ts";
import type { Child } from "./processes.ts";

/** A lock as another process describes it, or why it got none. */
export interface Granted {
  readonly id?: number;
  readonly token?: string;
  readonly ticket?: number;
  readonly mode?: "exclusive" | "shared";
  readonly isHeld?: boolean;
  readonly refusal?: string | null;
  /** On the clock of the machine. */
  readonly at: number;
}

interface Answer {
  readonly n: number;
  readonly result?: unknown;
  readonly error?: { readonly code?: string; readonly name: string; readonly message: string };
}

type Distributed<T> = T extends unknown ? Omit<T, "on"> & { readonly on?: string } : never;

/** A process with contenders; see `fixtures/limit/contender.ts`. Without a name, the contender `a` is meant. */
export class Contender {
  readonly child: Child;
  #number = 0;
  readonly #waiting = new Map<
    number,
    { resolve(value: unknown): void; reject(error: unknown): void }
  >();
  #end: unknown;

  constructor(child: Child) {
    this.child = child;
    void this.#read();
  }

  get pid(): number {
    return this.child.pid;
  }

  open(target: string, options: LimitOptions = {}, on = "a", isListening = false): Promise<string> {
    return this.tell({ do: "open", on, target, options, isListening });
  }

  acquire(options: AcquireOptions = {}, form: Form = "promise", on = "a"): Promise<Granted> {
    return this.tell({ do: "acquire", on, form, options });
  }

  events(on = "a"): Promise<readonly Event[]> {
    return this.tell({ do: "events", on });
  }

  /** Resolves with the answer to the command. What a killed process has not answered rejects. */
  tell<T>(command: Distributed<Command>): Promise<T> {
    const n = this.#number += 1;
    const answer = new Promise<T>((resolve, reject) => {
      if (this.#end !== undefined) return reject(this.#end);
      this.#waiting.set(n, { resolve: resolve as (value: unknown) => void, reject });
    });
    // Many tests kill a process that waits.
    answer.catch(() => {});
    this.child.send({ on: "a", ...command, n });
    return answer;
  }

  async #read(): Promise<void> {
    try {
      while (true) {
        const { n, result, error } = await this.child.message<Answer>();
        const asker = this.#waiting.get(n);
        this.#waiting.delete(n);
        if (error) asker?.reject(asError(error));
        else asker?.resolve(result);
      }
    } catch (error) {
      this.#end = error;
      for (const { reject } of this.#waiting.values()) reject(error);
    }
  }
}

function asError({ code, message, name }: Exclude<Answer["error"], undefined>): Error {
  if (code !== undefined) return new TandemError(code as TandemError["code"], message);
  return Object.assign(new Error(message), { name });
}
