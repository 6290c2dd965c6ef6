/** The page: joins the list, the canvas and the tools to the photograph that is open. */

/** @import {Asked, JobData, PhotographData} from "./types.js" */
/** @import {Command} from "./keys.js" */

import { Api } from "./api.js";
import { byId, make } from "./dom.js";
import { listenToKeys } from "./keys.js";
import { List, STATES } from "./list.js";
import { redFree } from "./overlay.js";
import { Panel, SWITCHES, TOOLS } from "./panel.js";
import { listen } from "./pointer.js";
import { settings } from "./settings.js";
import { View } from "./view.js";
import { nothingAsked, sentence, Work } from "./work.js";

const api = new Api(location.hash.slice(1));
const view = new View(byId("canvas", "canvas"));
/** @type {Work | null} */
let work = null;
/** @type {OffscreenCanvas | null} */
let grey = null;
/** The number of the last wish to open a photograph: a slower one before it is dropped. */
let wish = 0;
/** @type {{edits: Uint8Array, lesion: number} | null} What was drawn by hand, while the threshold moves. */
let slide = null;
/** @type {{x: number, y: number} | null} The first corner of a box, with the keyboard. */
let corner = null;
let region = -1;
let regionsTimer = 0;

const folder = await api.folder().catch((error) => {
  fail(sentence(error));
  throw error;
});
const list = new List(api, open);
const panel = new Panel(folder.colours, {
  looked: look,
  chosen: choose,
  threshold: slideTo,
  region: (one) => view.show(one),
});

byId("folder", "p").textContent = [
  folder.folder,
  folder.part === null || folder.part === "1/1" ? "" : `part ${folder.part}`,
  folder.reviewer,
]
  .filter(Boolean)
  .join(" \u00b7 ");
if (folder.why_read_only) fail(folder.why_read_only);
list.set(folder.photographs);
const first = list.neighbour(1);
if (first) await open(first);

/** @param {string} id */
async function open(id) {
  const mine = ++wish;
  panes("");
  await work?.settle();
  try {
    say("busy-text", "Opening...");
    byId("busy", "p").hidden = false;
    byId("cancel", "button").hidden = true;
    const opened = await Work.open(api, id, {
      changed: () => drawAnew(),
      said: (data) => told(data),
      saving: (text) => say("saved", text),
      busy: showJob,
      failed: fail,
    });
    if (mine !== wish) {
      await opened.close();
      return;
    }
    const before = work;
    work = opened;
    grey = null;
    slide = corner = null;
    settings.lesion = Math.min(settings.lesion, work.lesions.length - 1);
    void before?.close();
    say("saved", "");
    if (!folder.why_read_only) fail("");
    list.mark(id);
    showFacts(work.data);
    look();
    view.fit();
    told(work.data);
    drawAnew();
  } catch (error) {
    if (mine === wish) fail(sentence(error));
  } finally {
    if (mine === wish) byId("busy", "p").hidden = true;
  }
}

/** Show the masks as they are now. */
function drawAnew() {
  view.redraw();
  window.clearTimeout(regionsTimer);
  regionsTimer = window.setTimeout(() => {
    if (!work) return;
    panel.showRegions(work.layers.regions(settings.lesion), work);
    region = -1;
  }, 150);
}

/** @param {PhotographData} data */
function told(data) {
  list.update(data);
  if (!work || work.data.id !== data.id) return;
  panel.showLesions(work);
  view.points = pointsOf(data.lesions[settings.lesion].asked);
  view.redraw();
  const may = data.may_change;
  byId("undo", "button").disabled = !may || !data.can_undo;
  byId("redo", "button").disabled = !may || !data.can_redo;
  byId("accept", "button").disabled = !may || data.state === "accepted" || data.state === "corrected";
  byId("reject", "button").disabled = !may || data.state === "rejected";
  byId("reopen", "button").hidden = !may || data.state === "new" || data.state === "started";
  byId("state", "span").textContent = data.by ? `${STATES[data.state]} by ${data.by}` : STATES[data.state];
  byId("state", "span").className = `state-${data.state}`;
  byId("canvas", "canvas").setAttribute("aria-label", described(data));
}

/** @param {PhotographData} data */
function described(data) {
  const shown = data.lesions.filter((lesion) => !settings.hidden.has(lesion.name)).map((lesion) => lesion.name);
  return `${data.image}, ${data.width} by ${data.height} pixels. Shown: ${shown.join(", ") || "no lesion"}.`;
}

