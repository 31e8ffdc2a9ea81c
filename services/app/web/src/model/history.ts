// The histories of the four services as one, newest first. Each comes in pages, so only what is newer than the oldest page's end of every
// unfinished history is certain to stand in its place.
import type { Entry } from "../gen/obole/record/v1/record_pb";

export interface History {
  entries: Entry[];
  /** More entries follow that are not here yet. */
  more: boolean;
}

export interface Merged {
  entries: Entry[];
  /** Index of the history whose next page is needed first; -1 when all are whole. */
  next: number;
}

/** Puts histories together, each newest first, as far as their order is certain. */
export function merge(histories: readonly History[]): Merged {
  let certain: bigint | undefined;
  let next = -1;
  histories.forEach((h, i) => {
    const oldest = h.entries[h.entries.length - 1];
    if (!h.more || !oldest) return;
    if (certain === undefined || oldest.at > certain) {
      certain = oldest.at;
      next = i;
    }
  });
  const floor = certain;
  const entries = histories
    .flatMap((h) => h.entries)
    .filter((e) => floor === undefined || e.at >= floor)
    .sort(newestFirst);
  return { entries, next };
}

// Of one moment, an order that never changes: by service, then position.
function newestFirst(a: Entry, b: Entry): number {
  if (a.at !== b.at) return a.at > b.at ? -1 : 1;
  const s = (a.place?.service ?? "").localeCompare(b.place?.service ?? "");
  if (s !== 0) return s;
  const pa = a.place?.position ?? 0n;
  const pb = b.place?.position ?? 0n;
  return pa === pb ? 0 : pa > pb ? -1 : 1;
}

/** A name for an entry that no other has. */
export function entryId(e: Entry): string {
  const p = e.place;
  return `${p?.service ?? ""}/${p?.partition ?? 0}/${p?.position ?? 0n}`;
}

/** The place in a log that an address names; undefined where it names none. */
export function placeOf(query: URLSearchParams): { partition: number; position: bigint } | undefined {
  const partition = query.get("partition") ?? "0";
  const position = query.get("position") ?? "";
  if (!/^\d{1,5}$/.test(partition) || !/^[1-9]\d{0,17}$/.test(position)) return undefined;
  return { partition: Number(partition), position: BigInt(position) };
}
