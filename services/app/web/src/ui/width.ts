// How wide something is on the page, for whoever draws in pixels.
import type { RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/compat";

/** A place to draw in, and how wide it is in CSS pixels; 0 before it is laid out. */
export function useWidth<E extends HTMLElement>(): { box: RefObject<E | null>; width: number } {
  const box = useRef<E>(null);
  const [width, set] = useState(0);
  useEffect(() => {
    const at = box.current;
    if (!at) return;
    set(at.clientWidth);
    const watch = new ResizeObserver(() => set(at.clientWidth));
    watch.observe(at);
    return () => watch.disconnect();
  }, []);
  return { box, width };
}
