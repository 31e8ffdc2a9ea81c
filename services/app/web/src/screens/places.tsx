// Places on a plain map of cells, and the table beside it. It is drawn of what the answer holds: nobody is asked for a map, so nobody learns
// where somebody looks.
import { useState } from "preact/compat";
import type { GetPlacesResponse, Place } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { atlas, letter, volume, type Atlas } from "../model/mobile";
import { Button, Card, Empty, Segments } from "../ui/parts";
import { useWidth } from "../ui/width";
import { Sideways } from "../ui/sideways";

const rowsShown = 8;

/** A volume of thousandths of a MiB, written. */
export function volumeText(speech: Speech, thousandths: number): string {
  const v = volume(thousandths);
  return `${speech.number(v.value, v.digits)} ${v.unit}`;
}

export function Places({ places: p }: { places: GetPlacesResponse }) {
  const { t } = useSpeech();
  const [rows, setRows] = useState(rowsShown);
  const [view, setView] = useState<"close" | "all">("close");
  if (p.places.length === 0)
    return (
      <Empty icon="phone" title={t("category.empty")}>
        {t("category.empty.text")}
      </Empty>
    );
  const all = p.places.reduce((sum, x) => sum + x.points, 0);
  const placed = p.places.some((x) => x.spot);
  const unplaced = p.places.filter((x) => !x.spot).length;
  return (
    <Card>
      {placed && (
        <>
          <Segments
            label={t("mobile.map.view")}
            value={view}
            change={setView}
            options={[
              ["close", t("mobile.map.close")],
              ["all", t("mobile.map.all")],
            ]}
          />
          <PlainMap places={p.places} close={view === "close"} all={all} />
        </>
      )}
      <Table places={p.places} shown={rows} all={all} />
      {p.places.length > rows && (
        <div>
          <Button onClick={() => setRows(rows + 50)}>{t("act.more")}</Button>
        </div>
      )}
      {unplaced > 0 && <p class="tiny soft">{t("mobile.unplaced", { n: unplaced })}</p>}
      {p.nowhere > 0 && <p class="tiny soft">{t("mobile.nowhere", { n: p.nowhere })}</p>}
      {p.more > 0 && <p class="tiny soft">{t("mobile.more", { n: p.more })}</p>}
      {placed && <p class="tiny soft">{t("mobile.map.note")}</p>}
    </Card>
  );
}

const part = (x: Place, all: number): number => Math.round((x.points / Math.max(1, all)) * 1000) * 1000;

function Table({ places, shown, all }: { places: Place[]; shown: number; all: number }) {
  const speech = useSpeech();
  const { t, number } = speech;
  // What the operator has sent nothing of is no zero: its column is left out.
  const columns = [
    { name: t("mobile.share"), of: (x: Place) => speech.percent(part(x, all)), some: true },
    { name: t("mobile.stayed"), of: (x: Place) => `${number(Number(x.stayed) / 3600, 1)} h`, some: places.some((x) => x.stayed > 0n) },
    { name: t("mobile.calls"), of: (x: Place) => number(x.calls), some: places.some((x) => x.calls > 0) },
    { name: t("mobile.messages"), of: (x: Place) => number(x.messages), some: places.some((x) => x.messages > 0) },
    { name: t("mobile.data"), of: (x: Place) => volumeText(speech, Number(x.data)), some: places.some((x) => x.data > 0n) },
    { name: t("mobile.on.days"), of: (x: Place) => number(x.days), some: true },
  ].filter((c) => c.some);
  return (
    <Sideways label={speech.pair(t("mobile.places"), t("category.as.table"))}>
      <table class="places">
        <thead>
          <tr>
            <th scope="col">{t("mobile.rank")}</th>
            <th scope="col">{t("mobile.cell")}</th>
            {columns.map((c) => (
              <th key={c.name} scope="col" class="end">
                {c.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {places.slice(0, shown).map((x, i) => (
            <tr key={x.cell}>
              <td class="soft">{letter(i)}</td>
              <th scope="row">{x.cell}</th>
              {columns.map((c) => (
                <td key={c.name} class="end num">
                  {c.of(x)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Sideways>
  );
}

function PlainMap({ places, close, all }: { places: Place[]; close: boolean; all: number }) {
  const speech = useSpeech();
  const { t, number } = speech;
  const { box, width } = useWidth<HTMLDivElement>();
  const map = atlas(places, close, Math.max(width, 200), Math.round(Math.min(460, Math.max(240, width * 0.66))));
  if (!map) return null;
  const first = map.pins[0]?.place;
  const outside = map.pins.filter((p) => p.outside).length;
  const rank = new Map(places.map((x, i) => [x.cell, letter(i)]));
  const summary = t("mobile.map.summary", {
    n: map.pins.length,
    step: number(map.step, 1),
    cell: first?.cell ?? "",
    part: speech.percent(first ? part(first, all) : 0),
    days: t("days", { n: first?.days ?? 0 }),
    outside: outside > 0 ? t("mobile.map.outside", { n: outside }) : "",
  });
  return (
    <figure class="drawn map">
      <div ref={box}>{width > 0 && <Drawn map={map} summary={summary} rank={rank} all={all} />}</div>
      <figcaption class="small soft">{summary}</figcaption>
    </figure>
  );
}

function Drawn({ map, summary, rank, all }: { map: Atlas; summary: string; rank: Map<string, string>; all: number }) {
  const speech = useSpeech();
  const { t, number } = speech;
  const { width, height } = map;
  return (
    <svg role="img" aria-label={summary} width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
      <rect class="land" x={0.5} y={0.5} width={width - 1} height={height - 1} rx={12} />
      {map.across.map((x) => (
        <line key={`x${x}`} class="mesh" x1={x} x2={x} y1={1} y2={height - 1} />
      ))}
      {map.down.map((y) => (
        <line key={`y${y}`} class="mesh" x1={1} x2={width - 1} y1={y} y2={y} />
      ))}
      <g class="legend">
        <rect x={10} y={height - 34} width={map.unit + 68} height={24} rx={6} />
        <path d={`M 18 ${height - 25} v 6 h ${map.unit} v -6`} />
        <text x={map.unit + 26} y={height - 17}>{`${number(map.step, 1)} km`}</text>
      </g>
      <g class="legend">
        <rect x={width - 38} y={10} width={28} height={38} rx={6} />
        <path d={`M ${width - 24} 42 v -14 m -5 5 l 5 -6 l 5 6`} />
        <text x={width - 24} y={23} text-anchor="middle">
          {t("mobile.map.north")}
        </text>
      </g>
      {map.pins.map((p) => (
        <g key={p.place.cell}>
          <title>{t("mobile.map.pin", { cell: p.place.cell, part: speech.percent(part(p.place, all)), days: t("days", { n: p.place.days }) })}</title>
          <circle class={p.outside ? "pin away" : "pin"} cx={p.x} cy={p.y} r={p.r} />
          {!p.outside && p.r >= 10 && (
            <text class="mark" x={p.x} y={p.y + 4} text-anchor="middle">
              {rank.get(p.place.cell)}
            </text>
          )}
        </g>
      ))}
    </svg>
  );
}
