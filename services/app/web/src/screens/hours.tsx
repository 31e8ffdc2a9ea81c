// A day and a week as they usually are: bars by the hour, a week of hours, and both as a table.
import type { GetHoursResponse } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { byHour, byWeek, depth, peak } from "../model/mobile";
import { Segments } from "../ui/parts";
import { useWidth } from "../ui/width";
import { measureName } from "../ui/words";
import { Sideways } from "../ui/sideways";
import { scale } from "./category";

const hour = (speech: Speech, at: number): string => new Intl.DateTimeFormat(speech.locale, { hour: "numeric", minute: "2-digit", timeZone: "UTC" }).format(Date.UTC(2024, 0, 1, at % 24));

// The same, as short as an axis needs it.
const tick = (speech: Speech, at: number): string => new Intl.DateTimeFormat(speech.locale, { hour: "numeric", timeZone: "UTC" }).format(Date.UTC(2024, 0, 1, at));

// 2024 began on a Monday.
const weekday = (speech: Speech, at: number, style: "short" | "long"): string => new Intl.DateTimeFormat(speech.locale, { weekday: style, timeZone: "UTC" }).format(Date.UTC(2024, 0, 1 + at));

export type HoursAs = "day" | "week" | "table";

export function Hours({ hours: h, as, change }: { hours: GetHoursResponse; as: HoursAs; change: (as: HoursAs) => void }) {
  const speech = useSpeech();
  const { t } = speech;
  const unit = scale(h.unit, h.measure);
  const day = byHour(h.hours);
  const week = byWeek(h.hours);
  const write = (v: number) => `${speech.number(v * unit.factor, unit.digits)}${unit.unit ? ` ${unit.unit}` : ""}`;
  const what = measureName(speech, h.measure);
  const sums = day.map((x) => x.sum);
  const all = sums.reduce((a, b) => a + b, 0);
  const most = Math.max(0, peak(sums));
  const of = (n: number) => speech.percent(all === 0 ? 0 : Math.round((n / all) * 100) * 10_000);
  const summary = t("mobile.hours.summary", { what, from: hour(speech, most), to: hour(speech, most + 1), value: write(sums[most] ?? 0), part: of(sums[most] ?? 0), days: t("days", { n: h.days }) });
  const best = peak(week.flat());
  const weekly = t("mobile.week.summary", { what, day: weekday(speech, Math.floor(Math.max(0, best) / 24), "long"), hour: hour(speech, Math.max(0, best) % 24), value: write(week.flat()[Math.max(0, best)] ?? 0) });
  return (
    <>
      <div class="row apart">
        <Segments
          label={t("category.as")}
          value={as}
          change={change}
          options={[
            ["day", t("mobile.as.day")],
            ["week", t("mobile.as.week")],
            ["table", t("category.as.table")],
          ]}
        />
        <span class="soft small">{unit.unit}</span>
      </div>
      {as === "day" && <Bars sums={sums} most={most} write={write} summary={summary} />}
      {as === "week" && <Week week={week} write={write} summary={weekly} />}
      {as === "table" && (
        <>
          <p class="small soft">{summary}</p>
          <Sideways label={t("category.as.table")}>
            <table>
              <thead>
                <tr>
                  <th scope="col">{t("mobile.hour")}</th>
                  <th scope="col" class="end">
                    {t("category.sum")}
                  </th>
                  <th scope="col" class="end">
                    {t("mobile.share")}
                  </th>
                  <th scope="col" class="end">
                    {t("category.count")}
                  </th>
                </tr>
              </thead>
              <tbody>
                {day.map((x, i) => (
                  <tr key={i}>
                    <td class="num">{hour(speech, i)}</td>
                    <td class="end num">{write(x.sum)}</td>
                    <td class="end num">{of(x.sum)}</td>
                    <td class="end num">{speech.number(x.points)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Sideways>
        </>
      )}
    </>
  );
}

/** Names an hour in every six, each under the middle of its own; the first one begins with it. */
function Axis({ from, step, y }: { from: number; step: number; y: number }) {
  const speech = useSpeech();
  return (
    <>
      {[0, 6, 12, 18].map((i) => (
        <text key={i} x={from + i * step + (i === 0 ? 0 : step / 2)} y={y} text-anchor={i === 0 ? "start" : "middle"}>
          {tick(speech, i)}
        </text>
      ))}
    </>
  );
}

function Bars({ sums, most, write, summary }: { sums: number[]; most: number; write: (v: number) => string; summary: string }) {
  const speech = useSpeech();
  const { box, width } = useWidth<HTMLDivElement>();
  const tall = 168;
  const foot = 24;
  const step = width / 24;
  const top = sums[most] ?? 0;
  return (
    <figure class="drawn">
      <div ref={box}>
        {width > 0 && (
          <svg role="img" aria-label={summary} width={width} height={tall + foot} viewBox={`0 0 ${width} ${tall + foot}`}>
            <line class="ground" x1={0} x2={width} y1={tall} y2={tall} />
            {sums.map((v, i) => {
              const height = top > 0 ? (v / top) * (tall - 8) : 0;
              return (
                <g key={i}>
                  <title>{speech.pair(hour(speech, i), write(v))}</title>
                  <rect class="reach" x={i * step} y={0} width={step} height={tall} />
                  {height > 0 && <rect class={i === most ? "bar best" : "bar"} x={i * step + step * 0.14} y={tall - Math.max(2, height)} width={step * 0.72} height={Math.max(2, height)} rx={Math.min(4, step * 0.2)} />}
                </g>
              );
            })}
            <Axis from={0} step={step} y={tall + 18} />
          </svg>
        )}
      </div>
      <figcaption class="small soft">{summary}</figcaption>
    </figure>
  );
}

function Week({ week, write, summary }: { week: number[][]; write: (v: number) => string; summary: string }) {
  const speech = useSpeech();
  const { box, width } = useWidth<HTMLDivElement>();
  const side = 40;
  const step = Math.max(0, (width - side) / 24);
  const row = Math.min(26, Math.max(18, step));
  const top = Math.max(0, ...week.flat());
  return (
    <figure class="drawn">
      <div ref={box}>
        {width > 0 && (
          <svg role="img" aria-label={summary} width={width} height={row * 7 + 24} viewBox={`0 0 ${width} ${row * 7 + 24}`}>
            {week.map((hours, d) => (
              <g key={d}>
                <text x={0} y={d * row + row / 2 + 4}>
                  {weekday(speech, d, "short")}
                </text>
                {hours.map((v, i) => (
                  <rect key={i} class={`deep-${depth(v, top)}`} x={side + i * step + 0.75} y={d * row + 0.75} width={Math.max(0, step - 1.5)} height={row - 1.5} rx={Math.min(4, step * 0.25)}>
                    <title>{speech.pair(`${weekday(speech, d, "long")}, ${hour(speech, i)}`, write(v))}</title>
                  </rect>
                ))}
              </g>
            ))}
            <Axis from={side} step={step} y={row * 7 + 18} />
          </svg>
        )}
      </div>
      <figcaption class="small soft">{summary}</figcaption>
    </figure>
  );
}
