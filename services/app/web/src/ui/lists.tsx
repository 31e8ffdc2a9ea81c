// Short lists: all of them in the document, the next page when it is asked for. Long ones are in longlist.tsx.
import type { ComponentChildren } from "preact";
import { useSpeech } from "../i18n";
import { Button } from "./parts";

interface Props<T> {
  items: readonly T[];
  /** Stable name of an item. */
  id: (item: T) => string;
  row: (item: T) => ComponentChildren;
  label?: string;
  /** Asks for the next page; undefined when there is none. */
  more?: (() => void) | undefined;
}

/** Cards, one below the other. */
export function Stacked<T>({ items, id, row, label, more }: Props<T>) {
  return (
    <>
      <ul class="plain stack" aria-label={label}>
        {items.map((item) => (
          <li key={id(item)}>{row(item)}</li>
        ))}
      </ul>
      <NextPage more={more} />
    </>
  );
}

/** Lines in one frame. */
export function Lined<T>({ items, id, row, label, more }: Props<T>) {
  return (
    <>
      <div class="list">
        <ul class="plain" aria-label={label}>
          {items.map((item) => (
            <li key={id(item)}>{row(item)}</li>
          ))}
        </ul>
      </div>
      <NextPage more={more} />
    </>
  );
}

/** The next page, where there is one. */
export function NextPage({ more }: { more: (() => void) | undefined }) {
  const { t } = useSpeech();
  return (
    more && (
      <div>
        <Button onClick={more}>{t("act.more")}</Button>
      </div>
    )
  );
}
