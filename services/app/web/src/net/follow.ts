// A server stream that goes on: after a break it is opened again behind the last message that was taken in, never from the beginning and
// never past something unseen.
import { backoff, pause } from "./backoff";
import { faultOf, type Fault } from "./fault";

export interface Follow<M, P> {
  /** Opens the stream behind a position; undefined is its own beginning. */
  open: (after: P | undefined, signal: AbortSignal) => AsyncIterable<M>;
  /** Where a message stands. Undefined where it says nothing of a position (a heartbeat). */
  position: (message: M) => P | undefined;
  /** Takes a message in. Only when this returns is its position remembered. */
  take: (message: M) => void;
  /** Told whenever the stream opens, and whenever it breaks. */
  state: (live: boolean, why?: Fault) => void;
  /** Faults after which trying again makes no sense; an ended session is one always. */
  fatal?: (fault: Fault) => boolean;
  start?: P | undefined;
  signal: AbortSignal;
  random: () => number;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Follows until aborted or a fatal fault, which it returns. */
export async function follow<M, P>(f: Follow<M, P>): Promise<Fault | undefined> {
  const wait = f.wait ?? pause;
  let after = f.start;
  let failures = 0;
  while (!f.signal.aborted) {
    let fault: Fault | undefined;
    try {
      for await (const message of f.open(after, f.signal)) {
        if (f.signal.aborted) return undefined;
        failures = 0;
        f.state(true);
        f.take(message);
        after = f.position(message) ?? after;
      }
    } catch (thrown) {
      fault = faultOf(thrown);
    }
    if (f.signal.aborted) return undefined;
    f.state(false, fault);
    if (fault && (fault.kind === "session" || f.fatal?.(fault))) return fault;
    try {
      // A stream that the server has ended by its own rules is opened again at once the first time.
      await wait(Math.max(backoff(failures++, f.random), fault?.retryAfter ?? 0), f.signal);
    } catch {
      return undefined;
    }
  }
  return undefined;
}
