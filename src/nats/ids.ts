/**
 * Names of the ends of `nats://` targets.
 *
 * @module
 */
import { wallClock } from "../runtime/timers.ts";

let ends = 0;

/**
 * A name that no other end has: 36 hexadecimal digits and hyphens. Lists of services are sorted by it, so it begins
 * with the time: those that were started first come first, as far as the clocks of their machines agree.
 */
export function newEndId(): string {
  ends += 1;
  const time = wallClock().toString(16).padStart(12, "0");
  const count = (ends % 2 ** 16).toString(16).padStart(4, "0");
  return `${time}-${count}-${crypto.randomUUID().slice(0, 18)}`;
}
