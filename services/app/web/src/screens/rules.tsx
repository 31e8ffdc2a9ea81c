// Rules: what a person never wants, and how much. Each says what it does now; what a change would do is shown before it is saved.
import { create, equals } from "@bufbuild/protobuf";
import { useEffect, useMemo, useState } from "preact/compat";
import { RulesSchema, type Rules as Set } from "../gen/obole/consent/v1/events_pb";
import { ConsentService } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService, type Product } from "../gen/obole/delivery/v1/service_pb";
import { OffersService, RuleKind, type PreviewRulesResponse } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { decimal, exponent, micros } from "../i18n/format";
import { consent } from "../net/client";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Button, Card, Check, Dialog, Field, Notice, PageHead, Problem, Section, Switch } from "../ui/parts";
import { productName, purposeName } from "../ui/words";
import { BuyerName, buyerOf, Shown, useBuyers } from "./shared";

const currency = "EUR";

export function Rules() {
  const { t } = useSpeech();
  const { me } = usePage();
  const rules = useRead(ConsentService.method.getRules, { subscriberId: me.subject });
  const products = useRead(DeliveryService.method.listProducts, { pageSize: 1000 });
  return (
    <>
      <PageHead title={t("rules.title")} lead={t("rules.lead")} />
      <Shown read={rules} tall>
        {(r) => <Shown read={products}>{(p) => <Form stands={r.rules ?? create(RulesSchema)} products={p.products} stale={rules.stale} />}</Shown>}
      </Shown>
    </>
  );
}

function effect(preview: PreviewRulesResponse | undefined, kind: RuleKind, subject = ""): number {
  return preview?.effects.find((e) => e.kind === kind && e.subject === subject)?.hides ?? 0;
}

/** Millionths as the plain number that a person would type in the locale. */
export function typed(locale: string, value: bigint): string {
  const text = decimal(value, 6).replace(/0+$/, "");
  const [whole = "0", part = ""] = text.split(".");
  const point = new Intl.NumberFormat(locale).formatToParts(1.5).find((p) => p.type === "decimal")?.value ?? ".";
  return `${whole}${point}${part.padEnd(exponent(currency), "0")}`;
}

