/**
 * Converts long bigints to bytes, the highest first, and back. The time is proportional to the length;
 * with shifts it would be proportional to its square.
 *
 * @module
 */
const digits = new TextDecoder("latin1");
/** So many bytes are exact as a number. */
const exactBytesMax = 6;

/** The bytes of a number that is not negative, without leading zeros. */
export function bytesOfBigint(value: bigint): Uint8Array<ArrayBuffer> {
  const hex = value.toString(16);
  const isOdd = hex.length & 1;
  const bytes = new Uint8Array((hex.length + isOdd) / 2);
  // The first byte may have only one digit.
  for (let at = 0; at < hex.length; at++) {
    const digit = at + isOdd;
    bytes[digit >> 1]! |= digitOf(hex.charCodeAt(at)) << (digit & 1 ? 0 : 4);
  }
  return bytes;
}

/** The number with these bytes. */
export function bigintOfBytes(bytes: Uint8Array): bigint {
  if (bytes.byteLength <= exactBytesMax) {
    // Text would take 2 µs for each of the million short ones that a message may have.
    let value = 0;
    for (let index = 0; index < bytes.byteLength; index++) value = value * 256 + bytes[index]!;
    return BigInt(value);
  }
  const hex = new Uint8Array(3 + bytes.byteLength * 2);
  // "0x0"
  hex.set([0x30, 0x78, 0x30]);
  let at = 3;
  for (let index = 0; index < bytes.byteLength; index++) {
    const byte = bytes[index]!;
    hex[at++] = codeOf(byte >> 4);
    hex[at++] = codeOf(byte & 15);
  }
  return BigInt(digits.decode(hex));
}

function digitOf(code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x57;
}

function codeOf(digit: number): number {
  return digit < 10 ? 0x30 + digit : 0x57 + digit;
}
