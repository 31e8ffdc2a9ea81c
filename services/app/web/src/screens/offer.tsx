// One offer: who, what exactly, why, how long, who else, what for. Refuse and accept stand side by side, of the same size, and nothing presses.
import { toJsonString } from "@bufbuild/protobuf";
import { useEffect, useState } from "preact/compat";
import { ConsentService, ConsentState } from "../gen/obole/consent/v1/service_pb";
import { Reason } from "../gen/obole/consent/v1/events_pb";
import { Cadence, TransferTool } from "../gen/obole/market/v1/market_pb";
import { CardSchema, OfferState, type Card as OfferedCard, type Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { granted, most, netOf, open, type Shown as Opened } from "../model/card";
import { offers } from "../net/client";
import { useRead, useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { Bones, Button, Card, Check, Chip, Dialog, Empty, Facts, More, Notice, PageHead, Problem, Section } from "../ui/parts";
import { bandName, factName, fieldName, productName, purposeName, rungName } from "../ui/words";
import { OfferStateChip } from "./offers";
import { Preview } from "./preview";
import { Compare } from "./compare";
import { Shown, useOffers } from "./shared";

export function OfferPage({ id, query }: { id: string; query: URLSearchParams }) {
  const { t } = useSpeech();
  const read = useOffers(query.has("declined"));
  return (
    <Shown read={read} tall>
      {(o) => {
        const offer = o.offers.find((x) => x.offerId === id);
        if (offer) return <One offer={offer} stale={read.stale} />;
        return (
          <>
            <PageHead title={t("offer.gone")} back={{ href: "/offers", text: t("nav.offers") }} />
            <Empty icon="offers" title={t("offer.gone.title")} act={<a class="button" href="/offers">{t("offer.gone.act")}</a>}>
              {t("offer.gone.text")}
            </Empty>
          </>
        );
      }}
    </Shown>
  );
}

function One({ offer, stale }: { offer: Offer; stale: boolean }) {
  const speech = useSpeech();
  const { t } = speech;
  const [opened, setOpened] = useState<Opened>();
  const key = offer.cardSha256.join();
  useEffect(() => {
    let here = true;
    void open(offer).then((x) => {
      if (here) setOpened(x);
    });
    return () => {
      here = false;
    };
  }, [key]);
  if (!opened) return <Bones tall />;
  const card = opened.card;
  return (
    <>
      <PageHead
        title={t("offer.title", { buyer: card.buyerName })}
        back={{ href: "/offers", text: t("nav.offers") }}
        lead={t("offers.asks", { product: productName(speech, card.product?.id ?? ""), purpose: purposeName(speech, card.purpose) })}
      />
      {!opened.same && (
        <Notice tone="bad" alert>
          <p>{t("offer.hash.differs")}</p>
        </Notice>
      )}
      <Decide offer={offer} opened={opened} stale={stale} />
    </>
  );
}

function Decide({ offer, opened, stale }: { offer: Offer; opened: Opened; stale: boolean }) {
  const speech = useSpeech();
  const { t, price, days, date, country, number } = speech;
  const { me, over } = usePage();
  const reads = useReads();
  const card = opened.card;
  const product = card.product?.id ?? "";
  const currency = card.net?.currency ?? "EUR";
  // Nothing is ticked before the person has: what is optional is left out until it is chosen.
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [step, setStep] = useState<"none" | "confirm" | "health">("none");
  const [explicit, setExplicit] = useState(false);
  const [unticked, setUnticked] = useState(false);
  const [answer, setAnswer] = useState<{ agreement: string; net: bigint }>();
  const optional = card.fields.filter((f) => !f.required).map((f) => f.id);
  const left = new Set(optional.filter((f) => !chosen.has(f)));
  const net = netOf(card, left);
  const fields = granted(card, left);
  const open = offer.state === OfferState.PRESENTED && !answer;

  const accept = useAct(async (idempotencyKey) => {
    const said = await offers.acceptOffer({
      subscriberId: me.subject,
      offerId: offer.offerId,
      bidId: card.bidId,
      cardSha256: offer.cardSha256,
      language: card.language,
      fields,
      explicitStep: card.explicitStep && explicit,
      idempotencyKey,
    });
    setAnswer({ agreement: said.agreementId, net: said.net?.micros ?? net });
    setStep("none");
    reads.wrote(said.cursor);
    reads.happened("consent", "delivery", "settlement");
  });
  const refuse = useAct(async (idempotencyKey) => {
    const said = await offers.declineOffer({ subscriberId: me.subject, offerId: offer.offerId, bidId: card.bidId, idempotencyKey });
    reads.wrote(said.cursor);
  });
  const toggle = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  const close = () => {
    setStep("none");
    setExplicit(false);
    setUnticked(false);
    accept.clear();
  };
  const agreement = answer?.agreement || offer.agreementId;
  const price2 = { micros: net, currency };

  return (
    <>
      {agreement !== "" && <Outcome agreement={agreement} />}
      {offer.state === OfferState.DECLINED && (
        <Notice>
          <p>{t("offer.declined")}</p>
        </Notice>
      )}
      {offer.state === OfferState.VOIDED && offer.voided !== "" && (
        <Notice>
          <p>{speech.family("reason", offer.voided, t("offer.state.voided"))}</p>
        </Notice>
      )}

      <Card>
        <div class="row apart">
          <div>
            <p class="soft small">{t("offer.net")}</p>
            <p class="total num" aria-live="polite" data-testid="offer-net">
              {price({ micros: answer?.net ?? net, currency })}
            </p>
            <p class="soft small">{t("offer.most", { n: card.maxSlots, most: price({ micros: most(net, card), currency }) })}</p>
          </div>
          <OfferStateChip state={answer && offer.state === OfferState.PRESENTED ? OfferState.ACCEPTED : offer.state} />
        </div>
        <More title={t("offer.split")}>
          <Facts
            rows={[
              [t("offer.gross"), <span class="num">{price(card.gross)}</span>],
              [t("money.commission"), <span class="num">{price(card.commission)}</span>],
              [t("money.withheld"), <span class="num">{price(card.withheld)}</span>],
              [t("offer.net.all"), <span class="num">{price(card.net)}</span>],
            ]}
          />
        </More>
        <p class="small">{t("offer.when", { n: card.availableAfterDays })}</p>
        <Compare product={product} gross={card.gross} />
      </Card>

      <Section title={t("offer.what")}>
        <Card>
          <p>{t("offer.fields.text")}</p>
          <div>
            {card.fields.map((f) => {
              const name = fieldName(speech, product, f.id) === f.id ? f.description : fieldName(speech, product, f.id);
              const rung = rungName(speech, product, f.id, f.rung) === f.rung ? f.rungDescription : rungName(speech, product, f.id, f.rung);
              return f.required ? (
                <div class="check fixed" key={f.id}>
                  <span aria-hidden="true">•</span>
                  <span>{name}</span>
                  <span class="aside">
                    {rung} · {t("offer.field.required")}
                  </span>
                </div>
              ) : (
                <Check
                  key={f.id}
                  on={chosen.has(f.id)}
                  disabled={!open}
                  change={(on) => toggle(f.id, on)}
                  label={name}
                  aside={
                    <>
                      {rung} · {t("offer.field.adds", { amount: price(f.net) })}
                    </>
                  }
                />
              );
            })}
          </div>
          {open && optional.length > 1 && (
            <div class="row">
              <Button kind="plain" onClick={() => setChosen(new Set(left.size > 0 ? optional : []))}>
                {left.size > 0 ? t("offer.fields.all") : t("offer.fields.none")}
              </Button>
            </div>
          )}
          <Preview offer={offer} card={card} fields={fields} />
        </Card>
      </Section>

      <Section title={t("offer.terms")}>
        <Card>
          <Facts
            rows={[
              [t("offer.who"), <>{card.buyerName}, {country(card.buyerCountry)}</>],
              [t("offer.why"), <>{purposeName(speech, card.purpose)}. {t("offer.why.only")}</>],
              [t("offer.days"), <>{days(card.slots)} ({t("offer.days.most", { n: card.maxSlots })})</>],
              [t("offer.cadence"), speech.family("cadence", Cadence[card.cadence] ?? "", "–")],
              [t("offer.kept"), t("offer.kept.days", { n: card.retentionDays })],
              [
                t("offer.others"),
                card.recipients.length === 0 ? (
                  t("offer.others.none")
                ) : (
                  <ul>
                    {card.recipients.map((r) => (
                      <li key={r.legalName}>
                        {r.legalName}, {country(r.country)}: {r.purpose}
                      </li>
                    ))}
                  </ul>
                ),
              ],
              [t("offer.where"), card.processingCountries.length > 0 ? speech.list(card.processingCountries.map(country)) : "–"],
              card.transferTool !== TransferTool.UNSPECIFIED && [t("offer.transfer"), speech.family("transfer", TransferTool[card.transferTool] ?? "", "–")],
              card.predicates.length > 0 && [
                t("offer.predicates"),
                <>
                  <ul>
                    {card.predicates.map((p) => (
                      <li key={p.fact}>
                        {factName(speech, p.fact)}: {p.bands.map((b) => bandName(speech, p.fact, b)).join(", ")}
                      </li>
                    ))}
                  </ul>
                  <p class="soft small">{t("offer.predicates.text")}</p>
                </>,
              ],
              [t("offer.machine"), card.automatedDecisions ? t("offer.machine.yes") : t("offer.machine.no")],
              [t("offer.training"), card.aiTraining ? t("offer.training.yes") : t("offer.training.no")],
              [t("offer.ends"), t("offer.ends.text", { when: date(card.expiresAt) })],
              [t("offer.cohort"), t("offer.cohort.text", { n: card.cohortMin })],
              [t("offer.order"), t("offer.order.text")],
              [
                t("offer.contact"),
                <>
                  {card.buyerDpoContact}
                  <br />
                  <a href={card.buyerPrivacyNotice} rel="noreferrer noopener" target="_blank">
                    {t("offer.notice")}
                  </a>
                </>,
              ],
            ]}
          />
          <p class="small">{t("offer.licence")}</p>
          <More title={t("offer.proof")}>
            <p class="small">{opened.same ? t("offer.proof.same") : t("offer.hash.differs")}</p>
            <p class="hash" data-testid="card-hash">
              {opened.hash}
            </p>
            <p class="small soft">{t("offer.proof.bytes", { n: number(offer.card.length) })}</p>
            <pre class="rows" tabIndex={0} aria-label={t("offer.proof.card")}>
              {toJsonString(CardSchema, card as OfferedCard, { prettySpaces: 2 })}
            </pre>
          </More>
        </Card>
      </Section>

      {open && <p class="soft small">{t("offer.decide.text")}</p>}
      {open && (
        <section class="stack decide" aria-label={t("offer.decide")}>
          {refuse.fault && <Problem fault={refuse.fault} again={refuse.go} />}
          <div class="choice">
            <Button onClick={refuse.go} busy={refuse.busy} disabled={stale || over} testid="refuse">
              {t("offer.refuse")}
            </Button>
            <Button onClick={() => setStep("confirm")} disabled={stale || over || !opened.same} testid="accept">
              {left.size > 0 ? t("offer.accept.some", { n: fields.length, of: card.fields.length }) : t("offer.accept")}
            </Button>
          </div>
        </section>
      )}

      <Dialog open={step === "confirm"} close={close} title={t("confirm.title")}>
        <p>{t("confirm.text", { buyer: card.buyerName, purpose: purposeName(speech, card.purpose) })}</p>
        <ul>
          {card.fields
            .filter((f) => fields.includes(f.id))
            .map((f) => (
              <li key={f.id}>
                {fieldName(speech, product, f.id)} <span class="soft small">({rungName(speech, product, f.id, f.rung)})</span>
              </li>
            ))}
        </ul>
        <p>
          <strong class="num">{price(price2)}</strong> {t("offers.perday")}. {t("offer.ends.text", { when: date(card.expiresAt) })}
        </p>
        {accept.fault && !card.explicitStep && <Problem fault={accept.fault} again={accept.go} />}
        <div class="choice">
          <Button onClick={close}>{t("act.back")}</Button>
          {card.explicitStep ? (
            <Button onClick={() => setStep("health")} testid="confirm">
              {t("act.continue")}
            </Button>
          ) : (
            <Button onClick={accept.go} busy={accept.busy} testid="confirm">
              {t("offer.accept")}
            </Button>
          )}
        </div>
      </Dialog>

      <Dialog open={step === "health"} close={close} title={t("health.title")}>
        <p>{t("health.text", { product: productName(speech, product) })}</p>
        <Check on={explicit} change={setExplicit} label={t("health.check", { buyer: card.buyerName, purpose: purposeName(speech, card.purpose) })} />
        {unticked && !explicit && (
          <p class="wrong" role="alert">
            {t("health.tick")}
          </p>
        )}
        <p class="soft small">{t("health.free")}</p>
        {accept.fault && <Problem fault={accept.fault} again={accept.go} />}
        <div class="choice">
          <Button onClick={close}>{t("health.no")}</Button>
          <Button onClick={() => (explicit ? accept.go() : setUnticked(true))} busy={accept.busy} testid="confirm-health">
            {t("health.yes")}
          </Button>
        </div>
      </Dialog>
    </>
  );
}

/** What consent has said of an acceptance. */
function Outcome({ agreement }: { agreement: string }) {
  const { t, exact, family } = useSpeech();
  const { me } = usePage();
  const read = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, agreementId: agreement, pageSize: 1 });
  const found = read.data?.consents[0];
  if (!found)
    return (
      <Notice icon="clock">
        <p role="status">{t("outcome.waiting")}</p>
      </Notice>
    );
  if (read.stale)
    return (
      <Notice tone="warn">
        <p>{t("outcome.unsure")}</p>
      </Notice>
    );
  if (found.state === ConsentState.REFUSED)
    return (
      <Notice tone="warn">
        <p role="status">
          <strong>{t("outcome.refused")}</strong> {family("reason", Reason[found.refused] ?? "", t("fault.refused"))}
        </p>
      </Notice>
    );
  const living = found.state === ConsentState.GIVEN || found.state === ConsentState.PAUSED;
  return (
    <Notice tone={living ? "good" : "plain"}>
      <p role="status" data-testid="outcome">
        {living ? t("outcome.given", { when: exact(found.givenAt) }) : t("outcome.ended", { when: exact(found.endedAt) })}
      </p>
      {living && (
        <div class="row">
          <a class="button" href="/uses">
            {t("outcome.uses")}
          </a>
        </div>
      )}
      <Chip>{t("outcome.agreement", { id: agreement.slice(0, 8) })}</Chip>
    </Notice>
  );
}
