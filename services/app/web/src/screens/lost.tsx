import { useSpeech } from "../i18n";
import { Empty, PageHead } from "../ui/parts";

/** A path that is none, or none for whoever is here. */
export function Lost() {
  const { t } = useSpeech();
  return (
    <>
      <PageHead title={t("lost.title")} />
      <Empty icon="info" title={t("lost.what")} act={<a class="button" href="/">{t("lost.home")}</a>}>
        {t("lost.text")}
      </Empty>
    </>
  );
}
