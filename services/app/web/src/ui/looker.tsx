// The days that a plot shows, and four steps from there: what dragging across it does, for keys, thumbs and whoever does not see it.
import { useSpeech } from "../i18n";
import { look, type Look, type Range } from "../model/series";
import type { IconName } from "./icon";
import { Button } from "./parts";

const icons: Record<Look, IconName> = { earlier: "back", wider: "minus", closer: "plus", later: "next" };

export function Looker({ at, whole, change }: { at: Range; whole: Range; change: (to: Range) => void }) {
  const { t, days } = useSpeech();
  const step = (how: Look) => {
    const to = look(at, whole, how);
    return (
      <Button square icon={icons[how]} label={t(`look.${how}`)} disabled={!to} onClick={() => to && change(to)} testid={`look-${how}`}>
        {null}
      </Button>
    );
  };
  return (
    <div class="looker" role="group" aria-label={t("look.label")}>
      {step("earlier")}
      {step("wider")}
      <p class="small" role="status" data-testid="look-days">
        {days(at)}
      </p>
      {step("closer")}
      {step("later")}
    </div>
  );
}
