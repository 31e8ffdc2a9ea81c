import { useState } from "preact/compat";

// What was chosen on screens that were left, for as long as the page is open; nothing of it is written anywhere.
const held = new Map<string, unknown>();

/** State that is still there when somebody comes back to the screen, or it is drawn anew in another language. Without a key it is plain state. */
export function useKept<T>(key: string | undefined, first: () => T): [T, (value: T) => void] {
  const [value, set] = useState<T>(() => (key !== undefined && held.has(key) ? (held.get(key) as T) : first()));
  return [
    value,
    (to) => {
      if (key !== undefined) held.set(key, to);
      set(() => to);
    },
  ];
}

/** Forgets what was chosen: it was sent. */
export function letGo(key: string): void {
  held.delete(key);
}
