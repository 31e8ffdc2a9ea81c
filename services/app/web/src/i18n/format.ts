// Amounts, dates and numbers in the person's own locale. Amounts arrive as integers and are formatted from their decimal text, so that no
// floating-point number ever stands between the ledger and the eye.

/** Digits behind the point of a currency (ISO 4217): 2 for EUR, 0 for JPY. */
export function exponent(currency: string): number {
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
  } catch {
    return 2;
  }
}

/** A number of 10^-digits parts as decimal text: decimal(-1234n, 2) is "-12.34". */
export function decimal(value: bigint, digits: number): string {
  const sign = value < 0n ? "-" : "";
  const text = (value < 0n ? -value : value).toString().padStart(digits + 1, "0");
  const whole = text.slice(0, text.length - digits);
  return digits === 0 ? sign + whole : `${sign}${whole}.${text.slice(text.length - digits)}`;
}

// Intl takes decimal text since ES2023 and keeps every digit; the types of the standard library say so too.
type Decimal = Intl.StringNumericLiteral;

/** Money in minor units, as in "1,23 €". */
export function money(locale: string, minor: bigint, currency: string): string {
  const digits = exponent(currency);
  return new Intl.NumberFormat(locale, { style: "currency", currency, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(
    decimal(minor, digits) as Decimal,
  );
}

/** A unit price in millionths: as many digits as it has, never fewer than the currency's own. */
export function price(locale: string, micros: bigint, currency: string): string {
  return new Intl.NumberFormat(locale, {
    style: "currency",
    currency,
    minimumFractionDigits: exponent(currency),
    maximumFractionDigits: 6,
  }).format(decimal(micros, 6) as Decimal);
}

/** A number, as in "10 234,5". */
export function number(locale: string, value: number | bigint, digits = 0): string {
  return new Intl.NumberFormat(locale, { maximumFractionDigits: digits }).format(value);
}

/** Millionths as a percentage. */
export function percent(locale: string, ppm: number): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 2 }).format(ppm / 1_000_000);
}

/** Bytes in the largest unit that leaves at least one. */
export function bytes(locale: string, count: number): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  let at = 0;
  let value = count;
  while (value >= 1000 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return new Intl.NumberFormat(locale, { style: "unit", unit: units[at] ?? "byte", maximumFractionDigits: at === 0 ? 0 : 1 }).format(value);
}

/** Microseconds since 1970 as milliseconds. */
export function millis(micros: bigint): number {
  return Number(micros / 1000n);
}

/** A moment with its time of day. */
export function moment(locale: string, micros: bigint): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" }).format(millis(micros));
}

/** A moment to the second, for proofs. */
export function exact(locale: string, micros: bigint): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" }).format(millis(micros));
}

/** The day of a moment. */
export function date(locale: string, micros: bigint): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium" }).format(millis(micros));
}

/** A calendar day YYYY-MM-DD of the measurements' own zone: it is shown as the day it is, in whatever zone the reader sits. */
export function day(locale: string, iso: string, style: "medium" | "short" | "full" = "medium"): string {
  const at = Date.parse(`${iso}T00:00:00Z`);
  if (Number.isNaN(at)) return iso;
  const options: Intl.DateTimeFormatOptions =
    style === "short" ? { day: "numeric", month: "short", timeZone: "UTC" } : { dateStyle: style, timeZone: "UTC" };
  return new Intl.DateTimeFormat(locale, options).format(at);
}

/** Both ends of a range of days, said once where they share month or year. */
export function days(locale: string, first: string, last: string): string {
  const a = Date.parse(`${first}T00:00:00Z`);
  const b = Date.parse(`${last}T00:00:00Z`);
  if (Number.isNaN(a) || Number.isNaN(b)) return `${first} – ${last}`;
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeZone: "UTC" }).formatRange(a, b);
}

/** YYYY-MM of a moment, in the reader's zone, to group by. */
export function monthKey(micros: bigint): string {
  const at = new Date(millis(micros));
  return `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}`;
}

/** A month key as words, as in "avril 2026". */
export function month(locale: string, key: string): string {
  const at = Date.parse(`${key}-01T00:00:00Z`);
  return Number.isNaN(at) ? key : new Intl.DateTimeFormat(locale, { month: "long", year: "numeric", timeZone: "UTC" }).format(at);
}

