import { moreWays } from "../frame";
import { useSpeech } from "../i18n";
import { Icon } from "../ui/icon";
import { PageHead } from "../ui/parts";

/** What a phone's bar has no room for. */
export function More() {
  const { t } = useSpeech();
  return (
    <>
      <PageHead title={t("nav.more")} />
      <ul class="plain tiles">
        {moreWays.map((w) => (
          <li key={w.href}>
            <a class="card tile" href={w.href}>
              <Icon name={w.icon} />
              <h2>{t(w.name)}</h2>
            </a>
          </li>
        ))}
      </ul>
    </>
  );
}
