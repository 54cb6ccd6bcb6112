/**
 * The arguments and the environment of this process, byte by byte as it got them. A runtime decodes them, which
 * changes what is not UTF-8, and Bun adds the variables of a file `.env`.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

type Text = string | Uint8Array;

/** The last arguments, which the runtime has decoded like this. */
export function givenArguments(decoded: readonly string[]): readonly Text[] {
  const all = readTexts("/proc/self/cmdline");
  const last = all?.slice(-decoded.length);
  const isSame = last?.length === decoded.length &&
    last.every((bytes, index) => decodes(bytes, decoded[index]!));
  return isSame ? last : decoded;
}

function decodes(bytes: Uint8Array, text: string): boolean {
  const decoded = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  // Decoders differ in how many of these they write.
  return decoded === text || (decoded.includes("\ufffd") && text.includes("\ufffd"));
}

/** The environment, `NAME=value` each. */
export function givenEnvironment(): readonly Text[] {
  return readTexts("/proc/self/environ") ??
    Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
}

/** Null: the system does not tell. */
function readTexts(file: string): Uint8Array[] | null {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch {
    return null;
  }
  const texts: Uint8Array[] = [];
  let start = 0;
  for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
    texts.push(bytes.subarray(start, end));
    start = end + 1;
  }
  return texts;
}
