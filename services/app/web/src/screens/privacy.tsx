// The privacy policy, made by the edge of the catalogue, the policy packs and the operator's file, so that it says what the services do.
import { useEffect, useState } from "preact/compat";
import { useSpeech } from "../i18n";
import { faultOf, type Fault } from "../net/fault";
import { readPolicy, type Block, type Policy } from "../net/session";
import { Bones, Card, PageHead, Problem, Section } from "../ui/parts";
import { Sideways } from "../ui/sideways";

export function PolicyPage() {
  const { t, day, language } = useSpeech();
  const [policy, setPolicy] = useState<Policy>();
  const [fault, setFault] = useState<Fault>();
  const ask = () => {
    setFault(undefined);
    readPolicy(language).then(setPolicy, (thrown: unknown) => setFault(faultOf(thrown)));
  };
  useEffect(ask, [language]);
  // The place that the address names is there only now.
  useEffect(() => {
    if (policy && location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  }, [policy?.version]);
  if (!policy)
    return (
      <>
        <PageHead title={t("nav.privacy")} />
        {fault ? <Problem fault={fault} again={ask} /> : <Bones tall />}
      </>
    );
  return (
    <>
      <PageHead title={policy.title || t("nav.privacy")} lead={t("privacy.version", { version: policy.version, since: day(policy.since) })} />
      <nav aria-label={t("privacy.contents")}>
        <ol class="plain contents">
          {policy.sections.map((s) => (
            <li key={s.id}>
              <a href={`#${s.id}`}>{s.title}</a>
            </li>
          ))}
        </ol>
      </nav>
      {policy.sections.map((s) => (
        <div id={s.id} key={s.id} class="prose">
          <Section title={s.title}>
            {s.blocks.map((b, i) => (
              <OneBlock key={i} block={b} label={s.title} />
            ))}
          </Section>
        </div>
      ))}
      {policy.changes.length > 0 && (
        <Section title={t("privacy.changes")}>
          <Card tone="flat">
            {policy.changes.map((c) => (
              <div key={c.version} class="stack tight">
                <h3>{t("privacy.version", { version: c.version, since: day(c.since) })}</h3>
                <ul>
                  {c.what.map((w) => (
                    <li key={w}>{w}</li>
                  ))}
                </ul>
              </div>
            ))}
          </Card>
        </Section>
      )}
    </>
  );
}

function OneBlock({ block, label }: { block: Block; label: string }) {
  if (block.kind === "text") return <p>{block.text}</p>;
  if (block.kind === "list")
    return (
      <ul>
        {block.items.map((i) => (
          <li key={i}>{i}</li>
        ))}
      </ul>
    );
  return (
    <Sideways label={`${label}: ${block.head.join(", ")}`}>
      <table>
        {block.head.length > 0 && (
          <thead>
            <tr>
              {block.head.map((h) => (
                <th key={h} scope="col">
                  {h}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {block.rows.map((r, i) => (
            <tr key={i}>
              {r.map((c, j) => (
                <td key={j}>{c}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </Sideways>
  );
}
