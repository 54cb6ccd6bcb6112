/**
 * The lines of text that a worker writes to a pipe.
 *
 * @module
 */

/** A line is cut here, so that a worker that writes no line ends takes no more memory. */
const lineMax = 8_192;

/** Splits a stream of text into lines. */
export class Lines {
  readonly #take: (line: string) => void;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  add(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop()!;
    for (const line of lines) this.#take(line);
    while (this.#rest.length > lineMax) {
      this.#take(this.#rest.slice(0, lineMax));
      this.#rest = this.#rest.slice(lineMax);
    }
  }

  /** There is no more to come. */
  end(): void {
    const last = this.#rest + this.#decoder.decode();
    this.#rest = "";
    if (last !== "") this.#take(last);
  }
}

/** The last lines of a text, as many as are useful to find out why a process has ended. */
export class LastLines {
  readonly #lines: string[] = [];

  add(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > 40) this.#lines.shift();
  }

  get text(): string {
    return this.#lines.join("\n");
  }
}
