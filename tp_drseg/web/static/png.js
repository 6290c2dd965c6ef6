/** Masks and maps as PNG, to and from arrays, without a change in any pixel. */

const STRIP = 512; // rows that are read back at a time

/**
 * Decode a grey PNG.
 *
 * @param {Blob} blob
 * @returns {Promise<{width: number, height: number, values: Uint8Array}>} Row by row, 0 to 255.
 */
export async function decodeGrey(blob) {
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const { width, height } = bitmap;
  const values = new Uint8Array(width * height);
  const strip = new OffscreenCanvas(width, Math.min(STRIP, height));
  const context = strip.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser cannot draw.");
  for (let top = 0; top < height; top += STRIP) {
    const rows = Math.min(STRIP, height - top);
    context.drawImage(bitmap, 0, top, width, rows, 0, 0, width, rows);
    const { data } = context.getImageData(0, 0, width, rows);
    for (let i = 0, at = top * width; i < width * rows; i++) values[at + i] = data[4 * i];
  }
  bitmap.close();
  return { width, height, values };
}

/**
 * Pack one lesion's mask into the rows of a PNG of one bit a pixel.
 *
 * @param {Uint16Array} bits A bit a lesion, row by row.
 * @param {number} bit The lesion's.
 * @param {number} width
 * @param {number} height
 * @returns {Uint8Array} Each row begins with the filter 0.
 */
export function packRows(bits, bit, width, height) {
  const bytes = (width + 7) >> 3;
  const rows = new Uint8Array(height * (bytes + 1));
  for (let y = 0, from = 0; y < height; y++) {
    const to = y * (bytes + 1) + 1;
    for (let x = 0; x < width; x++, from++) {
      if (bits[from] & bit) rows[to + (x >> 3)] |= 0x80 >> (x & 7);
    }
  }
  return rows;
}

/**
 * Make a PNG of packed rows.
 *
 * @param {Uint8Array} rows From `packRows`.
 * @param {number} width
 * @param {number} height
 * @returns {Promise<Blob>}
 */
export async function encodeRows(rows, width, height) {
  // a new Blob's part must not be shared memory, as the types know since TypeScript 5.9
  const packed = new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (rows)]);
  const deflated = packed.stream().pipeThrough(new CompressionStream("deflate"));
  const data = new Uint8Array(await new Response(deflated).arrayBuffer());
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header[8] = 1; // bit a pixel, grey; the rest is 0
  const signature = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", new Uint8Array())];
  return new Blob(parts, { type: "image/png" });
}

/**
 * @param {string} name
 * @param {Uint8Array} data
 * @returns {Uint8Array<ArrayBuffer>}
 */
function chunk(name, data) {
  const bytes = new Uint8Array(data.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i);
  bytes.set(data, 8);
  view.setUint32(data.length + 8, checksum(bytes.subarray(4, data.length + 8)));
  return bytes;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let i = 0; i < 8; i++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

/** @param {Uint8Array} bytes */
function checksum(bytes) {
  let value = 0xffffffff;
  for (const byte of bytes) value = TABLE[(value ^ byte) & 0xff] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
