// A bid as somebody types it: what of it can be read here, and at which part of the form a refusal of the service belongs.
import { create } from "@bufbuild/protobuf";
import { NewBidSchema, type NewBid } from "../gen/obole/offers/v1/service_pb";
import { Assurance, Cadence, TransferTool } from "../gen/obole/market/v1/market_pb";
import { micros } from "../i18n/format";

/** One field of a product in the form. */
export interface FieldDraft {
  id: string;
  asked: boolean;
  rung: string;
  required: boolean;
  /** Part of the price for an optional field, in percent as typed. */
  share: string;
}

/** Somebody to whom the data are passed on. */
export interface RecipientDraft {
  name: string;
  /** ISO 3166-1 alpha-2. */
  country: string;
  purpose: string;
}

/** A derived fact of people, and the bands of it that the audience is restricted to; none means that it does not matter. */
export interface ConditionDraft {
  fact: string;
  bands: string[];
}

/** What is typed. Numbers stay text until they are read. */
export interface BidDraft {
  product: string;
  version: string;
  purpose: string;
  price: string;
  quantity: string;
  cohort: string;
  most: string;
  first: string;
  last: string;
  cadence: keyof typeof Cadence;
  /** First day on which it is offered; empty means at once. */
  opens: string;
  closes: string;
  retention: string;
  assurance: keyof typeof Assurance;
  transfer: keyof typeof TransferTool;
  automated: boolean;
  training: boolean;
  fields: FieldDraft[];
  conditions: ConditionDraft[];
  recipients: RecipientDraft[];
}

/** Bounds of the contract. */
export const bounds = { quantity: 10_000_000, most: 366, retention: 3650, cohort: 1_000_000 } as const;

/** Of what there may be so many, or so many characters. */
export const most = { conditions: 3, recipients: 8, name: 200, purpose: 500 } as const;

/** Parts of the form that can be wrong. "other" is what the form does not ask for. */
export type Part =
  | "product"
  | "purpose"
  | "price"
  | "quantity"
  | "cohort"
  | "most"
  | "first"
  | "last"
  | "opens"
  | "closes"
  | "conditions"
  | "recipients"
  | "retention"
  | "cadence"
  | "transfer"
  | "fields"
  | "other";

/** Why a part cannot be read. */
export type Wrong = "number" | "price" | "day" | "order" | "span" | "past" | "far" | "none" | "required" | "share" | "shares" | "opens" | "conditions" | "recipient" | "recipients" | "name" | "country" | "use";

/** What of one recipient cannot be read. */
export type RecipientWrong = Partial<Record<keyof RecipientDraft, Wrong>>;

export interface Reading {
  bid: NewBid | undefined;
  wrong: Partial<Record<Part, Wrong>>;
  /** One for each recipient of the draft. */
  recipients: RecipientWrong[];
  /** Ids of optional fields whose share cannot be read. */
  shares: ReadonlySet<string>;
}

const day = /^\d{4}-\d{2}-\d{2}$/;

/** What is known beside the draft. */
export interface Known {
  /** Fewest people that the product allows. */
  cohortMin: number;
  /** The day that it is, in UTC, YYYY-MM-DD. */
  today: string;
}

// Days between two calendar days.
const between = (a: string, b: string): number => Math.round((Date.parse(`${b}T00:00:00Z`) - Date.parse(`${a}T00:00:00Z`)) / 86_400_000);

function count(text: string, least: number, most: number): number | undefined {
  const plain = text.trim().replace(/[\s\u00a0\u202f]/g, "");
  if (!/^\d{1,9}$/.test(plain)) return undefined;
  const n = Number(plain);
  return n >= least && n <= most ? n : undefined;
}

/**
 * Reads a draft. Bounds are the contract's own; everything that takes knowledge of the market is left to TryBid. The bid closes when the
 * chosen day is over in UTC.
 */
