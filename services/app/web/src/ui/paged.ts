// A list that comes in pages. The first page is read again whenever something happened; what it shares with the pages behind it is not
// asked for again.
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { useCallback, useEffect, useRef, useState } from "preact/compat";
import { faultOf, type Fault } from "../net/fault";
import { useRead, useReads } from "../net/reads";

interface PageShape {
  nextPageToken: string;
}

export interface Paged<T> {
  items: T[] | undefined;
  more: (() => void) | undefined;
  at: number;
  stale: boolean;
  error: Fault | undefined;
  again: () => void;
}

/** Puts a fresh first page before what was known. Undefined where they share nothing, so that a gap could lie between them. */
export function join<T>(first: T[], known: T[], id: (item: T) => string): T[] | undefined {
  if (known.length <= first.length) return undefined;
  const last = first[first.length - 1];
  if (last === undefined) return undefined;
  const at = known.findIndex((k) => id(k) === id(last));
  return at < 0 ? undefined : [...first, ...known.slice(at + 1)];
}

export function usePaged<I extends DescMessage, O extends DescMessage, T>(
  method: DescMethodUnary<I, O>,
  request: MessageInitShape<I>,
  itemsOf: (answer: MessageShape<O>) => T[],
  id: (item: T) => string,
): Paged<T> {
  const reads = useReads();
  const first = useRead(method, request);
  const [rest, setRest] = useState<{ items: T[]; token: string }>();
  const [error, setError] = useState<Fault>();
  const asking = useRef(false);
  const data = first.data;
  // Keys of the request's own values: a changed filter is another list.
  const key = JSON.stringify(request, (_, v: unknown) => (typeof v === "bigint" ? v.toString() : v));

  useEffect(() => setRest(undefined), [key]);
  useEffect(() => {
    if (!data) return;
    setRest((known) => {
      if (!known) return undefined;
      const joined = join(itemsOf(data), known.items, id);
      return joined && { items: joined, token: known.token };
    });
  }, [data]);

  const items = data && (rest?.items ?? itemsOf(data));
  const token = rest ? rest.token : ((data as PageShape | undefined)?.nextPageToken ?? "");
  const more = useCallback(() => {
    if (asking.current || !items) return;
    asking.current = true;
    reads.call(method, { ...request, pageToken: token } as MessageInitShape<I>).then(
      (answer) => {
        asking.current = false;
        setError(undefined);
        setRest({ items: [...items, ...itemsOf(answer)], token: (answer as unknown as PageShape).nextPageToken });
      },
      (thrown: unknown) => {
        asking.current = false;
        setError(faultOf(thrown));
      },
    );
  }, [key, token, items]);

  return {
    items,
    more: token !== "" && !error ? more : undefined,
    at: first.at,
    stale: first.stale,
    error: error ?? first.error,
    again: () => {
      setError(undefined);
      first.again();
    },
  };
}
