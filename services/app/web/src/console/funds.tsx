// A buyer's money: free, held, and what each bid has spent of its budget.
import { SettlementService, type Hold } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech } from "../i18n";
import { used } from "../model/bid";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { placeText } from "../screens/use";
import { Shown } from "../screens/shared";
import { Lined } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { Card, Empty, PageHead, Problem, Section } from "../ui/parts";

export function Funds() {
  const { t, money, percent } = useSpeech();
  const { me } = usePage();
  const funds = useRead(SettlementService.method.getFunds, { buyerId: me.subject, pageSize: 100 });
  const holds = usePaged(SettlementService.method.getFunds, { buyerId: me.subject, pageSize: 100 }, (a) => a.holds, (h: Hold) => h.bidId);
  return (
    <>
      <PageHead title={t("funds.title")} lead={t("funds.lead")} />
      <Shown read={funds} tall>
        {(f) => (
          <>
            <Card>
              <p class="soft small">{t("funds.available")}</p>
              <p class="total num">{money(f.available)}</p>
              <dl class="sums">
                <div>
                  <dt>
                    {t("funds.held")}
                    <span class="soft tiny">{t("funds.held.text")}</span>
                  </dt>
                  <dd class="num">{money(f.held)}</dd>
                </div>
              </dl>
              <p class="soft tiny">{t("money.position", { place: placeText(f.cursor) })}</p>
            </Card>
            <Section title={t("funds.bids")}>
              {holds.error && <Problem fault={holds.error} again={holds.again} />}
              {holds.items?.length === 0 && (
                <Empty icon="money" title={t("funds.none")}>
                  {t("funds.none.text")}
                </Empty>
              )}
              {holds.items && holds.items.length > 0 && (
                <Lined
                  items={holds.items}
                  id={(h) => h.bidId}
                  more={holds.more}
                  row={(h) => (
                    <a class="item" href={`/console/deliveries?bid=${h.bidId}`}>
                      <span class="title mono">{h.bidId}</span>
                      <strong class="num">{percent(used(h.captured?.minor ?? 0n, h.initial?.minor ?? 0n))}</strong>
                      <span class="line">{t("funds.line", { spent: money(h.captured), budget: money(h.initial), left: money(h.held) })}</span>
                    </a>
                  )}
                />
              )}
            </Section>
          </>
        )}
      </Shown>
    </>
  );
}
