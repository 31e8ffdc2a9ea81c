// What a person has earned.
import type { GetEarningsResponse } from "../gen/obole/settlement/v1/service_pb";

/** All that was ever earned, wherever it stands now: nothing of it is lost from sight when it is asked for or paid. */
export function earned(e: Pick<GetEarningsResponse, "pending" | "available" | "requested" | "paid">): { minor: bigint; currency: string } {
  const minor = [e.pending, e.available, e.requested, e.paid].reduce((sum, m) => sum + (m?.minor ?? 0n), 0n);
  return { minor, currency: e.available?.currency || e.pending?.currency || "EUR" };
}
