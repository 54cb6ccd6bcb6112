/**
 * What the thumbnail service offers. Clients import the type alone.
 *
 * @module
 */

/** A picture as it is described, and its bytes as PNG. */
export interface Thumbnail {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

/** Thrown for bytes that are no picture; registered on both sides, it keeps its class. */
export class NoPictureError extends Error {
  override name = "NoPictureError";
}

/** The methods. */
export interface Thumbnails {
  /** Makes a smaller picture of a PNG. */
  shrink(png: Uint8Array, width: number): Thumbnail;
  /** The service ends once this call is answered. */
  quit(): void;
}
