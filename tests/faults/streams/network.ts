/**
 * A network, in which frames may be lost or come twice. It stands for src/nats/link.ts.
 *
 * @module
 */
import { headBytes, Kind } from "../../../src/nats/nodes/frames.ts";
import { type Frame, type Process, running, sequenceOf } from "./world.ts";

export class LinkSubscription {
  readonly subject: string;
  readonly deliver: (data: Uint8Array) => void;

  constructor(subject: string, _queue: undefined, deliver: (data: Uint8Array) => void) {
    this.subject = subject;
    this.deliver = deliver;
  }
}

export class Link {
  readonly simKey = "link";
  readonly place = "the network";
  readonly obstacle = null;
  readonly maxPayload: number = 2 ** 20;
  readonly isUp = true;
  readonly subscriptions: Set<LinkSubscription> = new Set();
  readonly #process: Process = running();

  opened(): Promise<void> {
    return Promise.resolve();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  add(): number {
    return 0;
  }

  remove(): void {}
  release(): void {}

  subscribe(subscription: LinkSubscription): void {
    this.subscriptions.add(subscription);
  }

  unsubscribe(subscription: LinkSubscription): void {
    this.subscriptions.delete(subscription);
  }

  publish(subject: string, data: Uint8Array): void {
    const isBatch = data[2] === Kind.batch && sequenceOf(data.subarray(headBytes)) !== 0;
    if (isBatch) this.#process.beforePost();
    for (const wire of running().world.wires) {
      if (wire.from === this.#process) wire.frames.push({ subject, data: data.slice() });
    }
  }

  /** Takes a frame that has come. */
  take({ subject, data }: Frame): void {
    for (const each of [...this.subscriptions]) if (each.subject === subject) each.deliver(data);
  }
}

export function acquireLink(): Link {
  const link = new Link();
  running().takeFrame = (frame) => link.take(frame);
  return link;
}

/** A session's name, the same in each path. */
export function sessionOfProcess(): string {
  return `process${running().number}`;
}
