import { useRef, useState } from "preact/compat";
import { newKey } from "../net/client";
import { faultOf, type Fault } from "../net/fault";

export interface Act {
  busy: boolean;
  fault: Fault | undefined;
  go: () => void;
  clear: () => void;
}

/**
 * One act of a person: a command with an idempotency key that stays the same until it is answered, so that whoever presses again after a
 * lost answer has acted once.
 */
export function useAct(run: (key: string) => Promise<void>): Act {
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<Fault>();
  const key = useRef<string>(undefined);
  return {
    busy,
    fault,
    go: () => {
      if (busy) return;
      key.current ??= newKey();
      setBusy(true);
      setFault(undefined);
      run(key.current).then(
        () => {
          key.current = undefined;
          setBusy(false);
        },
        (thrown: unknown) => {
          const f = faultOf(thrown);
          // A refusal is an answer: the next press is another act. Without an answer it is the same one.
          if (!f.passing) key.current = undefined;
          setFault(f);
          setBusy(false);
        },
      );
    },
    clear: () => setFault(undefined),
  };
}
