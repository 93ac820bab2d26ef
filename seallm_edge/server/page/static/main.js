// The page: puts its parts together, and runs turns.

import { call, health, takeKeyFromAddress } from "./api.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { h } from "./dom.js";
import { keepOffline } from "./offline.js";
import { changeSettings, readSettings, sampling, settings, showSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import * as status from "./status.js";
import { Thread } from "./thread.js";
import { Tree } from "./tree.js";
import { Turns, storedTree } from "./turns.js";
import { _, useLanguage } from "./words.js";

const LOAD_LOOK_MS = 500;
const EMPTY = { models: [], personas: [], languages: [], default: null };

class Page {
  constructor() {
    this.state = EMPTY;
    this.tree = new Tree();
    this.turns = new Turns();
    this.opening = 0;
    this.connection = new Connection(() => this.refresh());
    this.preloaded = "";
  }

  /** Show the page in the user's language; what is under way goes on. */
  draw() {
    const actions = {
      goTo: (message) => this.connection.guarded(() => this.goTo(message)),
      retry: (message) => this.run({ action: "retry", message: message.parent }, this.branchTo(message.parent)),
      goOn: (message) => this.run({ action: "continue", message: message.id }, this.branchTo(message.parent)),
      edit: (message, text) => this.run({ action: "edit", message: message.id, text }, this.branchTo(message.parent)),
      redraw: () => this.drawThread(),
    };
    this.thread = new Thread(actions);
    this.composer = new Composer({
      send: (text) => this.say(text),
      stop: () => this.tree.running?.stop(),
      typing: () => this.preload(),
    });
    this.sidebar = new Sidebar({
      open: (id, message) => this.connection.guarded(() => this.open(id, message)),
      create: () => this.create(),
      changed: (id, isGone) => this.changed(id, isGone),
      settings: () => this.settings(),
      guarded: (work) => this.connection.guarded(work),
    });
    this.models = h("select", {
      class: "models",
      "aria-label": _("Model"),
      onchange: () => changeSettings({ model: this.models.value }),
    });
    this.title = h("span", { class: "page-title" });
    const toMessage = (event) => {
      event.preventDefault(); // the address is the conversation's
      this.composer.area.focus();
    };
    const skip = h("a", { class: "skip", href: "#message", onclick: toMessage }, _("Skip to the message"));
    const head = h("header", {}, this.sidebar.toggle, this.title, this.models);
    document.body.replaceChildren(
      skip,
      this.sidebar.element,
      h("div", { class: "page" }, head, status.status, this.thread.element, this.composer.element),
    );
    this.listenForFiles();
    this.drawModels();
    this.drawConversation();
  }

  /** Read the key, the settings and the words, then what the server has. */
  async start() {
    takeKeyFromAddress();
    const open = addressed(); // before a turn changes it
    readSettings();
    await useLanguage(settings().language);
    this.draw();
    await this.connection.guarded(() => this.refresh());
    if (open && !this.tree.id && !this.tree.running) await this.connection.guarded(() => this.open(open));
    window.addEventListener("popstate", () => this.goBack());
  }

  /** Show what the server has now. */
  async refresh() {
    this.state = await call("/seallm/state");
    this.drawModels();
    if (!this.state.models.length)
      status.showProblem(_("No chat model is on this computer yet: get one with `seallm pull`."));
    await this.sidebar.refresh(this.tree.id);
  }

  drawModels() {
    const chosen = settings().model || this.state.default;
    const option = (one) => {
      const words = [one.title, one.type, one.problem ? _("does not fit in memory") : ""].filter(Boolean);
      return h(
        "option",
        { value: one.name, title: one.problem, disabled: Boolean(one.problem), selected: one.name === chosen },
        words.join(" · "),
      );
    };
    this.models.replaceChildren(...this.state.models.map(option));
    this.models.hidden = !this.state.models.length;
  }

  drawConversation() {
    this.drawThread();
    this.composer.setRunning(Boolean(this.tree.running));
    this.composer.moveTo(this.tree.id);
    this.composer.showFacts(this.tree.context);
    this.drawTitle();
  }

  drawThread() {
    const { running } = this.tree;
    if (!running) this.thread.show(this.tree);
    else if (running.isStored) this.thread.begin(this.tree);
    else this.thread.showPending(this.tree, running.branch, running.asked.text ?? null);
  }

  drawTitle() {
    this.title.textContent = this.tree.title;
    document.title = this.tree.title ? `${this.tree.title} · seallm` : "seallm";
    history.replaceState(null, "", addressOf(this.tree.id));
  }

  async open(id, message) {
    const opening = ++this.opening;
    const tree = this.turns.of(id) ?? (await storedTree(id, this.models.value));
    if (opening !== this.opening) return; // another one was chosen meanwhile
    this.moveTo(tree);
    if (message && !tree.running) {
      const found = tree.messages.get(message);
      if (found) await this.goTo(found);
      this.thread.scrollTo(message);
    }
    await this.sidebar.refresh(this.tree.id);
  }

  /** Show another conversation; what streams in the one before goes on. */
  moveTo(tree) {
    if (this.tree.running) status.clear();
    if (tree.id !== this.tree.id && tree.id !== addressed()) history.pushState(null, "", addressOf(tree.id));
    this.tree = tree;
    this.drawConversation();
  }

  /** Show the conversation of an address that the user went back to, or wrote. */
  goBack() {
    if (takeKeyFromAddress()) return this.connection.guarded(() => this.refresh());
    const id = addressed();
    if (id === this.tree.id) return undefined;
    return id ? this.connection.guarded(() => this.open(id)) : this.create();
  }

  create() {
    this.opening += 1;
    this.moveTo(new Tree());
    this.sidebar.close();
    this.composer.area.focus();
    this.connection.guarded(() => this.sidebar.refresh(null));
  }

  async changed(id, isGone) {
    if (isGone) {
      this.turns.of(id)?.running.stop();
      this.composer.forget(id);
    }
    if (id === this.tree.id && isGone) this.create();
    else if (id === this.tree.id) await this.open(id);
    else await this.sidebar.refresh();
  }

  async goTo(message) {
    const leaf = this.tree.newestBelow(message).id;
    if (this.tree.running) return; // its reply stands at the end
    this.tree.leaf = leaf;
    this.thread.show(this.tree);
    await call(`/seallm/conversations/${this.tree.id}`, { method: "PATCH", body: { leaf } });
  }

  branchTo(id) {
    const found = [];
    for (let one = this.tree.messages.get(id); one; one = this.tree.messages.get(one.parent)) found.unshift(one);
    return found;
  }

  say(text) {
    return this.run({ action: "say", message: this.tree.leaf, text }, this.tree.branch);
  }

  /** Run a turn behind the messages of `branch`, and show it as it comes. What was typed comes back if it fails. */
  async run(asked, branch) {
    const { tree } = this;
    if (tree.running) return;
    const { persona, system } = settings();
    const opening = tree.id ? {} : { persona: persona || null, system: system || null };
    const wanted = {
      ...asked,
      ...opening,
      conversation: tree.id,
      model: this.models.value || null,
      sampling: sampling(),
    };
    const events = this.turns.run(tree, wanted, branch);
    let isStored = false;
    this.composer.setRunning(true);
    this.thread.showPending(tree, branch, asked.text ?? null);
    try {
      for await (const event of events) {
        isStored ||= event.type === "start";
        if (this.tree === tree) this.show(event);
        else if (event.type === "start") await this.sidebar.refresh().catch(() => {}); // the way back to it
      }
    } catch (error) {
      if (error.name !== "AbortError") this.connection.tell(error);
      else if (this.tree === tree) status.clear();
      if (this.tree === tree) this.composer.showFacts(tree.context);
    }
    if (!isStored && asked.text) this.composer.giveBack(asked.text, tree.id);
    if (this.tree === tree) {
      this.composer.setRunning(false);
      this.thread.show(tree);
    }
    await this.connection.guarded(() => this.sidebar.refresh(this.tree.id));
  }

  /** Show an event of the turn of the open conversation. */
  show(event) {
    if (event.type === "loading") status.showLoading(event.share);
    else if (event.type === "prefill") status.showPrefill(event.share);
    else if (event.type === "notice") status.say(noticeWords(event));
    else if (event.type === "delta") this.thread.grow(this.tree.running.reply.content);
    else if (event.type === "start") {
      status.clear();
      this.composer.place = this.tree.id;
      this.thread.begin(this.tree);
      this.drawTitle();
    } else if (event.type === "end" && event.message)
      this.composer.showFacts(event.context, event.characters_per_second);
  }

  async settings() {
    this.sidebar.close();
    const isOther = await showSettings(
      this.state,
      (work) => this.connection.guarded(work),
      () => this.sidebar.refresh(),
    );
    if (!isOther) return;
    await useLanguage(settings().language);
    this.draw();
    await this.connection.guarded(() => this.sidebar.refresh(this.tree.id));
  }

  /** Load the model while its user types, so that the reply comes sooner. */
  async preload() {
    const model = this.models.value;
    if (!model || this.preloaded === model || this.turns.trees.size) return;
    this.preloaded = model;
    const load = call("/api/generate", { method: "POST", body: { model } }).catch(() => ({}));
    const look = setInterval(async () => {
      const share = await health().catch(() => null);
      if (share !== null && !this.turns.trees.size) status.showLoading(share);
    }, LOAD_LOOK_MS);
    await load;
    clearInterval(look);
    if (!this.turns.trees.size) status.clear();
  }

  listenForFiles() {
    const page = document.body;
    page.ondragover = (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      page.classList.add("dropping");
    };
    page.ondragleave = (event) => event.relatedTarget || page.classList.remove("dropping");
    page.ondrop = (event) => {
      event.preventDefault();
      page.classList.remove("dropping");
      this.composer.attach([...event.dataTransfer.files]);
    };
  }
}

const addressed = () => new URLSearchParams(location.hash.slice(1)).get("c");

const addressOf = (id) => (id ? `#c=${id}` : location.pathname);

function noticeWords(event) {
  if (event.kind === "TurnsDropped")
    return _("The oldest messages no longer fit in the context; the model does not see them.");
  if (event.kind === "NotSaved") return _("This conversation is not saved for now.");
  return event.text;
}

keepOffline();
new Page().start();
