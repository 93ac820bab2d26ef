// Offline cache: the page's own files, so that it opens while the server is away. Conversations are never cached.
const CACHE = "seallm-page-1";

const isOurs = (url) => url.origin === location.origin && (url.pathname === "/" || url.pathname.startsWith("/page/"));
// Another server may come to this address later: what it answers is not kept, nor what this one tells other programs.
const isPage = (response) =>
  response.ok && response.headers.get("Content-Security-Policy")?.includes("trusted-types seallm");

self.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => self.skipWaiting())));
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && isOurs(url)) event.respondWith(fromServerElseCache(event.request));
});

// All files at the first visit: the page itself, what it is made of, and its words in all languages.
async function keepAll() {
  const cache = await caches.open(CACHE);
  const files = await (await fetch("/page/files.json", { cache: "no-store" })).json();
  await Promise.all(
    ["/", ...files].map(async (path) => {
      const response = await fetch(path, { headers: { Accept: "text/html,*/*" } });
      if (isPage(response)) await cache.put(path, response);
    }),
  );
}

// The server is near: its files come first, and an update is seen at once.
async function fromServerElseCache(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (isPage(response)) await cache.put(new URL(request.url).pathname, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true, ignoreVary: true });
    if (kept) return kept;
    throw error;
  }
}