export function readBid(locale: string, buyerId: string, currency: string, d: BidDraft, known: Known): Reading {
  const wrong: Reading["wrong"] = {};
  const number = (part: keyof typeof bounds, text: string, least = 1): number => {
    const n = count(text, least, bounds[part]);
    if (n === undefined) wrong[part] = "number";
    return n ?? 0;
  };
  const price = micros(locale, d.price);
  if (price === undefined || price === 0n) wrong.price = "price";
  const quantity = number("quantity", d.quantity);
  const perPerson = number("most", d.most);
  const retention = number("retention", d.retention);
  const cohort = d.cohort.trim() === "" ? 0 : number("cohort", d.cohort, Math.max(1, known.cohortMin));
  if (d.product === "") wrong.product = "none";
  if (d.purpose === "") wrong.purpose = "none";
  if (!day.test(d.first)) wrong.first = "day";
  if (!day.test(d.last)) wrong.last = "day";
  else if (!wrong.first && d.last < d.first) wrong.last = "order";
  else if (!wrong.first && between(d.first, d.last) > 366) wrong.last = "span";
  const closes = day.test(d.closes) ? Date.parse(`${d.closes}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(closes)) wrong.closes = "day";
  else if (d.closes < known.today) wrong.closes = "past";
  else if (between(known.today, d.closes) > 365) wrong.closes = "far"; // it closes when that day is over: 366 days ahead at most
  // An opening day is optional; the first moment of it is meant, and it may be the closing one's own.
  const opens = d.opens === "" ? 0 : day.test(d.opens) ? Date.parse(`${d.opens}T00:00:00Z`) : Number.NaN;
  if (Number.isNaN(opens)) wrong.opens = "day";
  else if (d.opens !== "" && d.opens > d.closes && !wrong.closes) wrong.opens = "opens";
  const conditions = d.conditions.filter((c) => c.bands.length > 0);
  if (conditions.length > most.conditions) wrong.conditions = "conditions";
  const recipients = d.recipients.map(readRecipient);
  if (recipients.length > most.recipients) wrong.recipients = "recipients";
  else if (recipients.some((r) => Object.keys(r).length > 0)) wrong.recipients = "recipient";
  const asked = d.fields.filter((f) => f.asked);
  if (!asked.some((f) => f.required)) wrong.fields = "required";
  const ppms = asked.map((f) => (f.required ? 0 : ppm(locale, f.share)));
  const shares = new Set(asked.filter((_, i) => ppms[i] === undefined).map((f) => f.id));
  if (shares.size > 0) wrong.fields ??= "share";
  else if (ppms.reduce<number>((sum, s) => sum + (s ?? 0), 0) >= 1_000_000) wrong.fields = "shares";
  if (Object.keys(wrong).length > 0) return { bid: undefined, wrong, recipients, shares };
  return {
    wrong,
    recipients,
    shares,
    bid: create(NewBidSchema, {
      buyerId,
      quantity,
      cohortMin: cohort,
      opensAt: BigInt(opens) * 1000n,
      closesAt: BigInt(closes + 86_400_000) * 1000n,
      terms: {
        product: { id: d.product, version: d.version },
        purpose: d.purpose,
        unitPrice: { micros: price ?? 0n, currency },
        maxSlotsPerPerson: perPerson,
        slots: { first: d.first, last: d.last },
        cadence: Cadence[d.cadence],
        fields: asked.map((f, i) => ({ id: f.id, rung: f.rung, required: f.required, sharePpm: ppms[i] ?? 0 })),
        predicates: conditions,
        recipients: d.recipients.map((r) => ({ legalName: r.name.trim(), country: r.country.trim().toUpperCase(), purpose: r.purpose.trim() })),
        minAssurance: Assurance[d.assurance],
        transferTool: TransferTool[d.transfer],
        retentionDays: retention,
        automatedDecisions: d.automated,
        aiTraining: d.training,
      },
    }),
  };
}

function readRecipient(r: RecipientDraft): RecipientWrong {
  const length = (text: string) => [...text.trim()].length;
  return {
    ...(length(r.name) < 1 || length(r.name) > most.name ? { name: "name" as const } : {}),
    ...(/^[A-Za-z]{2}$/.test(r.country.trim()) ? {} : { country: "country" as const }),
    ...(length(r.purpose) < 1 || length(r.purpose) > most.purpose ? { purpose: "use" as const } : {}),
  };
}

// Percent as typed, at most four digits behind the point, as millionths of the whole.
function ppm(locale: string, text: string): number | undefined {
  const m = micros(locale, text);
  if (m === undefined || m > 100_000_000n || m % 100n !== 0n) return undefined;
  return Number(m / 100n);
}

const parts: readonly (readonly [prefix: string, part: Part])[] = [
  ["terms.product", "product"],
  ["terms.purpose", "purpose"],
  ["terms.unit_price", "price"],
  ["terms.max_slots_per_person", "most"],
  ["terms.slots.last", "last"],
  ["terms.slots", "first"],
  ["terms.cadence", "cadence"],
  ["terms.fields", "fields"],
  ["terms.transfer_tool", "transfer"],
  ["terms.retention_days", "retention"],
  ["quantity", "quantity"],
  ["cohort_min", "cohort"],
  ["opens_at", "opens"],
  ["closes_at", "closes"],
  ["terms.predicates", "conditions"],
  ["terms.recipients", "recipients"],
];

/** The part of the form that a path of the contract names, as in "bid.terms.slots.last". */
export function partOf(path: string): Part {
  const inner = path.replace(/^bid\./, "");
  return parts.find(([p]) => inner === p || inner.startsWith(`${p}.`) || inner.startsWith(`${p}[`))?.[1] ?? "other";
}

const inRecipient: Record<string, keyof RecipientDraft> = { legal_name: "name", country: "country", purpose: "purpose" };

/** The recipient that a path of the contract names, and what of it; undefined where it names no such part of one. */
export function recipientOf(path: string): { at: number; field: keyof RecipientDraft } | undefined {
  const found = /^bid\.terms\.recipients\[(\d+)\]\.(\w+)$/.exec(path);
  const field = inRecipient[found?.[2] ?? ""];
  return found && field ? { at: Number(found[1]), field } : undefined;
}

/** How much of a budget is used, in millionths; 0 where there is none. */
export function used(part: bigint, whole: bigint): number {
  if (whole <= 0n || part <= 0n) return 0;
  return part >= whole ? 1_000_000 : Number((part * 1_000_000n) / whole);
}
