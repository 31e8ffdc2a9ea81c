// How long to wait before trying again: doubling, with jitter, so that the phones of a town do not come back in one wave.

/** Milliseconds before attempt `n` (from 0): between half and the whole of 500 ms doubled n times, at most 30 s. */
export function backoff(n: number, random: () => number): number {
  const whole = Math.min(30_000, 500 * 2 ** Math.min(n, 10));
  return Math.round(whole / 2 + random() * (whole / 2));
}

/** Resolves after so long, or rejects at once when aborted. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", stop, { once: true });
  });
}
