/**
 * The names of work queues: a stream of JetStream for each target whose calls are given to further services.
 *
 * @module
 */

/** The consumer that all services of a target share. */
export const consumerName = "services";

/** Where calls for the queue of a target are published. */
export function queueSubject(prefix: string, token: string): string {
  return `${prefix}.queue.${token}`;
}

/** The longest name of a stream that every file system takes. */
const nameMax = 200;

/**
 * The name of the stream. Names of streams have no dots, so a dot of the prefix becomes `_-`, and an underscore two.
 * Neither a prefix nor what becomes of it has a `=`: so no two targets have the same stream. A name that is too
 * long ends with a hash.
 */
export async function streamName(prefix: string, token: string): Promise<string> {
  const encoded = prefix.replaceAll("_", "__").replaceAll(".", "_-");
  const name = `QUEUE_${encoded}=${token}`;
  if (name.length <= nameMax) return name;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(name));
  return `${name.slice(0, nameMax - 66)}==${hex(new Uint8Array(hash))}`;
}

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
