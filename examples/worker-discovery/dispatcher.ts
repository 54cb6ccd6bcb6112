/**
 * Hands out jobs to the workers that are there, one at a time to each.
 *
 * @module
 */
import { type Node, type PortId, TandemError } from "@tandem/ipc/node";
import type { Worker } from "./worker.ts";

interface Job {
  readonly from: number;
  readonly to: number;
  readonly resolve: (count: number) => void;
  readonly reject: (error: unknown) => void;
}

export class Dispatcher implements Disposable {
  /** How many jobs went to a worker that died. */
  sentAgain = 0;
  readonly #node: Node;
  readonly #jobs: Job[] = [];
  readonly #idle: Set<PortId<Worker>> = new Set();
  readonly #watch: Disposable;

  constructor(node: Node) {
    this.#node = node;
    // First come the workers that are there, then each change.
    this.#watch = node.registry.watch("workers", ({ added, deleted }) => {
      for (const id of added) this.#idle.add(id);
      for (const id of deleted) this.#idle.delete(id);
      this.#handOut();
    });
  }

  /** Counts prime numbers, as soon as a worker is there and free. */
  count(from: number, to: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ from, to, resolve, reject });
      this.#handOut();
    });
  }

  #handOut(): void {
    for (const worker of this.#idle) {
      const job = this.#jobs.shift();
      if (!job) return;
      this.#idle.delete(worker);
      void this.#give(job, worker);
    }
  }

  /** Never rejects. */
  async #give(job: Job, worker: PortId<Worker>): Promise<void> {
    try {
      job.resolve(await this.#node.at(worker).count(job.from, job.to));
      this.#idle.add(worker);
    } catch (error) {
      if (error instanceof TandemError && error.code === "PORT_DIED") {
        // Nothing is lost: another worker gets the job. This one does not become idle again.
        this.sentAgain += 1;
        this.#jobs.unshift(job);
      } else {
        job.reject(error);
        this.#idle.add(worker);
      }
    }
    this.#handOut();
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }
}
