import { fromBinary } from "@bufbuild/protobuf";
import { CardSchema, OfferState, type Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { Chip, Empty, PageHead, Section } from "../ui/parts";
import { productName, purposeName } from "../ui/words";
import { NotEligible } from "./home";
import { Shown, useAccount, useOffers } from "./shared";

export function Offers({ query }: { query: URLSearchParams }) {
  const { t } = useSpeech();
  const declinedToo = query.has("declined");
  const read = useOffers(declinedToo);
  const account = useAccount();
  return (
    <>
      <PageHead title={t("offers.title")} lead={t("offers.lead")} />
      <NotEligible />
      <Shown read={read} tall>
        {(o) => {
          const waiting = o.offers.filter((x) => x.state === OfferState.PRESENTED);
          const answered = o.offers.filter((x) => x.state !== OfferState.PRESENTED);
          const hidden = o.hiddenByFloor + o.hiddenByRules;
          return (
            <>
              {waiting.length === 0 ? (
                <Empty icon="offers" title={t("offers.none")} act={<a class="button" href="/data">{t("offers.none.act")}</a>}>
                  {t("offers.none.text")}
                </Empty>
              ) : (
                <ul class="plain stack" aria-label={t("offers.waiting")}>
                  {waiting.map((x) => (
                    <li key={x.offerId}>
                      <OfferCard offer={x} declinedToo={declinedToo} />
                    </li>
                  ))}
                </ul>
              )}
              {hidden > 0 && (
                <p class="soft small">
                  {t("offers.hidden", { floor: o.hiddenByFloor, rules: o.hiddenByRules })} <a href="/rules">{t("offers.hidden.more")}</a>
                </p>
              )}
              {o.declinedBefore > 0 && (
                <p class="soft small" data-testid="declined-before">
                  {t("offers.before", { n: o.declinedBefore, days: account.data?.account?.repromptDays ?? "–" })} <a href="/offers?declined">{t("offers.before.look")}</a>
                </p>
              )}
              {answered.length > 0 && (
                <Section title={t("offers.answered")}>
                  <ul class="plain stack">
                    {answered.map((x) => (
                      <li key={x.offerId}>
                        <OfferCard offer={x} deep />
                      </li>
                    ))}
                  </ul>
                </Section>
              )}
            </>
          );
        }}
      </Shown>
    </>
  );
}

/** Where an offer stands. */
export function OfferStateChip({ state }: { state: OfferState }) {
  const { t } = useSpeech();
  switch (state) {
    case OfferState.ACCEPTED:
      return <Chip icon="clock">{t("offer.state.accepted")}</Chip>;
    case OfferState.AGREED:
      return <Chip tone="good">{t("offer.state.agreed")}</Chip>;
    case OfferState.DECLINED:
      return <Chip>{t("offer.state.declined")}</Chip>;
    case OfferState.VOIDED:
      return <Chip>{t("offer.state.voided")}</Chip>;
    case OfferState.FINISHED:
      return <Chip>{t("offer.state.finished")}</Chip>;
    default:
      return null;
  }
}

function OfferCard({ offer, deep, declinedToo }: { offer: Offer; deep?: boolean; declinedToo?: boolean }) {
  const speech = useSpeech();
  const { t, price, days, country } = speech;
  const card = fromBinary(CardSchema, offer.card);
  const product = card.product?.id ?? "";
  return (
    <a class="card offer" href={`/offers/${offer.offerId}${declinedToo ? "?declined" : ""}`}>
      <div class="row apart">
        <div>
          {deep ? <h3>{card.buyerName}</h3> : <h2>{card.buyerName}</h2>}
          <p class="soft small">{country(card.buyerCountry)}</p>
        </div>
        <OfferStateChip state={offer.state} />
      </div>
      <p>
        {t("offers.asks", { product: productName(speech, product), purpose: purposeName(speech, card.purpose) })} <span class="soft">{days(card.slots)}</span>
      </p>
      <div class="row apart">
        <span>
          <strong class="coin num">{card.fields.every((f) => f.required) ? price(card.net) : t("offers.upto", { price: price(card.net) })}</strong> <span class="soft small">{t("offers.perday")}</span>
        </span>
        {card.explicitStep && <Chip icon="heart">{t("offers.health")}</Chip>}
      </div>
    </a>
  );
}
