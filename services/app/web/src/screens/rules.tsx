// Rules: what a person never wants, and how much. Each says what it does now; what a change would do is shown before it is saved.
import { create } from "@bufbuild/protobuf";
import { useEffect, useMemo, useState } from "preact/compat";
import { RulesSchema, type Rules as Set } from "../gen/obole/consent/v1/events_pb";
import { ConsentService } from "../gen/obole/consent/v1/service_pb";
import { DeliveryService, type Product } from "../gen/obole/delivery/v1/service_pb";
import { OffersService, RuleKind, type PreviewRulesResponse } from "../gen/obole/offers/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { micros } from "../i18n/format";
import { currency, draftOf, fieldsOf, limitOf, rebase, sameRules, wantedOf, type Both, type Draft } from "../model/rules";
import { consent } from "../net/client";
import { faultOf } from "../net/fault";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Button, Card, Check, Dialog, Field, Notice, PageHead, Problem, Section, Switch } from "../ui/parts";
import { amountWrong, useTyped } from "../ui/typed";
import { productName, purposeName } from "../ui/words";
import { BuyerName, buyerOf, JoinFirst, Shown, slotOf, useAccount, useBuyers } from "./shared";

export function Rules() {
  const { t } = useSpeech();
  const account = useAccount();
  return (
    <>
      <PageHead title={t("rules.title")} lead={t("rules.lead")} />
      <Shown read={account} tall>
        {(a) => (a.account ? <Standing /> : <JoinFirst />)}
      </Shown>
    </>
  );
}

function Standing() {
  const { me } = usePage();
  const rules = useRead(ConsentService.method.getRules, { subscriberId: me.subject });
  const products = useRead(DeliveryService.method.listProducts, { pageSize: 1000 });
  return (
    <Shown read={rules} tall>
      {(r) => <Shown read={products}>{(p) => <Form stands={r.rules ?? create(RulesSchema)} products={p.products} stale={rules.stale} />}</Shown>}
    </Shown>
  );
}

function effect(preview: PreviewRulesResponse | undefined, kind: RuleKind, subject = ""): number {
  return preview?.effects.find((e) => e.kind === kind && e.subject === subject)?.hides ?? 0;
}

function Form({ stands, products, stale }: { stands: Set; products: Product[]; stale: boolean }) {
  const speech = useSpeech();
  const { t, locale } = speech;
  const { me, config, over, say } = usePage();
  const reads = useReads();
  const [draft, setDraft] = useTyped<Draft>(
    () => draftOf(locale, stands),
    (d, number) => ({ ...d, floors: Object.fromEntries(Object.entries(d.floors).map(([product, text]) => [product, number(text)])) }),
  );
  const { rules, floors, limit } = draft;
  const setFloors = (to: Record<string, string>) => setDraft({ ...draft, floors: to });
  const setLimit = (to: string) => setDraft({ ...draft, limit: to });
  const setRules = (to: Set) => setDraft({ ...draft, rules: to });
  const [health, setHealth] = useState(false);
  const [agree, setAgree] = useState(false);
  // Whoever withdrew from a buyer may never want it again, so agreements that have ended count as well; so does whoever asks now.
  const consents = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, pageSize: 1000 });
  const asking = useRead(OffersService.method.listOffers, { subscriberId: me.subject, language: speech.language, pageSize: 200 });

  // The rules that the draft was made over. What is set elsewhere comes in where nothing was touched here; where something was, it is said.
  const [base, setBase] = useState(stands);
  const [elsewhere, setElsewhere] = useState<Both>();
  const kinds = products.map((x) => x.ref?.id ?? "");
  useEffect(() => {
    if (sameRules(base, stands)) return;
    const touched = !sameRules(wantedOf(locale, draft, kinds), base) || Object.keys(wrong).length > 0;
    const merged = rebase(locale, draft, base, stands);
    setDraft(merged.draft);
    setBase(stands);
    setElsewhere(touched && !sameRules(wantedOf(locale, merged.draft, kinds), stands) ? merged.both : undefined);
  }, [stands]);

  const wrong: Record<string, string> = {};
  for (const [product, text] of Object.entries(floors)) if (text.trim() !== "" && micros(locale, text) === undefined) wrong[product] = amountWrong(speech, text, t("rules.floor.wrong"));
  const limitWrong = limitOf(limit) === undefined ? t("rules.limit.wrong") : undefined;
  const valid = Object.keys(wrong).length === 0 && !limitWrong;

  const wanted = useMemo(() => wantedOf(locale, draft, kinds), [rules, floors, limit, products, locale]);
  const changed = !sameRules(wanted, stands) || !valid;
  const preview = useRead(OffersService.method.previewRules, changed && valid ? { subscriberId: me.subject, rules: wanted } : { subscriberId: me.subject });
  const p = preview.data;

  const save = useAct(async (idempotencyKey) => {
    try {
      const said = await consent.setRules({ subscriberId: me.subject, rules: wanted, over: base, idempotencyKey });
      setBase(wanted);
      setElsewhere(undefined);
      reads.wrote(said.cursor);
    } catch (thrown) {
      if (faultOf(thrown).reason === "RULES_CHANGED") reads.refresh("consent"); // what was set comes in, and the person decides anew
      throw thrown;
    }
    reads.refresh("offers");
    say(t("rules.saved"));
  });

  const set = (change: Partial<Pick<Set, "matching" | "matchingHealth" | "purposesNever" | "buyersNever" | "productsNever">>) =>
    setRules(create(RulesSchema, { ...fieldsOf(rules), ...change }));
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
          {elsewhere && (
            <Notice tone="warn" alert>
              <p data-testid="rules-elsewhere">
                {t("rules.elsewhere")} {elsewhereText(speech, elsewhere, stands)}
              </p>
            </Notice>
          )}
          <Notice tone={p && p.newlyHidden > 0 ? "warn" : "plain"}>
            <p data-testid="rules-preview" aria-live="polite">
              {!valid
                ? t("rules.preview.wrong")
                : p && !preview.loading
                  ? t("rules.preview", { hidden: t("rules.preview.hidden", { n: p.newlyHidden }), shown: t("rules.preview.shown", { n: p.newlyShown }) })
                  : preview.error
                    ? t("rules.preview.none")
                    : t("loading")}
            </p>
          </Notice>
          {save.fault && <Problem fault={save.fault} again={save.go} />}
          <div class="choice">
            <Button
              onClick={() => {
                setDraft(draftOf(locale, stands));
                setElsewhere(undefined);
                save.clear();
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

// What was changed here and elsewhere to different ends, with what it is elsewhere.
function elsewhereText(s: Speech, both: Both, stands: Set): string {
  const out = both.floors.map((product) => {
    const floor = stands.floors.find((f) => f.product === product);
    return s.pair(productName(s, product), floor ? s.price(floor) : s.t("rules.elsewhere.none"));
  });
  if (both.limit) out.push(s.pair(s.t("rules.limit.label"), stands.maxAgreements > 0 ? s.number(stands.maxAgreements) : s.t("rules.elsewhere.none")));
  if (both.matching) out.push(s.pair(s.t("rules.matching.on"), stands.matching ? s.t("rules.elsewhere.on") : s.t("rules.elsewhere.off")));
  return out.length > 0 ? s.t("rules.elsewhere.both", { what: s.list(out) }) : "";
}
