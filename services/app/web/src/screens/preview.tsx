import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import type { Card, Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { readRows } from "../model/rows";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { More, Notice } from "../ui/parts";
import { RowTable } from "../ui/rowtable";
import { Shown } from "./shared";

// A pseudonym is known by its beginning.
const short = (text: string): string => (text.length > 20 ? `${text.slice(0, 10)}…` : text);

/** The very rows that would leave with the chosen fields, and how the person would be named in them. */
export function Preview({ offer, card, fields }: { offer: Offer; card: Card; fields: string[] }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const read = useRead(DeliveryService.method.previewPackage, {
    subscriberId: me.subject,
    buyerId: offer.buyerId,
    ...(card.product ? { product: { id: card.product.id, version: card.product.version } } : {}),
    fields: card.fields.filter((f) => fields.includes(f.id)).map((f) => ({ id: f.id, rung: f.rung })),
    ...(card.slots ? { slots: { first: card.slots.first, last: card.slots.last } } : {}),
    maxSlots: card.maxSlots,
  });
  return (
    <div class="stack tight">
      <h3>{t("preview.title")}</h3>
      <Shown read={read}>
        {(p) => {
          if (p.rowCount === 0)
            return (
              <Notice>
                <p>{p.takenSlots > 0 ? t("preview.taken", { n: p.takenSlots }) : t("preview.none")}</p>
              </Notice>
            );
          const table = readRows(p.rows);
          return (
            <>
              <p class="small">{t("preview.text", { n: p.rowCount, valid: p.validSlots, expected: p.expectedSlots })}</p>
              <RowTable label={t("preview.title")} columns={table.columns} count={table.rows.length} cell={(row, column) => short(table.rows[row]?.[column] ?? "")} />
              <p class="small">{t("preview.person")}</p>
              <More title={t("preview.raw")}>
                <pre class="rows" tabIndex={0} aria-label={t("preview.raw")}>
                  {new TextDecoder().decode(p.rows)}
                </pre>
              </More>
            </>
          );
        }}
      </Shown>
    </div>
  );
}
