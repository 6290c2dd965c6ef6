/**
 * What the server says, and what the page makes of it. Types alone.
 *
 * @typedef {"new" | "started" | "accepted" | "corrected" | "rejected"} State
 * @typedef {"brush" | "eraser" | "threshold" | "click" | "box" | "description"} Action
 *
 * @typedef {object} Asked What the model was asked beside the lesion.
 * @property {string[]} descriptions
 * @property {[number, number][]} point_coords In px of the photograph.
 * @property {(0 | 1)[]} point_labels
 * @property {[number, number, number, number][]} boxes Left, top, right, bottom.
 *
 * @typedef {object} LesionData
 * @property {string} name
 * @property {string} label
 * @property {number} threshold The model's own.
 * @property {number} regions In the model's mask.
 * @property {number} area_px In the model's mask.
 * @property {number} max_probability
 * @property {string} mask Tells one mask from another.
 * @property {number | null} level Threshold in 256ths; null for the model's own.
 * @property {Asked | null} asked
 * @property {boolean} is_edited
 *
 * @typedef {object} PhotographData
 * @property {string} id
 * @property {string} image
 * @property {number} width
 * @property {number} height
 * @property {string[]} doubts
 * @property {string[]} notes
 * @property {boolean} has_thumbnail
 * @property {boolean} may_change
 * @property {LesionData[]} lesions
 * @property {State} state
 * @property {number} revision
 * @property {string} by
 * @property {string} when
 * @property {string} note
 * @property {boolean} can_undo
 * @property {boolean} can_redo
 *
 * @typedef {object} FolderData
 * @property {string} folder
 * @property {string} reviewer
 * @property {string | null} part
 * @property {string} why_read_only
 * @property {Record<string, [number, number, number]>} colours
 * @property {number} prior_step
 * @property {PhotographData[]} photographs
 *
 * @typedef {object} JobData
 * @property {string} id
 * @property {"waiting" | "running" | "done" | "failed" | "cancelled"} state
 * @property {number} ahead
 * @property {number} done
 * @property {number} total
 * @property {string} error
 * @property {number | null} threshold
 *
 * @typedef {object} Region
 * @property {number} left
 * @property {number} top
 * @property {number} right Exclusive.
 * @property {number} bottom Exclusive.
 * @property {number} area In px.
 */

export {};
