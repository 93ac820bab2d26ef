// Dialogs: questions whose answer is awaited. Escape, and a click beside them, mean no.

import { h } from "./dom.js";
import { _ } from "./words.js";

/** Show a dialog until it is closed: the value it was closed with, "" for none. */
export function ask(title, ...contents) {
  const heading = h("h2", { id: "dialog-title" }, title);
  const form = h("form", { method: "dialog" }, heading, ...contents);
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close(""));
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue);
    });
  });
}

/** Row of buttons: [value, label, class]. The first is pressed by Enter. */
export function buttons(...all) {
  return h(
    "div",
    { class: "dialog-buttons" },
    ...all.map(([value, label, kind = ""]) => h("button", { value, class: kind }, label)),
  );
}

/** Ask for a text: the text, or null. */
export async function askText(title, label, value, type = "text") {
  const input = h("input", { type, value, id: "dialog-text", autocomplete: "off" });
  const row = h("label", { for: "dialog-text" }, label, input);
  const answer = await ask(title, row, buttons(["ok", _("Save"), "main"], ["", _("Cancel")]));
  return answer === "ok" ? input.value : null;
}

/** Ask whether to do something. */
export async function confirmed(title, yes) {
  return (await ask(title, buttons(["yes", yes, "danger"], ["", _("Cancel")]))) === "yes";
}

/** Ask which of some options: {value, label}; the value, or "". */
export function choose(title, options) {
  const list = options.map(({ value, label, kind }) => h("button", { value, class: `choice ${kind ?? ""}` }, label));
  return ask(title, h("div", { class: "choices" }, ...list), buttons(["", _("Cancel")]));
}
