// Messages of the open conversation: a tree, of which one branch is shown.

/** Conversation as the server has it, or a new one. */
export class Tree {
  constructor(about = {}) {
    this.id = about.id ?? null;
    this.title = about.title ?? "";
    this.persona = about.persona ?? null;
    this.context = about.context ?? null; // tokens in use, of those that there are; null where the model is not loaded
    this.running = null; // the turn under way, see `Turns`
    this.messages = new Map((about.messages ?? []).map((message) => [message.id, message]));
    this.leaf = this.messages.has(about.leaf) ? about.leaf : this.#lastAnswered(about.leaf);
  }

  /** Messages from the first to where the conversation stands. */
  get branch() {
    const found = [];
    for (let one = this.messages.get(this.leaf); one; one = this.messages.get(one.parent)) found.unshift(one);
    return found;
  }

  /** Messages that stand in place of a message, itself too, the oldest first. */
  siblings(message) {
    const all = [...this.messages.values()];
    return all.filter((one) => one.parent === message.parent && one.role === message.role).sort((a, b) => a.id - b.id);
  }

  /** Newest message below a message, or itself. */
  newestBelow(message) {
    const children = [...this.messages.values()].filter((one) => one.parent === message.id);
    return children.length ? this.newestBelow(children.reduce((a, b) => (a.id > b.id ? a : b))) : message;
  }

  /** Add or replace messages; the conversation stands at the last of them. */
  put(...messages) {
    for (const message of messages) this.messages.set(message.id, message);
    this.leaf = messages.at(-1).id;
  }

  // The leaf may be a reply that has no text yet, which another program writes.
  #lastAnswered(leaf) {
    const last = [...this.messages.keys()].at(-1) ?? null;
    return leaf === null || leaf === undefined ? null : last;
  }
}
