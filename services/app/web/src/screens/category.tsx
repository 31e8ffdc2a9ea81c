// One category: a plot over time with zoom, a table beside it, the newest week against the person's own weeks before, and where it came from.
import { useMemo, useState } from "preact/compat";
import { DeliveryService, type Category as Held, type GetSeriesResponse } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { bucketsFor, grid, isoDay, later, mostDays, quantity, shiftDay, smooth, trend, type Range } from "../model/series";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { Looker } from "../ui/looker";
import { Plot } from "../ui/plot";
import { Button, Card, Chip, Empty, Facts, PageHead, Section, Segments, Select } from "../ui/parts";
import { importerName, measureName, productName, schemaName } from "../ui/words";
import { Sideways } from "../ui/sideways";
import { Correct, correctable } from "./correct";
import { Shown } from "./shared";

type Span = "month" | "quarter" | "year" | "all";
const spanDays: Record<Exclude<Span, "all">, number> = { month: 31, quarter: 92, year: 366 };

export function Category({ schema }: { schema: string }) {
  const speech = useSpeech();
  const { t } = speech;
  const { me } = usePage();
  const summary = useRead(DeliveryService.method.getSummary, { subscriberId: me.subject });
  return (
    <>
      <PageHead title={schemaName(speech, schema)} back={{ href: "/data", text: t("nav.data") }} />
      <Shown read={summary} tall>
        {(s) => {
          const held = s.categories.find((c) => c.schema === schema);
          return held?.days ? (
            <Held category={held} />
          ) : (
            <Empty icon="data" title={t("category.none")} act={<a class="button" href="/data">{t("category.none.act")}</a>}>
              {t("data.none.text")}
            </Empty>
          );
        }}
      </Shown>
    </>
  );
}

/** Quantities as people read them: seconds become hours, thousandths the unit. */
export function scale(unit: string, measure: string): { factor: number; unit: string; digits: number } {
  if (unit === "sec") return { factor: 1 / 3_600_000, unit: "h", digits: 1 };
  return { factor: 1 / 1000, unit, digits: measure === "body_weight" ? 1 : 0 };
}

function Held({ category: c }: { category: Held }) {
  const speech = useSpeech();
  const { t, number, days, list } = speech;
  const { me } = usePage();
  const last = c.days?.last ?? "";
  const begin = c.days?.first ?? "";
  const [measure, setMeasure] = useState("");
  const [span, setSpan] = useState<Span>("quarter");
  const [zoomed, setZoomed] = useState<Range>();
  const range = zoomed ?? { first: span === "all" ? begin : later(begin, shiftDay(last, 1 - spanDays[span])), last };
  const first = later(range.first, shiftDay(range.last, 1 - mostDays));
  const read = useRead(DeliveryService.method.getSeries, { subscriberId: me.subject, schema: c.schema, measure, first, last: range.last, buckets: bucketsFor(first, range.last) });
  const sources = useRead(DeliveryService.method.listSources, { subscriberId: me.subject, pageSize: 1000 });
  const pickSpan = (s: Span) => {
    setSpan(s);
    setZoomed(undefined);
  };
  return (
    <>
      <div class="row apart">
        <Segments
          label={t("category.span")}
          value={zoomed ? ("" as Span) : span}
          change={pickSpan}
          options={[
            ["month", t("category.month")],
            ["quarter", t("category.quarter")],
            ["year", t("category.year")],
            ["all", t("category.all")],
          ]}
        />
        {zoomed && (
          <Button kind="plain" onClick={() => setZoomed(undefined)}>
            {t("category.unzoom")}
          </Button>
        )}
      </div>
      {c.quantities.length > 1 && (
        <Select
          label={t("category.measure")}
          value={measure || (c.quantities[0]?.measure ?? "")}
          change={setMeasure}
          options={c.quantities.map((q) => [q.measure, measureName(speech, q.measure)] as const)}
        />
      )}
      {first > range.first && (
        <p class="soft small" data-testid="cut">
          {t("category.cut", { first: speech.day(first) })}
        </p>
      )}
      <Looker at={{ first, last: range.last }} whole={{ first: begin, last }} change={setZoomed} />
      <Shown read={read} tall>
        {(s) => <Series series={s} schema={c.schema} look={setZoomed} />}
      </Shown>
      <Trend category={c} measure={measure} last={last} />
      <Section title={t("category.from")}>
        <Card>
          <Facts
            rows={[
              [t("category.held"), `${t("data.points", { n: Number(c.points), points: number(c.points) })}, ${t("days", { n: c.measuredDays })}, ${days(c.days)}`],
              ...c.shares.map((s) => {
                const source = sources.data?.sources.find((x) => x.sourceId === s.sourceId);
                return [
                  importerName(speech, source?.importer ?? ""),
                  `${t("data.points", { n: Number(s.points), points: number(s.points) })}, ${days(s.days)}${source && source.importedAt > 0n ? `. ${speech.pair(t("source.last"), speech.moment(source.importedAt))}` : ""}`,
                ] as const;
              }),
              [t("category.products"), c.products.length > 0 ? list(c.products.map((p) => productName(speech, p))) : t("category.products.none")],
            ]}
          />
          <p class="soft small">{t("category.no.sale")}</p>
        </Card>
      </Section>
    </>
  );
}

