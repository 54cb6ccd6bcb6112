/**
 * Makes small pictures from large ones. Start one server for each core.
 *
 * @module
 */
import { serve, validated } from "@tandem/ipc";
import { decode, encode } from "fast-png";
import * as z from "zod";
import { NoPictureError, type Thumbnail, type Thumbnails } from "./api.ts";

const stopped = Promise.withResolvers<void>();

const shrinkArguments = z.tuple([z.instanceof(Uint8Array), z.number().int().min(1).max(1024)]);

const api: Thumbnails = {
  // Without `raw`, the picture is a private copy. The PNG decoder passes parts of it to functions of the
  // runtime, which must not read memory that other processes can change.
  shrink: validated(shrinkArguments, shrink),
  quit: () => stopped.resolve(),
};

await using service = serve("example-thumbnails", api, { errors: [NoPictureError] });
await stopped.promise;
service.unlink();

/** Makes each pixel of the result the average of the pixels that it replaces. */
function shrink(png: Uint8Array, width: number): Thumbnail {
  const picture = read(png);
  const scale = picture.width / width;
  const height = Math.max(1, Math.round(picture.height / scale));
  const { channels, data } = picture;
  const pixels = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [left, right] = [Math.floor(x * scale), Math.ceil((x + 1) * scale)];
      const [top, bottom] = [Math.floor(y * scale), Math.ceil((y + 1) * scale)];
      for (let channel = 0; channel < channels; channel++) {
        let [sum, count] = [0, 0];
        for (let row = top; row < Math.min(bottom, picture.height); row++) {
          for (let column = left; column < Math.min(right, picture.width); column++) {
            sum += data[(row * picture.width + column) * channels + channel]!;
            count += 1;
          }
        }
        pixels[(y * width + x) * channels + channel] = sum / count;
      }
    }
  }
  return { width, height, png: encode({ width, height, data: pixels, channels, depth: 8 }) };
}

function read(png: Uint8Array): ReturnType<typeof decode> {
  try {
    return decode(png);
  } catch (cause) {
    throw new NoPictureError(`${png.byteLength} bytes are no PNG`, { cause });
  }
}
