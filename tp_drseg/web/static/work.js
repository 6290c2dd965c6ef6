/** One open photograph: its masks here, and every change of them on the server's disk. */

/** @import {Api} from "./api.js" */
/** @import {Action, Asked, JobData, PhotographData} from "./types.js" */
/** @import {Base} from "./layers.js" */

import { Refusal } from "./api.js";
import { Layers, MOST_LESIONS } from "./layers.js";
import { heatMap } from "./overlay.js";
import { decodeGrey, encodeRows, packRows } from "./png.js";

const PAUSE = 250; // ms between two looks at a question

/**
 * What the model said for one way of asking.
 *
 * @typedef {Base & {key: string, job: string, threshold: number, prior: OffscreenCanvas}} Answer
 *
 * @typedef {object} Listener
 * @property {() => void} changed The masks are others.
 * @property {(data: PhotographData) => void} said The server says what it knows.
 * @property {(text: string) => void} saving
 * @property {(job: JobData | null) => void} busy The model is at it; null when it is not.
 * @property {(sentence: string) => void} failed
 */

/** @returns {Asked} */
export function nothingAsked() {
  return { descriptions: [], point_coords: [], point_labels: [], boxes: [] };
}

export class Work {
  /** @type {Map<number, Answer>} */
  #answers = new Map();
  /** Every change waits for the one before: the server takes them in order. */
  #last = Promise.resolve();
  #unsaved = 0;
  #isClosed = false;
  /** @type {string | null} */
  #job = null;

  /**
   * @param {Api} api
   * @param {PhotographData} data
   * @param {ImageBitmap} photograph
   * @param {Listener} listener
   */
  constructor(api, data, photograph, listener) {
    this.api = api;
    this.data = data;
    this.photograph = photograph;
    this.listener = listener;
    this.layers = new Layers(data.width, data.height);
  }

  /**
   * Open a photograph.
   *
   * @param {Api} api
   * @param {string} id
   * @param {Listener} listener
   */
  static async open(api, id, listener) {
    const [data, blob] = await Promise.all([api.photograph(id), api.picture(id, "picture")]);
    const photograph = await createImageBitmap(blob);
    if (photograph.width !== data.width || photograph.height !== data.height) {
      throw new Refusal(0, "The photograph has another size than its masks.");
    }
    const work = new Work(api, data, photograph, listener);
    await Promise.all(work.lesions.map((_, lesion) => work.#fetchMask(lesion)));
    return work;
  }

  /** The lesions that can be shown. */
  get lesions() {
    return this.data.lesions.slice(0, MOST_LESIONS);
  }

  /** Whether something is not on the server's disk yet. */
  get isSaving() {
    return this.#unsaved > 0;
  }

  /** Wait until all is saved. */
  async settle() {
    await this.#last;
  }

  /** Free what is kept, once all is saved. */
  async close() {
    this.#isClosed = true;
    await this.cancel();
    await this.settle();
    this.photograph.close();
  }

  /**
   * Draw a part of a stroke; `keep` ends it.
   *
   * @param {number} lesion
   * @param {boolean} add
   * @param {number} diameter
   * @param {{x: number, y: number}} from
   * @param {{x: number, y: number}} to
   */
  draw(lesion, add, diameter, from, to) {
    this.layers.draw(lesion, add, diameter, from, to);
    this.listener.changed();
  }

  /**
   * Send a lesion's mask to the server as it is now.
   *
   * @param {number} lesion
   * @param {Action} action
   * @param {{level?: number | null, answer?: string | null}} [how]
   */
  keep(lesion, action, how = {}) {
    const { width, height } = this.data;
    const rows = packRows(this.layers.bits, 1 << lesion, width, height);
    const level = how.level === undefined ? this.data.lesions[lesion].level : how.level;
    const known = this.#answers.get(lesion);
    const asked = this.data.lesions[lesion].asked;
    // what it was asked stays with a mask that is drawn on, as long as the server knows the question
    const answer = how.answer ?? (asked && known?.key === keyOf(asked) ? known.job : null);
    return this.#queue(async () => {
      const mask = await encodeRows(rows, width, height);
      const { id, revision } = this.data;
      const stroke = { revision, action, level, answer };
      return this.api.draw(id, lesion, mask, stroke);
    });
  }

