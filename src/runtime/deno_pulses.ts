/**
 * When a loop in Deno makes the runtime look at its sockets.
 *
 * @module
 */

/**
 * While a turn is due at once, Deno looks at sockets only every sixtieth turn, so requests of other
 * connections would wait. After this many milliseconds, a loop waits for its own bell instead of a turn.
 */
const betweenPulses = 1;
/**
 * The same where the loop did not wait for turns before: Deno has most likely slept, and looked at its sockets then. A
 * pulse takes as long as the answer after a silence.
 */
const betweenFirstPulses = 10;

/**
 * Whether a loop waits for its own bell instead of a turn.
 *
 * @param sinceLook milliseconds since Deno has looked at its sockets, as far as the loop knows
 * @param isFirst whether the loop did not wait for turns before
 */
export function needsPulse(sinceLook: number, isFirst: boolean): boolean {
  return sinceLook >= (isFirst ? betweenFirstPulses : betweenPulses);
}
