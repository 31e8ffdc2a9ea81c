// One offer: who, what exactly, why, how long, who else, what for. Refuse and accept stand side by side, of the same size, and nothing presses.
import { toJsonString } from "@bufbuild/protobuf";
import { useEffect, useState } from "preact/compat";
import { CardSchema, OfferState, type Card as OfferedCard, type Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { granted, most, netOf, open, type Shown as Opened } from "../model/card";
import { offers } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import { letGo, useKept } from "../ui/kept";
import { Bones, Button, Card, Check, Dialog, Empty, Facts, More, Notice, PageHead, Problem, Section } from "../ui/parts";
import { fieldName, productName, purposeName, rungName } from "../ui/words";
import { Agreed, Was } from "./answered";
import { Preview } from "./preview";
import { Compare } from "./compare";
import { Shown, useOffers, useSlot } from "./shared";
import { fieldWords, Terms } from "./terms";

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
  // Accepted here a moment ago: the list has not said so yet.
  const [agreed, setAgreed] = useState("");
  if (!opened) return <Bones tall />;
  const card = opened.card;
  // One that came to nothing may be open again, with the agreement that it once had.
  const asks = agreed === "" && offer.state === OfferState.PRESENTED;
  const agreement = agreed || offer.agreementId;
  return (
    <>
      <PageHead
        title={asks ? t("offer.title", { buyer: card.buyerName }) : card.buyerName}
        back={{ href: "/offers", text: t("nav.offers") }}
        lead={t("offers.asks", { product: productName(speech, card.product?.id ?? ""), purpose: purposeName(speech, card.purpose) })}
      />
      {asks && !opened.same && (
        <Notice tone="bad" alert>
          <p>{t("offer.hash.differs")}</p>
        </Notice>
      )}
      {asks ? <Decide offer={offer} opened={opened} stale={stale} agreed={setAgreed} /> : agreement ? <Agreed offer={offer} card={card} agreement={agreement} /> : <Was offer={offer} card={card} />}
    </>
  );
}

function Decide({ offer, opened, stale, agreed }: { offer: Offer; opened: Opened; stale: boolean; agreed: (agreement: string) => void }) {
  const speech = useSpeech();
  const { t, price, date, number } = speech;
  const { me, over } = usePage();
  const reads = useReads();
  const card = opened.card;
  const product = card.product?.id ?? "";
  const currency = card.net?.currency ?? "EUR";
  // Nothing is ticked before the person has: what is optional is left out until it is chosen.
  const [chosen, setChosen] = useKept<ReadonlySet<string>>(`offer ${offer.offerId}`, () => new Set());
  const [step, setStep] = useState<"none" | "confirm" | "health">("none");
  const [explicit, setExplicit] = useState(false);
  const [unticked, setUnticked] = useState(false);
  const optional = card.fields.filter((f) => !f.required).map((f) => f.id);
  const left = new Set(optional.filter((f) => !chosen.has(f)));
  const net = netOf(card, left);
  const fields = granted(card, left);

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
    letGo(`offer ${offer.offerId}`);
    agreed(said.agreementId);
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
  const each = { micros: net, currency };
  const slot = useSlot(product);

  return (
    <>
      <Card>
        <div>
          <p class="soft small">{t("offer.net")}</p>
          <p class="total num" aria-live="polite" data-testid="offer-net">
            {price(each)}
          </p>
          <p class="soft small">{t("offer.most", { n: card.maxSlots, most: price({ micros: most(net, card), currency }) })}</p>
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
              const { name, rung } = fieldWords(speech, product, f);
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
          {optional.length > 1 && (
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
          <Terms card={card} ends={card.expiresAt} open />
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

      <p class="soft small">{t("offer.decide.text")}</p>
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
          <strong class="num">{t(`confirm.price.${slot}`, { price: price(each) })}</strong> {t("confirm.ends", { when: date(card.expiresAt) })}
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
