// What was delivered to a buyer, or waits, or was stopped and why.
import { DeliveryService, DeliveryState, type Delivery } from "../gen/obole/delivery/v1/service_pb";
import { Reason } from "../gen/obole/delivery/v1/events_pb";
import { useSpeech, type Speech } from "../i18n";
import { usePage } from "../page";
import { go } from "../route";
import { LongList } from "../ui/longlist";
import { usePaged } from "../ui/paged";
import { Bones, Chip, Empty, PageHead, Problem, Select, Stale } from "../ui/parts";
import { productName } from "../ui/words";
import { refusal } from "./shared";

const states = ["PREPARED", "RECEIPTED", "RELEASED", "BLOCKED", "LAPSED"] as const;
type State = (typeof states)[number];
const tones: Partial<Record<DeliveryState, "good" | "warn" | "bad">> = {
  [DeliveryState.RELEASED]: "good",
  [DeliveryState.PREPARED]: "warn",
  [DeliveryState.RECEIPTED]: "warn",
  [DeliveryState.BLOCKED]: "bad",
};
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function StateChip({ state }: { state: DeliveryState }) {
  const { family } = useSpeech();
  return <Chip {...(tones[state] ? { tone: tones[state] } : {})}>{family("delivery", DeliveryState[state], DeliveryState[state])}</Chip>;
}

/** What stands in a delivery, and why it is where it is. */
export function line(s: Speech, d: Delivery): string {
  const of = s.t("deliveries.slots", { n: d.slots, valid: d.validSlots, expected: d.expectedSlots });
  if (d.state === DeliveryState.RELEASED) return `${of} · ${s.moment(d.releasedAt)}`;
  if (d.state === DeliveryState.BLOCKED) return `${refusal(s, Reason[d.blocked])} ${of}`;
  if (d.state === DeliveryState.PREPARED) return `${of} · ${s.t("deliveries.lapses", { when: s.moment(d.lapsesAt) })}`;
  return `${of} · ${s.moment(d.preparedAt)}`;
}

/** The order to delete what was received, and by when; it stands there for good, as no buyer can answer it yet. */
export function order(s: Speech, d: Delivery, now: number): { text: string; late: boolean } | undefined {
  if (!d.deletion) return undefined;
  const late = d.deletion.due < BigInt(now) * 1000n;
  const when = s.date(d.deletion.due);
  return { late, text: late ? s.t("deliveries.overdue", { when }) : s.t("deliveries.delete", { when }) };
}

/** The same as a line of a list. */
function Order({ d }: { d: Delivery }) {
  const said = order(useSpeech(), d, Date.now());
  return said ? <span class={`line ${said.late ? "bad" : "warn"}`}>{said.text}</span> : null;
}

export function Deliveries({ query }: { query: URLSearchParams }) {
  const speech = useSpeech();
  const { t, family, bytes } = speech;
  const { me } = usePage();
  const asked = query.get("bid") ?? "";
  const bidId = uuid.test(asked) ? asked : "";
  const state: State | undefined = states.find((s) => s === query.get("state"));
  const list = usePaged(
    DeliveryService.method.listDeliveries,
    { buyerId: me.subject, bidId, pageSize: 200, ...(state ? { state: DeliveryState[state] } : {}) },
    (a) => a.deliveries,
    (d: Delivery) => d.deliveryId,
  );
  const to = (s: string) => go(`/console/deliveries?${new URLSearchParams({ ...(bidId ? { bid: bidId } : {}), ...(s ? { state: s } : {}) }).toString()}`, true);
  return (
    <>
      <PageHead title={t("deliveries.title")} lead={t("deliveries.lead")} {...(bidId ? { back: { href: "/console/deliveries", text: t("deliveries.all") } } : {})} />
      {bidId && <p class="soft small">{t("deliveries.of", { bid: bidId })}</p>}
      <Select
        label={t("deliveries.state")}
        value={state ?? ""}
        change={to}
        options={[["", t("deliveries.state.all")], ...states.map((s) => [s, family("delivery", s, s)] as const)]}
      />
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      {!list.items && !list.error && <Bones tall />}
      {list.items?.length === 0 && (
        <Empty icon="down" title={t("deliveries.none")} act={<a class="button" href="/console/bids">{t("nav.bids")}</a>}>
          {t("deliveries.none.text")}
        </Empty>
      )}
      {list.items && list.items.length > 0 && (
        <LongList
          items={list.items}
          id={(d) => d.deliveryId}
          rem={8}
          label={t("deliveries.title")}
          more={list.more}
          row={(d) => (
            <a class="item" href={`/console/deliveries/${d.deliveryId}`}>
              <span class="title">
                {productName(speech, d.product?.id ?? "")} <span class="soft small num">{bytes(Number(d.bytes))}</span>
              </span>
              <StateChip state={d.state} />
              <span class="line">{line(speech, d)}</span>
              <Order d={d} />
              <span class="line mono tiny">{d.deliveryId}</span>
            </a>
          )}
        />
      )}
    </>
  );
}
