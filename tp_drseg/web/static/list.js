/** The list of photographs: small pictures, states, filter and order. */

/** @import {Api} from "./api.js" */
/** @import {PhotographData, State} from "./types.js" */

import { byId, counted, make } from "./dom.js";

/** @type {Record<State, string>} */
export const STATES = {
  new: "New",
  started: "Begun",
  accepted: "Accepted",
  corrected: "Corrected",
  rejected: "Rejected",
};
const MARKS = { new: "\u25cb", started: "\u25d4", accepted: "\u2713", corrected: "\u270e", rejected: "\u2715" };

/** @type {Record<string, [string, (photo: PhotographData) => boolean]>} */
const FILTERS = {
  all: ["all", () => true],
  open: ["to be done", (photo) => photo.state === "new" || photo.state === "started"],
  new: ["new", (photo) => photo.state === "new"],
  started: ["begun", (photo) => photo.state === "started"],
  accepted: ["accepted", (photo) => photo.state === "accepted"],
  corrected: ["corrected", (photo) => photo.state === "corrected"],
  rejected: ["rejected", (photo) => photo.state === "rejected"],
  doubtful: ["in doubt", (photo) => photo.doubts.length > 0],
  mine: ["my part", (photo) => photo.may_change],
};

/** @type {Record<string, [string, (a: PhotographData, b: PhotographData) => number]>} */
const ORDERS = {
  name: ["name", (a, b) => a.image.localeCompare(b.image, undefined, { numeric: true })],
  many: ["most regions", (a, b) => regionsOf(b) - regionsOf(a)],
  few: ["fewest regions", (a, b) => regionsOf(a) - regionsOf(b)],
  state: ["state", (a, b) => stateRank(a.state) - stateRank(b.state)],
  recent: ["last changed", (a, b) => b.when.localeCompare(a.when)],
  doubt: ["in doubt first", (a, b) => b.doubts.length - a.doubts.length],
};

/** @param {PhotographData} photo */
function regionsOf(photo) {
  return photo.lesions.reduce((sum, lesion) => sum + lesion.regions, 0);
}

/** @param {State} state */
function stateRank(state) {
  return Object.keys(STATES).indexOf(state);
}

export class List {
  /** @type {PhotographData[]} */
  #photographs = [];
  /** @type {PhotographData[]} */
  #shown = [];
  /** @type {Map<string, HTMLLIElement>} */
  #items = new Map();
  /** @type {string | null} */
  #current = null;
  #filter = byId("filter", "select");
  #sort = byId("sort", "select");
  #list = byId("list", "ol");

  /**
   * @param {Api} api
   * @param {(id: string) => void} open
   */
  constructor(api, open) {
    this.api = api;
    this.open = open;
    for (const [value, [text]] of Object.entries(FILTERS)) this.#filter.append(make("option", { value }, text));
    for (const [value, [text]] of Object.entries(ORDERS)) this.#sort.append(make("option", { value }, text));
    this.#filter.addEventListener("change", () => this.#render());
    this.#sort.addEventListener("change", () => this.#render());
    this.pictures = new IntersectionObserver(
      (entries) => entries.filter((one) => one.isIntersecting).forEach((one) => this.#picture(one.target)),
      { root: this.#list, rootMargin: "300px" },
    );
  }

  /** @param {PhotographData[]} photographs */
  set(photographs) {
    this.#photographs = photographs;
    this.#items = new Map(photographs.map((photo) => [photo.id, this.#item(photo)]));
    this.#render();
  }

  /**
   * Take over what has become of one photograph.
   *
   * @param {PhotographData} data
   */
  update(data) {
    const at = this.#photographs.findIndex((photo) => photo.id === data.id);
    if (at < 0) return;
    this.#photographs[at] = data;
    const place = this.#shown.findIndex((photo) => photo.id === data.id);
    if (place >= 0) this.#shown[place] = data; // it stays in view though the filter may not fit now
    const item = this.#items.get(data.id);
    if (item) this.#label(item, data);
    this.#count();
  }

  /** @param {string} id */
  mark(id) {
    this.#current = id;
    for (const [other, item] of this.#items) {
      const button = item.firstElementChild;
      if (other === id) button?.setAttribute("aria-current", "true");
      else button?.removeAttribute("aria-current");
    }
    this.#items.get(id)?.scrollIntoView({ block: "nearest" });
  }

  /**
   * Return the photograph after (1) or before (-1) the current one.
   *
   * @param {-1 | 1} by
   * @returns {string | null}
   */
  neighbour(by) {
    const at = this.#shown.findIndex((photo) => photo.id === this.#current);
    const next = at < 0 ? this.#shown[0] : this.#shown[at + by];
    return next?.id ?? null;
  }

  /** Show the next filter. */
  nextFilter() {
    this.#filter.selectedIndex = (this.#filter.selectedIndex + 1) % this.#filter.options.length;
    this.#render();
  }

  #render() {
    const keep = FILTERS[this.#filter.value][1];
    const order = ORDERS[this.#sort.value][1];
    this.#shown = this.#photographs.filter(keep).sort(order);
    const items = this.#shown.map((photo) => /** @type {HTMLLIElement} */ (this.#items.get(photo.id)));
    this.#list.replaceChildren(...items);
    this.#count();
  }

  #count() {
    const done = this.#photographs.filter((photo) => !FILTERS.open[1](photo)).length;
    const all = counted(this.#photographs.length, "photograph");
    byId("counts", "p").textContent = `${this.#shown.length} of ${all} shown, ${done} done`;
  }

  /** @param {PhotographData} photo */
  #item(photo) {
    const button = make(
      "button",
      { type: "button", click: () => this.open(photo.id) },
      make("img", { alt: "", width: "72", height: "72", "data-id": photo.id }),
      make("span", { class: "item-name" }),
      make("span", { class: "item-state" }),
      make("span", { class: "item-counts" }),
    );
    const item = make("li", {}, button);
    this.#label(item, photo);
    if (photo.has_thumbnail) this.pictures.observe(button.children[0]);
    return item;
  }

  /**
   * @param {HTMLLIElement} item
   * @param {PhotographData} photo
   */
  #label(item, photo) {
    const [, name, state, counts] = /** @type {HTMLElement[]} */ ([...(item.firstElementChild?.children ?? [])]);
    name.textContent = photo.image;
    name.title = photo.image;
    state.className = `item-state state-${photo.state}`;
    state.textContent = `${MARKS[photo.state]} ${STATES[photo.state]}`;
    const found = photo.lesions.map((lesion) => `${lesion.label}\u00a0${lesion.regions}`);
    counts.textContent = found.join("  ") + (photo.doubts.length ? "  in doubt" : "");
  }

  /** @param {Element} image */
  async #picture(image) {
    this.pictures.unobserve(image);
    if (!(image instanceof HTMLImageElement) || !image.dataset.id) return;
    try {
      const url = URL.createObjectURL(await this.api.picture(image.dataset.id, "thumbnail"));
      image.addEventListener("load", () => URL.revokeObjectURL(url), { once: true });
      image.src = url;
    } catch {
      // a small picture that is missing leaves its place empty
    }
  }
}
