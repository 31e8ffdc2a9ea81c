// A server stream that goes on: after a break it is opened again behind the last message that was taken in, never from the beginning and
// never past something unseen.
import { backoff, pause } from "./backoff";
import { faultOf, type Fault } from "./fault";

export interface Follow<M, P> {
  /** Opens the stream behind a position; undefined is its own beginning. */
  open: (after: P | undefined, signal: AbortSignal) => AsyncIterable<M>;
  /** Where a message stands. Undefined where it says nothing of a position. */
  position: (message: M) => P | undefined;
  /** Takes a message in. Only when this returns is its position remembered. */
  take: (message: M) => void;
  /** Told whenever the stream brings something, and whenever it breaks. */
  state: (live: boolean, why?: Fault) => void;
  /** Faults that say that the position is of no use any more: the stream begins anew. */
  renew?: (fault: Fault) => boolean;
  /** Longest silence in milliseconds; after it the stream counts as broken. Services send a sign of life every 15 seconds. */
  silence?: number;
  start?: P | undefined;
  signal: AbortSignal;
  random: () => number;
  wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Follows until aborted, or until the session is over: then with the fault that says so. */
export async function follow<M, P>(f: Follow<M, P>): Promise<Fault | undefined> {
  const wait = f.wait ?? pause;
  let after = f.start;
  let failures = 0;
  while (!f.signal.aborted) {
    const one = new AbortController();
    const stop = () => one.abort();
    f.signal.addEventListener("abort", stop, { once: true });
    let fault: Fault | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const hush = () => {
      clearTimeout(timer);
      timer = setTimeout(stop, f.silence ?? 40_000);
    };
    try {
      hush();
      for await (const message of f.open(after, one.signal)) {
        hush();
        if (f.signal.aborted) return undefined;
        failures = 0;
        f.take(message);
        after = f.position(message) ?? after;
        f.state(true);
      }
    } catch (thrown) {
      fault = faultOf(thrown);
    } finally {
      clearTimeout(timer);
      f.signal.removeEventListener("abort", stop);
    }
    if (f.signal.aborted) return undefined;
    f.state(false, fault);
    if (fault?.kind === "session") return fault;
    if (fault && f.renew?.(fault)) after = undefined;
    try {
      await wait(Math.max(backoff(failures++, f.random), fault?.retryAfter ?? 0), f.signal);
    } catch {
      return undefined;
    }
  }
  return undefined;
}
