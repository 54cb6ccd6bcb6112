/** Bytes that differ from position to position and from seed to seed. */
export function pattern(byteLength: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(byteLength);
  for (let index = 0; index < byteLength; index++) bytes[index] = byteAt(index, seed);
  return bytes;
}

export function isPattern(bytes: Uint8Array, byteLength: number, seed: number): boolean {
  if (bytes.byteLength !== byteLength) return false;
  for (let index = 0; index < byteLength; index++) {
    if (bytes[index] !== byteAt(index, seed)) return false;
  }
  return true;
}

function byteAt(index: number, seed: number): number {
  return Math.imul(index ^ (seed << 8), 0x9e3779b1) >>> 24;
}
