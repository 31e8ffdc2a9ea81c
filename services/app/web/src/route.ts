// Where in the page somebody is: the path, and nothing of it in any log.
import { useEffect, useState } from "preact/compat";

export interface Place {
  path: string;
  query: URLSearchParams;
  /** Counts how often somebody has gone somewhere; a query that only refines what is shown is no going. */
  turn: number;
  /** How far down they had been there, where they come back. */
  y: number;
}

const listeners = new Set<() => void>();

// Where each entry of the browser's history was left, in pixels from the top, by a number that the entry carries. They live as long as the
// page: whoever loads it anew begins at the top.
const left = new Map<number, number>();
let entries = 0;
let entry = 0;
let turn = 0;

const entryOf = (state: unknown): number | undefined => (typeof state === "object" && state !== null && "entry" in state && typeof state.entry === "number" ? state.entry : undefined);

export function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search), turn, y: left.get(entry) ?? 0 };
}

/** Goes to a path of the page. */
export function go(to: string, replace = false): void {
  if (replace) history.replaceState(history.state, "", to);
  else {
    left.set(entry, scrollY);
    entry = ++entries;
    turn++;
    history.pushState({ entry }, "", to);
  }
  for (const l of listeners) l();
}

/** Scrolls to where somebody had been, as soon as what is shown reaches so far; whoever moves meanwhile is left alone. */
export function scrollBack(y: number): void {
  const until = performance.now() + 3_000;
  let moved = false;
  const stop = () => (moved = true);
  for (const e of ["wheel", "touchstart", "keydown", "pointerdown"]) addEventListener(e, stop, { once: true, passive: true });
  const step = () => {
    if (moved) return;
    scrollTo(0, y);
    if (Math.abs(scrollY - y) > 1 && performance.now() < until) requestAnimationFrame(step);
  };
  step();
}

/** The way to sign in and come back to where somebody is now. */
export function signInHere(language: string): string {
  const query = new URLSearchParams(location.search);
  query.delete("login"); // what the last attempt came to
  const rest = query.toString();
  return `/login?to=${encodeURIComponent(location.pathname + (rest && `?${rest}`))}&lang=${language}`;
}

/**
 * Parts of a path behind a prefix, at most so many: parts("/offers/abc", "/offers", 1) is ["abc"]; undefined where it is another path, or one
 * that leads further than any screen.
 */
export function parts(path: string, prefix: string, most = 0): string[] | undefined {
  if (path !== prefix && !path.startsWith(`${prefix}/`)) return undefined;
  try {
    const all = path.slice(prefix.length + 1).split("/").filter((p) => p !== "").map(decodeURIComponent);
    return all.length <= most ? all : undefined;
  } catch {
    return undefined; // a percent sign that encodes nothing
  }
}

/** Whether a part of an address can be the id of anything. */
export const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text);

/** Follows links of the page without loading it anew, and tells where somebody is now. */
export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    // The page comes in pieces, so it puts the reader back itself.
    history.scrollRestoration = "manual";
    entry = entries = entryOf(history.state) ?? 0;
    history.replaceState({ entry }, "");
    let at = location.pathname + location.search;
    const changed = () => {
      at = location.pathname + location.search;
      set(here());
    };
    listeners.add(changed);
    const back = (e: PopStateEvent) => {
      if (at === location.pathname + location.search) return; // a place on the same page is the browser's to find
      left.set(entry, scrollY);
      entry = entryOf(e.state) ?? ++entries;
      turn++;
      changed();
    };
    addEventListener("popstate", back);
    const click = (e: MouseEvent) => {
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
      const link = e.target instanceof Element ? e.target.closest("a") : null;
      if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
      // What the edge answers itself is a real navigation; a place on the same page is the browser's to find.
      if (/^\/(login|logout|api|import|rpc)(\/|$)/.test(link.pathname)) return;
      if (link.pathname === location.pathname && link.hash) return;
      e.preventDefault();
      go(link.pathname + link.search + link.hash);
    };
    document.addEventListener("click", click);
    return () => {
      listeners.delete(changed);
      removeEventListener("popstate", back);
      document.removeEventListener("click", click);
    };
  }, []);
  return place;
}
