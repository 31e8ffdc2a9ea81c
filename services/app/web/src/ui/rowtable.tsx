// A table of any number of rows that scrolls in a box of its own, to both sides: only rows near what is seen are in the document.
import { useEffect, useRef, useState } from "preact/compat";
import { visible, type Span } from "./window";

interface Props {
  label: string;
  columns: readonly string[];
  /** How many rows there are. */
  count: number;
  /** Text of a cell. */
  cell: (row: number, column: number) => string;
}

export function RowTable({ label, columns, count, cell }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const head = useRef<HTMLTableRowElement>(null);
  const [span, setSpan] = useState<Span>({ from: 0, to: 20 });
  const [height, setHeight] = useState(32);

  useEffect(() => {
    const b = box.current;
    if (!b) return;
    let frame = 0;
    const measure = () => {
      frame = 0;
      // Every row is as high as the head: neither wraps.
      const px = head.current?.getBoundingClientRect().height || 32;
      setHeight(px);
      const next = visible(count, px, b.scrollTop, b.clientHeight);
      setSpan((old) => (old.from === next.from && old.to === next.to ? old : next));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    b.addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      b.removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [count]);

  const rows = Array.from({ length: Math.max(0, Math.min(span.to, count) - span.from) }, (_, i) => span.from + i);
  return (
    <div class="scroll boxed" ref={box} tabIndex={0} role="region" aria-label={label}>
      <table aria-rowcount={count + 1}>
        <thead>
          <tr ref={head} aria-rowindex={1}>
            {columns.map((c) => (
              <th key={c} scope="col">
                {c}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {span.from > 0 && <Gap height={span.from * height} columns={columns.length} />}
          {rows.map((r) => (
            <tr key={r} aria-rowindex={r + 2} style={{ height: `${height}px` }}>
              {columns.map((c, i) => (
                <td key={c}>{cell(r, i)}</td>
              ))}
            </tr>
          ))}
          {span.to < count && <Gap height={(count - span.to) * height} columns={columns.length} />}
        </tbody>
      </table>
    </div>
  );
}

// Stands for the rows that are not drawn, so that the bar beside the table tells how far one is.
function Gap({ height, columns }: { height: number; columns: number }) {
  return (
    <tr aria-hidden="true" class="gap">
      <td colSpan={columns} style={{ height: `${height}px` }} />
    </tr>
  );
}
