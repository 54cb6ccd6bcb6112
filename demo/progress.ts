/**
 * What is seen while the demo runs: a bar on a terminal, plain lines elsewhere.
 *
 * @module
 */
import { MultiBar, Presets } from "cli-progress";
import process from "node:process";

/** Shows how far the demo is. */
export interface Progress {
  /** That many files are done. */
  update(files: number): void;
  /** Something happened. */
  note(text: string): void;
  /** There is no more to show. Twice is fine. */
  end(): void;
}

/** A bar where a person watches, else a line every ten per cent. */
export function showProgress(total: number): Progress {
  return process.stdout.isTTY ? new Bar(total) : new Lines(total);
}

class Bar implements Progress {
  // It can print lines above itself, which a single bar of that library cannot.
  readonly #bars = new MultiBar(
    { format: "{bar} {percentage} %  {value} of {total} files  {duration_formatted}" },
    Presets.shades_classic,
  );
  readonly #bar;

  constructor(total: number) {
    this.#bar = this.#bars.create(total, 0);
  }

  update(files: number): void {
    this.#bar.update(files);
  }

  note(text: string): void {
    this.#bars.log(`${text}\n`);
  }

  end(): void {
    if (this.#bars.isActive) this.#bars.stop();
  }
}

class Lines implements Progress {
  readonly #total: number;
  readonly #begin: number = performance.now();
  #tenths = 0;

  constructor(total: number) {
    this.#total = total;
  }

  update(files: number): void {
    const tenths = Math.floor(files * 10 / this.#total);
    if (tenths === this.#tenths) return;
    this.#tenths = tenths;
    const seconds = (performance.now() - this.#begin) / 1e3;
    console.log(`${tenths * 10} %  ${files} of ${this.#total} files  ${seconds.toFixed(1)} s`);
  }

  note(text: string): void {
    console.log(text);
  }

  end(): void {}
}
