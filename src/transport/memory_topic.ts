/**
 * Topics within one thread, for unit tests. They keep the promises of topics in shared memory.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { TopicInbox } from "./topic_inbox.ts";
import type { Bytes, Inbox, InboxTerms, TopicEnd } from "./transport.ts";

/** The readers of each topic. */
const topics: Map<string, Set<TopicInbox>> = new Map();

export class MemoryTopic implements TopicEnd {
  readonly path: string;
  #isClosed = false;

  constructor(target: string) {
    this.path = target;
  }

  publish(message: Bytes): number {
    this.#checkOpen();
    let count = 0;
    for (const inbox of topics.get(this.path) ?? []) if (inbox.offer(message)) count += 1;
    return count;
  }

  subscribe(terms: InboxTerms): Inbox {
    this.#checkOpen();
    const inboxes = topics.get(this.path) ?? new Set();
    topics.set(this.path, inboxes);
    const inbox = new TopicInbox(terms, () => {
      inboxes.delete(inbox);
      if (inboxes.size === 0 && topics.get(this.path) === inboxes) topics.delete(this.path);
    });
    inboxes.add(inbox);
    return inbox;
  }

  unlink(): boolean {
    this.#checkOpen();
    const inboxes = topics.get(this.path);
    for (const inbox of [...inboxes ?? []]) {
      inbox.finish(
        new TandemError(
          "NOT_FOUND",
          "Cannot get a value: the topic was unlinked; subscribe again",
        ),
      );
    }
    return inboxes !== undefined;
  }

  close(): void {
    this.#isClosed = true;
  }

  #checkOpen(): void {
    if (!this.#isClosed) return;
    throw new TandemError("CLOSED", "Cannot publish: the topic is closed here; open it again");
  }
}
