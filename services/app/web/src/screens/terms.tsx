// The terms of an offer, on its card and for whoever looks back at it.
import { Cadence, TransferTool } from "../gen/obole/market/v1/market_pb";
import type { Card as OfferedCard, CardField } from "../gen/obole/offers/v1/service_pb";
import { useSpeech, type Speech } from "../i18n";
import { Facts } from "../ui/parts";
import { bandName, factName, fieldName, purposeName, rungName } from "../ui/words";

/** A field of a card in words: the page's own, or else the card's. */
export function fieldWords(s: Speech, product: string, f: CardField): { name: string; rung: string } {
  const name = fieldName(s, product, f.id);
  const rung = rungName(s, product, f.id, f.rung);
  return { name: name === f.id ? f.description : name, rung: rung === f.rung ? f.rungDescription : rung };
}

/** Who gets it, what for and how. When it ends is told while that is still to come, and what only matters before an answer while one is open. */
export function Terms({ card, ends, open }: { card: OfferedCard; ends?: bigint | undefined; open?: boolean }) {
  const speech = useSpeech();
  const { t, days, date, country } = speech;
  return (
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
                  {speech.pair(`${r.legalName}, ${country(r.country)}`, r.purpose)}
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
                  {speech.pair(factName(speech, p.fact), p.bands.map((b) => bandName(speech, p.fact, b)).join(", "))}
                </li>
              ))}
            </ul>
            <p class="soft small">{t("offer.predicates.text")}</p>
          </>,
        ],
        [t("offer.machine"), card.automatedDecisions ? t("offer.machine.yes") : t("offer.machine.no")],
        [t("offer.training"), card.aiTraining ? t("offer.training.yes") : t("offer.training.no")],
        ends !== undefined && [t("offer.ends"), t("offer.ends.text", { when: date(ends) })],
        open === true && [t("offer.cohort"), t("offer.cohort.text", { n: card.cohortMin })],
        open === true && [t("offer.order"), t("offer.order.text")],
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
  );
}
