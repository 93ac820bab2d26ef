// Markdown of replies, as elements. Nothing becomes HTML; links lead to the web and to mail only, pictures are links.

import { h, patch } from "./dom.js";
import { inline } from "./inline.js";
import { codeBlock } from "./code.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+(.*)|$)/;
const DIVIDER = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const MOST_DEPTH = 12; // of quotes and lists: deeper ones stay text

/** Markdown text in an element that grows: `update` changes what differs, and leaves the selection in the rest alone. */
export class GrowingMarkdown {
  constructor(element) {
    this.element = element;
    this.sources = [];
  }

  update(text) {
    const blocks = blocksOf(text.split("\n"), 0);
    blocks.forEach((block, place) => {
      if (this.sources[place] === block.source) return;
      const fresh = block.element();
      const known = this.element.children[place];
      if (!known) this.element.append(fresh);
      else if (known.nodeName === fresh.nodeName && known.className === fresh.className) patch(known, fresh);
      else known.replaceWith(fresh);
    });
    [...this.element.children].slice(blocks.length).forEach((element) => element.remove());
    this.sources = blocks.map((block) => block.source);
  }
}

/** Blocks of lines: the source of each, and a function that makes its element. */
function blocksOf(lines, depth) {
  const blocks = [];
  let place = 0;
  while (place < lines.length) {
    if (!lines[place].trim()) {
      place += 1;
      continue;
    }
    const [end, element] = blockAt(lines, place, depth);
    blocks.push({ source: lines.slice(place, end).join("\n"), element });
    place = end;
  }
  return blocks;
}

function blockAt(lines, start, depth) {
  const line = lines[start];
  const fence = FENCE.exec(line);
  if (fence) return fenced(lines, start, fence);
  const heading = HEADING.exec(line);
  if (heading) return [start + 1, () => withInline(`h${heading[1].length}`, heading[2])];
  if (RULE.test(line)) return [start + 1, () => h("hr")];
  if (depth < MOST_DEPTH && QUOTE.test(line)) return quoted(lines, start, depth);
  if (depth < MOST_DEPTH && ITEM.test(line)) return listed(lines, start, depth);
  if (line.includes("|") && DIVIDER.test(lines[start + 1] ?? "") && lines[start + 1].includes("-"))
    return tabled(lines, start);
  return paragraph(lines, start, depth);
}

function fenced(lines, start, [, fence, info]) {
  const isEnd = (line) => line.trim().length >= fence.length && line.trim() === fence[0].repeat(line.trim().length);
  let end = start + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  const text = lines.slice(start + 1, end).join("\n");
  return [Math.min(end + 1, lines.length), () => codeBlock(text, info.trim().split(/\s/)[0])];
}

function quoted(lines, start, depth) {
  let end = start;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inside = lines.slice(start, end).map((line) => line.replace(QUOTE, ""));
  return [
    end,
    () =>
      h(
        "blockquote",
        {},
        blocksOf(inside, depth + 1).map((block) => block.element()),
      ),
  ];
}

function listed(lines, start, depth) {
  const [, indent, first] = ITEM.exec(lines[start]);
  const isOrdered = /\d/.test(first);
  const items = [];
  let end = start;
  while (end < lines.length) {
    const item = ITEM.exec(lines[end]);
    if (item && item[1].length < indent.length + 2 && /\d/.test(item[2]) === isOrdered && !RULE.test(lines[end]))
      items.push([item[3] ?? ""]);
    else {
      const more = linesInside(lines, end, indent.length);
      if (!more) break;
      for (const line of lines.slice(end, end + more)) items.at(-1).push(outdented(line, indent.length));
      end += more - 1;
    }
    end += 1;
  }
  const element = () => {
    const made = items.map((item) => h("li", {}, itemContents(item, depth)));
    return isOrdered ? h("ol", { start: Number.parseInt(first, 10) }, made) : h("ul", {}, made);
  };
  return [end, element];
}

/** Number of lines that belong to the list item above: one that is indented or goes on with its text, a gap before more. */
function linesInside(lines, place, indent) {
  const line = lines[place];
  if (line.trim()) {
    const goesOn = lines[place - 1].trim() !== "" && !ITEM.test(line) && !startsBlock(line);
    return isIndented(line, indent) || goesOn ? 1 : 0;
  }
  let end = place;
  while (end < lines.length && !lines[end].trim()) end += 1;
  return end < lines.length && (isIndented(lines[end], indent) || isItemAt(lines[end], indent)) ? end - place : 0;
}

const isIndented = (line, indent) => line.length - line.trimStart().length >= indent + 2;

const isItemAt = (line, indent) => (ITEM.exec(line)?.[1].length ?? -1) === indent;

const startsBlock = (line) => FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line);

function outdented(line, indent) {
  const spaces = line.length - line.trimStart().length;
  return line.slice(Math.min(spaces, indent + (spaces >= indent + 3 ? 3 : 2)));
}

function itemContents(item, depth) {
  const blocks = blocksOf(item, depth + 1).map((block) => block.element());
  return blocks[0]?.nodeName === "P" ? [...blocks[0].childNodes, ...blocks.slice(1)] : blocks;
}

function tabled(lines, start) {
  const sides = cellsOf(lines[start + 1]).map(
    (cell) => `${cell.startsWith(":") ? "l" : ""}${cell.endsWith(":") ? "r" : ""}`,
  );
  const classes = { lr: "centre", r: "right" };
  let end = start + 2;
  while (end < lines.length && lines[end].includes("|") && lines[end].trim()) end += 1;
  const row = (tag, line) => {
    const cells = cellsOf(line).slice(0, sides.length || 1);
    return h(
      "tr",
      {},
      cells.map((cell, place) => withInline(tag, cell, { class: classes[sides[place]] ?? "" })),
    );
  };
  const element = () => {
    const body = lines.slice(start + 2, end).map((line) => row("td", line));
    const table = h("table", {}, h("thead", {}, row("th", lines[start])), h("tbody", {}, body));
    return h("div", { class: "table" }, table);
  };
  return [end, element];
}

function cellsOf(line) {
  const inside = line
    .trim()
    .replace(/^\|/, "")
    .replace(/(^|[^\\])\|$/, "$1");
  return inside.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function paragraph(lines, start, depth) {
  let end = start + 1;
  while (
    end < lines.length &&
    lines[end].trim() &&
    !startsBlock(lines[end]) &&
    !(depth < MOST_DEPTH && ITEM.test(lines[end]))
  )
    end += 1;
  const text = lines
    .slice(start, end)
    .map((line) => line.trimStart())
    .join("\n");
  return [end, () => withInline("p", text.trimEnd())];
}

const withInline = (tag, text, properties = {}) => h(tag, properties, inline(text));
