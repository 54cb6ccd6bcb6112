/**
 * Shows the progress of the demo: a bar on a terminal, lines elsewhere.
 *
 * @module
 */
import { MultiBar, Presets } from "cli-progress";
import process from "node:process";

/** Shows the progress. */
export interface Progress {
  /** Shows how many files are done. */
  update(files: number): void;
  /** Shows an event. */
  note(text: string): void;
  /** Ends the display. May be called twice. */
  end(): void;
}

/** Shows a bar on a terminal, else a line at every ten per cent. */
export function showProgress(total: number): Progress {
  return process.stdout.isTTY ? new Bar(total) : new Lines(total);
}

class Bar implements Progress {
  // Only a `MultiBar` can print lines above itself.
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
