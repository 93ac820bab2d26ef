// What goes on, said to everybody: a line at the top, and a live region for screen readers.

import { h } from "./dom.js";
import { _ } from "./words.js";

const SHOWN_MS = 4000;
const line = h("p", { class: "status-line", role: "status", hidden: true });
const bar = h("progress", { class: "status-bar", max: 1, hidden: true, "aria-label": "" });
let timer = 0;

export const status = h("div", { class: "status" }, line, bar);

/** Say something for a while. */
export function say(text) {
  show(text);
  timer = setTimeout(clear, SHOWN_MS);
}

/** Say something until `clear`: with a share, how far it is. */
export function show(text, share = null, isProblem = false) {
  clearTimeout(timer);
  if (line.textContent !== text) line.textContent = text;
  line.hidden = false;
  line.classList.toggle("problem", isProblem);
  bar.hidden = share === null;
  bar.setAttribute("aria-label", text);
  if (share !== null) bar.value = share;
}

/** Say what went wrong, until something else is said. */
export const showProblem = (text) => show(text, null, true);

/** Say nothing any more. */
export function clear() {
  clearTimeout(timer);
  line.hidden = bar.hidden = true;
  line.textContent = "";
}

/** Say how far the load of the model is. */
export const showLoading = (share) => show(_("Loading the model…"), share);

/** Say how far the prompt is read. */
export const showPrefill = (share) => show(_("Reading the conversation…"), share);

/** Say that the server is away. */
export const showAway = () => show(_("The server is away. Trying again…"), null, true);