const steps: [Intl.RelativeTimeFormatUnit, number][] = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** How long ago, or until, in words; beyond a week the day itself. */
export function ago(locale: string, micros: bigint, now: number): string {
  const seconds = (millis(micros) - now) / 1000;
  if (Math.abs(seconds) > 7 * 86_400) return date(locale, micros);
  const words = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  for (const [unit, size] of steps) if (Math.abs(seconds) >= size) return words.format(Math.trunc(seconds / size), unit);
  return words.format(0, "second");
}

/** A country's name. */
export function country(locale: string, code: string): string {
  try {
    return new Intl.DisplayNames(locale, { type: "region" }).of(code) ?? code;
  } catch {
    return code;
  }
}

/** A list in words, as in "a, b and c". */
export function list(locale: string, items: string[]): string {
  return new Intl.ListFormat(locale, { style: "long", type: "conjunction" }).format(items);
}

interface Marks {
  group: string;
  point: string;
}

// A locale's marks; whatever white space it groups by is written as a plain blank.
function marksOf(locale: string): Marks {
  const parts = new Intl.NumberFormat(locale).formatToParts(1234567.5);
  const of = (type: string, otherwise: string) => (parts.find((p) => p.type === type)?.value ?? otherwise).replace(/\s/g, " ");
  return { group: of("group", " "), point: of("decimal", ".") };
}

// What a text of digits, blanks and marks may mean, as plain decimals, the locale's own meaning first.
function readings(locale: string, text: string): { means: string[]; odd: boolean } {
  const { group, point } = marksOf(locale);
  const plain = text.trim().replace(/\s/g, " ");
  const means = new Set<string>();
  const [whole = "", part, ...rest] = plain.split(point);
  const threes = whole.split(whole.includes(" ") ? " " : group);
  // Only what stands in threes is grouped, and what is grouped does not begin with a nought: "0,05" is not 5, nor "0,064" 64.
  const grouped = threes.length > 1 && threes.every((g, i) => (i === 0 ? /^[1-9]\d{0,2}$/ : /^\d{3}$/).test(g));
  if (rest.length === 0 && (/^\d+$/.test(whole) || grouped)) means.add(threes.join("") + (part === undefined ? "" : `.${part}`));
  // The other mark, alone, may be meant as the decimal one, whatever the locale writes: "1.50" is a price, not 150. Before just three digits
  // it may be meant to group them as well.
  const [, before = "", mark = point, behind = ""] = /^(\d+)([.,])(\d{1,6})$/.exec(plain) ?? [];
  if (mark !== point) {
    if (/^[1-9]\d{0,2}$/.test(before) && behind.length === 3) means.add(before + behind);
    means.add(`${before}.${behind}`);
  }
  return { means: [...means].filter((m) => toMicros(m) !== undefined), odd: mark === "," && mark !== point };
}

/**
 * What a person typed as a number, in their locale's or the plain notation, as millionths; undefined when it is none, or when it may mean
 * another as well: an amount is never guessed. A comma for a point is nobody's notation where a point is written.
 */
export function micros(locale: string, text: string): bigint | undefined {
  const { means, odd } = readings(locale, text);
  const [one, ...others] = means;
  return one === undefined || others.length > 0 || odd ? undefined : toMicros(one);
}

/** How to write what `micros` refuses though it looks like a number, so that it has one meaning; none where it has. */
export function ways(locale: string, text: string): string[] {
  return micros(locale, text) === undefined ? readings(locale, text).means.map((r) => r.replace(".", marksOf(locale).point)) : [];
}

/** Millionths as a person would type them, ungrouped, with at least so many decimals. */
export function typed(locale: string, value: bigint, digits = 0): string {
  const [whole = "0", part = ""] = decimal(value, 6).replace(/0+$/, "").split(".");
  const padded = part.padEnd(digits, "0");
  return padded === "" ? whole : `${whole}${marksOf(locale).point}${padded}`;
}

/** The same number in another locale's notation; what is none stays as it was typed. */
export function retyped(from: string, to: string, text: string): string {
  const { point } = marksOf(from);
  const value = micros(from, text);
  return value === undefined ? text : typed(to, value, text.includes(point) ? text.trim().length - text.trim().lastIndexOf(point) - 1 : 0);
}

function toMicros(plain: string): bigint | undefined {
  const match = /^(\d{1,9})(?:\.(\d{0,6}))?$/.exec(plain);
  if (!match) return undefined;
  return BigInt(match[1] ?? "0") * 1_000_000n + BigInt((match[2] ?? "").padEnd(6, "0"));
}
