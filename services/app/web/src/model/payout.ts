// What a person may ask for.
import { exponent, micros } from "../i18n/format";

/** What was typed as minor units; undefined where it is no amount, nothing, finer than the currency, or more than there is. */
export function asked(locale: string, text: string, available: bigint, currency: string): bigint | undefined {
  const value = micros(locale, text);
  const unit = 10n ** BigInt(6 - exponent(currency));
  if (value === undefined || value % unit !== 0n) return undefined;
  const minor = value / unit;
  return minor > 0n && minor <= available ? minor : undefined;
}
