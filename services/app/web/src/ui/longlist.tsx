// A list of any length: only rows near the viewport are in the document, each as high as the others, and the next page is asked for
// before the end is seen. The page itself scrolls, as people expect on a phone.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/compat";
import { useSpeech } from "../i18n";
import { visible, type Span } from "./window";

interface Props<T> {
  items: T[];
  /** Stable name of a row. */
  id: (item: T) => string;
  row: (item: T) => ComponentChildren;
  /** Height of a row in rem. */
  rem: number;
  label: string;
  /** Asks for the next page; undefined when there is none. */
  more?: (() => void) | undefined;
}

export function LongList<T>({ items, id, row, rem, label, more }: Props<T>) {
  const { t } = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const [span, setSpan] = useState<Span>({ from: 0, to: 20 });
  const [height, setHeight] = useState(rem * 16);
  const count = items.length;

  useEffect(() => {
    let frame = 0;
    const measure = () => {
      frame = 0;
      const px = rem * parseFloat(getComputedStyle(document.documentElement).fontSize);
      setHeight(px);
      const top = box.current?.getBoundingClientRect().top ?? 0;
      const next = visible(count, px, -top, innerHeight);
      setSpan((old) => (old.from === next.from && old.to === next.to ? old : next));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [count, rem]);

  const near = span.to >= count - 20;
  useEffect(() => {
    if (near && more) more();
  }, [near, more]);

  return (
    <div class="list long" ref={box}>
      <ul class="plain all" aria-label={label} style={{ height: `${height * count}px` }}>
        {items.slice(span.from, span.to).map((item, at) => (
          <li
            key={id(item)}
            class="slot"
            aria-setsize={more ? -1 : count}
            aria-posinset={span.from + at + 1}
            style={{ transform: `translateY(${(span.from + at) * height}px)`, height: `${height}px` }}
          >
            {row(item)}
          </li>
        ))}
      </ul>
      {more && (
        <p class="item soft small" role="status">
          {t("loading")}
        </p>
      )}
    </div>
  );
}
