/** The canvas: a photograph under its masks, moved and scaled. */

/** @import {Layers} from "./layers.js" */
/** @import {Placement, Style} from "./overlay.js" */

import { drawOverlay } from "./overlay.js";

const MOST_SCALE = 64;
const MARGIN = 0.97; // of the view, for the whole photograph
const MOST_PIXELS = 2e6; // of masks in a frame, while something moves
const STILL = 150; // ms without a change, after which the masks are drawn as finely as can be
const GAP = 8; // px between two panes

/**
 * What is drawn.
 *
 * @typedef {object} Scene
 * @property {CanvasImageSource} photograph
 * @property {number} width Of the photograph.
 * @property {number} height
 * @property {Layers} layers
 * @property {CanvasImageSource | null} prior
 * @property {number} contrast 1 is as it is.
 * @property {boolean} beside Whether the untouched photograph is shown on the left.
 */

export class View {
  /** @type {Scene | null} */
  scene = null;
  /** @type {Style} */
  style = { colours: [], shown: [], opacity: 0.35, filled: true, line: 1 };
  /** In px of the photograph: what is being drawn with. @type {{x: number, y: number, diameter: number} | null} */
  brush = null;
  /** @type {{left: number, top: number, right: number, bottom: number} | null} */
  box = null;
  /** @type {[number, number, 0 | 1][]} */
  points = [];
  /** Whether the middle of the view is marked, for the keyboard. */
  hasCross = false;
  scale = 1;
  centre = { x: 0, y: 0 };
  #frame = 0;
  #isMoving = false;
  #timer = 0;
  #overlay = document.createElement("canvas");

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    const context = canvas.getContext("2d", { alpha: false });
    if (!context) throw new Error("This browser cannot draw.");
    this.context = context;
    this.wasFitted = true;
    new ResizeObserver(() => {
      this.#resize();
      if (this.wasFitted) this.fit();
      this.redraw();
    }).observe(canvas);
    this.#resize();
  }

  /** Px of the screen for one of CSS. */
  get density() {
    return window.devicePixelRatio || 1;
  }

  /** Show the whole photograph. */
  fit() {
    if (!this.scene) return;
    const { width, height } = this.scene;
    const pane = this.#pane();
    this.scale = MARGIN * Math.min(pane.width / width, pane.height / height);
    this.centre = { x: width / 2, y: height / 2 };
    this.wasFitted = true;
    this.redraw();
  }

  /**
   * Show a part of the photograph, with some of what is around it.
   *
   * @param {{left: number, top: number, right: number, bottom: number}} box
   */
  show(box) {
    const pane = this.#pane();
    const side = Math.max(box.right - box.left, box.bottom - box.top, 8);
    this.scale = Math.min(16, Math.min(pane.width, pane.height) / (4 * side));
    this.centre = { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
    this.wasFitted = false;
    this.redraw();
  }

  /**
   * Change the scale; what is at a place of the screen stays there.
   *
   * @param {number} factor
   * @param {{clientX: number, clientY: number}} [at] By default the middle.
   */
  zoom(factor, at) {
    if (!this.scene) return;
    const least = Math.min(0.02, this.scale);
    const before = at ? this.toImage(at) : this.centre;
    const scale = Math.min(MOST_SCALE, Math.max(least, this.scale * factor));
    const share = this.scale / scale;
    this.centre = {
      x: before.x + (this.centre.x - before.x) * share,
      y: before.y + (this.centre.y - before.y) * share,
    };
    this.scale = scale;
    this.wasFitted = false;
    this.redraw();
  }

  /**
   * Move the view.
   *
   * @param {number} dx In px of CSS.
   * @param {number} dy
   */
  pan(dx, dy) {
    if (!this.scene) return;
    const step = this.density / this.scale;
    const { width, height } = this.scene;
    this.centre.x = Math.min(width, Math.max(0, this.centre.x - dx * step));
    this.centre.y = Math.min(height, Math.max(0, this.centre.y - dy * step));
    this.wasFitted = false;
    this.redraw();
  }

  /**
   * Return the place on the photograph under a place of the screen; pixel (0, 0) covers 0 to 1.
   *
   * @param {{clientX: number, clientY: number}} event
   */
  toImage(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * (this.canvas.width / box.width);
    const y = (event.clientY - box.top) * (this.canvas.height / box.height);
    const pane = this.#pane();
    // a place on the untouched photograph means the same one
    const inPane = pane.left > 0 && x < pane.left ? x : x - pane.left;
    const place = this.#placement(pane);
    return { x: (inPane - place.left) / place.scale, y: (y - place.top) / place.scale };
  }

  /**
   * Return where a place on the photograph is on the screen.
   *
   * @param {number} x
   * @param {number} y
   */
  toScreen(x, y) {
    const box = this.canvas.getBoundingClientRect();
    const pane = this.#pane();
    const place = this.#placement(pane);
    return {
      x: box.left + ((x * place.scale + place.left + pane.left) * box.width) / this.canvas.width,
      y: box.top + ((y * place.scale + place.top) * box.height) / this.canvas.height,
    };
  }

  /** Draw before the screen is shown next. */
  redraw() {
    this.#isMoving = true;
    window.clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => {
      this.#isMoving = false;
      this.#draw();
    }, STILL);
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #resize() {
    const { clientWidth, clientHeight } = this.canvas;
    this.canvas.width = Math.max(1, Math.round(clientWidth * this.density));
    this.canvas.height = Math.max(1, Math.round(clientHeight * this.density));
  }

  #pane() {
    const { width, height } = this.canvas;
    if (!this.scene?.beside) return { left: 0, width, height };
    const half = Math.floor((width - GAP) / 2);
    return { left: half + GAP, width: half, height };
  }

  /**
   * @param {{width: number, height: number}} pane
   * @returns {Placement}
   */
  #placement(pane) {
    return {
      scale: this.scale,
      left: pane.width / 2 - this.centre.x * this.scale,
      top: pane.height / 2 - this.centre.y * this.scale,
    };
  }

  #draw() {
    const { context, canvas, scene } = this;
    context.fillStyle = "#000";
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (!scene) return;
    const pane = this.#pane();
    const place = this.#placement(pane);
    if (scene.beside) {
      this.#inside({ ...pane, left: 0 }, () => this.#photograph(scene, place));
      context.fillStyle = "#333";
      context.fillRect(pane.left - GAP, 0, GAP, canvas.height);
    }
    this.#inside(pane, () => {
      this.#photograph(scene, place);
      if (scene.prior) {
        context.imageSmoothingEnabled = true;
        const [width, height] = [scene.width * place.scale, scene.height * place.scale];
        context.drawImage(scene.prior, place.left, place.top, width, height);
      }
      this.#masks(scene, pane, place);
      this.#marks(place);
    });
  }

  /**
   * @param {{left: number, width: number, height: number}} pane
   * @param {() => void} draw
   */
  #inside(pane, draw) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(pane.left, 0, pane.width, pane.height);
    context.clip();
    context.translate(pane.left, 0);
    draw();
    context.restore();
  }

  /**
   * @param {Scene} scene
   * @param {Placement} place
   */
  #photograph(scene, place) {
    const { context } = this;
    context.imageSmoothingEnabled = place.scale < 3; // from there on pixels are to be seen
    context.imageSmoothingQuality = this.#isMoving ? "low" : "medium";
    if (scene.contrast !== 1) context.filter = `contrast(${scene.contrast})`;
    const [width, height] = [scene.width * place.scale, scene.height * place.scale];
    context.drawImage(scene.photograph, place.left, place.top, width, height);
    context.filter = "none";
  }

  /**
   * @param {Scene} scene
   * @param {{width: number, height: number}} pane
   * @param {Placement} place
   */
  #masks(scene, pane, place) {
    if (!this.style.shown.includes(true)) return;
    const coarse = this.#isMoving ? Math.ceil(Math.sqrt((pane.width * pane.height) / MOST_PIXELS)) : 1;
    const width = Math.ceil(pane.width / coarse);
    const height = Math.ceil(pane.height / coarse);
    const overlay = this.#overlay;
    if (overlay.width !== width || overlay.height !== height) {
      overlay.width = width;
      overlay.height = height;
    }
    const context = overlay.getContext("2d");
    if (!context) return;
    const image = context.createImageData(width, height);
    const line = Math.max(1, Math.round((this.density * 1.5) / coarse));
    const { scale, left, top } = place;
    const coarsely = { scale: scale / coarse, left: left / coarse, top: top / coarse };
    drawOverlay(image, scene.layers, coarsely, { ...this.style, line });
    context.putImageData(image, 0, 0);
    this.context.imageSmoothingEnabled = false;
    this.context.drawImage(overlay, 0, 0, width * coarse, height * coarse);
  }

  /** @param {Placement} place */
  #marks(place) {
    const { context, density } = this;
    const at = (/** @type {number} */ x, /** @type {number} */ y) =>
      /** @type {[number, number]} */ ([x * place.scale + place.left, y * place.scale + place.top]);
    const twice = (/** @type {() => void} */ path) => {
      for (const [colour, width] of /** @type {const} */ ([["#000", 3], ["#fff", 1.2]])) {
        context.strokeStyle = colour;
        context.lineWidth = width * density;
        context.beginPath();
        path();
        context.stroke();
      }
    };
    for (const [x, y, label] of this.points) {
      const [cx, cy] = at(x + 0.5, y + 0.5);
      const arm = 6 * density;
      twice(() => {
        context.moveTo(cx - arm, cy);
        context.lineTo(cx + arm, cy);
        if (label) {
          context.moveTo(cx, cy - arm);
          context.lineTo(cx, cy + arm);
        }
      });
    }
    const { box, brush } = this;
    if (box) {
      const [left, top] = at(box.left, box.top);
      const [right, bottom] = at(box.right, box.bottom);
      twice(() => context.rect(left, top, right - left, bottom - top));
    }
    if (brush) {
      const [cx, cy] = at(brush.x, brush.y);
      const radius = Math.max(2 * density, (brush.diameter / 2) * place.scale);
      twice(() => context.arc(cx, cy, radius, 0, 2 * Math.PI));
    }
    if (this.hasCross) {
      const [cx, cy] = at(this.centre.x, this.centre.y);
      const arm = 12 * density;
      twice(() => {
        context.moveTo(cx - arm, cy);
        context.lineTo(cx + arm, cy);
        context.moveTo(cx, cy - arm);
        context.lineTo(cx, cy + arm);
      });
    }
  }
}