  /** @param {-1 | 1} by */
  move(by) {
    return this.#queue(async () => {
      const { id, revision, can_undo, can_redo } = this.data;
      if (!(by < 0 ? can_undo : can_redo)) return this.data;
      return this.#others(await this.api.change(id, revision, { move: by }));
    });
  }

  /** @param {number} lesion */
  reset(lesion) {
    return this.#queue(async () => {
      const { id, revision } = this.data;
      return this.#others(await this.api.change(id, revision, { reset: lesion }));
    });
  }

  /** @param {"new" | "accepted" | "rejected"} state */
  sign(state) {
    return this.#queue(() => this.api.change(this.data.id, this.data.revision, { state }));
  }

  /** @param {string} note */
  note(note) {
    return this.#queue(() => this.api.change(this.data.id, this.data.revision, { note }));
  }

  /**
   * Return the model's answer that a lesion's mask started from.
   *
   * @param {number} lesion
   * @returns {Promise<Answer | null>} Null where there is none to be had.
   */
  async answer(lesion) {
    const asked = this.data.lesions[lesion].asked ?? nothingAsked();
    return this.#ask(lesion, asked);
  }

  /**
   * Return it if it is here already.
   *
   * @param {number} lesion
   */
  knownAnswer(lesion) {
    const known = this.#answers.get(lesion);
    return known?.key === keyOf(this.data.lesions[lesion].asked ?? nothingAsked()) ? known : null;
  }

  /**
   * Ask the model in another way, and take its answer; what was drawn by hand stays.
   *
   * @param {number} lesion
   * @param {Asked} asked
   * @param {Action} action
   */
  async refine(lesion, asked, action) {
    const before = await this.answer(lesion);
    const after = before && (await this.#ask(lesion, asked));
    if (!before || !after || this.#isClosed) return;
    const edits = this.layers.edits(lesion, before, this.data.lesions[lesion].level);
    this.layers.apply(lesion, after, null, edits);
    this.listener.changed();
    await this.keep(lesion, action, { level: null, answer: after.job });
  }

  /** End the question that the model is at. */
  async cancel() {
    const job = this.#job;
    if (job !== null) await this.api.cancel(job).catch(() => {});
  }

  /**
   * @param {number} lesion
   * @param {Asked} asked
   * @returns {Promise<Answer | null>}
   */
  async #ask(lesion, asked) {
    const key = keyOf(asked);
    const known = this.#answers.get(lesion);
    if (known?.key === key) return known;
    if (this.#job !== null) {
      this.listener.failed("The model is still at another question. Wait for it, or cancel it.");
      return null;
    }
    try {
      let job = await this.api.ask(this.data.id, lesion, asked);
      while (job.state === "waiting" || job.state === "running") {
        this.#job = job.id;
        this.listener.busy(job);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
        job = await this.api.job(job.id);
      }
      if (job.state === "failed") throw new Refusal(0, job.error);
      if (job.state === "cancelled" || this.#isClosed) return null;
      const answer = await this.#fetchAnswer(lesion, job, key);
      this.#answers.set(lesion, answer);
      return answer;
    } catch (error) {
      this.listener.failed(sentence(error));
      return null;
    } finally {
      this.#job = null;
      this.listener.busy(null);
    }
  }

  /**
   * @param {number} lesion
   * @param {JobData} job
   * @param {string} key
   * @returns {Promise<Answer>}
   */
  async #fetchAnswer(lesion, job, key) {
    // the mask that the results have is the model's own, whatever this machine rounds otherwise
    const plain = key === keyOf(nothingAsked());
    const [levels, mask, prior] = await Promise.all([
      this.api.answer(job.id, "levels").then(decodeGrey),
      (plain
        ? this.api.picture(this.data.id, `model-masks/${lesion}`)
        : this.api.answer(job.id, "mask")
      ).then(decodeGrey),
      this.api.answer(job.id, "prior").then(decodeGrey),
    ]);
    return {
      key,
      job: job.id,
      threshold: job.threshold ?? this.data.lesions[lesion].threshold,
      levels: levels.values,
      mask: mask.values,
      prior: heatMap(prior),
    };
  }

  /** @param {number} lesion */
  async #fetchMask(lesion) {
    const { id, width, height } = this.data;
    const mask = await decodeGrey(await this.api.picture(id, `masks/${lesion}`));
    if (mask.width !== width || mask.height !== height) {
      throw new Refusal(0, "A mask has another size than its photograph.");
    }
    this.layers.set(lesion, mask.values);
  }

  /**
   * Take over the masks that are others in what the server says.
   *
   * @param {PhotographData} data
   */
  async #others(data) {
    const before = this.data;
    this.data = data;
    const changed = this.lesions.map((_, n) => n);
    await Promise.all(
      changed
        .filter((n) => data.lesions[n].mask !== before.lesions[n].mask)
        .map((n) => this.#fetchMask(n)),
    );
    this.listener.changed();
    return data;
  }

  /** @param {() => Promise<PhotographData>} change */
  #queue(change) {
    this.#unsaved += 1;
    this.listener.saving("Saving...");
    this.#last = this.#last.then(async () => {
      try {
        this.data = await change();
        this.#unsaved -= 1;
        if (!this.#unsaved) this.listener.saving("Saved");
      } catch (error) {
        this.#unsaved -= 1;
        this.listener.saving("Not saved");
        this.listener.failed(sentence(error));
        await this.#reload();
      }
      this.listener.said(this.data);
    });
    return this.#last;
  }

  /** Show what the server has, after it refused a change. */
  async #reload() {
    try {
      await this.#others(await this.api.photograph(this.data.id));
    } catch {
      // the server is gone: what was drawn stays in view
    }
  }
}

/** @param {Asked} asked */
function keyOf(asked) {
  return JSON.stringify([asked.descriptions, asked.point_coords, asked.point_labels, asked.boxes]);
}

/** @param {unknown} error */
export function sentence(error) {
  return error instanceof Refusal ? error.message : `The page failed: ${error}`;
}
