// An offer that was answered, or that came to nothing: what became of it, what it was about, and nothing that no longer holds.
import { ConsentService, ConsentState, type Consent } from "../gen/obole/consent/v1/service_pb";
import { Reason } from "../gen/obole/consent/v1/events_pb";
import { DeliveryService, DeliveryState } from "../gen/obole/delivery/v1/service_pb";
import { OfferState, type Card as OfferedCard, type Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { hex, netAgreed, standing, type Standing } from "../model/card";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { Card, Chip, Facts, Notice, Section } from "../ui/parts";
import { fieldWords, Terms } from "./terms";

/** Where an offer stands. */
export function StandingChip({ as }: { as: Standing }) {
  const { t } = useSpeech();
  switch (as) {
    case "open":
      return null;
    case "waiting":
      return <Chip icon="clock">{t("offer.state.accepted")}</Chip>;
    case "living":
      return <Chip tone="good">{t("offer.state.agreed")}</Chip>;
    case "declined":
      return <Chip>{t("offer.state.declined")}</Chip>;
    case "void":
      return <Chip>{t("offer.state.voided")}</Chip>;
    case "withdrawn":
      return <Chip>{t("consent.WITHDRAWN")}</Chip>;
    case "ended":
      return <Chip>{t("consent.EXPIRED")}</Chip>;
    case "finished":
      return <Chip>{t("offer.state.finished")}</Chip>;
  }
}

/** One that nobody agreed to. */
export function Was({ offer, card }: { offer: Offer; card: OfferedCard }) {
  const speech = useSpeech();
  const { t, price, family } = speech;
  const declined = offer.state === OfferState.DECLINED;
  return (
    <>
      <Notice>
        <p role="status">{declined ? t("offer.declined") : family("reason", offer.voided, t("offer.state.voided"))}</p>
      </Notice>
      <About title={t("offer.was")} card={card} fields={card.fields.map((f) => f.id)} net={card.fields.every((f) => f.required) ? price(card.net) : t("offers.upto", { price: price(card.net) })} />
    </>
  );
}

/** One that the person accepted. */
export function Agreed({ offer, card, agreement }: { offer: Offer; card: OfferedCard; agreement: string }) {
  const { t, price } = useSpeech();
  const { me } = usePage();
  const read = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, agreementId: agreement, pageSize: 1 });
  const found = read.data?.consents[0];
  const l = found?.record?.licence;
  const as = standing(offer.state === OfferState.PRESENTED ? OfferState.ACCEPTED : offer.state, found?.state);
  // Consent counts each time that a key was let go, also to whoever asks for the same one again; what left is delivery's to say.
  const uses = useRead(DeliveryService.method.listUses, { subscriberId: me.subject, agreementId: agreement, pageSize: 1000 });
  const left = uses.data?.uses.filter((u) => u.state === DeliveryState.RELEASED).length;
  return (
    <>
      <Outcome as={as} consent={found} stale={read.stale} voided={offer.voided} left={left} />
      {l && (
        <About
          title={as === "void" ? t("offer.was") : t("offer.agreed")}
          card={card}
          fields={l.fields.map((f) => f.id)}
          net={price({ micros: netAgreed(l), currency: l.unitPrice?.currency ?? "" })}
          ends={as === "living" ? l.expiresAt : undefined}
          proof={[
            [t("use.agreement"), agreement],
            [t("record.card"), hex(l.cardSha256)],
          ]}
        />
      )}
    </>
  );
}

interface AboutProps {
  title: string;
  card: OfferedCard;
  /** Fields that were asked for, or agreed to. */
  fields: string[];
  net: string;
  ends?: bigint | undefined;
  proof?: (readonly [string, string])[];
}

function About({ title, card, fields, net, ends, proof = [] }: AboutProps) {
  const speech = useSpeech();
  const { t } = speech;
  return (
    <Section title={title}>
      <Card>
        <Facts
          rows={[
            [
              t("uses.fields"),
              <ul>
                {card.fields
                  .filter((f) => fields.includes(f.id))
                  .map((f) => {
                    const { name, rung } = fieldWords(speech, card.product?.id ?? "", f);
                    return (
                      <li key={f.id}>
                        {name} <span class="soft small">({rung})</span>
                      </li>
                    );
                  })}
              </ul>,
            ],
            [t("offer.was.net"), <span class="num">{net}</span>],
          ]}
        />
        <Terms card={card} ends={ends} />
        {proof.length > 0 && <Facts rows={proof.map(([name, value]) => [name, <span class="hash">{value}</span>] as const)} />}
      </Card>
    </Section>
  );
}

/** What became of an acceptance, as consent has it. */
function Outcome({ as, consent: c, stale, voided, left }: { as: Standing; consent: Consent | undefined; stale: boolean; voided: string; left: number | undefined }) {
  const { t, exact, family } = useSpeech();
  if (as === "void")
    return (
      <Notice tone="warn">
        <p role="status">
          <strong>{t("outcome.refused")}</strong> {c?.state === ConsentState.REFUSED ? family("reason", Reason[c.refused] ?? "", t("fault.refused")) : family("reason", voided, "")}
        </p>
      </Notice>
    );
  if (!c)
    return (
      <Notice icon="clock">
        <p role="status">{t("outcome.waiting")}</p>
      </Notice>
    );
  if (stale)
    return (
      <Notice tone="warn">
        <p>{t("outcome.unsure")}</p>
      </Notice>
    );
  const when = exact(as === "living" ? c.givenAt : c.endedAt);
  const words = as === "living" ? t("outcome.given", { when }) : as === "withdrawn" ? t("outcome.withdrawn", { when }) : as === "ended" ? t("outcome.ended", { when }) : t("outcome.finished");
  return (
    <Notice tone={as === "living" ? "good" : "plain"}>
      <p role="status" data-testid="outcome">
        {words} {as !== "living" && left !== undefined && (left > 0 ? t("outcome.left", { n: left }) : t("outcome.left.none"))}
      </p>
      {(as === "living" || (left ?? 0) > 0) && (
        <div class="row">
          <a class="button" href="/uses">
            {as === "living" ? t("outcome.uses") : t("outcome.look")}
          </a>
        </div>
      )}
    </Notice>
  );
}
