// What happens to the person, as it happens. One tab holds the streams and tells the others, since a browser opens only six connections to
// a host over HTTP/1.1; three streams leave room for everything else. Offers are made for whoever asks, so nothing can announce one: the
// screens that show them ask again while they are looked at.
import type { Entry } from "../gen/obole/record/v1/record_pb";
import { EntrySchema } from "../gen/obole/record/v1/record_pb";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { consent, delivery, settlement } from "./client";
import type { Fault } from "./fault";
import { follow } from "./follow";

export type Line = "starting" | "live" | "broken";

/** Services that are watched by a stream. */
export const watched = ["consent", "delivery", "settlement"] as const;
export type Watched = (typeof watched)[number];

interface Watch {
  watchToken: string;
  entry?: Entry | undefined;
}

type Open = (request: { subscriberId: string; watchToken: string }, options: { signal: AbortSignal; timeoutMs: number }) => AsyncIterable<Watch>;

const opens: Record<Watched, Open> = {
  consent: (r, o) => consent.watchRecord(r, o),
  delivery: (r, o) => delivery.watchRecord(r, o),
  settlement: (r, o) => settlement.watchRecord(r, o),
};

export interface Told {
  happened: (service: Watched, entry: Entry) => void;
  line: (line: Line) => void;
  /** A stream came back after a break: what is on screen is read again. */
  resumed: (service: Watched) => void;
}

// Between tabs: bytes of an entry, how the line is, or the question how it is.
interface Word {
  service?: Watched;
  bytes?: Uint8Array;
  line?: Line;
  ask?: true;
}

/** Keeps the streams until aborted. */
export function live(subscriber: string, told: Told, signal: AbortSignal): void {
  const channel = new BroadcastChannel(`obole-live-${subscriber}`);
  let last: Line = "starting";
  let leads = false;
  signal.addEventListener("abort", () => channel.close(), { once: true });
  channel.onmessage = (m: MessageEvent<Word>) => {
    const { service, bytes, line, ask } = m.data;
    if (ask && leads) channel.postMessage({ line: last } satisfies Word);
    if (line) told.line(line);
    if (service && bytes) told.happened(service, fromBinary(EntrySchema, bytes));
  };
  // A tab that comes later has missed what the leading one last said of its line.
  channel.postMessage({ ask: true } satisfies Word);
  const lead = () => {
    leads = true;
    return lines(subscriber, signal, {
      happened: (service, entry) => {
        told.happened(service, entry);
        channel.postMessage({ service, bytes: toBinary(EntrySchema, entry) } satisfies Word);
      },
      line: (line) => {
        if (line === last) return;
        last = line;
        told.line(line);
        channel.postMessage({ line } satisfies Word);
      },
      resumed: told.resumed,
    });
  };
  const locks = (navigator as Partial<Pick<Navigator, "locks">>).locks;
  if (!locks) {
    void lead();
    return;
  }
  // Whoever gets the lock leads; when its tab is closed, the next one does.
  locks.request(`obole-live-${subscriber}`, { signal }, lead).catch(() => undefined);
}

async function lines(subscriber: string, signal: AbortSignal, told: Told): Promise<void> {
  const up: Record<Watched, boolean> = { consent: false, delivery: false, settlement: false };
  const broke = new Set<Watched>();
  await Promise.all(
    watched.map((service) =>
      follow<Watch, string>({
        open: (token, s) => opens[service]({ subscriberId: subscriber, watchToken: token ?? "" }, { signal: s, timeoutMs: 3_600_000 }),
        position: (m) => m.watchToken || undefined,
        take: (m) => {
          if (m.entry) told.happened(service, m.entry);
        },
        state: (isUp, fault?: Fault) => {
          if (!isUp) broke.add(service);
          else if (broke.delete(service)) told.resumed(service);
          up[service] = isUp;
          if (watched.every((w) => up[w])) told.line("live");
          else if (fault || !isUp) told.line("broken");
        },
        // A token of another life of the log is refused for ever: what was missed is read again from the lists.
        renew: (fault) => fault.kind === "invalid" || fault.reason === "LOG_INCARNATION" || fault.reason === "CURSOR_UNKNOWN",
        signal,
        random: Math.random,
      }),
    ),
  );
}
