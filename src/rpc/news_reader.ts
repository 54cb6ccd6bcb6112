/**
 * The answer to a standing request for news: see `news.ts`.
 *
 * @module
 */
import { corrupt } from "../codec/reader.ts";
import type { AnswerReader, Bytes } from "../transport/transport.ts";
import { Kind, type Reading, readMessage, readParcel } from "./message.ts";
import { type News, readNews } from "./news.ts";
import { type Announcement, readAnnouncement } from "./parcels.ts";
import type { Side } from "./side.ts";

/** Reads news, and hands it on after the read. */
export class NewsReader implements AnswerReader {
  readonly #side: Side;
  readonly #use: (news: readonly News[]) => void;
  readonly #fail: (error: unknown) => void;

  /** @param fail gets the error when there is no news, or none that can be read */
  constructor(side: Side, use: (news: readonly News[]) => void, fail: (error: unknown) => void) {
    this.#side = side;
    this.#use = use;
    this.#fail = fail;
  }

  read(bytes: Bytes, isPrivate: boolean): void {
    this.#settle(() => readMessage(this.#side.reads, bytes, isPrivate, this.#open, undefined));
  }

  fail(error: unknown): void {
    this.#fail(error);
  }

  #settle(read: () => readonly News[] | Announcement): void {
    let found: readonly News[] | Announcement;
    try {
      found = read();
    } catch (error) {
      return this.#fail(error);
    }
    if ("host" in found) this.#fetch(found);
    else this.#use(found);
  }

  readonly #open = (reading: Reading): readonly News[] | Announcement => {
    const { kind, decoder } = reading;
    if (kind === Kind.parcel) return readAnnouncement(reading);
    if (kind !== Kind.news) throw corrupt(`news has kind ${kind}`);
    const news = readNews(decoder);
    this.#side.reads.finish(reading, undefined);
    return news;
  };

  #fetch(announcement: Announcement): void {
    const { reads } = this.#side;
    this.#side.fetch(announcement, {}).then(
      (parcel) => this.#settle(() => readParcel(reads, parcel, this.#open, undefined)),
      (error) => this.#fail(error),
    );
  }
}
