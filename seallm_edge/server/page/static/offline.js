// Offline cache of the page, where the browser has service workers.

/** Let the service worker keep the page's files. */
export function keepOffline() {
  if (!("serviceWorker" in navigator)) return; // pages without TLS on a network have none
  const policy = globalThis.trustedTypes?.createPolicy("seallm", { createScriptURL: () => "/page/sw.js" });
  navigator.serviceWorker.register(policy ? policy.createScriptURL("") : "/page/sw.js", { scope: "/" }).catch(() => {});
}
