import { useState } from "preact/compat";
import { useSpeech } from "../i18n";
import { Icon, type IconName } from "../ui/icon";
import { Button } from "../ui/parts";

const icons: [IconName, IconName, IconName] = ["data", "offers", "rights"];

/** What this is, in three short screens. They can be left at any of them. */
export function Explain({ done, last }: { done: () => void; last: string }) {
  const { t } = useSpeech();
  const [at, setAt] = useState<0 | 1 | 2>(0);
  const words = [
    [t("explain.1.title"), t("explain.1.text")],
    [t("explain.2.title"), t("explain.2.text")],
    [t("explain.3.title"), t("explain.3.text")],
  ] as const;
  const [title, text] = words[at];
  return (
    <section class="explain" aria-label={t("explain.label")}>
      <div class="medal">
        <Icon name={icons[at]} />
      </div>
      <p class="soft small">{t("explain.step", { n: at + 1, of: 3 })}</p>
      <h1 tabIndex={-1} id="page-title" aria-live="polite">
        {title}
      </h1>
      <p class="lead">{text}</p>
      <div class="row">
        {at > 0 && <Button onClick={() => setAt(at === 2 ? 1 : 0)}>{t("act.back")}</Button>}
        {at < 2 ? (
          <Button kind="main" onClick={() => setAt(at === 0 ? 1 : 2)}>
            {t("act.next")}
          </Button>
        ) : (
          <Button kind="main" onClick={done}>
            {last}
          </Button>
        )}
        {at < 2 && (
          <Button kind="plain" onClick={done}>
            {t("explain.skip")}
          </Button>
        )}
      </div>
    </section>
  );
}
