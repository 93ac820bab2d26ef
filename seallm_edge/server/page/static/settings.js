// Settings of this browser: language, colours, persona, sampling options; import and export of all conversations.

import { call, download } from "./api.js";
import { ask, buttons } from "./dialogs.js";
import { h } from "./dom.js";
import { say } from "./status.js";
import { keep, kept } from "./storage.js";
import { _, language } from "./words.js";

const PLACE = "seallm.settings";
const DEFAULTS = { language: "", theme: "", model: "", persona: "", system: "", temperature: "", max_tokens: "" };

let values = { ...DEFAULTS };

/** Settings as they are. */
export const settings = () => values;

/** Change settings, and keep them in this browser. */
export function changeSettings(changes) {
  values = { ...values, ...changes };
  keep(PLACE, JSON.stringify(values));
  applyTheme();
}

/** Read the settings that this browser keeps. */
export function readSettings() {
  try {
    values = { ...DEFAULTS, ...JSON.parse(kept(PLACE) ?? "{}") };
  } catch {
    values = { ...DEFAULTS };
  }
  applyTheme();
}

/** Sampling options for a turn; those that are not set are the model's. */
export function sampling() {
  const given = {};
  for (const name of ["temperature", "max_tokens"]) if (values[name] !== "") given[name] = Number(values[name]);
  return given;
}

const dark = matchMedia("(prefers-color-scheme: dark)");
dark.addEventListener("change", applyTheme);

function applyTheme() {
  document.documentElement.dataset.theme = values.theme || (dark.matches ? "dark" : "light");
}

/** Show the settings: whether the language changed. */
export async function showSettings(state, guarded, imported) {
  const before = values.language || language();
  const fields = {
    language: select(
      state.languages.map((one) => [one.code, one.name]),
      before,
    ),
    theme: select(
      [
        ["", _("As the system")],
        ["light", _("Light")],
        ["dark", _("Dark")],
      ],
      values.theme,
    ),
    persona: select([["", _("None")], ...state.personas.map((name) => [name, name])], values.persona),
    system: h("textarea", { rows: 3, value: values.system }),
    temperature: h("input", {
      type: "number",
      min: 0,
      max: 2,
      step: 0.1,
      value: values.temperature,
      placeholder: _("the model's own"),
    }),
    max_tokens: h("input", { type: "number", min: 1, step: 1, value: values.max_tokens, placeholder: _("no limit") }),
  };
  const labels = {
    language: _("Language"),
    theme: _("Colours"),
    persona: _("Persona of new conversations"),
    system: _("System message of new conversations"),
    temperature: _("Temperature"),
    max_tokens: _("Tokens of a reply at most"),
  };
  const rows = Object.entries(fields).map(([name, field]) => {
    field.id = `setting-${name}`;
    return h("label", { for: field.id }, labels[name], field);
  });
  const answer = await ask(
    _("Settings"),
    ...rows,
    carrying(guarded, imported),
    buttons(["ok", _("Save"), "main"], ["", _("Cancel")]),
  );
  if (answer !== "ok") return false;
  changeSettings(Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value])));
  return values.language !== before;
}

function carrying(guarded, imported) {
  const file = h("input", { type: "file", accept: ".json,application/json", hidden: true });
  file.addEventListener("change", () =>
    guarded(async () => {
      const { ids } = await call("/seallm/conversations", { method: "POST", body: file.files[0] });
      say(_("Imported: {n}", { n: ids.length }));
      await imported();
    }),
  );
  return h(
    "div",
    { class: "carrying" },
    h("button", { type: "button", onclick: () => file.click() }, _("Import conversations")),
    h(
      "button",
      { type: "button", onclick: () => guarded(() => download("/seallm/export")) },
      _("Export all conversations"),
    ),
    file,
  );
}

function select(options, chosen) {
  return h("select", {}, ...options.map(([value, label]) => h("option", { value, selected: value === chosen }, label)));
}
