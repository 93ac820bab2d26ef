// Where messages are written: text, files, send and stop, and how full the context is.

import { Refused, call } from "./api.js";
import { choose } from "./dialogs.js";
import { h, icon, iconButton } from "./dom.js";
import { growWithText, watchEnter } from "./keyboard.js";
import { say, showAway, showProblem } from "./status.js";
import { keep, kept } from "./storage.js";
import { _, number } from "./words.js";

const DRAFT = "seallm.draft.";

/** Composer. `actions` has send(text), stop() and typing(). */
export class Composer {
  constructor(actions) {
    this.actions = actions;
    this.documents = [];
    this.place = "new";
    this.isRunning = false;
    this.area = h("textarea", {
      id: "message",
      rows: 1,
      "aria-label": _("Message"),
      placeholder: _("Write a message"),
    });
    this.fit = growWithText(this.area);
    this.area.addEventListener("input", () => this.#typed());
    watchEnter(this.area, () => this.#send());
    this.files = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this.#attachChosen() });
    this.chips = h("ul", { class: "chips", hidden: true, "aria-label": _("Attached files") });
    this.button = h("button", { type: "button", class: "send main", onclick: () => this.#sendOrStop() });
    this.meter = h("meter", {
      min: 0,
      max: 1,
      low: 0.75,
      high: 0.9,
      optimum: 0,
      hidden: true,
      "aria-label": _("Context in use"),
    });
    this.facts = h("span", { class: "facts" });
    this.element = h(
      "footer",
      { class: "composer" },
      this.chips,
      h(
        "div",
        { class: "writing" },
        iconButton("attach", _("Attach files"), () => this.files.click()),
        this.area,
        this.button,
      ),
      h("div", { class: "below" }, this.meter, this.facts),
      this.files,
    );
    this.setRunning(false);
  }

  /** Write for another conversation: what was typed for it and not sent comes back. */
  moveTo(conversation) {
    this.place = conversation ?? "new";
    this.setText(kept(DRAFT + this.place) ?? "");
  }

  /** Show a text to go on with. */
  setText(text) {
    this.area.value = text;
    this.#keep();
    this.fit();
  }

  /** Give a message back to its conversation, null: a new one, unless another one was begun there meanwhile. */
  giveBack(text, conversation) {
    const place = conversation ?? "new";
    if (place !== this.place) keep(DRAFT + place, kept(DRAFT + place) || text);
    else if (!this.area.value) this.setText(text);
  }

  /** Forget what was typed for a conversation that is removed. */
  forget(conversation) {
    keep(DRAFT + conversation, "");
    if (this.place === conversation) this.area.value = "";
  }

  /** Show whether a reply is under way. */
  setRunning(isRunning) {
    this.isRunning = isRunning;
    const words = isRunning ? _("Stop") : _("Send");
    this.button.replaceChildren(icon(isRunning ? "stop" : "send"));
    this.button.setAttribute("aria-label", words);
    this.button.title = words;
  }

  /** Show how much of the context is in use, and how fast the reply was. */
  showFacts(context, speed) {
    this.meter.hidden = !context;
    if (!context) {
      this.facts.textContent = "";
      return;
    }
    this.meter.value = context.tokens / context.n_ctx;
    const used = _("{tokens} of {most} tokens", { tokens: number(context.tokens), most: number(context.n_ctx) });
    this.facts.textContent = speed ? `${used} · ${_("{n} characters/s", { n: number(Math.round(speed)) })}` : used;
  }

  /** Attach files. */
  async attach(files) {
    for (const file of files) {
      try {
        await this.#attachOne(file);
      } catch (error) {
        if (error instanceof Refused) showProblem(error.message);
        else showAway();
      }
    }
    this.#drawChips();
    this.area.focus();
  }

  async #attachOne(file, encoding = "") {
    const query = new URLSearchParams({ name: file.name, ...(encoding && { encoding }) });
    const found = await call(`/seallm/documents?${query}`, { method: "POST", body: file });
    if (found.candidates) {
      const options = found.candidates.map((one) => ({ value: one.encoding, label: `${one.encoding}: ${one.sample}` }));
      const chosen = await choose(_("In which of these can {file} be read?", { file: file.name }), options);
      if (chosen) await this.#attachOne(file, chosen);
      return;
    }
    this.documents.push(found);
    for (const notice of found.notices) say(notice);
  }

  async #attachChosen() {
    await this.attach([...this.files.files]);
    this.files.value = "";
  }

  #drawChips() {
    this.chips.hidden = !this.documents.length;
    const chip = (one) => {
      const remove = () => {
        this.documents = this.documents.filter((other) => other !== one);
        this.#drawChips();
      };
      return h("li", {}, h("span", {}, one.name), iconButton("close", _("Remove {file}", { file: one.name }), remove));
    };
    this.chips.replaceChildren(...this.documents.map(chip));
  }

  #sendOrStop() {
    if (this.isRunning) this.actions.stop();
    else this.#send();
  }

  #send() {
    const typed = this.area.value;
    if (this.isRunning || !(typed.trim() || this.documents.length)) return;
    const text = [...this.documents.map((one) => one.part), typed].join("\n");
    this.documents = [];
    this.#drawChips();
    this.setText("");
    this.actions.send(text);
  }

  #typed() {
    this.#keep();
    this.actions.typing();
  }

  #keep() {
    keep(DRAFT + this.place, this.area.value);
  }
}
