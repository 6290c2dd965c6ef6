/** Drawing masks at the size of the view: one look-up for each of its pixels. */

/** @import {Layers} from "./layers.js" */

/**
 * How masks are shown.
 *
 * @typedef {object} Style
 * @property {[number, number, number][]} colours One a lesion.
 * @property {boolean[]} shown One a lesion.
 * @property {number} opacity Of the fill, in [0, 1].
 * @property {boolean} filled Whether there is a fill; the outline is always there.
 * @property {number} line Width of the outline in px of the view.
 */

/**
 * Where a view shows what: image = (view - offset) / scale.
 *
 * @typedef {object} Placement
 * @property {number} scale Px of the view for one of the photograph.
 * @property {number} left Where the photograph begins, in px of the view.
 * @property {number} top
 */

const RIM = pack(0, 0, 0, 150);

/**
 * Draw the masks into the pixels of a view.
 *
 * A region is seen however small the photograph is drawn: a pixel of the view shows what any of the
 * photograph's pixels below it has.
 *
 * @param {ImageData} image
 * @param {Layers} layers
 * @param {Placement} place
 * @param {Style} style
 */
export function drawOverlay(image, layers, place, style) {
  const { width, height } = image;
  const pixels = new Uint32Array(image.data.buffer);
  pixels.fill(0);
  const seen = sample(layers, width, height, place, visible(style.shown));
  const [fills, lines] = tables(style);
  const reach = style.line;
  const rim = Math.max(1, Math.round(reach / 2));
  for (let y = 0; y < height; y++) {
    const up = Math.max(0, y - reach) * width;
    const down = Math.min(height - 1, y + reach) * width;
    const start = y * width;
    for (let x = 0; x < width; x++) {
      const here = seen[start + x];
      if (!here) continue; // as nearly everywhere
      const left = seen[start + Math.max(0, x - reach)];
      const right = seen[start + Math.min(width - 1, x + reach)];
      const edge = here & ~(left & right & seen[up + x] & seen[down + x]);
      pixels[start + x] = edge ? lines[edge] : fills[here];
      if (!edge) continue;
      // a dark rim outside sets the outline off from tissue of its colour
      for (let n = 1; n <= rim; n++) {
        if (x >= n && !seen[start + x - n]) pixels[start + x - n] = RIM;
        if (x + n < width && !seen[start + x + n]) pixels[start + x + n] = RIM;
        if (y >= n && !seen[start + x - n * width]) pixels[start + x - n * width] = RIM;
        if (y + n < height && !seen[start + x + n * width]) pixels[start + x + n * width] = RIM;
      }
    }
  }
}

/** @param {boolean[]} shown */
function visible(shown) {
  return shown.reduce((bits, one, lesion) => (one ? bits | (1 << lesion) : bits), 0);
}

/**
 * @param {Layers} layers
 * @param {number} width
 * @param {number} height
 * @param {Placement} place
 * @param {number} wanted
 */
function sample(layers, width, height, place, wanted) {
  const { bits } = layers;
  const seen = new Uint16Array(width * height);
  if (!wanted) return seen;
  const columns = starts(width, layers.width, place.left, place.scale);
  const rows = starts(height, layers.height, place.top, place.scale);
  for (let y = 0; y < height; y++) {
    const [top, bottom] = [rows[2 * y], rows[2 * y + 1]];
    for (let x = 0; x < width; x++) {
      const [left, right] = [columns[2 * x], columns[2 * x + 1]];
      let found = 0;
      for (let row = top; row < bottom; row++) {
        const start = row * layers.width;
        for (let i = start + left; i < start + right; i++) found |= bits[i];
      }
      seen[y * width + x] = found & wanted;
    }
  }
  return seen;
}

/**
 * Return which of the photograph's pixels lie under each of the view's: first and end, in pairs.
 *
 * @param {number} count
 * @param {number} size
 * @param {number} offset
 * @param {number} scale
 */
function starts(count, size, offset, scale) {
  const found = new Int32Array(2 * count);
  for (let i = 0; i < count; i++) {
    const first = Math.floor((i + (scale >= 1 ? 0.5 : 0) - offset) / scale);
    const end = scale >= 1 ? first + 1 : Math.max(first + 1, Math.floor((i + 1 - offset) / scale));
    if (end <= 0 || first >= size) continue; // first = end: nothing
    found[2 * i] = Math.max(0, first);
    found[2 * i + 1] = Math.min(size, end);
  }
  return found;
}

/**
 * Return the colour of each set of lesions, as fill and as outline.
 *
 * @param {Style} style
 * @returns {[Uint32Array, Uint32Array]}
 */
function tables({ colours, opacity, filled }) {
  const count = 1 << colours.length;
  const [fills, lines] = [new Uint32Array(count), new Uint32Array(count)];
  for (let set = 1; set < count; set++) {
    const inside = colours.filter((_, lesion) => set & (1 << lesion));
    const mean = [0, 1, 2].map((c) =>
      Math.round(inside.reduce((sum, colour) => sum + colour[c], 0) / inside.length),
    );
    fills[set] = filled ? pack(mean[0], mean[1], mean[2], Math.round(255 * opacity)) : 0;
    lines[set] = pack(...inside[0], 255);
  }
  return [fills, lines];
}

/**
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 * @param {number} alpha
 */
function pack(red, green, blue, alpha) {
  return ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0; // little-endian, as all browsers are
}

const HEAT = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];

/**
 * Turn a prior map into a picture, from dark violet (least) to yellow (most).
 *
 * @param {{width: number, height: number, values: Uint8Array}} map
 * @returns {OffscreenCanvas}
 */
export function heatMap({ width, height, values }) {
  const table = Uint32Array.from({ length: 256 }, (_, value) => {
    const at = (value / 255) * (HEAT.length - 1);
    const first = Math.min(HEAT.length - 2, Math.floor(at));
    const mixed = [0, 1, 2].map((c) =>
      Math.round(HEAT[first][c] + (at - first) * (HEAT[first + 1][c] - HEAT[first][c])),
    );
    return pack(mixed[0], mixed[1], mixed[2], 150);
  });
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < values.length; i++) pixels[i] = table[values[i]];
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  return canvas;
}

/**
 * Return a photograph as its green channel alone, in which vessels and lesions stand out.
 *
 * @param {ImageBitmap} photograph
 * @returns {OffscreenCanvas}
 */
export function redFree(photograph) {
  const { width, height } = photograph;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("This browser cannot draw.");
  context.drawImage(photograph, 0, 0);
  const image = context.getImageData(0, 0, width, height);
  const { data } = image;
  for (let i = 0; i < data.length; i += 4) data[i] = data[i + 2] = data[i + 1];
  context.putImageData(image, 0, 0);
  return canvas;
}
