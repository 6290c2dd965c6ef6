/** What mouse, pen and fingers do on the canvas, told as moves of the view and strokes of a tool. */

/** @import {View} from "./view.js" */

/**
 * @typedef {"move" | "click" | "box" | "brush" | "eraser"} Tool
 * @typedef {{x: number, y: number}} Place
 *
 * @typedef {object} Strokes
 * @property {() => Tool} tool
 * @property {(at: Place, beside: boolean) => void} click
 * @property {(from: Place, to: Place) => void} draw A part of a stroke.
 * @property {() => void} drawn The stroke is over.
 * @property {(from: Place, to: Place, isOver: boolean) => void} box
 * @property {(at: Place | null) => void} hover
 */

const STILL = 5; // px that a click may move

/**
 * Listen to a canvas.
 *
 * One finger uses the tool, two move and scale. The middle button, or the space bar held down,
 * moves with any tool; the right button, or Alt, says "beside the lesion".
 *
 * @param {View} view
 * @param {Strokes} strokes
 */
export function listen(view, strokes) {
  const { canvas } = view;
  /** @type {Map<number, PointerEvent>} */
  const held = new Map();
  /** @type {{how: "move" | "tool", start: PointerEvent, from: Place, last: Place, hasDrawn: boolean} | null} */
  let stroke = null;
  let hasSpace = false;

  canvas.addEventListener("pointerdown", (event) => {
    if (!view.scene) return;
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, event);
    if (held.size > 1) {
      finish(true); // a second finger: it was to be a move
      return;
    }
    const at = view.toImage(event);
    const moves = event.button === 1 || hasSpace || strokes.tool() === "move";
    stroke = { how: moves ? "move" : "tool", start: event, from: at, last: at, hasDrawn: false };
    // a finger waits: it may be the first of two
    if (draws() && event.pointerType !== "touch") draw(at);
    event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    const before = held.get(event.pointerId);
    if (before) held.set(event.pointerId, event);
    strokes.hover(event.pointerType === "touch" ? null : view.toImage(event));
    if (!before) return;
    if (held.size === 2) {
      pinch(before, event);
    } else if (stroke?.how === "move") {
      view.pan(event.clientX - before.clientX, event.clientY - before.clientY);
    } else if (draws()) {
      for (const part of event.getCoalescedEvents?.() ?? []) draw(view.toImage(part));
      draw(view.toImage(event));
    } else if (stroke && strokes.tool() === "box") {
      strokes.box(stroke.from, view.toImage(event), false);
    }
  });

  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    canvas.addEventListener(name, (event) => {
      if (!held.delete(event.pointerId) || !stroke) return;
      const { start, how, from } = stroke;
      const at = view.toImage(event);
      const moved = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
      const cancelled = name === "pointercancel";
      if (how === "tool" && !cancelled && strokes.tool() === "click" && moved < STILL) {
        strokes.click(from, start.button === 2 || start.altKey);
      } else if (how === "tool" && !cancelled && strokes.tool() === "box" && moved >= STILL) {
        strokes.box(from, at, true);
      } else if (draws() && !cancelled && !stroke.hasDrawn) {
        draw(at);
      }
      finish(false);
    });
  }

  canvas.addEventListener("pointerleave", () => strokes.hover(null));
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      view.zoom(Math.exp((-event.deltaY * lines) / 400), event);
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    if (event.key === " ") hasSpace = true;
  });
  window.addEventListener("keyup", (event) => {
    if (event.key === " ") hasSpace = false;
  });

  function draws() {
    const draws = strokes.tool() === "brush" || strokes.tool() === "eraser";
    return draws && stroke?.how === "tool" && stroke.start.button === 0;
  }

  /** @param {Place} at */
  function draw(at) {
    if (!stroke) return;
    strokes.draw(stroke.last, at);
    stroke.last = at;
    stroke.hasDrawn = true;
  }

  /** @param {boolean} isTaken Whether what was begun goes on as something else. */
  function finish(isTaken) {
    if (stroke?.hasDrawn) strokes.drawn();
    if (isTaken && stroke?.how === "tool" && strokes.tool() === "box") {
      strokes.box(stroke.from, stroke.from, false);
    }
    stroke = null;
  }

  /**
   * @param {PointerEvent} before
   * @param {PointerEvent} event
   */
  function pinch(before, event) {
    const other = [...held.values()].find((one) => one.pointerId !== event.pointerId);
    if (!other) return;
    const span = (/** @type {PointerEvent} */ one) =>
      Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
    const middle = {
      clientX: (event.clientX + other.clientX) / 2,
      clientY: (event.clientY + other.clientY) / 2,
    };
    view.zoom(span(event) / span(before), middle);
    view.pan((event.clientX - before.clientX) / 2, (event.clientY - before.clientY) / 2);
  }
}
