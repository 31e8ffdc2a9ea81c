// Two parts of a bid: to whom it is offered, by facts derived of people, and to whom the buyer passes the data on.
import type { AudienceFact } from "../gen/obole/delivery/v1/service_pb";
import { useSpeech } from "../i18n";
import { most, type ConditionDraft, type RecipientDraft } from "../model/bid";
import { Button, Card, Check, Field, Section } from "../ui/parts";
import { bandName, factName } from "../ui/words";

interface ConditionsProps {
  facts: AudienceFact[];
  conditions: ConditionDraft[];
  wrong: string | undefined;
  change: (conditions: ConditionDraft[]) => void;
}

/** Which bands of each fact are in the audience. None ticked means that the fact does not matter. */
export function Conditions({ facts, conditions, wrong, change }: ConditionsProps) {
  const speech = useSpeech();
  const { t } = speech;
  const bandsOf = (fact: string) => conditions.find((c) => c.fact === fact)?.bands ?? [];
  // The bands stand in the catalogue's order, however they were ticked.
  const tick = (f: AudienceFact, band: string, on: boolean) =>
    change([...conditions.filter((c) => c.fact !== f.id), { fact: f.id, bands: f.bands.filter((b) => (b === band ? on : bandsOf(f.id).includes(b))) }]);
  return (
    <Section title={t("bid.who")}>
      <Card>
        <p class="soft small">{t("bid.who.text")}</p>
        {facts.map((f) => {
          const name = factName(speech, f.id);
          return (
            <div key={f.id} class="stack tight" role="group" aria-label={name}>
              <p class="label">{name}</p>
              {f.bands.map((b) => (
                <Check key={b} on={bandsOf(f.id).includes(b)} change={(on) => tick(f, b, on)} label={bandName(speech, f.id, b)} />
              ))}
            </div>
          );
        })}
        {wrong && (
          <p class="wrong" role="alert" tabIndex={-1}>
            {wrong}
          </p>
        )}
      </Card>
    </Section>
  );
}

interface RecipientsProps {
  recipients: RecipientDraft[];
  /** What is wrong with a part of one. */
  at: (index: number, field: keyof RecipientDraft) => string | undefined;
  wrong: string | undefined;
  change: (recipients: RecipientDraft[]) => void;
}

/** Who else receives the data: their names, countries and purposes are on every card. */
export function Recipients({ recipients, at, wrong, change }: RecipientsProps) {
  const { t } = useSpeech();
  const set = (index: number, part: Partial<RecipientDraft>) => change(recipients.map((r, i) => (i === index ? { ...r, ...part } : r)));
  return (
    <Section title={t("bid.recipients")}>
      <Card>
        <p class="soft small">{recipients.length === 0 ? t("bid.recipients.none") : t("bid.recipients.text")}</p>
        {recipients.map((r, i) => (
          <div key={i} class="stack tight" role="group" aria-label={t("bid.recipient", { n: i + 1 })}>
            <p class="label">{t("bid.recipient", { n: i + 1 })}</p>
            <Field label={t("bid.recipient.name")} value={r.name} wrong={at(i, "name")} change={(name) => set(i, { name })} />
            <Field label={t("bid.recipient.country")} hint={t("bid.recipient.country.hint")} value={r.country} wrong={at(i, "country")} change={(country) => set(i, { country })} />
            <Field label={t("bid.recipient.use")} hint={t("bid.recipient.use.hint")} value={r.purpose} wrong={at(i, "purpose")} change={(purpose) => set(i, { purpose })} />
            <div>
              <Button onClick={() => change(recipients.filter((_, other) => other !== i))} label={t("bid.recipient.remove.of", { n: i + 1 })}>
                {t("bid.recipient.remove")}
              </Button>
            </div>
          </div>
        ))}
        {wrong && (
          <p class="wrong" role="alert" tabIndex={-1}>
            {wrong}
          </p>
        )}
        {recipients.length < most.recipients && (
          <div>
            <Button onClick={() => change([...recipients, { name: "", country: "", purpose: "" }])} testid="add-recipient">
              {t("bid.recipient.add")}
            </Button>
          </div>
        )}
      </Card>
    </Section>
  );
}
