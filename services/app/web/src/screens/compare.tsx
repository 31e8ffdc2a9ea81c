import type { UnitPrice } from "../gen/obole/money/v1/money_pb";
import { SettlementService } from "../gen/obole/settlement/v1/service_pb";
import { useSpeech } from "../i18n";
import { place } from "../model/card";
import { useRead } from "../net/reads";

/** How a price compares with settled ones, or that too few stand behind them to say so. */
export function Compare({ product, gross }: { product: string; gross: UnitPrice | undefined }) {
  const { t, price } = useSpeech();
  const read = useRead(SettlementService.method.comparePrices, { productIds: [product] });
  const range = read.data?.ranges[0];
  if (!range || !gross) return null;
  if (range.tooFew || !range.lower || !range.median || !range.upper || range.median.currency !== gross.currency)
    return <p class="soft small">{t("compare.few", { buyers: read.data?.leastBuyers ?? 0, people: read.data?.leastPeople ?? 0 })}</p>;
  const at = place(gross.micros, { lower: range.lower.micros, median: range.median.micros, upper: range.upper.micros });
  return (
    <p class="small">
      {t(`compare.${at}`, { price: price(gross) })}{" "}
      <span class="soft">{t("compare.range", { lower: price(range.lower), median: price(range.median), upper: price(range.upper) })}</span>
    </p>
  );
}
