// What several rooms of the console show.
import type { Fault } from "../net/fault";
import { useSpeech, type Speech } from "../i18n";
import { Notice, Problem } from "../ui/parts";

/** Why something was refused, for buyers and staff; the code itself where the contract has grown past the file. */
export const refusal = (s: Speech, reason: string): string => s.family("refusal", reason, reason);

/** What a service refused, with what it says of the request; everything else as on every screen. */
export function Refused({ fault, again }: { fault: Fault; again?: (() => void) | undefined }) {
  const speech = useSpeech();
  const ours = fault.reason !== "" && fault.kind !== "session" && !fault.passing && refusal(speech, fault.reason) !== fault.reason;
  if (!ours) return <Problem fault={fault} again={again} />;
  return (
    <Notice tone="bad" alert>
      <p>
        <strong>{refusal(speech, fault.reason)}</strong> {fault.facts.map((f) => `${f.name}: ${f.text}`).join("; ")}
      </p>
    </Notice>
  );
}
