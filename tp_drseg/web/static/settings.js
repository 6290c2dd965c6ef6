/** How the page looks to this reviewer: kept for as long as the tab is open, nowhere else. */

/** @import {Tool} from "./pointer.js" */

export const settings = {
  /** @type {Tool} */
  tool: "move",
  lesion: 0,
  /** @type {Set<string>} Names of lesions that are not shown. */
  hidden: new Set(),
  brush: 20,
  filled: true,
  opacity: 0.35,
  contrast: 1,
  redFree: false,
  prior: false,
  beside: false,
};