/** @param {PhotographData} data */
function showFacts(data) {
  byId("title", "h2").textContent = data.image;
  document.title = `${data.image} - TP-DRSeg review`;
  byId("facts", "ul").replaceChildren(
    make("li", {}, `${data.width} x ${data.height} px`),
    ...data.doubts.map((text) => make("li", { class: "odd" }, `In doubt: ${text}`)),
    ...data.notes.map((text) => make("li", {}, text)),
    ...(data.may_change ? [] : [make("li", { class: "odd" }, "In another reviewer's part: you may look, and change nothing.")]),
  );
  byId("note", "textarea").value = data.note;
  byId("note", "textarea").disabled = !data.may_change;
}

/** Show what the settings say. */
function look() {
  if (!work) return;
  const { data, photograph, layers } = work;
  if (settings.redFree) grey ??= redFree(photograph);
  const answer = settings.prior ? work.knownAnswer(settings.lesion) : null;
  if (settings.prior && !answer) void fetchPrior();
  view.scene = {
    photograph: (settings.redFree && grey) || photograph,
    width: data.width,
    height: data.height,
    layers,
    prior: answer?.prior ?? null,
    contrast: settings.contrast,
    beside: settings.beside,
  };
  view.style = {
    colours: work.lesions.map((lesion) => folder.colours[lesion.name]),
    shown: work.lesions.map((lesion) => !settings.hidden.has(lesion.name)),
    opacity: settings.opacity,
    filled: settings.filled,
    line: 1,
  };
  if (settings.tool !== "brush" && settings.tool !== "eraser") view.brush = null;
  byId("canvas", "canvas").dataset.tool = settings.tool;
  byId("canvas", "canvas").setAttribute("aria-label", described(data));
  if (view.wasFitted) view.fit();
  view.redraw();
}

async function fetchPrior() {
  const asked = work;
  const answer = await work?.answer(settings.lesion);
  if (asked !== work) return;
  if (answer) look();
  else if (settings.prior) panel.flip("prior");
}

/** @param {number} lesion */
function choose(lesion) {
  if (!work || lesion >= work.lesions.length) return;
  settings.lesion = lesion;
  settings.hidden.delete(work.lesions[lesion].name);
  corner = null;
  told(work.data);
  look();
  drawAnew();
}

/** Whether this page may change the open photograph; says why not. */
function mayChange() {
  if (work?.data.may_change) return true;
  fail(folder.why_read_only || "This photograph is in another reviewer's part.");
  return false;
}

/**
 * @param {number} level
 * @param {boolean} isOver
 */
async function slideTo(level, isOver) {
  const [asked, { lesion }] = [work, settings];
  if (!asked || !mayChange()) return;
  panel.sayLevel(level);
  const answer = asked.knownAnswer(lesion) ?? (isOver ? await asked.answer(lesion) : void asked.answer(lesion));
  if (asked !== work || settings.lesion !== lesion) return;
  if (!answer) {
    if (isOver) panel.showThreshold(asked);
    return;
  }
  if (slide?.lesion !== lesion) {
    slide = { lesion, edits: asked.layers.edits(lesion, answer, asked.data.lesions[lesion].level) };
  }
  asked.layers.apply(lesion, answer, level, slide.edits);
  drawAnew();
  if (isOver) {
    slide = null;
    await asked.keep(lesion, "threshold", { level });
  }
}

async function modelThreshold() {
  const [asked, { lesion }] = [work, settings];
  if (!asked || !mayChange()) return;
  const answer = await asked.answer(lesion);
  if (!answer || asked !== work) return;
  const edits = asked.layers.edits(lesion, answer, asked.data.lesions[lesion].level);
  asked.layers.apply(lesion, answer, null, edits);
  drawAnew();
  await asked.keep(lesion, "threshold", { level: null });
}

/**
 * Ask the model with a further place.
 *
 * @param {{point: [number, number], label: 0 | 1} | {box: [number, number, number, number]}} place
 */
async function pointOut(place) {
  if (!work || !mayChange()) return;
  const asked = structuredClone(work.data.lesions[settings.lesion].asked ?? nothingAsked());
  if ("box" in place) asked.boxes.push(place.box);
  else {
    asked.point_coords.push(place.point);
    asked.point_labels.push(place.label);
  }
  view.points = pointsOf(asked);
  view.redraw();
  const [before, { lesion }] = [work, settings];
  await work.refine(lesion, asked, "box" in place ? "box" : "click");
  if (before === work) told(work.data);
}

/** @param {Asked | null} asked */
function pointsOf(asked) {
  return (asked?.point_coords ?? []).map(
    ([x, y], n) => /** @type {[number, number, 0 | 1]} */ ([x, y, asked?.point_labels[n] ?? 1]),
  );
}

/** @param {{x: number, y: number}} at Pixel (0, 0) covers 0 to 1. */
function pixelAt(at) {
  return /** @type {[number, number]} */ ([Math.floor(at.x), Math.floor(at.y)]);
}

/**
 * @param {{x: number, y: number}} from
 * @param {{x: number, y: number}} to
 */
