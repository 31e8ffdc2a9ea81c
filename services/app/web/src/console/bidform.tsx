// Places a bid. What cannot be read is said beside its part; what the market would refuse, and whom the bid might reach, the service says
// as one types, before anything is placed.
import { toJsonString } from "@bufbuild/protobuf";
import { useEffect, useRef, useState } from "preact/compat";
import { DeliveryService, type AudienceFact, type Product } from "../gen/obole/delivery/v1/service_pb";
import { Reason } from "../gen/obole/offers/v1/events_pb";
import { NewBidSchema, OffersService, type Band, type TryBidResponse } from "../gen/obole/offers/v1/service_pb";
import { SettlementService } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { bounds, partOf, readBid, recipientOf, type BidDraft, type FieldDraft, type Part, type RecipientDraft } from "../model/bid";
import { offers } from "../net/client";
import { faultOf, type Fault } from "../net/fault";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { Shown } from "../screens/shared";
import { useAct } from "../ui/act";
import { Button, Card, Check, Facts, Field, Notice, PageHead, Section, Select } from "../ui/parts";
import { letGo } from "../ui/kept";
import { amountWrong, useTyped } from "../ui/typed";
import { fieldName, productName, purposeName, rungName } from "../ui/words";
import { Conditions, Recipients } from "./audience";
import { refusal, Refused } from "./shared";

export function BidForm() {
  const { t } = useSpeech();
  const { me } = usePage();
  const products = useRead(DeliveryService.method.listProducts, { pageSize: 1000 });
  const funds = useRead(SettlementService.method.getFunds, { buyerId: me.subject });
  return (
    <>
      <PageHead title={t("bid.title")} lead={t("bid.lead")} back={{ href: "/console/bids", text: t("bids.title") }} />
      <Shown read={products} tall>
        {(p) => <Shown read={funds}>{(f) => <Form products={p.products} facts={p.facts} available={f.available ?? { minor: 0n, currency: "EUR" }} />}</Shown>}
      </Shown>
    </>
  );
}

function fieldsOf(p: Product | undefined): FieldDraft[] {
  return (p?.fields ?? []).map((f) => ({ id: f.id, asked: false, rung: f.rungs[f.rungs.length - 1]?.id ?? "", required: true, share: "" }));
}

function empty(p: Product | undefined): BidDraft {
  return {
    product: p?.ref?.id ?? "",
    version: p?.ref?.version ?? "",
    purpose: p?.purposes[0] ?? "",
    price: "",
    quantity: "",
    cohort: "",
    most: "",
    first: "",
    last: "",
    cadence: "ONCE",
    opens: "",
    closes: "",
    retention: "",
    assurance: "UNSPECIFIED",
    transfer: "UNSPECIFIED",
    automated: false,
    training: false,
    fields: fieldsOf(p),
    conditions: [],
    recipients: [],
  };
}

/** People in words: never finer than the service tells. */
function people(s: Speech, band: Band | undefined): string {
  if (!band) return "–";
  if (band.below === 0) return s.t("bid.audience.least", { least: band.atLeast });
  if (band.atLeast === 0) return s.t("bid.audience.below", { below: band.below });
  return s.t("bid.audience.between", { least: band.atLeast, below: band.below });
}

/** What the market would refuse, in words of the page where it has them. */
function problem(s: Speech, p: TryBidResponse["problems"][number]): string {
  const part = partOf(p.field);
  if (p.reason === Reason.TERMS_INVALID && part === "transfer") return s.t("bid.wrong.transfer");
  if (p.reason === Reason.TERMS_INVALID && part === "quantity") return s.t("bid.wrong.book");
  const known = refusal(s, Reason[p.reason]);
  return p.reason === Reason.TERMS_INVALID ? `${known} (${p.field}: ${p.description})` : known;
}

/** Bounds of a number, to be said where it is not within them. */
function bound(part: Part, cohortMin: number): { least?: number; most?: number } {
  if (part === "cohort") return { least: Math.max(1, cohortMin), most: bounds.cohort };
  return part === "quantity" || part === "most" || part === "retention" ? { least: 1, most: bounds[part] } : {};
}

