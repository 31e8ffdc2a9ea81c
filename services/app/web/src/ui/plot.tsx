// A plot over days, with zoom, gaps shown as gaps, a summary in words for whoever cannot see it, and a table beside it. It is loaded with
// the screens that draw.
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef, useState } from "preact/compat";
import uPlot from "uplot";
import { useSpeech } from "../i18n";

export interface Line {
  name: string;
  /** A value per x; null is a gap and is drawn as one. */
  values: (number | null)[];
  color: 1 | 2 | 3 | 4;
  kind: "bars" | "line" | "points" | "dashed";
}

interface Props {
  /** Seconds since 1970 by the clock of the measurements, ascending. */
  x: number[];
  lines: Line[];
  unit: string;
  /** What is drawn, in words, for screen readers. */
  summary: string;
  /** A stretch was picked; undefined is all. */
  zoom?: ((from: number, to: number) => void) | undefined;
  /** Seconds that a bucket is wide. */
  width: number;
  /** How a value is written. */
  write: (value: number) => string;
}

const style = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const long = (x: number[]): boolean => (x[x.length - 1] ?? 0) - (x[0] ?? 0) > 366 * 86_400;
// A day is named with its year where the plot holds more than one.
const years = (x: number[]): { year?: "numeric" } => (new Date((x[0] ?? 0) * 1000).getUTCFullYear() === new Date((x[x.length - 1] ?? 0) * 1000).getUTCFullYear() ? {} : { year: "numeric" });

export function Plot({ x, lines, unit, summary, zoom, width, write }: Props) {
  const speech = useSpeech();
  const box = useRef<HTMLDivElement>(null);
  const [theme, setTheme] = useState(0);

  useEffect(() => {
    const again = () => setTheme((n) => n + 1);
    const media = matchMedia("(prefers-color-scheme: dark)");
    media.addEventListener("change", again);
    const watch = new MutationObserver(again);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      media.removeEventListener("change", again);
      watch.disconnect();
    };
  }, []);

  useEffect(() => {
    const at = box.current;
    if (!at) return;
    const ink = style("--ink-soft");
    const grid = style("--line");
    const font = `12px ${style("--font")}`;
    const day = width >= 86_400;
    const tipDate = new Intl.DateTimeFormat(speech.locale, { day: "numeric", month: "short", ...years(x), timeZone: "UTC" });
    // Over more than a year the day says less than the year; within it a label has no room for both.
    const axisDate = long(x) ? new Intl.DateTimeFormat(speech.locale, { month: "short", year: "numeric", timeZone: "UTC" }) : new Intl.DateTimeFormat(speech.locale, { day: "numeric", month: "short", timeZone: "UTC" });
    const axisTime = new Intl.DateTimeFormat(speech.locale, { hour: "2-digit", minute: "2-digit", timeZone: "UTC" });
    const u = new uPlot(
      {
        width: at.clientWidth,
        height: Math.round(Math.min(320, Math.max(200, at.clientWidth * 0.5))),
        tzDate: (ts) => uPlot.tzDate(new Date(ts * 1000), "Etc/UTC"),
        padding: [12, 24, 0, 0], // half a label of the axis may stand right of the last day
        legend: { show: false },
        cursor: {
          drag: { x: zoom !== undefined, y: false, setScale: false },
          points: { size: 8 },
        },
        select: { show: zoom !== undefined, left: 0, top: 0, width: 0, height: 0 },
        scales: {
          x: { time: true, range: (_, lo, hi) => (lo === hi ? [lo - width, hi + width] : [lo - width / 2, hi + width / 2]) },
          y: {
            range: (_, lo, hi) => {
              const bars = lines.some((l) => l.kind === "bars");
              const room = (hi - lo) * 0.12 || Math.abs(hi) * 0.1 || 1;
              return [bars ? 0 : lo - room, hi + room];
            },
          },
        },
        axes: [
          {
            stroke: ink,
            font,
            grid: { show: false },
            ticks: { stroke: grid, width: 1, size: 4 },
            space: 72,
            values: (_, splits) => splits.map((s) => (day || s % 86_400 === 0 ? axisDate.format(s * 1000) : axisTime.format(s * 1000))),
          },
          { stroke: ink, font, size: 56, grid: { stroke: grid, width: 1 }, ticks: { show: false }, values: (_, splits) => splits.map(write) },
        ],
        series: [
          {},
          ...lines.map((l): uPlot.Series => {
            const color = style(`--plot-${l.color}`);
            const bars = uPlot.paths.bars;
            const base: uPlot.Series = { label: l.name, stroke: color, width: 2, spanGaps: false, points: { show: l.kind === "points" || x.length < 40, size: 5, fill: color } };
            if (l.kind === "bars" && bars) return { ...base, width: 0, fill: color, points: { show: false }, paths: bars({ size: [0.72, 40, 1], radius: 0.25 }) };
            if (l.kind === "dashed") return { ...base, width: 2, dash: [5, 5], spanGaps: true, points: { show: false } };
            if (l.kind === "points") return { ...base, width: 0, paths: () => null };
            return base;
          }),
        ],
        hooks: {
          setSelect: [
            (self) => {
              if (!zoom || self.select.width < 8) return;
              zoom(self.posToVal(self.select.left, "x"), self.posToVal(self.select.left + self.select.width, "x"));
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
            },
          ],
          setCursor: [
            (self) => {
              const i = self.cursor.idx;
              const tip = at.parentElement?.querySelector(".plot-tip");
              if (!tip) return;
              const ts = i == null ? undefined : x[i];
              if (i == null || ts === undefined) {
                tip.textContent = "\u00a0";
                return;
              }
              const when = day ? tipDate.format(ts * 1000) : `${tipDate.format(ts * 1000)} ${axisTime.format(ts * 1000)}`;
              const said = lines.flatMap((l) => {
                const v = l.values[i];
                return v == null ? [] : [lines.length > 1 ? `${l.name} ${write(v)}` : write(v)];
              });
              tip.textContent = speech.pair(when, `${said.join(" · ") || "–"} ${said.length > 0 ? unit : ""}`);
            },
          ],
        },
      },
      [x, ...lines.map((l) => l.values)],
      at,
    );
    const resize = new ResizeObserver(() => u.setSize({ width: at.clientWidth, height: Math.round(Math.min(320, Math.max(200, at.clientWidth * 0.5))) }));
    resize.observe(at);
    return () => {
      resize.disconnect();
      u.destroy();
    };
  }, [x, lines, unit, width, theme, speech]);

  return (
    <figure class="plot">
      <div ref={box} role="img" aria-label={summary} />
      <p class="plot-tip tiny soft num" aria-hidden="true">
        {"\u00a0"}
      </p>
      {lines.length > 1 && (
        <ul class="plain legend" aria-hidden="true">
          {lines.map((l) => (
            <li key={l.name} class={`tone-${l.color} ${l.kind}`}>
              {l.name}
            </li>
          ))}
        </ul>
      )}
      <figcaption class="small soft">{summary}</figcaption>
    </figure>
  );
}