function Form({ stands, products, stale }: { stands: Set; products: Product[]; stale: boolean }) {
  const speech = useSpeech();
  const { t, locale } = speech;
  const { me, config, over, say } = usePage();
  const reads = useReads();
  const [rules, setRules] = useState<Set>(stands);
  const [floors, setFloors] = useState<Record<string, string>>(() => texts(stands, locale));
  const [limit, setLimit] = useState(stands.maxAgreements > 0 ? String(stands.maxAgreements) : "");
  const [health, setHealth] = useState(false);
  const [agree, setAgree] = useState(false);
  // Whoever withdrew from a buyer may never want it again, so agreements that have ended count as well; so does whoever asks now.
  const consents = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, pageSize: 1000 });
  const asking = useRead(OffersService.method.listOffers, { subscriberId: me.subject, language: speech.language, pageSize: 200 });

  // Rules that were set elsewhere come in only while nothing was typed here.
  const [base, setBase] = useState(stands);
  useEffect(() => {
    if (equals(RulesSchema, base, stands)) return;
    if (equals(RulesSchema, rules, base)) {
      setRules(stands);
      setFloors(texts(stands, locale));
      setLimit(stands.maxAgreements > 0 ? String(stands.maxAgreements) : "");
    }
    setBase(stands);
  }, [stands]);

  const wrong: Record<string, string> = {};
  for (const [product, text] of Object.entries(floors)) if (text.trim() !== "" && micros(locale, text) === undefined) wrong[product] = t("rules.floor.wrong");
  const limitWrong = limit.trim() !== "" && !/^\d{1,6}$/.test(limit.trim()) ? t("rules.limit.wrong") : undefined;
  const valid = Object.keys(wrong).length === 0 && !limitWrong;

  const wanted = useMemo(
    () =>
      create(RulesSchema, {
        ...fields(rules),
        floors: products.flatMap((p) => {
          const id = p.ref?.id ?? "";
          const value = micros(locale, floors[id] ?? "");
          return value === undefined || value === 0n ? [] : [{ product: id, micros: value, currency }];
        }),
        maxAgreements: limitWrong ? rules.maxAgreements : Number(limit.trim() || "0"),
      }),
    [rules, floors, limit, products, locale],
  );
  const changed = !equals(RulesSchema, normal(wanted), normal(stands));
  const preview = useRead(OffersService.method.previewRules, changed && valid ? { subscriberId: me.subject, rules: wanted } : { subscriberId: me.subject });
  const p = preview.data;

  const save = useAct(async (idempotencyKey) => {
    const said = await consent.setRules({ subscriberId: me.subject, rules: wanted, idempotencyKey });
    reads.wrote(said.cursor);
    reads.refresh("offers");
    setBase(wanted);
    say(t("rules.saved"));
  });

  const set = (change: Partial<Pick<Set, "matching" | "matchingHealth" | "purposesNever" | "buyersNever" | "productsNever">>) =>
    setRules(create(RulesSchema, { ...fields(rules), ...change }));
  const toggle = (list: string[], id: string, on: boolean) => (on ? [...list.filter((x) => x !== id), id] : list.filter((x) => x !== id));
  const purposes = [...new Set([...products.flatMap((x) => x.purposes), ...stands.purposesNever])];
  const ids = new Set([...(consents.data?.consents ?? []).map(buyerOf), ...(asking.data?.offers ?? []).map((o) => o.buyerId), ...stands.buyersNever, ...rules.buyersNever]);
  ids.delete("");
  const buyers = useBuyers(ids);
  const nameOf = (id: string) => buyers.get(id)?.legalName ?? id;
  const known = [...ids].sort((a, b) => nameOf(a).localeCompare(nameOf(b), locale));
  const hides = (n: number) => (n > 0 ? t("rules.hides", { n }) : t("rules.hides.none"));

  return (
    <>
      {p && p.notEligible === 0 && (
        <Notice>
          <p>{t("rules.now", { shown: p.shown, hidden: p.hidden })}</p>
        </Notice>
      )}
      <Section title={t("rules.floors")}>
        <Card>
          <p class="soft small">{t("rules.floors.text")}</p>
          {products.map((x) => {
            const id = x.ref?.id ?? "";
            return (
              <Field
                key={id}
                label={productName(speech, id)}
                unit={`${currency} ${t(`slot.${slotOf(x.slot)}`)}`}
                inputMode="decimal"
                autoComplete="off"
                value={floors[id] ?? ""}
                change={(v) => setFloors({ ...floors, [id]: v })}
                wrong={wrong[id]}
                hint={(floors[id] ?? "").trim() !== "" ? hides(effect(p, RuleKind.FLOOR, id)) : undefined}
              />
            );
          })}
        </Card>
      </Section>

      <Section title={t("rules.matching")}>
        <Card>
          {config.gpc && (
            <Notice>
              <p>{t("rules.gpc")}</p>
            </Notice>
          )}
          <Switch
            label={t("rules.matching.on")}
            hint={
              <>
                {t("rules.matching.text")} {hides(effect(p, RuleKind.MATCHING))}
              </>
            }
            on={rules.matching}
            change={(matching) => set({ matching, matchingHealth: matching && rules.matchingHealth })}
          />
          {rules.matching && (
            <Switch
              label={t("rules.matching.health")}
              hint={t("rules.matching.health.text")}
              on={rules.matchingHealth}
              change={(on) => {
                if (on) setHealth(true);
                else set({ matchingHealth: false });
              }}
            />
          )}
        </Card>
      </Section>

      <Section title={t("rules.never")}>
        <Card>
          <fieldset>
            <legend>{t("rules.purposes")}</legend>
            {purposes.map((iri) => (
              <Check
                key={iri}
                label={purposeName(speech, iri)}
                on={rules.purposesNever.includes(iri)}
                change={(on) => set({ purposesNever: toggle(rules.purposesNever, iri, on) })}
                aside={rules.purposesNever.includes(iri) ? hides(effect(p, RuleKind.PURPOSE, iri)) : undefined}
              />
            ))}
          </fieldset>
          <fieldset>
            <legend>{t("rules.products")}</legend>
            {products.map((x) => {
              const id = x.ref?.id ?? "";
              return (
                <Check
                  key={id}
                  label={productName(speech, id)}
                  on={rules.productsNever.includes(id)}
                  change={(on) => set({ productsNever: toggle(rules.productsNever, id, on) })}
                  aside={rules.productsNever.includes(id) ? hides(effect(p, RuleKind.PRODUCT, id)) : undefined}
                />
              );
            })}
          </fieldset>
          <fieldset>
            <legend>{t("rules.buyers")}</legend>
            {known.length === 0 && <p class="soft small">{t("rules.buyers.none")}</p>}
            {known.map((id) => (
              <Check
                key={id}
                label={<BuyerName buyer={buyers.get(id)} id={id} />}
                on={rules.buyersNever.includes(id)}
                change={(on) => set({ buyersNever: toggle(rules.buyersNever, id, on) })}
                aside={rules.buyersNever.includes(id) ? hides(effect(p, RuleKind.BUYER, id)) : undefined}
              />
            ))}
          </fieldset>
          <p class="soft small">{t("rules.never.text")}</p>
        </Card>
      </Section>

      <Section title={t("rules.limit")}>
        <Card>
          <Field
            label={t("rules.limit.label")}
            hint={limit.trim() !== "" ? `${t("rules.limit.hint")} ${hides(effect(p, RuleKind.LIMIT))}` : t("rules.limit.hint")}
            inputMode="numeric"
            autoComplete="off"
            value={limit}
            change={setLimit}
            wrong={limitWrong}
          />
        </Card>
      </Section>

      {changed && (
        <section class="stack decide" aria-label={t("rules.change")}>
          <Notice tone={p && p.newlyHidden > 0 ? "warn" : "plain"}>
            <p data-testid="rules-preview" aria-live="polite">
              {!valid
                ? t("rules.preview.wrong")
                : p && !preview.loading
                  ? t("rules.preview", { hidden: p.newlyHidden, shown: p.newlyShown })
                  : preview.error
                    ? t("rules.preview.none")
                    : t("loading")}
            </p>
          </Notice>
          {save.fault && <Problem fault={save.fault} again={save.go} />}
          <div class="choice">
            <Button
              onClick={() => {
                setRules(stands);
                setFloors(texts(stands, locale));
                setLimit(stands.maxAgreements > 0 ? String(stands.maxAgreements) : "");
              }}
            >
              {t("rules.undo")}
            </Button>
            <Button kind="main" onClick={save.go} busy={save.busy} disabled={!valid || stale || over} testid="rules-save">
              {t("rules.save")}
            </Button>
          </div>
        </section>
      )}

      <Dialog
        open={health}
        close={() => {
          setHealth(false);
          setAgree(false);
        }}
        title={t("health.title")}
      >
        <p>{t("rules.matching.health.ask")}</p>
        <Check on={agree} change={setAgree} label={t("rules.matching.health.check")} />
        <div class="choice">
          <Button
            onClick={() => {
              setHealth(false);
              setAgree(false);
            }}
          >
            {t("health.no")}
          </Button>
          <Button
            disabled={!agree}
            onClick={() => {
              set({ matchingHealth: true });
              setHealth(false);
              setAgree(false);
            }}
          >
            {t("health.yes")}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

function slotOf(slot: string): "day" | "night" | "week" {
  return slot === "person-night" ? "night" : slot === "person-week" ? "week" : "day";
}

function texts(rules: Set, locale: string): Record<string, string> {
  return Object.fromEntries(rules.floors.map((f) => [f.product, typed(locale, f.micros)]));
}

// A message's fields without what makes it a message: spread as it is, `create` would take the copy for a finished message.
function fields(r: Set) {
  const { matching, matchingHealth, purposesNever, buyersNever, productsNever, maxAgreements } = r;
  return { floors: r.floors, matching, matchingHealth, purposesNever, buyersNever, productsNever, maxAgreements };
}

// The same rules in another order are the same rules.
function normal(rules: Set): Set {
  return create(RulesSchema, {
    ...fields(rules),
    floors: [...rules.floors].sort((a, b) => (a.product < b.product ? -1 : 1)),
    purposesNever: [...rules.purposesNever].sort(),
    buyersNever: [...rules.buyersNever].sort(),
    productsNever: [...rules.productsNever].sort(),
  });
}