function boxOf(from, to) {
  const { width, height } = work?.data ?? { width: 0, height: 0 };
  const within = (/** @type {number} */ value, /** @type {number} */ most) => Math.min(most, Math.max(0, Math.round(value)));
  return {
    left: within(Math.min(from.x, to.x), width),
    top: within(Math.min(from.y, to.y), height),
    right: within(Math.max(from.x, to.x), width),
    bottom: within(Math.max(from.y, to.y), height),
  };
}

/** @param {{left: number, top: number, right: number, bottom: number}} box */
function askBox({ left, top, right, bottom }) {
  view.box = null;
  view.redraw();
  if (right > left && bottom > top) void pointOut({ box: [left, top, right, bottom] });
}

const strokes = {
  tool: () => settings.tool,
  /** @param {{x: number, y: number}} at @param {boolean} beside */
  click(at, beside) {
    const [x, y] = pixelAt(at);
    if (!work || x < 0 || y < 0 || x >= work.data.width || y >= work.data.height) return;
    void pointOut({ point: [x, y], label: beside ? 0 : 1 });
  },
  /** @param {{x: number, y: number}} from @param {{x: number, y: number}} to */
  draw(from, to) {
    if (!work || !mayChange()) return;
    work.draw(settings.lesion, settings.tool === "brush", settings.brush, from, to);
  },
  drawn() {
    if (work?.data.may_change) void work.keep(settings.lesion, settings.tool === "brush" ? "brush" : "eraser");
  },
  /** @param {{x: number, y: number}} from @param {{x: number, y: number}} to @param {boolean} isOver */
  box(from, to, isOver) {
    view.box = boxOf(from, to);
    view.redraw();
    if (isOver) askBox(view.box);
  },
  /** @param {{x: number, y: number} | null} at */
  hover(at) {
    const draws = settings.tool === "brush" || settings.tool === "eraser";
    view.brush = at && draws ? { ...at, diameter: settings.brush } : null;
    const [x, y] = at ? pixelAt(at) : [-1, -1];
    const inside = work && x >= 0 && y >= 0 && x < work.data.width && y < work.data.height;
    byId("where", "p").textContent = inside ? `x ${x}  y ${y}  ${Math.round(100 * view.scale)} %` : "";
    view.redraw();
  },
};
listen(view, strokes);

/** Use the tool in the middle of the view. */
function useInMiddle() {
  const at = { ...view.centre };
  if (settings.tool === "click") strokes.click(at, false);
  if (settings.tool === "brush" || settings.tool === "eraser") {
    strokes.draw(at, at);
    strokes.drawn();
  }
  if (settings.tool !== "box") return;
  if (!corner) corner = at;
  else {
    askBox(boxOf(corner, at));
    corner = null;
  }
}

/** @param {-1 | 1} by */
async function step(by) {
  const id = list.neighbour(by);
  if (id) await open(id);
  else fail(by > 0 ? "This is the last photograph of the list." : "This is the first photograph of the list.");
}

/** @param {"new" | "accepted" | "rejected"} state */
async function sign(state) {
  if (!work || !mayChange()) return;
  const signed = work;
  await signed.sign(state);
  if (state !== "new" && signed === work && signed.data.state !== "new" && list.neighbour(1)) await step(1);
}

/** @param {-1 | 1} by */
function turnBack(by) {
  if (work && mayChange()) void work.move(by);
}

/** @param {-1 | 1} by */
function nextRegion(by) {
  if (!work) return;
  const regions = work.layers.regions(settings.lesion);
  if (!regions.length) return;
  region = (region + by + regions.length) % regions.length;
  view.show(regions[region]);
}

/** @param {JobData | null} job */
function showJob(job) {
  byId("busy", "p").hidden = job === null;
  byId("cancel", "button").hidden = false;
  if (!job) return;
  const text = job.ahead ? `Waiting for the model: ${job.ahead} before this.` : "The model is at it";
  say("busy-text", job.total ? `${text}: part ${job.done + 1} of ${job.total}.` : `${text}...`);
}

/**
 * @param {"busy-text" | "saved"} id
 * @param {string} text
 */
function say(id, text) {
  const element = document.getElementById(id);
  if (element) element.textContent = text;
}

/** @param {string} text Empty when all is well. */
function fail(text) {
  const message = byId("message", "p");
  message.textContent = text;
  message.hidden = !text;
}

/** @param {"" | "list" | "panel"} which On a phone one pane at a time lies over the photograph. */
function panes(which) {
  for (const name of /** @type {const} */ (["list", "panel"])) {
    const isOpen = which === name && document.body.dataset.pane !== name;
    byId(`show-${name}`, "button").setAttribute("aria-expanded", String(isOpen));
  }
  document.body.dataset.pane = document.body.dataset.pane === which ? "" : which;
}

