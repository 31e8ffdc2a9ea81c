// The service worker: it keeps the page's own files, so that the page opens without a network. What is personal never comes by here: calls
// of the page go past it, and their answers are kept, where they are, in the browser's database (net/last.ts).

interface Lasting extends Event {
  waitUntil(done: Promise<unknown>): void;
}

interface Asking extends Lasting {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}

interface Worker {
  addEventListener(type: "install" | "activate", listener: (e: Lasting) => void): void;
  addEventListener(type: "fetch", listener: (e: Asking) => void): void;
  skipWaiting(): Promise<void>;
  clients: { claim(): Promise<void> };
}

const worker = self as unknown as Worker;

// Written by the build: every file of it. The name of the cache is made of their names, which carry their hashes.
const files = "__FILES__".split(" ");
const cacheName = "obole-__VERSION__";
const own = /^\/(assets\/|icon|theme\.js$|manifest\.webmanifest$)/;

worker.addEventListener("install", (e) => {
  e.waitUntil(
    caches
      .open(cacheName)
      .then((c) => c.addAll(files.map((f) => new Request(f, { cache: "no-cache" }))))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (e) => {
  e.waitUntil(
    caches
      .keys()
      .then((names) => Promise.all(names.filter((n) => n !== cacheName).map((n) => caches.delete(n))))
      .then(() => worker.clients.claim()),
  );
});

worker.addEventListener("fetch", (e) => {
  const { request } = e;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== location.origin) return;
  if (request.mode === "navigate") {
    // Signing in and out are the edge's: it must be asked, and its answer is a redirect.
    if (/^\/(login|logout|api|rpc|import)(\/|$)/.test(url.pathname)) return;
    e.respondWith(fetch(request).catch(() => kept("/")));
  } else if (own.test(url.pathname)) {
    e.respondWith(caches.match(request).then((found) => found ?? fetch(request)));
  }
});

async function kept(path: string): Promise<Response> {
  return (await caches.match(path)) ?? Response.error();
}
