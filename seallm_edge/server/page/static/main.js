// The page: puts its parts together, and runs turns.

import { call, health, takeKeyFromAddress, turn } from "./api.js";
import { Composer } from "./composer.js";
import { Connection } from "./connection.js";
import { h } from "./dom.js";
import { changeSettings, readSettings, sampling, settings, showSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import * as status from "./status.js";
import { Thread } from "./thread.js";
import { Tree } from "./tree.js";
import { _, useLanguage } from "./words.js";

const RETRY_MS = 2000;
const LOAD_LOOK_MS = 500;
const EMPTY = { models: [], personas: [], languages: [], default: null };

class Page {
  constructor() {
    this.state = EMPTY;
    this.tree = new Tree();
    this.running = null;
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
      redraw: () => this.thread.show(this.tree),
    };
    this.thread = new Thread(actions);
    this.composer = new Composer({
      send: (text) => this.say(text),
      stop: () => this.running?.abort(),
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
    const skip = h("a", { class: "skip", href: "#message" }, _("Skip to the message"));
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
    const open = new URLSearchParams(location.hash.slice(1)).get("c"); // before a turn changes it
    readSettings();
    await useLanguage(settings().language);
    this.draw();
    await this.connection.guarded(() => this.refresh());
    if (open && !this.tree.id && !this.running) await this.connection.guarded(() => this.open(open));
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
    this.thread.show(this.tree);
    this.composer.moveTo(this.tree.id);
    this.composer.showFacts(this.tree.context);
    this.drawTitle();
  }

  drawTitle() {
    this.title.textContent = this.tree.title;
    document.title = this.tree.title ? `${this.tree.title} · seallm` : "seallm";
    history.replaceState(null, "", this.tree.id ? `#c=${this.tree.id}` : location.pathname);
  }

  async open(id, message) {
    this.running?.abort();
    this.tree = await this.stored(id);
    if (message) await this.goTo(this.tree.messages.get(message) ?? this.tree.branch.at(-1));
    this.drawConversation();
    await this.sidebar.refresh(this.tree.id);
  }

  /** Conversation as the server has it. */
  async stored(id) {
    const query = new URLSearchParams(this.models.value ? { model: this.models.value } : {});
    return new Tree(await call(`/seallm/conversations/${encodeURIComponent(id)}?${query}`));
  }

  create() {
    this.running?.abort();
    this.tree = new Tree();
    this.drawConversation();
    this.sidebar.close();
    this.composer.area.focus();
    this.connection.guarded(() => this.sidebar.refresh(null));
  }

  async changed(id, isGone) {
    if (id === this.tree.id && isGone) this.create();
    else if (id === this.tree.id) await this.open(id);
    else await this.sidebar.refresh();
  }

  async goTo(message) {
    const leaf = this.tree.newestBelow(message).id;
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
    if (this.running) return;
    const { persona, system } = settings();
    const opening = this.tree.id ? {} : { persona: persona || null, system: system || null };
    const wanted = {
      ...asked,
      ...opening,
      conversation: this.tree.id,
      model: this.models.value || null,
      sampling: sampling(),
    };
    const running = new AbortController();
    this.running = running;
    this.composer.setRunning(true);
    this.thread.showPending(this.tree, branch, asked.text ?? null);
    const tree = this.tree;
    let isStored = false;
    try {
      for await (const event of turn(wanted, running.signal)) {
        isStored ||= event.type === "start";
        if (this.tree === tree) this.show(event);
      }
    } catch (error) {
      if (this.tree === tree) await this.failed(error, tree);
    } finally {
      this.running = null;
      this.composer.setRunning(false);
      if (!isStored && asked.text) this.composer.giveBack(asked.text);
    }
    if (this.tree === tree) this.thread.show(tree);
    await this.connection.guarded(() => this.sidebar.refresh(this.tree.id));
  }

  show(event) {
    if (event.type === "loading") status.showLoading(event.share);
    else if (event.type === "prefill") status.showPrefill(event.share);
    else if (event.type === "notice") status.say(noticeWords(event));
    else if (event.type === "delta") this.thread.append(event.text);
    else if (event.type === "start") {
      status.clear();
      this.tree.id = event.conversation;
      this.tree.title ||= event.messages[0].content.trim().split("\n")[0].slice(0, 60);
      this.tree.put(...event.messages);
      this.composer.place = this.tree.id;
      this.thread.begin(this.tree);
      this.drawTitle();
    } else if (event.type === "end" && event.message) {
      this.tree.put(event.message);
      this.composer.showFacts(event.context, event.characters_per_second);
    }
  }

  /** Say what went wrong with a turn; what the server has of it is shown. */
  async failed(error, tree) {
    if (error.name === "AbortError") status.clear();
    else this.connection.tell(error);
    if (!tree.id) return;
    try {
      const stored = await this.stored(tree.id);
      Object.assign(tree, { messages: stored.messages, leaf: stored.leaf });
      this.composer.showFacts(stored.context);
    } catch {
      // The text that has come stays on the screen.
      const last = tree.branch.at(-1);
      if (last?.state === "streaming") tree.put({ ...last, content: this.thread.reply.text, state: "cut" });
    }
  }

  async settings() {
    this.sidebar.close();
    const isOther = await showSettings(
      this.state,
      (work) => this.connection.guarded(work),
      () => this.sidebar.refresh(),
    );
    if (!isOther || this.running) return;
    await useLanguage(settings().language);
    this.draw();
    await this.connection.guarded(() => this.sidebar.refresh(this.tree.id));
  }

  /** Load the model while its user types, so that the reply comes sooner. */
  async preload() {
    const model = this.models.value;
    if (!model || this.preloaded === model || this.running) return;
    this.preloaded = model;
    const load = call("/api/generate", { method: "POST", body: { model } }).catch(() => ({}));
    const look = setInterval(async () => {
      const share = await health().catch(() => null);
      if (share !== null && !this.running) status.showLoading(share);
    }, LOAD_LOOK_MS);
    await load;
    clearInterval(look);
    if (!this.running) status.clear();
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

function noticeWords(event) {
  if (event.kind === "TurnsDropped")
    return _("The oldest messages no longer fit in the context; the model does not see them.");
  if (event.kind === "NotSaved") return _("This conversation is not saved for now.");
  return event.text;
}

function keepOffline() {
  if (!("serviceWorker" in navigator)) return; // pages without TLS on a network have none
  const policy = globalThis.trustedTypes?.createPolicy("seallm", { createScriptURL: () => "/page/sw.js" });
  navigator.serviceWorker.register(policy ? policy.createScriptURL("") : "/page/sw.js", { scope: "/" }).catch(() => {});
}

keepOffline();
new Page().start();
