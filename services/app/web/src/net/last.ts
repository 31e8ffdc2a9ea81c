// The last state that this browser has seen, so that it can be read without a network. It lives in the browser's own database, is never
// seen by a cache between here and the edge, belongs to one person, and is wiped at logout, where the edge says that nobody is signed in, and
// when somebody else signs in.

const database = "obole";
const store = "last";

/** What was answered, and when it was asked, in milliseconds since 1970. */
export interface Last {
  bytes: Uint8Array<ArrayBuffer>;
  at: number;
}

let opened: Promise<IDBDatabase> | undefined;
let left = false;

function open(): Promise<IDBDatabase> {
  opened ??= new Promise<IDBDatabase>((resolve, reject) => {
    const asked = indexedDB.open(database, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(store);
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error ?? new Error("no database"));
  });
  // A browser that refuses (private windows) is asked again next time; the page works without.
  opened.catch(() => (opened = undefined));
  return opened;
}

async function run<T>(mode: IDBTransactionMode, act: (s: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  try {
    const db = await open();
    return await new Promise<T>((resolve, reject) => {
      const request = act(db.transaction(store, mode).objectStore(store));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error("no answer of the database"));
    });
  } catch {
    return undefined;
  }
}

/** Keeps an answer under a key that names person, call and request. */
export async function keep(key: string, last: Last): Promise<void> {
  if (left) return;
  await run("readwrite", (s) => s.put(last, key));
}

/** The answer kept under a key. */
export async function recall(key: string): Promise<Last | undefined> {
  const found: unknown = await run<unknown>("readonly", (s) => s.get(key));
  if (typeof found !== "object" || found === null || !("bytes" in found) || !("at" in found)) return undefined;
  return found.bytes instanceof Uint8Array && typeof found.at === "number" ? { bytes: new Uint8Array(found.bytes), at: found.at } : undefined;
}

/** Forgets everything. */
export async function wipe(): Promise<void> {
  await run("readwrite", (s) => s.clear());
}

/** Keeps nothing more of whoever was here. */
export function keepNothing(): void {
  left = true;
}

/** Forgets everything and keeps nothing more: an answer that was on its way when somebody left may come after. */
export async function leave(): Promise<void> {
  keepNothing();
  await wipe();
}
