// How a service stands, boiled down to what somebody who watches it must know.
import { PublishState, type GetStatusResponse } from "../gen/obole/log/v1/service_pb";

export interface Health {
  /** "well": everything works. "slow": works, but a part, a reader or the relay is behind or away. "down": does not do its work. */
  state: "well" | "slow" | "down";
  /** Parts that do not work. */
  broken: string[];
  /** Events that the topic does not have yet; undefined where this process does not know. */
  unpublished: bigint | undefined;
  /** Readers that are behind, the furthest first, each over all its partitions; behind is undefined where it is not known. */
  readers: { name: string; topic: string; behind: bigint | undefined }[];
  /** Events set aside. */
  parked: bigint;
}

/** Events by which nobody is worried: they are on their way. */
const onTheirWay = 1000n;

export function healthOf(s: GetStatusResponse): Health {
  const broken = s.parts.filter((p) => !p.works).map((p) => p.name);
  // What another process publishes is that one's to tell.
  const ours = s.partitions.filter((p) => p.publish !== PublishState.WAITING);
  const unpublished = ours.some((p) => p.published < 0n && p.tail > 0n) ? undefined : ours.reduce((sum, p) => sum + (p.published < 0n ? 0n : p.tail - p.published), 0n);
  const stopped = s.partitions.some((p) => p.publish === PublishState.STOPPED);
  const readers = new Map<string, { name: string; topic: string; behind: bigint | undefined }>();
  for (const r of s.readers) {
    const key = `${r.name} ${r.topic}`;
    const known = readers.get(key) ?? { name: r.name, topic: r.topic, behind: 0n };
    known.behind = known.behind === undefined || r.behind < 0n ? undefined : known.behind + r.behind;
    readers.set(key, known);
  }
  const all = [...readers.values()].sort((a, b) => rank(b.behind, a.behind) || `${a.name} ${a.topic}`.localeCompare(`${b.name} ${b.topic}`));
  const parked = s.parked.reduce((sum, p) => sum + p.events, 0n);
  const slow = broken.length > 0 || stopped || parked > 0n || (unpublished ?? 0n) > onTheirWay || all.some((r) => (r.behind ?? 0n) > onTheirWay);
  return { state: !s.ready ? "down" : slow ? "slow" : "well", broken, unpublished, readers: all, parked };
}

// What is not known may be the worst.
function rank(a: bigint | undefined, b: bigint | undefined): number {
  if (a === b) return 0;
  if (a === undefined) return 1;
  if (b === undefined) return -1;
  return a > b ? 1 : -1;
}
