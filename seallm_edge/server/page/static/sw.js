// Offline cache: the page's own files, so that it opens while the server is away. Conversations are never cached.
const CACHE = "seallm-page-1";

const isOurs = (url) => url.origin === location.origin && (url.pathname === "/" || url.pathname.startsWith("/page/"));

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && isOurs(url)) event.respondWith(fromServerElseCache(event.request));
});

// The server is near: its files come first, and an update is seen at once.
async function fromServerElseCache(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreVary: true });
    if (kept) return kept;
    throw error;
  }
}
