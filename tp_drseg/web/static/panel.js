/** The tools at the side: they show `settings` and the open photograph, and change the settings. */

/** @import {Work} from "./work.js" */
/** @import {Region} from "./types.js" */
/** @import {Tool} from "./pointer.js" */

import { byId, counted, make } from "./dom.js";
import { settings } from "./settings.js";

const MOST_LISTED = 200;

/** @type {Record<Tool, {text: string, key: string, help: string}>} */
export const TOOLS = {
  move: { text: "Move", key: "V", help: "Drag to move, roll to zoom. Two fingers do both." },
  click: { text: "Click", key: "C", help: "Click on a lesion that is missed; with Alt or the right button on one that is invented. The model answers anew." },
  box: { text: "Box", key: "O", help: "Drag a box around a lesion. The model answers anew." },
  brush: { text: "Brush", key: "B", help: "Draw what is lesion." },
  eraser: { text: "Eraser", key: "E", help: "Wipe what is none." },
};

/** @type {Record<"filled" | "redFree" | "prior" | "beside", {text: string, key: string}>} */
export const SWITCHES = {
  filled: { text: "Fill", key: "F" },
  redFree: { text: "Red-free", key: "G" },
  prior: { text: "Prior map", key: "P" },
  beside: { text: "Side by side", key: "S" },
};

/**
 * What the panel asks for.
 *
 * @typedef {object} Asks
 * @property {() => void} looked A setting was changed.
 * @property {(lesion: number) => void} chosen
 * @property {(level: number, isOver: boolean) => void} threshold
 * @property {(region: Region) => void} region
 */

export class Panel {
  #lesions = byId("lesions", "ul");
  #threshold = byId("threshold", "input");
  #regions = byId("regions", "ol");

