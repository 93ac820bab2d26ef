// Inline Markdown, as nodes. Lengths are bounded: no text takes more than linear time.

import { h } from "./dom.js";

const MOST = 2000; // characters of an emphasis or a link
const MOST_DEPTH = 8;
const PATTERN = new RegExp(
  [
    String.raw`\\(?<escaped>[!-/:-@[-\x60{-~])`,
    String.raw`(?<ticks>\x60{1,8})(?<code>[^\x60](?:[^\x60]|\x60(?!\k<ticks>)){0,${MOST}}?)\k<ticks>(?!\x60)`,
    String.raw`!?\[(?<label>[^[\]]{0,${MOST}})\]\(\s{0,9}<?(?<target>[^\s()<>]{0,${MOST}}(?:\([^\s()]{0,200}\))?[^\s()<>]{0,200})>?(?:\s{1,9}"[^"]{0,200}")?\s{0,9}\)`,
    String.raw`<(?<angled>(?:https?:\/\/|mailto:)[^\s<>]{1,${MOST}})>`,
    String.raw`(?<bare>https?:\/\/[^\s<>"]{1,${MOST}}[^\s<>"'.,;:!?)\]}។。၊।])`,
    String.raw`(?<strong>\*\*|__)(?=\S)(?<bold>[^\n]{0,${MOST}}?\S)\k<strong>`,
    String.raw`\*(?=[^\s*])(?<starred>[^*\n]{0,${MOST}}?[^\s*])\*(?!\*)`,
    String.raw`(?<![\p{L}\p{N}_])_(?=[^\s_])(?<lined>[^_\n]{0,${MOST}}?[^\s_])_(?![\p{L}\p{N}_])`,
    String.raw`~~(?=\S)(?<struck>[^~\n]{0,${MOST}}?\S)~~`,
    String.raw`(?<end>\n)`,
  ].join("|"),
  "gu",
);

/** Nodes of a text with inline Markdown. */
export function inline(text, depth = 0) {
  if (depth >= MOST_DEPTH) return [text];
  const nodes = [];
  let place = 0;
  for (const found of text.matchAll(PATTERN)) {
    if (found.index > place) nodes.push(text.slice(place, found.index));
    nodes.push(...nodesOf(found, depth));
    place = found.index + found[0].length;
  }
  if (place < text.length) nodes.push(text.slice(place));
  return joined(nodes);
}

function nodesOf(found, depth) {
  const { escaped, code, label, target, angled, bare, bold, starred, lined, struck } = found.groups;
  if (escaped !== undefined) return [escaped];
  if (code !== undefined) return [h("code", {}, /^ .* $/.test(code) && code.trim() ? code.slice(1, -1) : code)];
  if (target !== undefined) return [link(target, inline(label || target, depth + 1), found[0])];
  if (angled !== undefined) return [link(angled, [angled.replace(/^mailto:/, "")], found[0])];
  if (bare !== undefined) return [link(bare, [bare], found[0])];
  if (bold !== undefined) return [h("strong", {}, inline(bold, depth + 1))];
  const slanted = starred ?? lined;
  if (slanted !== undefined) return [h("em", {}, inline(slanted, depth + 1))];
  if (struck !== undefined) return [h("del", {}, inline(struck, depth + 1))];
  return [h("br")]; // models write verses and lists in lines
}

/** Link to a page or a mail address; anything else, such as javascript:, stays the text that it was. */
function link(target, children, source) {
  if (!/^(?:https?:\/\/|mailto:)/i.test(target)) return source;
  return h("a", { href: target, target: "_blank", rel: "noopener noreferrer nofollow" }, children);
}

function joined(nodes) {
  const result = [];
  for (const node of nodes) {
    if (typeof node === "string" && typeof result.at(-1) === "string") result[result.length - 1] += node;
    else result.push(node);
  }
  return result;
}
