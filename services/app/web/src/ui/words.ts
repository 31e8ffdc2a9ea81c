// What the contract's codes are in words. Every sentence says what happened; the second one what to do.
import type { Speech } from "../i18n";
import type { Fault } from "../net/fault";

/** What happened and what to do about it. */
export function describe(speech: Speech, fault: Fault): { what: string; todo: string } {
  const { t, family } = speech;
  const known = fault.reason ? family("reason", fault.reason, "") : "";
  switch (fault.kind) {
    case "offline":
      return { what: known || t("fault.offline"), todo: t("fault.offline.do") };
    case "unavailable":
      return { what: t("fault.unavailable"), todo: t("fault.unavailable.do") };
    case "wait":
      return { what: t("fault.wait"), todo: t("fault.wait.do", { n: Math.max(1, Math.ceil(fault.retryAfter / 1000)) }) };
    case "session":
      return { what: t("fault.session"), todo: t("fault.session.do") };
    case "invalid":
      // A reason of the contract, or the flaw of a value, is said in the page's own words; what the services say of a request otherwise is English.
      return { what: known || t("fault.invalid"), todo: flawText(speech, fault) || (known ? "" : fault.facts.map((f) => `${f.name}: ${f.text}`).join("; ") || t("fault.invalid.do")) };
    case "conflict":
      return { what: known || t("fault.conflict"), todo: t("fault.conflict.do") };
    case "refused":
    case "denied":
    case "missing":
      return { what: known || t("fault.refused"), todo: t("fault.refused.do") };
    default:
      return { what: known || t("fault.broken"), todo: t("fault.broken.do") };
  }
}

/** What is wrong with a value, in words, and which field it stands in; the contract's Flaw names it, as in "NOT_NUMBER TotalSteps". */
export function flawText(s: Speech, fault: Fault): string {
  const { flaw, field } = flawOf(fault);
  return s.family("flaw", flaw, "").replace("{field}", field);
}

/** The flaw that a fault names, and its field; empty where it names none. */
export function flawOf(fault: Fault): { flaw: string; field: string } {
  const said = fault.fact("flaw") ?? "";
  const cut = said.indexOf(" ");
  return cut < 0 ? { flaw: "", field: "" } : { flaw: said.slice(0, cut), field: said.slice(cut + 1) };
}

/** What somebody is called here. An issuer may call staff by their role alone: that is a word, not a name. */
export function callName(s: Speech, me: { name: string; roles: readonly string[] }): string {
  const role = me.name.toLowerCase();
  return me.roles.includes(role) ? s.family("role", role, me.name) : (me.name.split(",")[0] ?? "");
}

/** Name of a product. */
export const productName = (s: Speech, id: string): string => s.family("product", id, id);
/** A purpose, by its IRI. */
export const purposeName = (s: Speech, iri: string): string => s.family("purpose", iri.split("#")[1] ?? iri, iri.split("#")[1] ?? iri);
/** What a field of a product is. */
export const fieldName = (s: Speech, product: string, field: string): string => s.family("field", `${product}.${field}`, field);
/** At what granularity a field leaves. */
export const rungName = (s: Speech, product: string, field: string, rung: string): string =>
  s.family("rung", `${product}.${field}.${rung}`, s.family("rung", rung, rung));
/** What measurements of a schema are. */
export const schemaName = (s: Speech, schema: string): string => s.family("schema", schema.split(":").slice(0, 2).join("."), schema);
/** What a quantity is. */
export const measureName = (s: Speech, measure: string): string => s.family("measure", measure, measure.replaceAll("_", " "));
/** Where measurements come from. */
export const importerName = (s: Speech, importer: string): string => s.family("importer", importer, importer);
/** A condition on a derived fact. */
export const factName = (s: Speech, fact: string): string => s.family("fact", fact, fact.replaceAll("_", " "));
/** A band of a derived fact. */
export const bandName = (s: Speech, fact: string, band: string): string => s.family("band", `${fact}.${band}`, band);
