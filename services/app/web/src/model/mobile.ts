// A person's own mobile data as it is drawn: places on a plain map, a day and a week as they usually are. Nothing here knows the page.
import type { Hour, Place } from "../gen/obole/delivery/v1/service_pb";

/** Schemas of the operator's traffic data: for their person's eyes only. */
export const mobile = { call: "obole:phone-call:1.0", message: "obole:text-message:1.0", visit: "obole:cell-visit:1.0", use: "obole:data-use:1.0" } as const;

const schemas: readonly string[] = Object.values(mobile);

export const isMobile = (schema: string): boolean => schemas.includes(schema);

/** A place with somewhere to be drawn. */
export interface Pin {
  place: Place;
  /** In the map's own units, from its upper left corner. */
  x: number;
  y: number;
  /** Radius of its circle: its area is its weight. */
  r: number;
  /** It lies outside what is shown, and is drawn at the edge in its direction. */
  outside: boolean;
}

export interface Atlas {
  width: number;
  height: number;
  /** Heaviest first, so that a small circle is drawn over a large one. */
  pins: Pin[];
  /** Lines of an even grid, so many kilometres apart. */
  step: number;
  across: number[];
  down: number[];
  /** Length of one step in the map's units. */
  unit: number;
}

type Spotted = Pick<Place, "cell" | "points" | "spot">;

/** Metres of a degree of latitude, WGS 84's mean. */
const perDegree = 111_195;

/** How much of all points the close view may leave out on each of its four sides: a journey does not shrink a town to a dot. */
const aside = 0.05;

/** Places in metres around their middle, east and north. */
function metres(places: readonly Spotted[]): { east: number; north: number }[] {
  const degrees = places.map((p) => ({ lat: (p.spot?.latitude ?? 0) / 1e6, lon: (p.spot?.longitude ?? 0) / 1e6 }));
  const middle = (degrees.reduce((m, d) => Math.max(m, d.lat), -90) + degrees.reduce((m, d) => Math.min(m, d.lat), 90)) / 2;
  const shrink = Math.cos((middle * Math.PI) / 180);
  const first = degrees[0]?.lon ?? 0;
  // Across the line where the date changes, the short way round.
  return degrees.map((d) => ({ north: (d.lat - middle) * perDegree, east: ((((d.lon - first + 540) % 360) - 180) * perDegree) * shrink }));
}

/** From where to where most lies along one axis: whoever is far out, with little in it, is left aside. */
function extent(at: readonly number[], weight: readonly number[], close: boolean): [number, number] {
  const order = at.map((v, i) => ({ v, w: weight[i] ?? 0 })).sort((a, b) => a.v - b.v);
  const may = close ? aside * order.reduce((sum, o) => sum + o.w, 0) : 0;
  const edge = (list: typeof order): number => {
    let left = may;
    for (const o of list) {
      if (o.w > left) return o.v;
      left -= o.w;
    }
    return list[0]?.v ?? 0;
  };
  return [edge(order), edge([...order].reverse())];
}

/** A round number of kilometres: 1, 2 or 5 times a power of ten. */
export function round(km: number): number {
  const power = 10 ** Math.floor(Math.log10(km));
  const of = km / power;
  return (of >= 5 ? 5 : of >= 2 ? 2 : 1) * power;
}

/** A map of the places that have one: of all, or close around where most happens. Undefined where none has a place. */
export function atlas(places: readonly Place[], close: boolean, width = 720, height = 480): Atlas | undefined {
  const largest = clamp(width / 20, 16, 34);
  const pad = largest + 10;
  const known = places.filter((p) => p.spot !== undefined).sort((a, b) => b.points - a.points);
  if (known.length === 0) return undefined;
  const at = metres(known);
  const weight = known.map((p) => p.points);
  const [west, east] = extent(at.map((m) => m.east), weight, close);
  const [south, north] = extent(at.map((m) => m.north), weight, close);
  // At least a kilometre across, so that a single place is no world.
  const spanEast = Math.max(east - west, 1000);
  const spanNorth = Math.max(north - south, 1000);
  const scale = Math.min((width - 2 * pad) / spanEast, (height - 2 * pad) / spanNorth);
  const mid = { east: (west + east) / 2, north: (south + north) / 2 };
  const most = known[0]?.points ?? 1;
  const pins = known.map((place, i): Pin => {
    const m = at[i] ?? { east: 0, north: 0 };
    const x = width / 2 + (m.east - mid.east) * scale;
    const y = height / 2 - (m.north - mid.north) * scale;
    const r = Math.max(5, largest * Math.sqrt(place.points / most));
    const edge = 14;
    const outside = x < edge || y < edge || x > width - edge || y > height - edge;
    return { place, x: clamp(x, edge, width - edge), y: clamp(y, edge, height - edge), r: outside ? 5 : r, outside };
  });
  const step = round(width / scale / 1000 / 4);
  const unit = step * 1000 * scale;
  return { width, height, pins, step, unit, across: lines(width / 2, unit, width), down: lines(height / 2, unit, height) };
}

function clamp(v: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, v));
}

function lines(from: number, unit: number, end: number): number[] {
  const out: number[] = [];
  for (let at = from % unit; at < end; at += unit) out.push(at);
  return out;
}

/** What a place is called on the map and in the table beside it: A for the first, nothing beyond Z. */
export function letter(rank: number): string {
  return rank >= 0 && rank < 26 ? String.fromCharCode(65 + rank) : "";
}

/** A day as it usually is: 24 hours, from midnight, of quantities in thousandths of the unit. */
export function byHour(hours: readonly Hour[]): { sum: number; points: number }[] {
  const out = Array.from({ length: 24 }, () => ({ sum: 0, points: 0 }));
  for (const h of hours) {
    const at = out[h.hour];
    if (!at) continue;
    at.sum += Number(h.sum);
    at.points += h.points;
  }
  return out;
}

/** A week as it usually is: seven days from Monday, of 24 hours each; thousandths of the unit. */
export function byWeek(hours: readonly Hour[]): number[][] {
  const out = Array.from({ length: 7 }, () => Array.from({ length: 24 }, () => 0));
  for (const h of hours) {
    const day = out[h.weekday - 1];
    if (day && h.hour < 24) day[h.hour] = (day[h.hour] ?? 0) + Number(h.sum);
  }
  return out;
}

/** Which of some values is the greatest, the first of them where several are; -1 where all are nothing. */
export function peak(values: readonly number[]): number {
  const most = Math.max(0, ...values);
  return most > 0 ? values.indexOf(most) : -1;
}

/** In which of five depths a value is drawn: 0 is nothing, 4 the greatest. By its root, so that a quiet hour is still seen. */
export function depth(value: number, most: number): 0 | 1 | 2 | 3 | 4 {
  if (value <= 0 || most <= 0) return 0;
  return Math.min(4, 1 + Math.floor(Math.sqrt(value / most) * 3.999)) as 1 | 2 | 3 | 4;
}

/** A volume of thousandths of a MiB in the unit in which it reads well. */
export function volume(thousandths: number): { value: number; unit: "MiB" | "GiB"; digits: number } {
  const mib = thousandths / 1000;
  return mib >= 1024 ? { value: mib / 1024, unit: "GiB", digits: 1 } : { value: mib, unit: "MiB", digits: mib < 10 ? 1 : 0 };
}