/** @type {[string, () => void][]} */
const clicks = [
  ["previous", () => void step(-1)],
  ["next", () => void step(1)],
  ["accept", () => void sign("accepted")],
  ["reject", () => void sign("rejected")],
  ["reopen", () => void sign("new")],
  ["undo", () => turnBack(-1)],
  ["redo", () => turnBack(1)],
  ["cancel", () => void work?.cancel()],
  ["model-threshold", () => void modelThreshold()],
  ["reset", () => mayChange() && void work?.reset(settings.lesion)],
  ["show-list", () => panes("list")],
  ["show-panel", () => panes("panel")],
];
for (const [id, run] of clicks) byId(id, "button").addEventListener("click", run);

byId("describe", "form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = byId("description", "textarea").value.trim();
  if (!work || !mayChange()) return;
  const asked = structuredClone(work.data.lesions[settings.lesion].asked ?? nothingAsked());
  asked.descriptions = text ? [text] : [];
  void work.refine(settings.lesion, asked, "description");
});
byId("note", "textarea").addEventListener("change", () => void work?.note(byId("note", "textarea").value));
byId("canvas", "canvas").addEventListener("focus", () => {
  view.hasCross = byId("canvas", "canvas").matches(":focus-visible");
  view.redraw();
});
byId("canvas", "canvas").addEventListener("blur", () => {
  view.hasCross = false;
  view.redraw();
});
window.addEventListener("beforeunload", (event) => {
  if (work?.isSaving) event.preventDefault();
});

/** @type {Record<string, [number, number]>} In px. */
const MOVES = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };

/** @type {Command[]} */
const commands = [
  { keys: ["j", "PageDown"], text: "Next photograph", run: () => void step(1) },
  { keys: ["k", "PageUp"], text: "Previous photograph", run: () => void step(-1) },
  { keys: ["a"], text: "Accept the masks, go on to the next", run: () => void sign("accepted") },
  { keys: ["x"], text: "Reject the photograph, go on to the next", run: () => void sign("rejected") },
  { keys: ["z", "Ctrl+z"], text: "Undo", run: () => turnBack(-1) },
  { keys: ["y", "Ctrl+y", "Ctrl+Shift+z"], text: "Redo", run: () => turnBack(1) },
  {
    keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
    text: "Choose a lesion",
    run: (event) => choose(Number(event.key) - 1),
  },
  {
    keys: ["Shift+1", "Shift+2", "Shift+3", "Shift+4", "Shift+5", "Shift+6", "Shift+7", "Shift+8", "Shift+9"],
    text: "Show or hide a lesion",
    run: (event) => panel.toggle(Number(event.code.slice(5)) - 1),
  },
  ...Object.entries(TOOLS).map(([name, { text, key }]) => ({
    keys: [key.toLowerCase()],
    text: `Tool: ${text.toLowerCase()}`,
    run: () => panel.choose(/** @type {keyof typeof TOOLS} */ (name)),
  })),
  ...Object.entries(SWITCHES).map(([name, { text, key }]) => ({
    keys: [key.toLowerCase()],
    text: `${text} on or off`,
    run: () => panel.flip(/** @type {keyof typeof SWITCHES} */ (name)),
  })),
  { keys: ["["], text: "Smaller brush", run: () => panel.scaleBrush(1 / 1.2) },
  { keys: ["]"], text: "Larger brush", run: () => panel.scaleBrush(1.2) },
  { keys: [","], text: "Lower threshold: more is lesion", run: () => panel.moveThreshold(-1) },
  { keys: ["."], text: "Higher threshold: less is lesion", run: () => panel.moveThreshold(1) },
  { keys: ["n"], text: "Go to the next region", run: () => nextRegion(1) },
  { keys: ["m"], text: "Go to the region before", run: () => nextRegion(-1) },
  { keys: ["d"], text: "Describe the lesion in your own words", run: () => panel.focusDescription() },
  { keys: ["l"], text: "Show other photographs in the list", run: () => list.nextFilter() },
  { keys: ["+", "="], text: "Zoom in", run: () => view.zoom(1.4) },
  { keys: ["-"], text: "Zoom out", run: () => view.zoom(1 / 1.4) },
  { keys: ["0"], text: "Whole photograph", run: () => view.fit() },
  {
    keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"],
    text: "Move the view",
    inCanvas: true,
    run: (event) => view.pan(...(MOVES[event.key] ?? [0, 0])),
  },
  { keys: ["Enter"], text: "Use the tool in the middle of the view (a box: at two corners)", inCanvas: true, run: useInMiddle },
  { keys: ["/"], text: "Go to the photograph, for these keys", run: () => byId("canvas", "canvas").focus() },
  { keys: ["?"], text: "Show these keys", run: () => byId("help", "dialog").showModal() },
];
listenToKeys(commands);