// Where the draft is kept while somebody looks at another room.
const kept = "bid";

interface Said {
  of: string;
  answer?: TryBidResponse;
  fault?: Fault;
}

function Form({ products, facts, available }: { products: Product[]; facts: AudienceFact[]; available: { minor: bigint; currency: string } }) {
  const speech = useSpeech();
  const { t, locale, money, number } = speech;
  const { me, over } = usePage();
  const reads = useReads();
  const [d, setDraft] = useTyped<BidDraft>(() => empty(products[0]), (draft, of) => ({ ...draft, price: of(draft.price), fields: draft.fields.map((f) => ({ ...f, share: of(f.share) })) }), kept);
  // How often it was tried to place it: what is wrong is said from the first time on, and each time the first of it takes the focus.
  const [tries, setTries] = useState(0);
  const tried = tries > 0;
  const form = useRef<HTMLFormElement>(null);
  const [said, setSaid] = useState<Said>();
  const [placed, setPlaced] = useState<string>();
  const product = products.find((p) => p.ref?.id === d.product && p.ref.version === d.version);
  const set = (change: Partial<BidDraft>) => setDraft({ ...d, ...change });
  const cohortMin = product?.cohortMin ?? 0;
  const { bid, wrong, recipients, shares } = readBid(locale, me.subject, available.currency, d, { cohortMin, today: new Date().toISOString().slice(0, 10) });
  const key = bid ? toJsonString(NewBidSchema, bid) : "";

  // The service is asked when somebody has stopped typing; an answer to what was typed before is thrown away.
  useEffect(() => {
    if (!bid || over || placed !== undefined) return;
    const end = new AbortController();
    const timer = setTimeout(() => {
      reads.call(OffersService.method.tryBid, { bid }, end.signal).then(
        (answer) => setSaid({ of: key, answer }),
        (thrown: unknown) => {
          const fault = faultOf(thrown);
          if (fault.kind !== "canceled" && !end.signal.aborted) setSaid({ of: key, fault });
        },
      );
    }, 400);
    return () => {
      clearTimeout(timer);
      end.abort();
    };
  }, [key, over, placed]);

  const act = useAct(async (idempotencyKey) => {
    if (!bid) return;
    const answer = await offers.placeBid({ bid, idempotencyKey });
    reads.wrote(answer.cursor);
    reads.refresh("settlement");
    letGo(kept);
    setPlaced(money(answer.hold));
  });

  useEffect(() => {
    if (tries > 0 && !act.busy) form.current?.querySelector<HTMLElement>('[aria-invalid="true"], .wrong[tabindex]')?.focus();
  }, [tries, act.busy]);

  const estimate = said?.of === key ? said.answer : undefined;
  const short = estimate?.hold !== undefined && estimate.hold.minor > available.minor;
  const problems = new Map<Part, string[]>();
  const note = (part: Part, text: string) => problems.set(part, [...(problems.get(part) ?? []), text]);
  // What is said of one part of one recipient stands there, and not once more below them all.
  const ofRecipients = new Map<string, string>();
  const take = (field: string, text: string) => {
    const one = recipientOf(field);
    if (one && one.at < d.recipients.length) ofRecipients.set(`${one.at} ${one.field}`, text);
    else note(partOf(field), text);
  };
  for (const p of estimate?.problems ?? []) take(p.field, problem(speech, p));
  if (act.fault) for (const f of act.fault.facts) if (partOf(f.name) !== "other") take(f.name, f.text);
  const at = (part: Part): string | undefined => {
    const unread = wrong[part];
    const words = unread && t(`bid.wrong.${unread}`, bound(part, cohortMin));
    if (words) return !tried ? undefined : part === "price" ? amountWrong(speech, d.price, words) : words;
    return problems.get(part)?.join(" ");
  };
  const atRecipient = (index: number, part: keyof RecipientDraft): string | undefined => {
    const unread = recipients[index]?.[part];
    if (unread) return tried ? t(`bid.wrong.${unread}`) : undefined;
    return ofRecipients.get(`${index} ${part}`);
  };
  const left = problems.get("other");
  const field = (id: string, change: Partial<FieldDraft>) => set({ fields: d.fields.map((f) => (f.id === id ? { ...f, ...change } : f)) });

  if (placed !== undefined)
    return (
      <Notice tone="good" alert>
        <p>{t("bid.placed", { amount: placed })}</p>
        <a class="button" href="/console/bids">
          {t("bids.title")}
        </a>
      </Notice>
    );

  return (
    <form
      ref={form}
      class="stack wide"
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        setTries(tries + 1);
        if (bid && !over) act.go();
      }}
    >
      <Section title={t("bid.what")}>
        <Card>
          <Select
            label={t("bid.product")}
            value={`${d.product} ${d.version}`}
            wrong={at("product")}
            change={(v) => {
              const p = products.find((x) => `${x.ref?.id} ${x.ref?.version}` === v);
              set({ product: p?.ref?.id ?? "", version: p?.ref?.version ?? "", purpose: p?.purposes[0] ?? "", fields: fieldsOf(p) });
            }}
            options={products.map((p) => [`${p.ref?.id} ${p.ref?.version}`, productName(speech, p.ref?.id ?? "")] as const)}
          />
          <Select label={t("bids.purpose")} value={d.purpose} wrong={at("purpose")} change={(purpose) => set({ purpose })} options={(product?.purposes ?? []).map((p) => [p, purposeName(speech, p)] as const)} />
          {d.fields.map((f) => {
            const known = product?.fields.find((x) => x.id === f.id);
            const name = fieldName(speech, d.product, f.id);
            return (
              <div key={`${d.product}.${f.id}`} class="stack tight" role="group" aria-label={name}>
                <Check on={f.asked} change={(asked) => field(f.id, { asked })} label={name} />
                {f.asked && (
                  <>
                    <Select
                      label={t("bid.rung")}
                      value={f.rung}
                      change={(rung) => field(f.id, { rung })}
                      options={(known?.rungs ?? []).map((r) => [r.id, rungName(speech, d.product, f.id, r.id)] as const)}
                    />
                    <Check on={!f.required} change={(optional) => field(f.id, { required: !optional })} label={t("bid.optional")} />
                    {!f.required && <Field label={t("bid.share")} hint={t("bid.share.hint")} value={f.share} wrong={tried && shares.has(f.id) ? amountWrong(speech, f.share, t("bid.wrong.share")) : undefined} change={(share) => field(f.id, { share })} unit="%" inputMode="decimal" />}
                  </>
                )}
              </div>
            );
          })}
          {at("fields") && wrong.fields !== "share" && (
            <p class="wrong" role="alert" tabIndex={-1}>
              {at("fields")}
            </p>
          )}
        </Card>
      </Section>
      <Conditions facts={facts} conditions={d.conditions} wrong={at("conditions")} change={(conditions) => set({ conditions })} />
      <Section title={t("bid.much")}>
        <Card>
          <Field label={t("bids.price")} hint={t("bid.price.hint")} value={d.price} wrong={at("price")} change={(price) => set({ price })} unit={available.currency} inputMode="decimal" />
          <Field label={t("bids.quantity")} hint={t("bid.quantity.hint")} value={d.quantity} wrong={at("quantity")} change={(quantity) => set({ quantity })} inputMode="numeric" />
          <Field label={t("bid.most")} hint={t("bid.most.hint", { most: bounds.most })} value={d.most} wrong={at("most")} change={(most) => set({ most })} inputMode="numeric" />
          <Field label={t("bid.cohort")} hint={t("bid.cohort.hint", { n: cohortMin })} value={d.cohort} wrong={at("cohort")} change={(cohort) => set({ cohort })} inputMode="numeric" />
        </Card>
      </Section>
      <Section title={t("bid.when")}>
        <Card>
          <Field label={t("bid.first")} kind="date" value={d.first} wrong={at("first")} change={(first) => set({ first })} />
          <Field label={t("bid.last")} kind="date" value={d.last} wrong={at("last")} change={(last) => set({ last })} {...(d.first ? { min: d.first } : {})} />
          <Select
            label={t("bid.cadence")}
            value={d.cadence}
            wrong={at("cadence")}
            change={(c) => set({ cadence: c === "DAILY" ? "DAILY" : c === "WEEKLY" ? "WEEKLY" : "ONCE" })}
            options={(["ONCE", "DAILY", "WEEKLY"] as const).map((c) => [c, t(`cadence.${c}`)] as const)}
          />
          <Field label={t("bid.opens")} hint={t("bid.opens.hint")} kind="date" value={d.opens} wrong={at("opens")} change={(opens) => set({ opens })} />
          <Field label={t("bid.closes")} hint={t("bid.closes.hint")} kind="date" value={d.closes} wrong={at("closes")} change={(closes) => set({ closes })} />
        </Card>
      </Section>
      <Section title={t("bid.how")}>
        <Card>
          <Field label={t("bid.retention")} hint={t("bid.retention.hint", { most: bounds.retention })} value={d.retention} wrong={at("retention")} change={(retention) => set({ retention })} inputMode="numeric" />
          <Select
            label={t("bid.assurance")}
            value={d.assurance}
            change={(a) => set({ assurance: a === "OWN_FILE" || a === "VENDOR_INTERFACE" || a === "OPERATOR_FEED" ? a : "UNSPECIFIED" })}
            options={(["UNSPECIFIED", "OWN_FILE", "VENDOR_INTERFACE", "OPERATOR_FEED"] as const).map((a) => [a, t(`assurance.${a}`)] as const)}
          />
          <Select
            label={t("bid.transfer")}
            value={d.transfer}
            wrong={at("transfer")}
            change={(x) => set({ transfer: x === "ADEQUACY" || x === "STANDARD_CLAUSES" || x === "BINDING_RULES" ? x : "UNSPECIFIED" })}
            options={[["UNSPECIFIED", t("bid.transfer.none")], ...(["ADEQUACY", "STANDARD_CLAUSES", "BINDING_RULES"] as const).map((x) => [x, t(`transfer.${x}`)] as const)]}
          />
          <Check on={d.automated} change={(automated) => set({ automated })} label={t("bid.automated")} />
          <Check on={d.training} change={(training) => set({ training })} label={t("bid.training")} />
        </Card>
      </Section>
      <Recipients recipients={d.recipients} at={atRecipient} wrong={at("recipients")} change={(recipients) => set({ recipients })} />
      <Section title={t("bid.estimate")}>
        <Card>
          <div role="status" class="stack">
            {estimate ? (
              <>
                <Facts
                  rows={[
                    [t("bid.audience"), people(speech, estimate.audience)],
                    [t("bid.hold"), money(estimate.hold)],
                    [t("bid.tax"), money(estimate.tax)],
                    [t("funds.available"), money(available)],
                  ]}
                />
                {short ? (
                  <p class="wrong">{t("bid.short", { hold: money(estimate.hold), available: money(available) })}</p>
                ) : estimate.problems.length === 0 ? (
                  <p>{t("bid.fine")}</p>
                ) : null}
                {estimate.problems.length > 0 && <p class="wrong">{t("bid.problems", { n: estimate.problems.length, count: number(estimate.problems.length) })}</p>}
              </>
            ) : (
              <p class="soft">{bid && !(said?.of === key && said.fault) ? t("loading") : t("bid.estimate.wait")}</p>
            )}
          </div>
          {said?.of === key && said.fault && <Refused fault={said.fault} />}
          {left && (
            <Notice tone="bad">
              <p>{left.join(" ")}</p>
            </Notice>
          )}
        </Card>
      </Section>
      {tried && !bid && (
        <Notice tone="bad" alert>
          <p>{t("bid.unread")}</p>
        </Notice>
      )}
      {act.fault && <Refused fault={act.fault} />}
      <div class="row">
        <Button kind="main" type="submit" busy={act.busy} disabled={over}>
          {t("bid.place")}
        </Button>
        <a class="button" href="/console/bids">
          {t("act.cancel")}
        </a>
      </div>
    </form>
  );
}
