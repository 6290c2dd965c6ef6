/** @import {FolderData, PhotographData, JobData, Asked, Action} from "./types.js" */

/** What the server refused, in a sentence for the reviewer. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} message
   */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** The server, asked with the secret that stands in the page's address. */
export class Api {
  /** @param {string} token */
  constructor(token) {
    this.token = token;
  }

  /** @returns {Promise<FolderData>} */
  folder() {
    return this.#json("/api/folder");
  }

  /**
   * @param {string} id
   * @returns {Promise<PhotographData>}
   */
  photograph(id) {
    return this.#json(`/api/photographs/${id}`);
  }

  /**
   * @param {string} id
   * @param {"picture" | "thumbnail" | `masks/${number}` | `model-masks/${number}`} what
   * @returns {Promise<Blob>}
   */
  picture(id, what) {
    return this.#blob(`/api/photographs/${id}/${what}`);
  }

  /**
   * @param {string} id
   * @param {number} lesion
   * @param {Blob} mask
   * @param {{revision: number, action: Action, level: number | null, answer: string | null}} stroke
   * @returns {Promise<PhotographData>}
   */
  draw(id, lesion, mask, stroke) {
    const query = new URLSearchParams({ revision: String(stroke.revision), action: stroke.action });
    if (stroke.level !== null) query.set("level", String(stroke.level));
    if (stroke.answer !== null) query.set("answer", stroke.answer);
    return this.#json(`/api/photographs/${id}/masks/${lesion}?${query}`, {
      method: "PUT",
      headers: { "content-type": "image/png" },
      body: mask,
    });
  }

  /**
   * @param {string} id
   * @param {number} revision
   * @param {{move: -1 | 1} | {state: "new" | "accepted" | "rejected"} | {note: string} | {reset: number}} change
   * @returns {Promise<PhotographData>}
   */
  change(id, revision, change) {
    return this.#post(`/api/photographs/${id}/review`, { revision, ...change });
  }

  /**
   * @param {string} id
   * @param {number} lesion
   * @param {Asked} asked
   * @returns {Promise<JobData>}
   */
  ask(id, lesion, asked) {
    return this.#post(`/api/photographs/${id}/answers`, { lesion, asked });
  }

  /**
   * @param {string} job
   * @returns {Promise<JobData>}
   */
  job(job) {
    return this.#json(`/api/answers/${job}`);
  }

  /** @param {string} job */
  async cancel(job) {
    await this.#json(`/api/answers/${job}`, { method: "DELETE" });
  }

  /**
   * @param {string} job
   * @param {"levels" | "mask" | "prior"} part
   * @returns {Promise<Blob>}
   */
  answer(job, part) {
    return this.#blob(`/api/answers/${job}/${part}`);
  }

  /**
   * @param {string} path
   * @param {object} body
   */
  #post(path, body) {
    return this.#json(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  }

  /**
   * @param {string} path
   * @param {RequestInit} [init]
   */
  async #json(path, init) {
    return (await this.#fetch(path, init)).json();
  }

  /** @param {string} path */
  async #blob(path) {
    return (await this.#fetch(path)).blob();
  }

  /**
   * @param {string} path
   * @param {RequestInit} [init]
   * @returns {Promise<Response>}
   */
  async #fetch(path, init = {}) {
    const headers = { ...init.headers, "x-review-token": this.token };
    let response;
    try {
      response = await fetch(path, { ...init, headers });
    } catch {
      throw new Refusal(0, "The server does not answer. Is `tp-drseg review` still running?");
    }
    if (response.ok) return response;
    const text = await response.text();
    let message = text;
    try {
      message = JSON.parse(text).error;
    } catch {
      // a refusal before any address was looked at is plain text
    }
    throw new Refusal(response.status, message);
  }
}