const rowsShown = 31;
const day1 = 86_400_000_000n;
const dayOf = (seconds: number): string => isoDay(BigInt(Math.floor(seconds)) * 1_000_000n);

/** One quantity over time, as a plot or as a table. */
export function Series({ series: s, schema, look }: { series: GetSeriesResponse; schema: string; look: (days: Range) => void }) {
  const speech = useSpeech();
  const { t, number, day } = speech;
  const [as, setAs] = useState<"plot" | "table">("plot");
  const [rows, setRows] = useState(rowsShown);
  const [correcting, setCorrecting] = useState("");
  const unit = scale(s.unit, s.measure);
  const daily = s.width >= 86_400_000_000n;
  const write = (v: number) => number(v, unit.digits);
  const drawn = useMemo(() => {
    const g = grid(s);
    const scaled = (v: (number | null)[]) => v.map((x) => (x === null ? null : x * unit.factor));
    const bars = s.addsUp;
    const value = scaled(g.value);
    const lines: Parameters<typeof Plot>[0]["lines"] = [{ name: measureName(speech, s.measure), values: value, color: 1, kind: bars ? "bars" : "line" }];
    if (s.width === day1 && value.length >= 14) lines.push({ name: t("category.week.mean"), values: smooth(value), color: 2, kind: "dashed" });
    return { x: g.x, lines };
  }, [s, speech]);
  if (s.buckets.length === 0)
    return (
      <Empty icon="data" title={t("category.empty")}>
        {t("category.empty.text")}
      </Empty>
    );
  const summary = describe(speech, s, unit, write);
  const label = (from: bigint) => (daily ? day(isoDay(from)) : `${day(isoDay(from), "short")}, ${new Date(Number(from / 1000n)).toISOString().slice(11, 16)}`);
  const newest = [...s.buckets].reverse();
  // Where each row is one measurement, least and most say what the row says already.
  const single = s.buckets.every((b) => b.points === 1);
  // What is gathered over several days is corrected a day at a time.
  const edits = correctable(schema) && s.width <= 86_400_000_000n;
  return (
    <Card>
      <div class="row apart">
        <Segments
          label={t("category.as")}
          value={as}
          change={setAs}
          options={[
            ["plot", t("category.as.plot")],
            ["table", t("category.as.table")],
          ]}
        />
        <span class="soft small">{s.addsUp && s.width > day1 ? t("category.per.day", { unit: unit.unit, n: Number(s.width / day1) }) : unit.unit}</span>
      </div>
      {as === "plot" ? (
        <>
          <Plot x={drawn.x} lines={drawn.lines} unit={unit.unit} summary={summary} zoom={(from, to) => look({ first: dayOf(from), last: dayOf(to) })} width={Number(s.width / 1_000_000n)} write={write} />
          <p class="tiny soft">{t("category.zoom")}</p>
        </>
      ) : (
        <>
          <p class="small soft">{summary}</p>
          <Sideways label={t("category.as.table")}>
            <table class={edits ? "edits" : undefined}>
              <thead>
                <tr>
                  <th scope="col">{daily && s.width === 86_400_000_000n ? t("category.day") : t("category.from.when")}</th>
                  <th scope="col" class="end">
                    {s.width > day1 ? t("category.mean.day") : s.addsUp ? t("category.sum") : t("category.mean")}
                  </th>
                  {edits && <th scope="col" class="end">{t("correct.column")}</th>}
                  {!single && (
                    <>
                      <th scope="col" class="end">
                        {t("category.least")}
                      </th>
                      <th scope="col" class="end">
                        {t("category.most")}
                      </th>
                      <th scope="col" class="end">
                        {t("category.count")}
                      </th>
                    </>
                  )}
                </tr>
              </thead>
              <tbody>
                {newest.slice(0, rows).map((b) => (
                  <tr key={String(b.from)}>
                    <td>{label(b.from)}</td>
                    <td class="end num">{write(quantity(b, s.addsUp) * unit.factor)}</td>
                    {edits && (
                      <td class="end">
                        <Button kind="plain" onClick={() => setCorrecting(isoDay(b.from))} testid="correct">
                          {t("correct.act")}
                          <span class="unseen"> {label(b.from)}</span>
                        </Button>
                      </td>
                    )}
                    {!single && (
                      <>
                        <td class="end num">{write(Number(b.least) * unit.factor)}</td>
                        <td class="end num">{write(Number(b.most) * unit.factor)}</td>
                        <td class="end num">{number(b.points)}</td>
                      </>
                    )}
                  </tr>
                ))}
              </tbody>
            </table>
          </Sideways>
          {!edits && correctable(schema) && <p class="tiny soft">{t("correct.shorter")}</p>}
          {correcting !== "" && <Correct schema={schema} measure={s.measure} day={correcting} close={() => setCorrecting("")} />}
          {newest.length > rows && (
            <div>
              <Button onClick={() => setRows(rows + 5 * rowsShown)}>{t("act.more")}</Button>
            </div>
          )}
        </>
      )}
      {s.gaps.length > 0 && (
        <div class="chips">
          <span class="soft small">{t("category.gaps")}</span>
          {s.gaps.slice(-6).map((g) => (
            <Chip key={g.first}>{g.first === g.last ? day(g.first, "short") : speech.days(g)}</Chip>
          ))}
        </div>
      )}
      {s.overlapped > 0 && <p class="tiny soft">{t("category.overlapped", { n: s.overlapped })}</p>}
    </Card>
  );
}

