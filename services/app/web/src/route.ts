// Where in the page somebody is: the path, and nothing of it in any log.
import { useEffect, useState } from "preact/compat";

export interface Place {
  path: string;
  query: URLSearchParams;
}

const listeners = new Set<() => void>();

export function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

/** Goes to a path of the page. */
export function go(to: string, replace = false): void {
  if (replace) history.replaceState(null, "", to);
  else history.pushState(null, "", to);
  for (const l of listeners) l();
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

/** Follows links of the page without loading it anew, and tells where somebody is now. */
export function usePlace(): Place {
  const [place, set] = useState(here);
  useEffect(() => {
    const changed = () => set(here());
    listeners.add(changed);
    addEventListener("popstate", changed);
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
      removeEventListener("popstate", changed);
      document.removeEventListener("click", click);
    };
  }, []);
  return place;
}
