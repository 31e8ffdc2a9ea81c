// No string is missing, none is left over, and each language says the same things.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { fill, localeOf, pick } from ".";
import en from "./messages/en.json";
import es from "./messages/es.json";
import fr from "./messages/fr.json";
import { Reason as ConsentReason } from "../gen/obole/consent/v1/events_pb";
import { DeliveryState, Flaw } from "../gen/obole/delivery/v1/service_pb";
import { Retention } from "../gen/obole/event/v1/event_pb";
import { By } from "../gen/obole/record/v1/record_pb";
import { EventSchema as ConsentEvent } from "../gen/obole/consent/v1/events_pb";
import { EventSchema as DeliveryEvent } from "../gen/obole/delivery/v1/events_pb";
import { EventSchema as SettlementEvent } from "../gen/obole/settlement/v1/events_pb";

const files: Record<string, Record<string, unknown>> = { en, fr, es };

function sources(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true }).flatMap((f) => {
    const path = join(dir, f.name);
    if (f.isDirectory()) return f.name === "gen" ? [] : sources(path);
    return /\.tsx?$/.test(f.name) && !/\.test\.ts$/.test(f.name) ? [readFileSync(path, "utf8")] : [];
  });
}

const text = sources("src").join("\n");

// t("key"), name: "key" of a way, and t(`prefix.${x}.suffix`), which stands for every key of that form.
const named = new Set([...text.matchAll(/\bt\(\s*"([\w.-]+)"|\bname: "(nav\.\w+)"/g)].map((m) => m[1] ?? m[2] ?? ""));
const quoted = new Set([...text.matchAll(/"([a-z]+(?:\.[\w-]+)+)"/g)].map((m) => m[1] ?? ""));
const patterns = [...text.matchAll(/\bt\(\s*`([^`]+)`/g)].map((m) => new RegExp(`^${(m[1] ?? "").replace(/\./g, "\\.").replace(/\$\{[^}]*\}/g, "[\\w-]+")}$`));
const families = [...text.matchAll(/family\(\s*"([\w.]+)"/g)].map((m) => `${m[1]}.`);

const holes = (message: unknown): string[] =>
  [...new Set([...JSON.stringify(message).matchAll(/\{(\w+)\}/g)].map((m) => m[1] ?? ""))].filter((h) => h !== "n").sort();

describe("messages", () => {
  it("are named by the page and stand in the file", () => {
    expect(named.size).toBeGreaterThan(200);
    expect([...named].filter((k) => !(k in en))).toEqual([]);
    for (const p of patterns) expect(Object.keys(en).filter((k) => p.test(k)), String(p)).not.toEqual([]);
  });

  it("are all used", () => {
    const unused = Object.keys(en).filter((k) => !named.has(k) && !quoted.has(k) && !patterns.some((p) => p.test(k)) && !families.some((f) => k.startsWith(f)));
    expect(unused).toEqual([]);
  });

  it("are the same in every language, with the same values", () => {
    for (const [language, messages] of Object.entries(files)) {
      expect(Object.keys(messages).sort(), language).toEqual(Object.keys(en).sort());
      for (const [key, message] of Object.entries(messages)) {
        expect(holes(message), `${language} ${key}`).toEqual(holes(files.en?.[key]));
        expect(JSON.stringify(message), `${language} ${key}`).not.toMatch(/""/);
      }
    }
  });

  it("are translated", () => {
    const same = (other: Record<string, unknown>) =>
      Object.entries(en).filter(([k, v]) => typeof v === "string" && v.split(" ").length > 3 && other[k] === v).map(([k]) => k);
    expect(same(fr)).toEqual([]);
    expect(same(es)).toEqual([]);
  });

  it("have words for what the contract can say to a person", () => {
    const known = en as Record<string, unknown>;
    const missing = (family: string, names: (string | undefined)[]) => names.filter((n) => n !== undefined && n !== "UNSPECIFIED" && !(`${family}.${n}` in known));
    const values = (e: Record<string, string | number>) => Object.keys(e).filter((k) => Number.isNaN(Number(k)));
    expect(missing("delivery", values(DeliveryState))).toEqual([]);
    expect(missing("flaw", values(Flaw))).toEqual([]);
    expect(missing("retention", values(Retention))).toEqual([]);
    expect(missing("by", values(By))).toEqual([]);
    // These two answer services, never a person.
    expect(missing("reason", values(ConsentReason).filter((r) => !/^(ATTEMPT_REPEATED|BUYER_UNKNOWN)$/.test(r)))).toEqual([]);
    const arms = (s: typeof ConsentEvent | typeof DeliveryEvent | typeof SettlementEvent) => s.oneofs[0]?.fields.map((f) => f.name) ?? [];
    // What is about a buyer or the book alone is in nobody's record.
    const personal = [...arms(ConsentEvent), ...arms(DeliveryEvent), ...arms(SettlementEvent)].filter((n) => !/^(buyer_|funds_deposited|funds_held|hold_|period_)/.test(n));
    expect(missing("event", personal)).toEqual([]);
  });

  it("are set as French is: nothing that belongs to a word's end begins the next line", () => {
    const wrong = Object.entries(fr).flatMap(([key, message]) =>
      (typeof message === "string" ? [message] : Object.values(message as Record<string, string>))
        .filter((text) => /[^\u00a0](»|:(?=\s|$))|[^\u202f][;!?%]|«(?!\u00a0)/.test(text))
        .map((text) => `${key}: ${text}`),
    );
    expect(wrong).toEqual([]);
  });

  it("never speak of selling a person's data", () => {
    for (const messages of Object.values(files)) expect(JSON.stringify(messages)).not.toMatch(/\b(sell|sold|selling|vend(re|u|ez)|vender|vendid[oa]|venta de)\b/i);
  });
});

describe("speech", () => {
  it("picks the language by wish", () => {
    expect(pick(["de-DE", "fr-BE", "en"])).toBe("fr");
    expect(pick(["de"])).toBe("en");
    expect(localeOf("fr", ["en-GB", "fr-BE"])).toBe("fr-BE");
    expect(localeOf("es", ["en-GB"])).toBe("es-ES");
  });

  it("chooses the form by the number, as each language counts", () => {
    const days = { one: "{n} jour", other: "{n} jours" };
    expect(fill("fr", days, { n: 0 })).toBe("0 jour");
    expect(fill("fr", days, { n: 2 })).toBe("2 jours");
    expect(fill("en", { one: "{n} day", other: "{n} days" }, { n: 0 })).toBe("0 days");
    expect(fill("en", "at {when}", {})).toBe("at {when}");
  });
});
