// A table that may be wider than the screen: it scrolls to the side in a frame of its own, whose edge shows a shadow where more of it lies, and says so.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/compat";
import { useSpeech } from "../i18n";

export function Sideways({ label, children }: { label: string; children: ComponentChildren }) {
  const { t } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const [hidden, setHidden] = useState({ before: false, after: false });
  useEffect(() => {
    const b = box.current;
    if (!b) return;
    const look = () => {
      // Half a pixel that is left by rounding is nothing.
      const after = b.scrollWidth - b.clientWidth - b.scrollLeft > 1;
      const before = b.scrollLeft > 1;
      setHidden((old) => (old.before === before && old.after === after ? old : { before, after }));
    };
    look();
    const watch = new ResizeObserver(look);
    watch.observe(b);
    if (b.firstElementChild) watch.observe(b.firstElementChild);
    b.addEventListener("scroll", look, { passive: true });
    return () => {
      watch.disconnect();
      b.removeEventListener("scroll", look);
    };
  }, []);
  const wide = hidden.before || hidden.after;
  return (
    <div class="sideways">
      <div class={`scroll${hidden.before ? " before" : ""}${hidden.after ? " after" : ""}`} ref={box} tabIndex={0} role="region" aria-label={label}>
        {children}
      </div>
      {wide && (
        <p class="tiny soft" data-testid="sideways">
          {t("scroll.sideways")}
        </p>
      )}
    </div>
  );
}
