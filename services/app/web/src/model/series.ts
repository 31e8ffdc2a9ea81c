// A series as it is drawn: every bucket has its place on the axis, and where nothing was measured there is a gap, never a line across it.
import type { Bucket, GetSeriesResponse } from "../gen/obole/delivery/v1/service_pb";

export interface Grid {
  /** Seconds since 1970 by the clock of the measurements. */
  x: number[];
  /** Thousandths of the unit; null where nothing was measured. */
  value: (number | null)[];
  least: (number | null)[];
  most: (number | null)[];
}

const perSecond = 1_000_000n;

/** What a bucket says: where quantities add up the sum, of several days the mean of those that were measured; else the mean of all. */
export function quantity(b: Pick<Bucket, "sum" | "mean" | "days">, addsUp: boolean): number {
  return addsUp ? Number(b.sum) / Math.max(1, b.days) : Number(b.mean);
}

/** The most days that are asked for at once: ten years. */
export const mostDays = 3660;

/** Buckets on an even grid from the first to the last. */
export function grid(s: Pick<GetSeriesResponse, "buckets" | "width" | "addsUp">): Grid {
  const out: Grid = { x: [], value: [], least: [], most: [] };
  const first = s.buckets[0];
  if (!first || s.width <= 0n) return out;
  let at = first.from;
  for (const b of s.buckets) {
    // Buckets may lie off the grid where clocks were changed: whoever is in between is a gap.
    while (at + s.width <= b.from) {
      push(out, at, undefined, s.addsUp);
      at += s.width;
    }
    push(out, b.from, b, s.addsUp);
    at = b.from + s.width;
  }
  return out;
}

function push(out: Grid, at: bigint, b: Bucket | undefined, addsUp: boolean): void {
  out.x.push(Number(at / perSecond));
  out.value.push(b ? quantity(b, addsUp) : null);
  out.least.push(b ? Number(b.least) : null);
  out.most.push(b ? Number(b.most) : null);
}

export interface Trend {
  /** Mean of the newest seven days' measured days, thousandths of the unit. */
  recent: number;
  /** The same of the 28 days before. */
  before: number;
  /** Measured days behind each. */
  recentDays: number;
  beforeDays: number;
}

const day = 86_400n * perSecond;

/** The newest week against the person's own four weeks before, of buckets a day wide; undefined where either has fewer than three days. */
export function trend(s: Pick<GetSeriesResponse, "buckets" | "width" | "addsUp">): Trend | undefined {
  const last = s.buckets[s.buckets.length - 1];
  if (!last || s.width !== day) return undefined;
  const week = last.from - 6n * day;
  const month = week - 28n * day;
  const recent = s.buckets.filter((b) => b.from >= week).map((b) => quantity(b, s.addsUp));
  const before = s.buckets.filter((b) => b.from >= month && b.from < week).map((b) => quantity(b, s.addsUp));
  if (recent.length < 3 || before.length < 3) return undefined;
  return { recent: mean(recent), before: mean(before), recentDays: recent.length, beforeDays: before.length };
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Mean over the seven buckets that end at each, where at least three of them hold something. */
export function smooth(values: readonly (number | null)[]): (number | null)[] {
  return values.map((_, i) => {
    const week = values.slice(Math.max(0, i - 6), i + 1).filter((v): v is number => v !== null);
    return week.length >= 3 ? mean(week) : null;
  });
}

/** YYYY-MM-DD of a moment in microseconds, by the clock that it carries. */
export function isoDay(micros: bigint): string {
  return new Date(Number(micros / 1000n)).toISOString().slice(0, 10);
}

/** A day some days later, or earlier. */
export function shiftDay(iso: string, days: number): string {
  return new Date(Date.parse(`${iso}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}

/** The later of two days, YYYY-MM-DD. */
export function later(a: string, b: string): string {
  return a > b ? a : b;
}

/** How many buckets to ask for: one a day, as days are how people remember; finer within two weeks, coarser beyond what a phone can show. */
export function bucketsFor(first: string, last: string): number {
  const days = Math.round((Date.parse(`${last}T00:00:00Z`) - Date.parse(`${first}T00:00:00Z`)) / 86_400_000) + 1;
  return days <= 14 ? 400 : Math.min(days, 400);
}

/** Days on screen, both ends included. */
export interface Range {
  first: string;
  last: string;
}

const count = (r: Range): number => Math.round((Date.parse(`${r.last}T00:00:00Z`) - Date.parse(`${r.first}T00:00:00Z`)) / 86_400_000) + 1;

export type Look = "closer" | "wider" | "earlier" | "later";

/** What is on screen after one step: half as many days or twice as many around the same middle, or half a screen to a side; undefined where there is no more. */
export function look(at: Range, whole: Range, how: Look): Range | undefined {
  const n = count(at);
  const most = count(whole);
  if (how === "closer" ? n <= 1 : how === "wider" ? n >= most : how === "earlier" ? at.first <= whole.first : at.last >= whole.last) return undefined;
  const size = how === "closer" ? Math.ceil(n / 2) : how === "wider" ? Math.min(most, 2 * n) : n;
  const half = Math.max(1, Math.floor(n / 2));
  const step = how === "earlier" ? -half : how === "later" ? half : Math.trunc((n - size) / 2);
  const wanted = shiftDay(at.first, step);
  const end = shiftDay(whole.last, 1 - size);
  const first = later(whole.first, wanted < end ? wanted : end);
  return { first, last: shiftDay(first, size - 1) };
}
