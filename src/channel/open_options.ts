/**
 * The options of a channel that is opened, as the native side reads them.
 *
 * @module
 */
import { checkWhole, describe } from "../base/checks.ts";
import { deliveriesMax, optionsCount, payloadBytesMax, slotsMax } from "../ffi/layout.ts";
import { backend } from "../runtime/current.ts";
import type { ChannelOptions } from "../base/channel_options.ts";

/** NaN where an option was not given. */
export function encodeOptions(options: ChannelOptions, fd: number, main: number): Float64Array {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot use ${describe(options)} as options: give an object`);
  }
  const whole = (name: keyof ChannelOptions, min: number, max: number): number => {
    const value = options[name];
    return value === undefined ? NaN : checkWhole(value, name, min, max);
  };
  const encoded = new Float64Array(optionsCount);
  encoded.set([
    whole("slots", 1, slotsMax),
    whole("maxRequestBytes", 0, payloadBytesMax),
    whole("maxResponseBytes", 0, payloadBytesMax),
    whole("maxDeliveries", 1, deliveriesMax),
    whole("mode", 0, 0o777),
    fd,
    main,
    ...(backend().interruption() ?? [NaN, NaN]),
  ]);
  return encoded;
}