  /**
   * @param {Record<string, [number, number, number]>} colours
   * @param {Asks} asks
   */
  constructor(colours, asks) {
    this.colours = colours;
    this.asks = asks;
    for (const [name, { text, key }] of Object.entries(TOOLS)) {
      byId("tools", "div").append(this.#button(text, key, () => this.choose(/** @type {Tool} */ (name)), "radio"));
    }
    for (const [name, { text, key }] of Object.entries(SWITCHES)) {
      const run = () => this.flip(/** @type {keyof typeof SWITCHES} */ (name));
      byId("switches", "div").append(this.#button(text, key, run, "switch"));
    }
    this.#slider("brush", (value) => (settings.brush = value), (value) => `${value} px`);
    this.#slider("opacity", (value) => (settings.opacity = value / 100), (value) => `${value} %`);
    this.#slider("contrast", (value) => (settings.contrast = value / 100), (value) => `${value} %`);
    this.#threshold.addEventListener("input", () => asks.threshold(this.#threshold.valueAsNumber, false));
    this.#threshold.addEventListener("change", () => asks.threshold(this.#threshold.valueAsNumber, true));
    this.#show();
  }

  /** @param {Tool} tool */
  choose(tool) {
    settings.tool = tool;
    this.#show();
    this.asks.looked();
  }

  /** @param {keyof typeof SWITCHES} name */
  flip(name) {
    settings[name] = !settings[name];
    this.#show();
    this.asks.looked();
  }

  /** @param {number} factor */
  scaleBrush(factor) {
    const value = settings.brush * factor;
    settings.brush = Math.min(200, Math.max(1, factor > 1 ? Math.ceil(value) : Math.floor(value)));
    this.#show();
    this.asks.looked();
  }

  /**
   * Move the threshold by some 256ths.
   *
   * @param {number} by
   */
  moveThreshold(by) {
    if (this.#threshold.disabled) return;
    this.#threshold.valueAsNumber += by;
    this.asks.threshold(this.#threshold.valueAsNumber, true);
  }

  /** Put the focus on the field for words. */
  focusDescription() {
    byId("description", "textarea").focus();
  }

  /** @param {number} lesion */
  toggle(lesion) {
    const box = this.#lesions.children[lesion]?.querySelector("input[type=checkbox]");
    if (box instanceof HTMLInputElement) box.click();
  }

  /**
   * Show a photograph's lesions.
   *
   * @param {Work} work
   */
  showLesions(work) {
    this.#lesions.replaceChildren(
      ...work.lesions.map((lesion, n) => {
        const swatch = make("span", { class: "swatch", "aria-hidden": "true" });
        swatch.style.background = `rgb(${this.colours[lesion.name].join(",")})`;
        const show = make("input", { type: "checkbox", "aria-label": `Show ${lesion.name}` });
        show.checked = !settings.hidden.has(lesion.name);
        show.addEventListener("change", () => {
          if (show.checked) settings.hidden.delete(lesion.name);
          else settings.hidden.add(lesion.name);
          this.asks.looked();
        });
        const choose = make("input", { type: "radio", name: "lesion" });
        choose.checked = n === settings.lesion;
        choose.addEventListener("change", () => this.asks.chosen(n));
        const edited = lesion.is_edited ? " (changed)" : "";
        return make(
          "li",
          {},
          make("label", { class: "lesion" }, choose, swatch, `${lesion.name}${edited}`, make("kbd", {}, `${n + 1}`)),
          show,
        );
      }),
    );
    this.showThreshold(work);
  }

  /**
   * Show the threshold of the chosen lesion.
   *
   * @param {Work} work
   */
  showThreshold(work) {
    const lesion = work.data.lesions[settings.lesion];
    const own = work.knownAnswer(settings.lesion)?.threshold ?? lesion.threshold;
    this.#threshold.valueAsNumber = lesion.level ?? Math.max(1, Math.min(255, Math.round(own * 256)));
    this.#say(lesion.level, own);
    byId("model-threshold", "button").disabled = lesion.level === null;
    byId("reset", "button").disabled = !lesion.is_edited;
    for (const id of /** @type {const} */ (["threshold"])) byId(id, "input").disabled = !work.data.may_change;
  }

  /**
   * Say a threshold while it is moved.
   *
   * @param {number | null} level
   * @param {number} own
   */
  #say(level, own) {
    const text = level === null ? `${own.toFixed(2)} (model's)` : (level / 256).toFixed(2);
    byId("threshold-value", "output").value = text;
    this.#threshold.setAttribute("aria-valuetext", text);
  }

  /** @param {number} level */
  sayLevel(level) {
    this.#say(level, 0);
  }

  /**
   * Show the regions of the chosen lesion.
   *
   * @param {Region[]} regions
   * @param {Work} work
   */
  showRegions(regions, work) {
    const { name } = work.data.lesions[settings.lesion];
    byId("regions-title", "legend").textContent = `${counted(regions.length, "region")} of ${name}`;
    this.#regions.replaceChildren(
      ...regions.slice(0, MOST_LISTED).map((region, n) => {
        const x = Math.floor((region.left + region.right) / 2);
        const y = Math.floor((region.top + region.bottom) / 2);
        const text = `${n + 1}. ${counted(region.area, "px", "px")} at x ${x}, y ${y}`;
        return make("li", {}, make("button", { type: "button", click: () => this.asks.region(region) }, text));
      }),
      ...(regions.length > MOST_LISTED ? [make("li", {}, `and ${regions.length - MOST_LISTED} smaller ones`)] : []),
    );
  }

  #show() {
    const tools = byId("tools", "div").children;
    Object.entries(TOOLS).forEach(([name, { help }], n) => {
      const isChosen = name === settings.tool;
      tools[n].setAttribute("aria-checked", String(isChosen));
      if (isChosen) byId("tool-help", "p").textContent = help;
    });
    const switches = byId("switches", "div").children;
    Object.keys(SWITCHES).forEach((name, n) => {
      const on = settings[/** @type {keyof typeof SWITCHES} */ (name)];
      switches[n].setAttribute("aria-checked", String(on));
    });
    byId("brush", "input").valueAsNumber = settings.brush;
    byId("brush-size", "output").value = `${settings.brush} px`;
  }

  /**
   * @param {string} text
   * @param {string} key
   * @param {() => void} run
   * @param {"radio" | "switch"} role
   */
  #button(text, key, run, role) {
    const attributes = { type: "button", role, "aria-checked": "false", "aria-keyshortcuts": key, click: run };
    return make("button", attributes, `${text} `, make("kbd", {}, key));
  }

  /**
   * @param {"brush" | "opacity" | "contrast"} id
   * @param {(value: number) => void} set
   * @param {(value: number) => string} text
   */
  #slider(id, set, text) {
    const input = byId(id, "input");
    const output = byId(id === "brush" ? "brush-size" : `${id}-value`, "output");
    const change = () => {
      set(input.valueAsNumber);
      output.value = text(input.valueAsNumber);
    };
    change();
    input.addEventListener("input", () => {
      change();
      this.asks.looked();
    });
  }
}
