// Elements are made of data here, and nowhere of HTML: no text can become markup.

/** Element with properties, attributes ("aria-label", "data-id") and children, also lists of them; null ones are left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for" || name === "lang")
      element.setAttribute(name, value);
    else if (name === "class") element.className = value;
    else element[name] = value;
  }
  for (const child of children.flat()) if (child !== null && child !== undefined) element.append(child);
  return element;
}

const PATHS = {
  menu: "M3 6h18M3 12h18M3 18h18",
  add: "M12 5v14M5 12h14",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  send: "M12 19V5M5 12l7-7 7 7",
  stop: "M7 7h10v10H7z",
  attach: "M20 11l-8.5 8.5a5 5 0 0 1-7-7L13 4a3.3 3.3 0 0 1 4.7 4.7L9.2 17a1.7 1.7 0 0 1-2.4-2.4L14 7.5",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 5v4M6 15v4",
  copy: "M9 9h10v10H9zM5 15V5h10",
  edit: "M4 20l1-5L16 4l4 4L9 19z",
  again: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
  on: "M6 5l7 7-7 7M13 5l7 7-7 7",
  before: "M15 5l-7 7 7 7",
  after: "M9 5l7 7-7 7",
  close: "M6 6l12 12M18 6L6 18",
};

/** Icon, hidden from screen readers: the button around it has the words. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Button with an icon, and its words for screen readers and as a tooltip. */
export function iconButton(name, words, onclick, properties = {}) {
  const { class: classes = "", ...others } = properties;
  const all = { type: "button", title: words, "aria-label": words, class: `icon-button ${classes}`, onclick };
  return h("button", { ...all, ...others }, icon(name));
}

/** Change `old` into `fresh` with as few changes as possible: text that only grew keeps its nodes and its selection. */
export function patch(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, place) => {
    const known = before[place];
    if (!known) old.append(node);
    else if (known.nodeType === Node.TEXT_NODE && node.nodeType === Node.TEXT_NODE) growText(known, node.data);
    else if (known.nodeName === node.nodeName && known.nodeType === Node.ELEMENT_NODE && isLike(known, node)) {
      if (known.nodeName !== "BUTTON") patch(known, node);
    } else known.replaceWith(node);
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function growText(node, text) {
  if (text === node.data) return;
  if (text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else node.data = text;
}

function isLike(one, other) {
  return ["class", "href", "start"].every((name) => one.getAttribute(name) === other.getAttribute(name));
}
