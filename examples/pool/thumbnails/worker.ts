/**
 * A worker: it makes small pictures from large ones.
 *
 * @module
 */
import { log, work } from "@tandem/ipc/pool";
import { decode, encode } from "fast-png";

interface Picture {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: ArrayLike<number>;
}

const thumbnails = {
  /** Halves a picture until it is no wider than `width`. It has a bug: below 0 it never ends. */
  shrink(png: Uint8Array, width: number): Uint8Array {
    let picture = decoded(png);
    while (picture.width > width) picture = halved(picture);
    log.info("shrunk", { width: picture.width, height: picture.height });
    const { channels, data } = picture;
    return encode({ ...picture, channels, depth: 8, data: Uint8Array.from(data) });
  },
};
export type Thumbnails = typeof thumbnails;

work(thumbnails);

function decoded(png: Uint8Array): Picture {
  using _ = log.time("decode");
  return decode(png);
}

/** Makes each pixel the average of four. */
function halved({ width, height, channels, data }: Picture): Picture {
  const small = { width: width >> 1, height: height >> 1 };
  const pixels = new Uint8Array(small.width * small.height * channels);
  const row = width * channels;
  let at = 0;
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        const from = 2 * y * row + 2 * x * channels + channel;
        const sum = data[from]! + data[from + channels]! + data[from + row]! +
          data[from + row + channels]!;
        pixels[at++] = sum / 4;
      }
    }
  }
  return { ...small, channels, data: pixels };
}
