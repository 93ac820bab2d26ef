// Requests to the server: JSON, and turns as streams of events.

import { keep, kept } from "./storage.js";

const KEY = "seallm.key";

/** Refusal of the server: `status`, `code`, and a message with its cure. */
export class Refused extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The server does not answer. */
export class Away extends Error {}

/** Keep the key of an address ending in #key=…, and take it out of the address: whether there was one. */
export function takeKeyFromAddress() {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (!key) return false;
  setKey(key);
  history.replaceState(null, "", location.pathname);
  return true;
}

/** Use another key from now on. */
export const setKey = (key) => keep(KEY, key);

/** JSON that the server answers with. Raises Refused and Away. */
export async function call(path, { method = "GET", body, signal } = {}) {
  return (await request(path, { method, body, signal })).json();
}

/** Events of a turn as they come. Raises Refused, Away, and AbortError once `signal` has ended it. */
export async function* turn(asked, signal) {
  const response = await request("/seallm/turns", { method: "POST", body: asked, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reachable(reader.read());
    if (done) throw new Away("the stream ended early");
    const frames = (rest + value).split("\n\n");
    rest = frames.pop();
    for (const frame of frames) {
      if (!frame.startsWith("data: ")) continue;
      const event = JSON.parse(frame.slice(6));
      if (event.type === "error") throw new Refused(event.status, event.code, event.message);
      yield event;
      if (event.type === "end") return;
    }
  }
}

/** Save what the server answers with as a file. */
export async function download(path) {
  const response = await request(path, {});
  const written = /filename\*=UTF-8''([^;]+)/.exec(response.headers.get("Content-Disposition") ?? "");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = written ? decodeURIComponent(written[1]) : "conversation";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Whether the server answers, and the share of a load under way or null. */
export async function health() {
  const response = await reachable(fetch("/health", { cache: "no-store" }));
  const { share, loading } = await response.json();
  return share ?? loading ?? null;
}

async function request(path, { method = "GET", body, signal }) {
  const headers = {};
  const key = kept(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  const isData = body instanceof Blob || typeof body === "string";
  const data = body === undefined || isData ? body : JSON.stringify(body);
  if (body !== undefined) headers["Content-Type"] = isData ? "application/octet-stream" : "application/json";
  const response = await reachable(fetch(path, { method, headers, body: data, signal, cache: "no-store" }));
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: {} }));
  const message = typeof error === "string" ? error : error.message;
  throw new Refused(response.status, error.code ?? "", message ?? response.statusText);
}

async function reachable(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === "AbortError" ? error : new Away(error.message);
  }
}
