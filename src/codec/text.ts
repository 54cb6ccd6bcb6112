/**
 * Decodes UTF-8. Short texts are cached, because method names and keys repeat.
 *
 * @module
 */

// A byte order mark is a character like any other.
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

const shortBytesMax = 32;
const cacheSize = 1024;
/** The last text with each hash, only ASCII. */
const cache: (string | undefined)[] = new Array(cacheSize).fill(undefined);

/**
 * Decodes `length` bytes.
 *
 * @throws {TypeError} when they are not UTF-8
 */
export function decodeText(bytes: Uint8Array, begin: number, length: number): string {
  if (length > shortBytesMax) return strict.decode(bytes.subarray(begin, begin + length));
  let hash = length;
  let all = 0;
  const end = begin + length;
  for (let at = begin; at < end; at++) {
    const byte = bytes[at]!;
    all |= byte;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  if (all >= 0x80) return strict.decode(bytes.subarray(begin, end));
  const index = (hash ^ (hash >>> 10)) & (cacheSize - 1);
  const known = cache[index];
  if (known !== undefined && known.length === length && isSame(known, bytes, begin)) return known;
  return cache[index] = asciiText(bytes, begin, end);
}

/** Converts several characters at once, which makes fewer strings in between. */
function asciiText(bytes: Uint8Array, begin: number, end: number): string {
  let text = "";
  let at = begin;
  for (; at + 8 <= end; at += 8) {
    text += String.fromCharCode(
      bytes[at]!,
      bytes[at + 1]!,
      bytes[at + 2]!,
      bytes[at + 3]!,
      bytes[at + 4]!,
      bytes[at + 5]!,
      bytes[at + 6]!,
      bytes[at + 7]!,
    );
  }
  if (at + 4 <= end) {
    text += String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!);
    at += 4;
  }
  for (; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}

function isSame(text: string, bytes: Uint8Array, begin: number): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) !== bytes[begin + index]) return false;
  }
  return true;
}
