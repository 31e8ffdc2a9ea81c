// One measurement as its person sees and corrects it: a data point in the JSON of its schema.

import { micros } from "../i18n/format";

export interface Listed {
  id: string;
  /** What it says of one quantity, in the unit in which people say it. */
  value: number;
  unit: string;
  /** When it begins, as the measurement's own clock had it: YYYY-MM-DDTHH:MM. */
  from: string;
  /** The person's own word already. */
  stated: boolean;
}

type Json = Record<string, unknown>;

const isObject = (v: unknown): v is Json => typeof v === "object" && v !== null && !Array.isArray(v);

function parse(raw: Uint8Array): Json {
  const p: unknown = JSON.parse(new TextDecoder().decode(raw));
  if (!isObject(p)) throw new Error("a point is no object");
  return p;
}

// Times are said in minutes, everything else in the schema's own unit.
const said = (unit: string): { unit: string; by: number } => (unit === "sec" ? { unit: "min", by: 60 } : { unit, by: 1 });

function at(frame: unknown): string {
  if (!isObject(frame)) return "";
  const interval = frame.time_interval;
  const start = isObject(interval) ? interval.start_date_time : frame.date_time;
  return typeof start === "string" ? start.slice(0, 16) : "";
}

/** What a point says of a quantity; undefined where it says nothing. */
export function readPoint(raw: Uint8Array, measure: string): Listed | undefined {
  const { header, body } = parse(raw);
  if (!isObject(header) || !isObject(body) || typeof header.uuid !== "string") return undefined;
  const held = body[measure];
  const quantity = isObject(held) ? held.value : held;
  if (typeof quantity !== "number") return undefined;
  const { unit, by } = said(isObject(held) && typeof held.unit === "string" ? held.unit : "");
  return { id: header.uuid, value: Math.round((quantity / by) * 1000) / 1000, unit, from: at(body.effective_time_frame), stated: header.modality === "self-reported" };
}

/** The point with another value of a quantity. */
export function withValue(raw: Uint8Array, measure: string, value: number): Uint8Array {
  const p = parse(raw);
  if (!isObject(p.body)) throw new Error("a point has no body");
  const held = p.body[measure];
  if (isObject(held)) held.value = value * said(typeof held.unit === "string" ? held.unit : "").by;
  else p.body[measure] = value;
  return new TextEncoder().encode(JSON.stringify(p));
}

/** A number as somebody types it in their locale; undefined where it is none. */
export function written(locale: string, text: string): number | undefined {
  const value = micros(locale, text);
  return value === undefined ? undefined : Number(value) / 1e6;
}
