// Buyers, for the operator's staff: who waits to be vetted, who bids, who is suspended.
import { useState } from "preact/compat";
import { BuyerState, OffersService, type Buyer } from "../gen/obole/offers/v1/service_pb";
import { useSpeech } from "../i18n";
import { offers } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { go } from "../route";
import { Stacked } from "../ui/lists";
import { usePaged } from "../ui/paged";
import { Bones, Card, Chip, Empty, Facts, Field, PageHead, Problem, Segments, Stale } from "../ui/parts";
import { Decision } from "./decision";

type State = "REGISTERED" | "VETTED" | "SUSPENDED";
const states: readonly State[] = ["REGISTERED", "VETTED", "SUSPENDED"];
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const code = /^[A-Z][A-Z0-9_]{1,39}$/;

export function Buyers({ query }: { query: URLSearchParams }) {
  const { t } = useSpeech();
  const state = states.find((s) => s === query.get("state")) ?? "REGISTERED";
  const list = usePaged(OffersService.method.listBuyers, { state: BuyerState[state], pageSize: 100 }, (a) => a.buyers, (b: Buyer) => b.buyerId);
  return (
    <>
      <PageHead title={t("buyers.title")} lead={t("buyers.lead")} />
      <Segments
        label={t("deliveries.state")}
        value={state}
        change={(s) => go(`/console/buyers?state=${s}`, true)}
        options={states.map((s) => [s, t(`buyers.${s}`)] as const)}
      />
      {list.error && <Problem fault={list.error} again={list.again} />}
      {list.stale && <Stale at={list.at} />}
      {!list.items && !list.error && <Bones tall />}
      {list.items?.length === 0 && <Empty icon="person" title={t("buyers.none")} />}
      {list.items && list.items.length > 0 && (
        <Stacked items={list.items} id={(b) => b.buyerId} label={t("buyers.title")} more={list.more} row={(b) => <BuyerCard buyer={b} />} />
      )}
    </>
  );
}

function BuyerCard({ buyer }: { buyer: Buyer }) {
  const { t, country, list, moment } = useSpeech();
  const { me } = usePage();
  const e = buyer.entity;
  return (
    <Card>
      <div class="row apart">
        <h2>{e?.legalName}</h2>
        {e?.isGatekeeper && <Chip tone="warn">{t("buyers.gatekeeper")}</Chip>}
      </div>
      <Facts
        rows={[
          [t("buyers.legal"), <span class="mono">{e?.legalEntityId}</span>],
          [t("buyers.seat"), country(e?.country ?? "")],
          [t("buyers.address"), e?.address || "–"],
          [t("buyers.dpo"), e?.dpoContact],
          [t("buyers.notice"), e?.privacyNoticeUri],
          [t("buyers.where"), list((e?.processingCountries ?? []).map(country)) || "–"],
          [t("buyers.group"), <span class="mono">{buyer.groupId || t("buyers.group.none")}</span>],
          [t("buyers.claims"), <span class="mono">{buyer.claimedGroupId === buyer.buyerId ? t("buyers.own") : buyer.claimedGroupId}</span>],
          [t("buyers.registered"), moment(buyer.registeredAt)],
          [t("buyers.id"), <span class="mono">{buyer.buyerId}</span>],
        ]}
      />
      {me.roles.includes("operator") && (
        <div class="row">
          {buyer.state === BuyerState.REGISTERED && <Decide buyer={buyer} what="vet" />}
          {buyer.state !== BuyerState.SUSPENDED && <Decide buyer={buyer} what="suspend" />}
          {buyer.state === BuyerState.SUSPENDED && <Decide buyer={buyer} what="reinstate" />}
        </div>
      )}
    </Card>
  );
}

/** One decision about a buyer. */
function Decide({ buyer, what }: { buyer: Buyer; what: "vet" | "suspend" | "reinstate" }) {
  const { t } = useSpeech();
  const reads = useReads();
  // A group that the buyer claims is confirmed by writing it, not by leaving it as it stands.
  const [group, setGroup] = useState(buyer.claimedGroupId === buyer.buyerId ? buyer.buyerId : "");
  const [reason, setReason] = useState("");
  const groupWrong = what === "vet" && !uuid.test(group.trim().toLowerCase());
  const reasonWrong = what === "suspend" && !code.test(reason.trim());
  const name = buyer.entity?.legalName ?? "";
  const act = async (idempotencyKey: string) => {
    const buyerId = buyer.buyerId;
    const said =
      what === "vet"
        ? await offers.vetBuyer({ buyerId, groupId: group.trim().toLowerCase(), idempotencyKey })
        : what === "suspend"
          ? await offers.suspendBuyer({ buyerId, reason: reason.trim(), idempotencyKey })
          : await offers.reinstateBuyer({ buyerId, idempotencyKey });
    reads.wrote(said.cursor);
    return t(`buyers.${what}.done`, { name });
  };
  const title = t(`buyers.${what}.of`, { name });
  return (
    <Decision name={t(`buyers.${what}`)} label={title} title={title} text={t(`buyers.${what}.text`)} wrong={groupWrong || reasonWrong} act={act} testid={`buyer-${what}`}>
      {(tried) => (
        <>
          {what === "vet" && <Field label={t("buyers.group")} hint={t("buyers.group.hint")} value={group} change={setGroup} wrong={tried && groupWrong ? t("statement.owner.wrong") : undefined} />}
          {what === "suspend" && <Field label={t("buyers.reason")} hint={t("buyers.reason.hint")} value={reason} change={setReason} wrong={tried && reasonWrong ? t("buyers.reason.wrong") : undefined} />}
        </>
      )}
    </Decision>
  );
}
