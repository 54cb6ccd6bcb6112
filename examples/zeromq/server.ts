/**
 * Statistics of texts, for clients of ZeroMQ in any language. The door listens on port 6660 of this machine, unless
 * `FRONTEND` says otherwise.
 *
 * @module
 */
import process from "node:process";
import { serve } from "@tandem/ipc";
import { ZmqDoor } from "@tandem/ipc/zmq";

const target = "example-zeromq";
const frontend = process.env["FRONTEND"] ?? "tcp://127.0.0.1:6660";
const stopped = Promise.withResolvers<void>();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** What a client gets as JSON. */
interface Statistics {
  readonly lines: number;
  readonly words: number;
  readonly longest: string;
  readonly mostFrequent: string;
}

await using service = serve(target, answer);
await using door = new ZmqDoor({ target, frontend });
await door.ready;
await stopped.promise;
await door.close();

const { answers, errors } = door.stats();
console.log(`${answers} answers, ${errors} of them an error`);
service.unlink();

/** The payload and the result pass through the door unchanged: bytes in, text or bytes out. */
function answer(payload: Uint8Array): string {
  const text = decoder.decode(payload);
  if (text !== "quit") return JSON.stringify(statisticsOf(text));
  stopped.resolve();
  return "";
}

function statisticsOf(text: string): Statistics {
  const words = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  const [mostFrequent = ""] = [...counts.keys()].sort((a, b) => counts.get(b)! - counts.get(a)!);
  const longest = words.reduce(
    (longest, word) => word.length > longest.length ? word : longest,
    "",
  );
  const lines = text.split("\n").length - 1;
  return { lines, words: words.length, longest, mostFrequent };
}
