import { moreWaysOf } from "../frame";
import { useSpeech } from "../i18n";
import { usePage } from "../page";
import { Icon } from "../ui/icon";
import { PageHead } from "../ui/parts";

/** What a phone's bar has no room for. */
export function More() {
  const { t } = useSpeech();
  const { me } = usePage();
  return (
    <>
      <PageHead title={t("nav.more")} />
      <ul class="plain tiles">
        {moreWaysOf(me.roles).map((w) => (
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
