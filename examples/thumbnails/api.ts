/**
 * The interface of the thumbnail service.
 *
 * @module
 */

/** A picture in PNG and its size. */
export interface Thumbnail {
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

/** Thrown for bytes that are not a picture. Both sides register it, so that it keeps its class. */
export class NoPictureError extends Error {
  override name = "NoPictureError";
}

/** The methods. */
export interface Thumbnails {
  /** Makes a smaller picture of a PNG. */
  shrink(png: Uint8Array, width: number): Thumbnail;
  /** Ends the service after the answer to this call. */
  quit(): void;
}
