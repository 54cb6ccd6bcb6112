/**
 * The sizes of a memory target. They have the same meaning as for a channel, so that code under test meets
 * the same limits.
 *
 * @module
 */
import { checkWhole, describe } from "../base/checks.ts";
import type { ChannelOptions } from "../base/channel_options.ts";
import { TandemError } from "../errors.ts";
import { deliveriesMax, payloadBytesMax, slotsMax } from "../ffi/layout.ts";

export interface Sizes {
  readonly slots: number;
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  readonly maxDeliveries: number;
}

const limits: Readonly<Record<keyof Sizes, readonly [min: number, max: number, usual: number]>> = {
  slots: [1, slotsMax, 256],
  maxRequestBytes: [0, payloadBytesMax, 2 ** 20],
  maxResponseBytes: [0, payloadBytesMax, 2 ** 20],
  maxDeliveries: [1, deliveriesMax, 1],
};

const names = Object.keys(limits) as (keyof Sizes)[];

/** @throws {TypeError} {RangeError} for an invalid size */
export function sizesFrom(options: ChannelOptions): Sizes {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  if (options.mode !== undefined) checkWhole(options.mode, "mode", 0, 0o777);
  const entries = names.map((name) => {
    const [min, max, usual] = limits[name];
    const value = options[name];
    return [name, value === undefined ? usual : checkWhole(value, name, min, max)];
  });
  return Object.fromEntries(entries) as Sizes;
}

/**
 * @throws {TandemError} `MISMATCH` when an option differs from the existing target
 * @throws {TypeError} {RangeError} for an invalid size
 */
export function checkSizes(target: string, found: Sizes, options: ChannelOptions): void {
  sizesFrom(options);
  for (const name of names) {
    const wanted = options[name];
    if (wanted === undefined || wanted === found[name]) continue;
    throw new TandemError(
      "MISMATCH",
      `Cannot serve ${JSON.stringify(target)}: the existing target has ${name} ${found[name]}, ` +
        `but the options ask for ${wanted}; leave the option out, or unlink the target first`,
    );
  }
}
