import { DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import type { Card, Offer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { readRows } from "../model/rows";
import { useRead } from "../net/reads";
import { usePage } from "../page";
import { More, Notice } from "../ui/parts";
import { Shown } from "./shared";

const shown = 8;

/** The very rows that would leave with the chosen fields, and how the person would be named in them. */
export function Preview({ offer, card, fields }: { offer: Offer; card: Card; fields: string[] }) {
  const { t, number } = useSpeech();
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
          const table = readRows(p.rows, shown);
          return (
            <>
              <p class="small">{t("preview.text", { n: p.rowCount, valid: p.validSlots, expected: p.expectedSlots })}</p>
              <div class="scroll" tabIndex={0} role="region" aria-label={t("preview.title")}>
                <table>
                  <thead>
                    <tr>
                      {table.columns.map((c) => (
                        <th key={c} scope="col">
                          {c}
                        </th>
                      ))}
                    </tr>
                  </thead>
                  <tbody>
                    {table.rows.map((r, i) => (
                      <tr key={i}>
                        {r.map((v, j) => (
                          <td key={j} class="num">
                            {v.length > 20 ? `${v.slice(0, 10)}…` : v}
                          </td>
                        ))}
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              {p.rowCount > shown && <p class="soft small">{t("preview.more", { n: number(p.rowCount - shown) })}</p>}
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
