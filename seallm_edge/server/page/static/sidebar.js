// Conversations of the history: list, search, rename, export, remove.

import { call, download } from "./api.js";
import { askText, choose, confirmed } from "./dialogs.js";
import { h, icon, iconButton } from "./dom.js";
import { _ } from "./words.js";

const SEARCH_MS = 200;
const NEAR_END = 200; // pixels

/** Sidebar. `actions` has open(id, message), create(), changed(id), settings() and guarded(work). */
export class Sidebar {
  constructor(actions) {
    this.actions = actions;
    this.current = null;
    this.search = h("input", {
      type: "search",
      "aria-label": _("Search conversations"),
      placeholder: _("Search"),
      oninput: () => this.#searchSoon(),
    });
    this.list = h("ul", { class: "conversations", onscroll: () => this.#listMore() });
    this.isAll = true;
    const create = h(
      "button",
      { type: "button", class: "new", onclick: () => actions.create() },
      icon("add"),
      _("New conversation"),
    );
    this.element = h(
      "nav",
      { class: "sidebar", id: "sidebar", "aria-label": _("Conversations") },
      h(
        "div",
        { class: "sidebar-head" },
        create,
        iconButton("close", _("Close"), () => this.close(), { class: "narrow" }),
      ),
      this.search,
      this.list,
      h(
        "div",
        { class: "sidebar-foot" },
        h("button", { type: "button", onclick: () => actions.settings() }, icon("settings"), _("Settings")),
      ),
    );
    this.toggle = iconButton("menu", _("Conversations"), () => this.#toggle(), {
      "aria-controls": "sidebar",
      "aria-expanded": "false",
    });
    this.element.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  /** Read the list again; `current` is the conversation that is open. */
  async refresh(current = this.current) {
    this.current = current;
    const wanted = this.search.value.trim();
    const found = await call(`/seallm/conversations?${new URLSearchParams(wanted ? { search: wanted } : {})}`);
    if (wanted !== this.search.value.trim()) return; // a later search has its own answer
    const rows = found.matches ?? found.conversations;
    const empty = h("li", { class: "empty" }, wanted ? _("Nothing found") : _("No conversations yet"));
    this.isAll = found.is_all ?? true;
    this.list.replaceChildren(...(rows.length ? rows.map((one) => this.#row(one)) : [empty]));
  }

  /** List older conversations once the end of the list comes near. */
  #listMore() {
    const { scrollHeight, scrollTop, clientHeight } = this.list;
    if (this.isAll || scrollHeight - scrollTop - clientHeight > NEAR_END) return;
    this.isAll = true; // until the answer says more
    this.actions.guarded(async () => {
      const found = await call(`/seallm/conversations?offset=${this.list.children.length}`);
      if (this.search.value.trim()) return;
      this.list.append(...found.conversations.map((one) => this.#row(one)));
      this.isAll = found.is_all;
    });
  }

  /** Close the sidebar where it lies over the page. */
  close() {
    if (!document.body.classList.contains("sidebar-open")) return;
    document.body.classList.remove("sidebar-open");
    this.toggle.setAttribute("aria-expanded", "false");
    this.toggle.focus();
  }

  #toggle() {
    const isOpen = document.body.classList.toggle("sidebar-open");
    this.toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.search.focus();
  }

  #row(one) {
    const title = one.title || _("Untitled");
    const open = () => {
      this.close();
      this.actions.open(one.id, one.message);
    };
    const words = [h("span", { class: "title" }, title)];
    if (one.snippet) words.push(h("span", { class: "snippet", lang: one.lang || null }, one.snippet));
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: "conversation",
          onclick: open,
          "aria-current": one.id === this.current ? "true" : null,
        },
        ...words,
      ),
      iconButton("more", _("More for {title}", { title }), () => this.actions.guarded(() => this.#more(one.id, title))),
    );
  }

  async #more(id, title) {
    const chosen = await choose(title, [
      { value: "rename", label: _("Rename") },
      { value: "md", label: _("Export as {format}", { format: "Markdown" }) },
      { value: "txt", label: _("Export as {format}", { format: "TXT" }) },
      { value: "json", label: _("Export as {format}", { format: "JSON" }) },
      { value: "remove", label: _("Delete"), kind: "danger" },
    ]);
    if (chosen === "rename") await this.#rename(id, title);
    else if (chosen === "remove") await this.#remove(id, title);
    else if (chosen) await download(`/seallm/conversations/${id}/export?format=${chosen}`);
  }

  async #rename(id, title) {
    const given = await askText(_("Rename"), _("Title"), title);
    if (given === null) return;
    await call(`/seallm/conversations/${id}`, { method: "PATCH", body: { title: given || null } });
    await this.actions.changed(id);
  }

  async #remove(id, title) {
    if (!(await confirmed(_("Delete “{title}” with all its messages?", { title }), _("Delete")))) return;
    await call(`/seallm/conversations/${id}`, { method: "DELETE" });
    await this.actions.changed(id, true);
  }

  #searchSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.actions.guarded(() => this.refresh()), SEARCH_MS);
  }
}
