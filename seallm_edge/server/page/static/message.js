// One message: its text, and what can be done with it.

import { copyText } from "./code.js";
import { h, iconButton } from "./dom.js";
import { growWithText, watchEnter } from "./keyboard.js";
import { GrowingMarkdown } from "./markdown.js";
import { _ } from "./words.js";

const DOCUMENT = /^Document ([^\n]*):\n(`{3,})\n([\s\S]*?)\n\2\n/;

/** Element of a message. `siblings` are those in its place; `actions` are what its buttons call. Those that change the
 * branch wait while a reply of the conversation comes, `isBusy`. */
export function messageElement(message, siblings, actions, { isLast, isRunning, isBusy = false } = {}) {
  const isUser = message.role === "user";
  const body = h("div", { class: "body" });
  const element = h(
    "article",
    { class: `message ${message.role}`, "aria-label": isUser ? _("You") : _("Reply"), "data-id": String(message.id) },
    body,
  );
  if (message.lang) element.setAttribute("lang", message.lang);
  if (isUser) body.append(...userParts(message.content));
  else new GrowingMarkdown(body).update(message.content);
  if (isRunning) return element;
  if (!isUser) body.append(...cutNotice(message));
  const tools = h("div", { class: "tools" }, ...navigation(message, siblings, actions, isBusy));
  tools.append(iconButton("copy", _("Copy"), () => copyText(message.content)));
  if (isUser) tools.append(iconButton("edit", _("Edit"), () => edit(element, message, actions), { disabled: isBusy }));
  else {
    tools.append(iconButton("again", _("Another reply"), () => actions.retry(message), { disabled: isBusy }));
    if (isLast) tools.append(iconButton("on", _("Continue this reply"), () => actions.goOn(message)));
  }
  element.append(tools);
  return element;
}

function cutNotice(message) {
  if (message.state !== "complete") return [h("p", { class: "cut" }, _("This reply was stopped."))];
  if (message.finish_reason !== "length") return [];
  return [h("p", { class: "cut" }, _("This reply reached its limit of tokens."))];
}

function userParts(content) {
  const parts = [];
  let rest = content;
  for (let found = DOCUMENT.exec(rest); found; found = DOCUMENT.exec(rest)) {
    parts.push(h("details", { class: "document" }, h("summary", {}, found[1]), h("pre", { tabIndex: 0 }, found[3])));
    rest = rest.slice(found[0].length).replace(/^\n/, "");
  }
  parts.push(h("p", { class: "plain" }, rest));
  return parts;
}

function navigation(message, siblings, actions, isBusy) {
  if (siblings.length < 2) return [];
  const place = siblings.findIndex((one) => one.id === message.id);
  const to = (step) => () => actions.goTo(siblings[place + step]);
  return [
    iconButton("before", _("Earlier version"), to(-1), { disabled: isBusy || place === 0 }),
    h("span", { class: "place" }, `${place + 1}/${siblings.length}`),
    iconButton("after", _("Later version"), to(1), { disabled: isBusy || place === siblings.length - 1 }),
  ];
}

function edit(element, message, actions) {
  const area = h("textarea", { class: "edit", value: message.content, "aria-label": _("Edit") });
  const fit = growWithText(area);
  const send = () => area.value.trim() && actions.edit(message, area.value);
  const cancel = () => actions.redraw();
  const buttons = h(
    "div",
    { class: "edit-buttons" },
    h("button", { type: "button", class: "main", onclick: send }, _("Send")),
    h("button", { type: "button", onclick: cancel }, _("Cancel")),
  );
  watchEnter(area, send, cancel);
  element.replaceChildren(area, buttons);
  fit();
  area.focus();
}
