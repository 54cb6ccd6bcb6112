/**
 * The work of a {@linkcode Draft}.
 *
 * @module
 */
import { TandemError } from "../errors.ts";
import { cancelDraft } from "../ffi/layout.ts";
import type { CallCore } from "./call_core.ts";
import type { CallSettings, ReadingTerms } from "./call_settings.ts";
import { type Channel, checkOpen } from "./channel.ts";
import type { RequestOptions, RequestSyncOptions } from "../base/channel_options.ts";
import type { AnswerReader, Bytes, CallRef } from "./waiter.ts";

/** The client of a draft, as its drafts see it. */
export interface DraftSender {
  readonly channel: Channel;
  settings(options: RequestOptions | undefined): CallSettings;
  syncSettings(options: RequestSyncOptions | undefined): CallSettings;
  readingSettings(terms: ReadingTerms | undefined): CallSettings;
  sendDraft(ref: CallRef, length: number, settings: CallSettings): CallCore;
  postDraft(ref: CallRef, length: number): void;
  requestDraft(ref: CallRef, length: number, settings: CallSettings): Promise<Bytes>;
  readDraft(ref: CallRef, length: number, settings: CallSettings, reader: AnswerReader): void;
}

/** Frees the slots of drafts that the program has forgotten. */
const forgotten = new FinalizationRegistry<{ channel: Channel; ref: CallRef }>(
  ({ channel, ref }) => discard(channel, ref),
);

function discard(channel: Channel, { slot, low, high }: CallRef): void {
  if (!channel.isOpen) return;
  channel.native.tandem_cancel(channel.address, slot, low, high, cancelDraft);
}

/** A request that is filled in place. */
export class DraftCore {
  readonly #sender: DraftSender;
  readonly #ref: CallRef;
  readonly #length: number;
  #bytes: Bytes;
  #isUsed = false;

  constructor(sender: DraftSender, ref: CallRef, length: number) {
    this.#sender = sender;
    this.#ref = ref;
    this.#length = length;
    this.#bytes = sender.channel.memory.request(ref.slot, length);
    forgotten.register(this, { channel: sender.channel, ref }, this);
  }

  get bytes(): Bytes {
    const { channel } = this.#sender;
    // Shorter: its buffer was transferred.
    if (this.#bytes.byteLength !== this.#length && !this.#isUsed && channel.isOpen) {
      this.#bytes = channel.memory.request(this.#ref.slot, this.#length);
    }
    return this.#bytes;
  }

  /** Checks the options of a call before they use up the draft. */
  settings(options: RequestOptions | undefined): CallSettings {
    return this.#sender.settings(options);
  }

  /** As {@linkcode settings}, of a blocking form. */
  syncSettings(options: RequestSyncOptions | undefined): CallSettings {
    return this.#sender.syncSettings(options);
  }

  send(settings: CallSettings): CallCore {
    return this.#sender.sendDraft(this.#use(), this.#length, settings);
  }

  post(): void {
    this.#sender.postDraft(this.#use(), this.#length);
  }

  request(settings: CallSettings): Promise<Bytes> {
    return this.#sender.requestDraft(this.#use(), this.#length, settings);
  }

  /** As {@linkcode request}; `reader` gets the answer where it lies. */
  requestReading(terms: ReadingTerms | undefined, reader: AnswerReader): void {
    const settings = this.#sender.readingSettings(terms);
    this.#sender.readDraft(this.#use(), this.#length, settings, reader);
  }

  /** Blocks the thread until the answer is there. */
  requestSync(settings: CallSettings): Bytes {
    const call = this.send(settings);
    try {
      return call.getSync(NaN, settings.into);
    } finally {
      call.release();
    }
  }

  discard(): void {
    if (this.#isUsed) return;
    this.#isUsed = true;
    forgotten.unregister(this);
    discard(this.#sender.channel, this.#ref);
  }

  #use(): CallRef {
    checkOpen(this.#sender.channel, "draft");
    if (this.#isUsed) {
      throw new TandemError(
        "CLOSED",
        "Cannot use this draft: it was sent or discarded; allocate another one",
      );
    }
    this.#isUsed = true;
    forgotten.unregister(this);
    return this.#ref;
  }
}
