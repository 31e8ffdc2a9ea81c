import { fromBinary } from "@bufbuild/protobuf";
import { ConsentService, type ConsentState } from "../gen/obole/consent/v1/service_pb";
import { CardSchema, OfferState, type Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { standing, type Standing } from "../model/card";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { Chip, Empty, PageHead, Section } from "../ui/parts";
import { productName, purposeName } from "../ui/words";
import { StandingChip } from "./answered";
import { NotEligible } from "./home";
import { Shown, useAccount, useOffers, useSlot } from "./shared";

export function Offers({ query }: { query: URLSearchParams }) {
  const { t } = useSpeech();
  const declinedToo = query.has("declined");
  const read = useOffers(declinedToo);
  const account = useAccount();
  const consents = useConsents();
  const barred = (account.data?.account?.notEligible ?? 0) !== 0; // why is said above
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
              {waiting.length === 0 && barred ? null : waiting.length === 0 ? (
                <Empty icon="offers" title={t("offers.none")} act={<a class="button" href="/data">{t("offers.none.act")}</a>}>
                  {t("offers.none.text")}
                </Empty>
              ) : (
                <ul class="plain stack" aria-label={t("offers.waiting")}>
                  {waiting.map((x) => (
                    <li key={x.offerId}>
                      <OfferCard offer={x} as="open" declinedToo={declinedToo} />
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
                        <OfferCard offer={x} as={standing(x.state, consents.get(x.agreementId))} deep />
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

// What a person gave consent to, by agreement: an offer alone does not say what became of it.
function useConsents(): Map<string, ConsentState> {
  const { me } = usePage();
  const read = useRead(ConsentService.method.listConsents, { subscriberId: me.subject, pageSize: 200 });
  return new Map((read.data?.consents ?? []).map((c) => [c.agreementId, c.state]));
}

function OfferCard({ offer, as, deep, declinedToo }: { offer: Offer; as: Standing; deep?: boolean; declinedToo?: boolean }) {
  const speech = useSpeech();
  const { t, price, days, country, family } = speech;
  const card = fromBinary(CardSchema, offer.card);
  const product = card.product?.id ?? "";
  const slot = useSlot(product);
  return (
    <a class="card offer" href={`/offers/${offer.offerId}${declinedToo ? "?declined" : ""}`}>
      <div class="row apart">
        <div>
          {deep ? <h3>{card.buyerName}</h3> : <h2>{card.buyerName}</h2>}
          <p class="soft small">{country(card.buyerCountry)}</p>
        </div>
        <StandingChip as={as} />
      </div>
      <p>
        {t("offers.asks", { product: productName(speech, product), purpose: purposeName(speech, card.purpose) })} <span class="soft">{days(card.slots)}</span>
      </p>
      {as === "void" && offer.voided !== "" && <p class="soft small">{family("reason", offer.voided, "")}</p>}
      {as === "open" && (
        <div class="row apart">
          <span>
            <strong class="coin num">{card.fields.every((f) => f.required) ? price(card.net) : t("offers.upto", { price: price(card.net) })}</strong> <span class="soft small">{t(`offers.per.${slot}`)}</span>
          </span>
          {card.explicitStep && <Chip icon="heart">{t("offers.health")}</Chip>}
        </div>
      )}
    </a>
  );
}
