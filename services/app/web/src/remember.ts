// Small choices of this browser. What is about the person is wiped at sign-out (see net/last.ts for what they saw).
type Name = "language" | "theme" | "person" | "start" | "welcomed" | `seen-${string}`;

export function remembered(name: Name): string | undefined {
  try {
    return localStorage.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

export function remember(name: Name, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // A browser that keeps nothing asks again next time.
  }
}
