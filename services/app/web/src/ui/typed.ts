import { useSpeech, type Speech } from "../i18n";
import { retyped, ways } from "../i18n/format";
import { useKept } from "./kept";

/**
 * What is typed, with the locale in which it was: when the language changes, `again` writes each number in it anew, so that it stays the
 * same number. With a key it is kept as `useKept` keeps it.
 */
export function useTyped<T>(first: () => T, again: (typed: T, number: (text: string) => string) => T, key?: string): [T, (typed: T) => void] {
  const { locale } = useSpeech();
  const [held, hold] = useKept(key, () => ({ locale, typed: first() }));
  const typed = held.locale === locale ? held.typed : again(held.typed, (text) => retyped(held.locale, locale, text));
  return [typed, (to) => hold({ locale, typed: to })];
}

/** Why an amount cannot be read: where it may be meant in more than one way, how to write each; else what the field wants. */
export function amountWrong(s: Speech, text: string, otherwise: string): string {
  const meant = ways(s.locale, text);
  return meant.length > 0 ? s.t("amount.unclear", { text: text.trim(), ways: new Intl.ListFormat(s.locale, { type: "disjunction" }).format(meant) }) : otherwise;
}
