// Messages of the branch that is shown, and the reply that streams.

import { h } from "./dom.js";
import { languageOf } from "./languages.js";
import { GrowingMarkdown } from "./markdown.js";
import { messageElement } from "./message.js";
import { _ } from "./words.js";

const NEAR_END = 80; // pixels from the end within which new text is followed

/** Thread of a conversation. */
export class Thread {
  constructor(actions) {
    this.actions = actions;
    this.list = h("div", { class: "messages" });
    this.element = h("main", { class: "thread", id: "thread", tabIndex: -1 }, this.list);
    this.frame = 0;
    this.reply = null;
  }

  /** Show the branch of a tree. */
  show(tree) {
    this.#stopFrames();
    const branch = tree.branch;
    const elements = branch.map((message, place) =>
      messageElement(message, tree.siblings(message), this.actions, { isLast: place === branch.length - 1 }),
    );
    this.list.replaceChildren(...(elements.length ? elements : [welcome()]));
    this.#scrollToEnd();
  }

  /** Show messages before the server has them: a text that was sent behind `branch`, and a reply that has no text. */
  showPending(tree, branch, text) {
    const elements = branch.map((message) =>
      messageElement(message, tree.siblings(message), this.actions, { isBusy: true }),
    );
    if (text !== null)
      elements.push(
        messageElement({ id: 0, role: "user", content: text, lang: languageOf(text) }, [], {}, { isRunning: true }),
      );
    this.list.replaceChildren(...elements);
    this.#openReply("");
    this.#scrollToEnd();
  }

  /** Let the reply of `tree`, its last message, stream behind its text. */
  begin(tree) {
    const reply = tree.branch.at(-1);
    this.showPending(tree, tree.branch.slice(0, -1), null);
    this.#openReply(reply.content);
    this.#scrollToEnd();
  }

  /** Show the reply that streams with its text so far. */
  grow(text) {
    this.reply.text = text;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  /** Scroll to a message. */
  scrollTo(id) {
    this.list.querySelector(`[data-id="${Number(id)}"]`)?.scrollIntoView();
  }

  #openReply(text) {
    this.#stopFrames();
    this.reply?.element.isConnected && this.reply.element.remove();
    const body = h("div", { class: "body" });
    const waiting = h("span", { class: "waiting", "aria-hidden": "true" });
    const element = h(
      "article",
      { class: "message assistant running", "aria-label": _("Reply"), "aria-busy": "true" },
      body,
      waiting,
    );
    this.reply = { element, text, markdown: new GrowingMarkdown(body) };
    this.list.append(element);
    this.#draw();
  }

  #draw() {
    const isAtEnd = this.element.scrollHeight - this.element.scrollTop - this.element.clientHeight < NEAR_END;
    const { element, text, markdown } = this.reply;
    markdown.update(text);
    const lang = languageOf(text);
    if (lang) element.setAttribute("lang", lang);
    if (isAtEnd) this.#scrollToEnd();
  }

  #stopFrames() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }

  #scrollToEnd() {
    this.element.scrollTop = this.element.scrollHeight;
  }
}

function welcome() {
  return h(
    "div",
    { class: "welcome" },
    h("h1", {}, _("What would you like to talk about?")),
    h("p", {}, _("Everything stays on the computer that runs this server.")),
  );
}
