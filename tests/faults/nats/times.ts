/**
 * How soon things go on after something was done to a server.
 *
 * @module
 */
interface Row {
  readonly what: string;
  readonly seconds: number;
  /** What it may be; undefined: it is only shown. */
  readonly bar: number | undefined;
}

export class Times {
  readonly #rows: Row[] = [];

  note(what: string, milliseconds: number, bar?: number): void {
    this.#rows.push({ what, seconds: Math.round(milliseconds / 10) / 100, bar });
  }

  print(): void {
    console.table(this.#rows);
  }

  /** @throws if one has taken too long */
  judge(): void {
    for (const { what, seconds, bar = Infinity } of this.#rows) {
      if (seconds > bar) throw new Error(`${what}: ${seconds} s, more than ${bar} s`);
    }
  }
}
