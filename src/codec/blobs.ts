/**
 * Recognizes Blobs and Files, and reads them. Users can replace the properties of the same names, and
 * subclasses their methods.
 *
 * @module
 */
import { getterOf } from "../base/brands.ts";

const size = getterOf<number>(Blob.prototype, "size");
const { arrayBuffer } = Blob.prototype;

/** Whether a value is a Blob, and does not only have its prototype. */
export function isBlob(value: unknown): value is Blob {
  try {
    size(value);
    return true;
  } catch {
    return false;
  }
}

/** In bytes; a file may have another length when it is read. Infinity: of a device. */
export const blobSize: (blob: Blob) => number = size;
export const blobType: (blob: Blob) => string = getterOf<string>(Blob.prototype, "type");
export const fileName: (file: File) => string = getterOf<string>(File.prototype, "name");
export const fileDate: (file: File) => number = getterOf<number>(File.prototype, "lastModified");

/** Reads a Blob. */
export function readBlob(blob: Blob): Promise<ArrayBuffer> {
  return arrayBuffer.call(blob);
}

/** A Blob in an encoded message, with room for its bytes. */
export interface UnreadBlob {
  readonly blob: Blob;
  /** The bytes for which there is room. */
  readonly byteLength: number;
  /** Where they lie in the tree, or -1. */
  readonly at: number;
  /** Which of the long byte strings they are, or -1. */
  readonly index: number;
}
