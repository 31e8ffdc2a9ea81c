// A person's rules as somebody changes them, while they may be changed elsewhere.
import { create, equals } from "@bufbuild/protobuf";
import { RulesSchema, type Rules } from "../gen/obole/consent/v1/events_pb";
import { exponent, micros, typed } from "../i18n/format";

export const currency = "EUR";

/** Rules as they stand on the screen. Numbers stay text until they are read; floors are by product. */
export interface Draft {
  rules: Rules;
  floors: Record<string, string>;
  limit: string;
}

export function draftOf(locale: string, rules: Rules): Draft {
  return { rules, floors: Object.fromEntries(rules.floors.map((f) => [f.product, typed(locale, f.micros, exponent(currency))])), limit: rules.maxAgreements > 0 ? String(rules.maxAgreements) : "" };
}

/** The rules that a draft asks for; what of it cannot be read stays as `rules` has it. */
export function wantedOf(locale: string, d: Draft, products: readonly string[]): Rules {
  return create(RulesSchema, {
    ...fieldsOf(d.rules),
    floors: [
      ...d.rules.floors.filter((f) => !products.includes(f.product)), // of what is no longer listed: not shown, and not lost
      ...products.flatMap((product) => {
        const value = micros(locale, d.floors[product] ?? "");
        return value === undefined || value === 0n ? [] : [{ product, micros: value, currency }];
      }),
    ],
    maxAgreements: limitOf(d.limit) ?? d.rules.maxAgreements,
  });
}

/** How many agreements at once; 0 is no limit, undefined is no number. */
export const limitOf = (text: string): number | undefined => (/^\d{0,6}$/.test(text.trim()) ? Number(text.trim() || "0") : undefined);

/** A message's fields without what makes it a message: spread as it is, `create` would take the copy for a finished message. */
export function fieldsOf(r: Rules) {
  const { floors, matching, matchingHealth, purposesNever, buyersNever, productsNever, maxAgreements } = r;
  return { floors, matching, matchingHealth, purposesNever, buyersNever, productsNever, maxAgreements };
}

/** Whether two are the same rules, in whatever order their lists stand. */
export function sameRules(a: Rules, b: Rules): boolean {
  return equals(RulesSchema, normal(a), normal(b));
}

function normal(rules: Rules): Rules {
  return create(RulesSchema, {
    ...fieldsOf(rules),
    floors: [...rules.floors].sort((a, b) => (a.product < b.product ? -1 : 1)),
    purposesNever: [...rules.purposesNever].sort(),
    buyersNever: [...rules.buyersNever].sort(),
    productsNever: [...rules.productsNever].sort(),
  });
}

/** Products whose floor, and other rules, that were changed here and elsewhere to different ends. */
export interface Both {
  floors: string[];
  matching: boolean;
  limit: boolean;
}

/**
 * The draft made over `base`, over what was set elsewhere since: what was not touched here is as it was set there, what was touched stays
 * as it is here, and `both` says where that hides something.
 */
export function rebase(locale: string, d: Draft, base: Rules, theirs: Rules): { draft: Draft; both: Both } {
  const both: Both = { floors: [], matching: false, limit: false };
  const floor = (r: Rules, product: string) => r.floors.find((f) => f.product === product)?.micros ?? 0n;
  const read = (text: string | undefined) => ((text ?? "").trim() === "" ? 0n : micros(locale, text ?? ""));
  const fresh = draftOf(locale, theirs);
  const floors: Draft["floors"] = {};
  for (const product of new Set([...Object.keys(d.floors), ...Object.keys(fresh.floors)])) {
    const mine = read(d.floors[product]);
    const touched = mine !== floor(base, product);
    floors[product] = (touched ? d.floors[product] : fresh.floors[product]) ?? "";
    if (touched && floor(theirs, product) !== floor(base, product) && floor(theirs, product) !== mine) both.floors.push(product);
  }
  const limit = limitOf(d.limit);
  const limited = limit !== base.maxAgreements;
  both.limit = limited && theirs.maxAgreements !== base.maxAgreements && theirs.maxAgreements !== limit;
  const matched = d.rules.matching !== base.matching || d.rules.matchingHealth !== base.matchingHealth;
  const switches = matched ? d.rules : theirs;
  both.matching = matched && (theirs.matching !== base.matching || theirs.matchingHealth !== base.matchingHealth) && (theirs.matching !== d.rules.matching || theirs.matchingHealth !== d.rules.matchingHealth);
  const never = (of: (r: Rules) => string[]) => {
    const added = of(d.rules).filter((x) => !of(base).includes(x));
    const removed = of(base).filter((x) => !of(d.rules).includes(x));
    return [...new Set([...of(theirs), ...added])].filter((x) => !removed.includes(x));
  };
  const rules = create(RulesSchema, {
    ...fieldsOf(theirs),
    matching: switches.matching,
    matchingHealth: switches.matchingHealth,
    purposesNever: never((r) => r.purposesNever),
    buyersNever: never((r) => r.buyersNever),
    productsNever: never((r) => r.productsNever),
  });
  return { draft: { rules, floors, limit: limited ? d.limit : fresh.limit }, both };
}
