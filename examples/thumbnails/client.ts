/**
 * Shrinks a picture to four sizes at the same time.
 *
 * @module
 */
import { connect, TandemError } from "@tandem/ipc";
import { decode, encode } from "fast-png";
import { NoPictureError, type Thumbnails } from "./api.ts";

using thumbnails = connect<Thumbnails>("example-thumbnails", {
  timeout: 20_000,
  errors: [NoPictureError],
  // If a service dies while it works on this method, another service runs it again.
  idempotent: ["shrink"],
});

const picture = paint(1200, 800);
const widths = [600, 300, 100, 30];
const made = await Promise.all(widths.map((width) => thumbnails.shrink(picture, width)));
for (const { width, height, png } of made) {
  const [red, green, blue] = decode(png).data;
  console.log(`${width} × ${height}, its first pixel is ${red}, ${green}, ${blue}`);
}

try {
  await thumbnails.shrink(new TextEncoder().encode("no picture at all"), 100);
} catch (error) {
  if (!(error instanceof NoPictureError)) throw error;
  console.log("refused by the method:", error.message);
}

try {
  await thumbnails.shrink(picture, -1);
} catch (error) {
  if (!(error instanceof TandemError)) throw error;
  console.log("refused by the schema:", error.code);
}

await thumbnails.quit();

/** Makes a picture with a gradient. */
function paint(width: number, height: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = (y * width + x) * 3;
      data[at] = x / width * 256;
      data[at + 1] = y / height * 256;
      data[at + 2] = 128;
    }
  }
  return encode({ width, height, data, channels: 3, depth: 8 });
}
