/** Keys, and the table that explains them: both from one list. */

import { byId, make } from "./dom.js";

/**
 * @typedef {object} Command
 * @property {string[]} keys As `KeyboardEvent.key` has them, `Ctrl+` or `Shift+` in front.
 * @property {string} text What the help says.
 * @property {(event: KeyboardEvent) => void} run
 * @property {boolean} [inCanvas] Whether the canvas must have the focus.
 */

/**
 * Let keys do something, but for those that are typed into a field.
 *
 * @param {Command[]} commands
 */
export function listenToKeys(commands) {
  const canvas = byId("canvas", "canvas");
  const help = byId("help", "dialog");
  window.addEventListener("keydown", (event) => {
    if (event.target instanceof Element && event.target.closest("textarea, input[type=text], select, dialog")) return;
    const name = nameOf(event);
    const isRange = event.target instanceof HTMLInputElement && event.target.type === "range";
    if (isRange && event.key.startsWith("Arrow")) return;
    const inCanvas = document.activeElement === canvas;
    const found = commands.find((one) => one.keys.includes(name) && (!one.inCanvas || inCanvas));
    if (!found) return;
    event.preventDefault();
    found.run(event);
  });
  byId("keys", "tbody").replaceChildren(
    ...commands.map((one) =>
      make("tr", {}, make("th", { scope: "row" }, ...keysOf(one)), make("td", {}, one.text)),
    ),
  );
  byId("show-help", "button").addEventListener("click", () => help.showModal());
}

/** @param {KeyboardEvent} event */
function nameOf(event) {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return `Ctrl+${event.shiftKey ? "Shift+" : ""}${key}`;
  // the digits' own place: what Shift makes of them differs by keyboard
  if (event.shiftKey && /^Digit\d$/.test(event.code)) return `Shift+${event.code.slice(5)}`;
  if (event.shiftKey && event.key.length > 1) return `Shift+${key}`;
  return key;
}

/** @param {Command} command */
function keysOf(command) {
  return command.keys.flatMap((key, n) => [
    n ? " or " : "",
    make("kbd", {}, key.replace("Arrow", "").replace(/^.$/, (letter) => letter.toUpperCase())),
  ]);
}
