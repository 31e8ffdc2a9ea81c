// Words, in three languages. English is part of the page; the others come when they are chosen.
import { createContext } from "preact";
import { useContext } from "preact/compat";
import type en from "./messages/en.json";
import * as format from "./format";

export type Messages = typeof en;
export type Key = keyof Messages;
export type Values = Record<string, string | number>;
export const languages = ["en", "fr", "es"] as const;
export type Language = (typeof languages)[number];

const loaders: Record<Language, () => Promise<{ default: unknown }>> = {
  en: () => import("./messages/en.json"),
  fr: () => import("./messages/fr.json"),
  es: () => import("./messages/es.json"),
};

/** The messages of one language. */
export async function load(language: Language): Promise<Messages> {
  return (await loaders[language]()).default as Messages;
}

/** The first of the wishes that there is; English where there is none. "fr-BE" is served by French. */
export function pick(wishes: readonly string[]): Language {
  for (const wish of wishes) {
    const base = wish.toLowerCase().split("-")[0];
    const found = languages.find((l) => l === base);
    if (found) return found;
  }
  return "en";
}

/** The locale for amounts and dates: the reader's own where it speaks the chosen language, so that "fr-BE" stays Belgian. */
export function localeOf(language: Language, wishes: readonly string[]): string {
  return wishes.find((w) => w.toLowerCase().split("-")[0] === language) ?? { en: "en-IE", fr: "fr-FR", es: "es-ES" }[language];
}

type Plural = Partial<Record<Intl.LDMLPluralRule, string>> & { other: string };

/** A message with its values put in. Where a message has forms, `n` chooses among them. */
export function fill(locale: string, message: string | Plural, values: Values): string {
  let text: string;
  if (typeof message === "string") text = message;
  else text = message[new Intl.PluralRules(locale).select(Number(values.n ?? 0))] ?? message.other;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? format.number(locale, value, 2) : value;
  });
}

/** What a screen speaks with. */
export class Speech {
  constructor(
    readonly language: Language,
    readonly locale: string,
    private readonly messages: Messages,
  ) {}
  /** A message of the file. */
  t = (key: Key, values: Values = {}): string => fill(this.locale, this.messages[key] as string | Plural, values);
  /** A message of a family that the contract names, as in family("product", id); the fallback where the contract has grown past the file. */
  family = (name: string, id: string, fallback: string): string => {
    const found = (this.messages as Record<string, unknown>)[`${name}.${id}`];
    return typeof found === "string" ? found : fallback;
  };
  /** A name with what belongs to it, set as the language sets a colon. */
  pair = (name: string, value: string): string => this.t("pair", { name, value });
  money = (m: { minor: bigint; currency: string } | undefined): string => (m ? format.money(this.locale, m.minor, m.currency || "EUR") : "–");
  price = (p: { micros: bigint; currency: string } | undefined): string => (p ? format.price(this.locale, p.micros, p.currency || "EUR") : "–");
  number = (n: number | bigint, digits = 0): string => format.number(this.locale, n, digits);
  moment = (at: bigint): string => format.moment(this.locale, at);
  exact = (at: bigint): string => format.exact(this.locale, at);
  date = (at: bigint): string => format.date(this.locale, at);
  day = (iso: string, style?: "medium" | "short" | "full"): string => format.day(this.locale, iso, style);
  days = (d: { first: string; last: string } | undefined): string => (d ? format.days(this.locale, d.first, d.last) : "–");
  ago = (at: bigint): string => format.ago(this.locale, at, Date.now());
  country = (code: string): string => format.country(this.locale, code);
  list = (items: string[]): string => format.list(this.locale, items);
  percent = (ppm: number): string => format.percent(this.locale, ppm);
  bytes = (count: number): string => format.bytes(this.locale, count);
  month = (key: string): string => format.month(this.locale, key);
}

export const SpeechContext = createContext<Speech | undefined>(undefined);

/** The speech of the page. */
export function useSpeech(): Speech {
  const speech = useContext(SpeechContext);
  if (!speech) throw new Error("no speech around this component");
  return speech;
}
