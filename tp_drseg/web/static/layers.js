/** The masks of one photograph: a bit a lesion for each pixel. */

/** @import {Region} from "./types.js" */

/** How many lesions can be shown on one photograph. */
export const MOST_LESIONS = 16;

/**
 * What a mask starts from before it is drawn on.
 *
 * @typedef {object} Base
 * @property {Uint8Array} mask At the model's own threshold: not 0 on the lesion.
 * @property {Uint8Array} levels Probability in 256ths, rounded down.
 */

export class Layers {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.bits = new Uint16Array(width * height);
  }

  /**
   * Take over a lesion's mask.
   *
   * @param {number} lesion
   * @param {Uint8Array} mask Not 0 on the lesion.
   */
  set(lesion, mask) {
    const { bits } = this;
    const bit = 1 << lesion;
    for (let i = 0; i < bits.length; i++) bits[i] = mask[i] ? bits[i] | bit : bits[i] & ~bit;
  }

  /**
   * Draw a line of a round brush, or wipe one.
   *
   * The pixel under each end is always hit, however thin the brush.
   *
   * @param {number} lesion
   * @param {boolean} add
   * @param {number} diameter In px of the photograph.
   * @param {{x: number, y: number}} from Pixel (0, 0) covers 0 to 1.
   * @param {{x: number, y: number}} to
   */
  draw(lesion, add, diameter, from, to) {
    const { width, height, bits } = this;
    const bit = 1 << lesion;
    const radius = diameter / 2;
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length = dx * dx + dy * dy;
    const left = Math.max(0, Math.floor(Math.min(from.x, to.x) - radius));
    const right = Math.min(width, Math.ceil(Math.max(from.x, to.x) + radius));
    const top = Math.max(0, Math.floor(Math.min(from.y, to.y) - radius));
    const bottom = Math.min(height, Math.ceil(Math.max(from.y, to.y) + radius));
    const most = radius * radius;
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
        const along = length ? Math.min(1, Math.max(0, (px * dx + py * dy) / length)) : 0;
        const [ox, oy] = [px - along * dx, py - along * dy];
        if (ox * ox + oy * oy <= most) {
          const i = y * width + x;
          bits[i] = add ? bits[i] | bit : bits[i] & ~bit;
        }
      }
    }
    for (const end of [from, to]) {
      const [x, y] = [Math.floor(end.x), Math.floor(end.y)];
      if (x >= 0 && y >= 0 && x < width && y < height) {
        const i = y * width + x;
        bits[i] = add ? bits[i] | bit : bits[i] & ~bit;
      }
    }
  }

  /**
   * Return where a mask was drawn on: 1 added, 2 wiped, 0 as its base says.
   *
   * @param {number} lesion
   * @param {Base} base
   * @param {number | null} level The threshold that it was made at.
   * @returns {Uint8Array}
   */
  edits(lesion, base, level) {
    const { bits } = this;
    const bit = 1 << lesion;
    const edits = new Uint8Array(bits.length);
    for (let i = 0; i < bits.length; i++) {
      const was = level === null ? base.mask[i] !== 0 : base.levels[i] >= level;
      const is = (bits[i] & bit) !== 0;
      if (was !== is) edits[i] = is ? 1 : 2;
    }
    return edits;
  }

  /**
   * Make a mask anew from its base; what was drawn by hand stays.
   *
   * @param {number} lesion
   * @param {Base} base
   * @param {number | null} level In 256ths; null for the model's own threshold.
   * @param {Uint8Array} edits From `edits`.
   */
  apply(lesion, base, level, edits) {
    const { bits } = this;
    const { mask, levels } = base;
    const bit = 1 << lesion;
    for (let i = 0; i < bits.length; i++) {
      const found = level === null ? mask[i] !== 0 : levels[i] >= level;
      const on = edits[i] === 0 ? found : edits[i] === 1;
      bits[i] = on ? bits[i] | bit : bits[i] & ~bit;
    }
  }

  /**
   * Return the separate regions of a mask, the largest first; pixels that touch at a corner are one.
   *
   * @param {number} lesion
   * @returns {Region[]}
   */
  regions(lesion) {
    const { bits, width, height } = this;
    const bit = 1 << lesion;
    /** @type {number[]} */
    const parents = [];
    /** @type {Region[]} */
    const found = [];
    /** @type {{left: number, right: number, id: number}[]} */
    let above = [];
    const root = (/** @type {number} */ id) => {
      while (parents[id] !== id) id = parents[id] = parents[parents[id]];
      return id;
    };
    for (let y = 0; y < height; y++) {
      /** @type {typeof above} */
      const row = [];
      const start = y * width;
      let first = 0;
      for (let x = 0; x < width; x++) {
        if (!(bits[start + x] & bit)) continue;
        const left = x;
        while (x < width && bits[start + x] & bit) x++;
        let id = -1;
        while (first < above.length && above[first].right < left) first++;
        for (let n = first; n < above.length && above[n].left <= x; n++) {
          const other = root(above[n].id);
          if (id < 0) id = other;
          else if (other !== id) {
            parents[other] = id;
            join(found[id], found[other]);
          }
        }
        const run = { left, top: y, right: x, bottom: y + 1, area: x - left };
        if (id < 0) {
          id = parents.length;
          parents.push(id);
          found.push(run);
        } else join(found[id], run);
        row.push({ left, right: x, id });
      }
      above = row;
    }
    return found.filter((_, id) => parents[id] === id).sort((a, b) => b.area - a.area);
  }
}

/**
 * @param {Region} region
 * @param {Region} other
 */
function join(region, other) {
  region.left = Math.min(region.left, other.left);
  region.top = Math.min(region.top, other.top);
  region.right = Math.max(region.right, other.right);
  region.bottom = Math.max(region.bottom, other.bottom);
  region.area += other.area;
}
