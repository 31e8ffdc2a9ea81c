// Rights: what the law gives, each with its way to be used here.
import type { ComponentChildren } from "preact";
import { useState } from "preact/compat";
import { Retention } from "../gen/obole/event/v1/event_pb";
import type { Account } from "../gen/obole/consent/v1/service_pb";
import { useSpeech } from "../i18n";
import { consent } from "../net/client";
import { useReads } from "../net/reads";
import { usePage } from "../page";
import { useAct } from "../ui/act";
import type { IconName } from "../ui/icon";
import { Icon } from "../ui/icon";
import { Button, Card, Check, Dialog, Facts, Notice, PageHead, Problem, Section } from "../ui/parts";
import { NotEligible, PauseAll } from "./home";
import { Shown, useAccount, useLiving } from "./shared";
import { Withdraw } from "./uses";

export function Rights() {
  const { t, country } = useSpeech();
  const { config } = usePage();
  const account = useAccount();
  const living = useLiving();
  const land = account.data?.account?.country ?? "";
  // The person's policy pack names it; where nobody has joined yet, the edge's list does.
  const listed = config.authorities.find((a) => a.country === (land || config.operator.country));
  const authority = { name: account.data?.account?.authorityName || (listed?.name ?? ""), uri: account.data?.account?.authorityUri || (listed?.url ?? "") };
  return (
    <>
      <PageHead title={t("rights.title")} lead={t("rights.lead")} />
      <NotEligible />
      <ul class="plain stack">
        <Right icon="data" title={t("rights.see")} text={t("rights.see.text")}>
          <a class="button" href="/data">
            {t("nav.data")}
          </a>
          <a class="button" href="/uses">
            {t("nav.uses")}
          </a>
          <a class="button" href="/record">
            {t("nav.record")}
          </a>
        </Right>
        <Right icon="down" title={t("rights.export")} text={t("rights.export.text")}>
          <a class="button" href="/data">
            {t("rights.export.data")}
          </a>
          <a class="button" href="/record">
            {t("rights.export.record")}
          </a>
        </Right>
        <Right icon="file" title={t("rights.correct")} text={t("rights.correct.page")}>
          <a class="button" href="/data">
            {t("nav.data")}
          </a>
        </Right>
        <Right icon="pause" title={t("rights.restrict")} text={t("rights.restrict.page")}>
          <a class="button" href="/data">
            {t("rights.source")}
          </a>
        </Right>
        <li>
          <PauseAll />
        </li>
        <Right icon="close" title={t("rights.withdraw")} text={t("rights.withdraw.text", { n: living.data?.consents.length ?? 0 })}>
          <Withdraw label={t("withdraw.all")} count={living.data?.consents.length ?? 0} />
        </Right>
        <Right icon="rights" title={t("rights.complain")} text={t("rights.complain.text")}>
          <Facts
            rows={[
              [t("rights.dpo", { operator: config.operator.name }), <a href={`mailto:${config.operator.dpo}`}>{config.operator.dpo}</a>],
              authority.uri !== "" && [
                t("rights.authority", { country: country(land) }),
                <a href={authority.uri} target="_blank" rel="noreferrer noopener">
                  {authority.name}
                </a>,
              ],
            ]}
          />
        </Right>
      </ul>
      <Section title={t("close.title")}>
        <Shown read={account}>{(a) => (a.account ? <Close account={a.account} /> : null)}</Shown>
      </Section>
    </>
  );
}

function Right({ icon, title, text, children }: { icon: IconName; title: string; text: string; children?: ComponentChildren }) {
  return (
    <li class="card right">
      <Icon name={icon} />
      <div class="stack tight">
        <h2>{title}</h2>
        <p class="soft">{text}</p>
        {children && <div class="row">{children}</div>}
      </div>
    </li>
  );
}

/** Closing the account: withdraws all, records the request to erase, and says what stays by law. */
function Close({ account }: { account: Account }) {
  const { t, exact } = useSpeech();
  const { me, say } = usePage();
  const reads = useReads();
  const [asking, setAsking] = useState(false);
  const [sure, setSure] = useState(false);
  const act = useAct(async (idempotencyKey) => {
    const said = await consent.closeAccount({ subscriberId: me.subject, confirmed: true, idempotencyKey });
    setAsking(false);
    say(t("close.done", { when: exact(said.effectiveAt), n: said.ended }));
    reads.wrote(said.cursor);
    reads.refreshAll();
  });
  const shut = () => {
    setAsking(false);
    setSure(false);
    act.clear();
  };
  if (account.closedAt > 0n)
    return (
      <Card>
        <Notice>
          <p data-testid="closed">{t("close.closed", { when: exact(account.closedAt) })}</p>
        </Notice>
        <Kept account={account} />
      </Card>
    );
  return (
    <Card>
      <p>{t("close.text")}</p>
      <Kept account={account} />
      <div class="row">
        <Button onClick={() => setAsking(true)} testid="close-account">
          {t("close.act")}
        </Button>
      </div>
      <Dialog open={asking} close={shut} title={t("close.ask")}>
        <p>{t("close.ask.text")}</p>
        <Check on={sure} change={setSure} label={t("close.check")} />
        {act.fault && <Problem fault={act.fault} again={act.go} />}
        <div class="choice">
          <Button onClick={shut}>{t("act.back")}</Button>
          <Button onClick={act.go} busy={act.busy} disabled={!sure} testid="close-now">
            {t("close.now")}
          </Button>
        </div>
      </Dialog>
    </Card>
  );
}

function Kept({ account }: { account: Account }) {
  const { t, day, family } = useSpeech();
  if (account.kept.length === 0) return null;
  return (
    <div class="stack tight">
      <h3>{t("close.kept")}</h3>
      <Facts
        rows={account.kept.map((k) => [
          family("retention", Retention[k.retention] ?? "", "–"),
          `${t("close.kept.until", { when: day(k.until) })} (${k.source === "house" ? t("close.kept.house") : k.source})`,
        ])}
      />
    </div>
  );
}
