// Blocks of code, with a button that copies them.

import { h, iconButton } from "./dom.js";
import { say } from "./status.js";
import { _ } from "./words.js";

/** Block of code in a language, "" if it is not known. */
export function codeBlock(text, name) {
  const code = h("code", {}, text);
  const copy = iconButton("copy", _("Copy"), (event) =>
    copyText(event.currentTarget.closest(".code").querySelector("code").textContent),
  );
  return h(
    "div",
    { class: "code" },
    h("div", { class: "code-head" }, h("span", {}, name), copy),
    h("pre", { tabIndex: 0 }, code),
  );
}

/** Copy a text to the clipboard, and say so. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    copyBySelection(text); // pages without TLS, such as on a local network, have no clipboard
  }
  say(_("Copied"));
}

function copyBySelection(text) {
  const area = h("textarea", { value: text, readOnly: true, class: "offscreen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
