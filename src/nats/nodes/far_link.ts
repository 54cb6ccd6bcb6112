/**
 * The subjects of a group of nodes, as one of them uses them: frames go out, and those for it come in.
 *
 * @module
 */
import { report } from "../../base/guard.ts";
import { TandemError } from "../../errors.ts";
import { batchBytes } from "../../node/hall/batch.ts";
import { randomToken } from "../../node/ids.ts";
import { laterForSure } from "../../runtime/timers.ts";
import { acquireLink, type Link, LinkSubscription } from "../link.ts";
import { encodeFrame, type Frame, headBytes } from "./frames.ts";
import type { Network } from "./network.ts";

/** How long a node that starts waits for the link, in milliseconds. */
const openMilliseconds = 10_000;
/** A batch must fit into one message. */
const payloadMin = headBytes + batchBytes;

export class FarLink {
  /** Of this start of the node. */
  readonly session: string = randomToken(8);
  readonly network: Network;
  readonly #link: Link;
  readonly #subscriptions: readonly LinkSubscription[];
  /** Its place among those who hear of refused messages. */
  readonly #number: number;
  #isJoining = true;
  #refusal: PromiseWithResolvers<never> = Promise.withResolvers();
  #isReported = false;

  /**
   * @param id of the node
   * @param take gets what arrives; it may be anything
   */
  constructor(network: Network, id: string, take: (data: Uint8Array) => void) {
    this.network = network;
    this.#refusal.promise.catch(() => {});
    const subscription = (subject: string) =>
      new LinkSubscription(subject, undefined, take, (error) => this.refuse(error));
    this.#subscriptions = [subscription(network.mailboxOf(id)), subscription(network.all)];
    this.#link = acquireLink(network.link);
    this.#number = this.#link.add({
      arrived: () => {},
      refused: (subject, error) => {
        if (network.has(subject)) this.refuse(error);
      },
    });
  }

  get isUp(): boolean {
    return this.#link.isUp;
  }

  /** The longest body of a frame. */
  get maxBody(): number {
    return this.#link.maxPayload - headBytes;
  }

  /**
   * Resolves when all that is for the node arrives.
   *
   * @throws {TandemError} `PERMISSION`, `DISCONNECTED`, `UNSUPPORTED`
   */
  async open(): Promise<void> {
    await this.#opened();
    const { maxPayload, place } = this.#link;
    if (maxPayload < payloadMin) {
      throw new TandemError(
        "UNSUPPORTED",
        `Cannot use ${place} for nodes: its max_payload is ${maxPayload}, and has to be at least ${payloadMin}`,
      );
    }
    for (const each of this.#subscriptions) this.#link.subscribe(each);
    await this.#orRefused(this.#link.flush());
  }

  async #opened(): Promise<void> {
    const controller = new AbortController();
    const cancel = laterForSure(openMilliseconds, () => {
      const { place, obstacle } = this.#link;
      controller.abort(
        obstacle ?? new TandemError(
          "DISCONNECTED",
          `Cannot reach NATS (${place}): it has not answered in ${openMilliseconds} ms`,
        ),
      );
    });
    try {
      await this.#link.opened(controller.signal);
    } finally {
      cancel();
    }
  }

  /**
   * Resolves when so much time has passed, and the server has answered: what has come until then is read, however busy
   * this process is.
   *
   * @throws {TandemError} the node may not join
   */
  async answered(milliseconds: number): Promise<void> {
    await this.#orRefused(new Promise<void>((resolve) => laterForSure(milliseconds, resolve)));
    // If the link is lost, there is no answer.
    await this.#orRefused(this.#link.flush().catch(() => {}));
  }

  async #orRefused(step: Promise<void>): Promise<void> {
    await Promise.race([step, this.#refusal.promise]);
  }

  /** From now on nobody waits for a refusal. */
  joined(): void {
    this.#isJoining = false;
  }

  /** The node may not join; or the link is refused for good, or a subject is. */
  refuse(error: TandemError): void {
    if (this.#isJoining) return this.#refusal.reject(error);
    if (this.#isReported) return;
    this.#isReported = true;
    report(this, "the network of a node", error);
  }

  /** Sends a frame to one node. False: the link is lost. */
  send(
    subject: string,
    frame: Pick<Frame, "kind" | "to"> & Partial<Frame>,
  ): boolean {
    if (!this.#link.isUp) return false;
    try {
      this.#link.publish(subject, encodeFrame({ ...frame, from: this.session }));
      return true;
    } catch {
      // The link has just been lost.
      return false;
    }
  }

  /** Sends a frame to all nodes. False: the link is lost. */
  sendAll(kind: number, body?: Uint8Array): boolean {
    return this.send(this.network.all, { kind, to: "", ...(body && { body }) });
  }

  close(): void {
    for (const each of this.#subscriptions) this.#link.unsubscribe(each);
    this.#link.remove(this.#number);
    this.#link.release();
  }
}