// What the plot shows, for whoever does not see it.
function describe(speech: Speech, s: GetSeriesResponse, unit: { factor: number; unit: string }, write: (v: number) => string): string {
  const values = s.buckets.map((b) => quantity(b, s.addsUp) * unit.factor);
  const first = s.buckets[0];
  const last = s.buckets[s.buckets.length - 1];
  if (!first || !last) return "";
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return speech.t("category.summary", {
    what: measureName(speech, s.measure),
    days: speech.days({ first: isoDay(first.from), last: isoDay(last.from) }),
    least: write(Math.min(...values)),
    most: `${write(Math.max(...values))} ${unit.unit}`.trim(),
    mean: `${write(mean)} ${unit.unit}`.trim(),
    gaps: speech.t("category.summary.gaps", { n: s.gaps.length }),
  });
}

/** The newest week against the person's own four weeks before. */
function Trend({ category: c, measure, last }: { category: Held; measure: string; last: string }) {
  const speech = useSpeech();
  const { t, number } = speech;
  const { me } = usePage();
  const read = useRead(DeliveryService.method.getSeries, { subscriberId: me.subject, schema: c.schema, measure, first: shiftDay(last, -34), last, buckets: 35 });
  const s = read.data;
  if (!s) return null;
  const of = trend(s);
  if (!of) return <p class="soft small">{t("trend.few")}</p>;
  const unit = scale(s.unit, s.measure);
  // A mean of few has a decimal, or what is compared would not be what is read.
  const digits = Math.max(of.recent, of.before) * unit.factor < 100 ? Math.max(unit.digits, 1) : unit.digits;
  const write = (v: number) => `${number(v * unit.factor, digits)} ${unit.unit}`.trim();
  const part = of.before === 0 ? 0 : (of.recent - of.before) / of.before;
  const values = { recent: write(of.recent), before: write(of.before), part: speech.percent(Math.abs(Math.round(part * 100)) * 10_000) };
  return (
    <Card tone="sunken">
      <p>{Math.abs(part) < 0.02 ? t("trend.same", values) : part > 0 ? t("trend.up", values) : t("trend.down", values)}</p>
      <p class="tiny soft">{t("trend.own", { recent: of.recentDays, before: of.beforeDays })}</p>
    </Card>
  );
}
