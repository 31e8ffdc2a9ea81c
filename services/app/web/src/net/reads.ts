// What screens read, kept in one place: the same call is asked once, however many show it; a command's cursor goes into every read of
// its service after it, so that people read their own writes; an event of a service makes what is on screen of that service come again.
import { clone, create, fromBinary, toBinary, toJsonString, type DescMessage, type DescMethodUnary, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { useEffect, useMemo, useState } from "preact/compat";
import { createContext } from "preact";
import { useContext } from "preact/compat";
import { ConnectError, type Transport } from "@connectrpc/connect";
import type { Cursor } from "../gen/obole/event/v1/event_pb";
import { faultOf, type Fault } from "./fault";
import { keep, recall } from "./last";

export interface Read<T> {
  /** The newest answer there is; undefined while none was ever had. */
  data: T | undefined;
  /** When it was asked, milliseconds since 1970. */
  at: number;
  /** It may have changed since: the network or a service is away. A stale consent is never shown as valid. */
  stale: boolean;
  loading: boolean;
  error: Fault | undefined;
  again: () => void;
}

interface Entry {
  service: string;
  key: string;
  shown: number;
  ask: () => Promise<void>;
  data: unknown;
  at: number;
  stale: boolean;
  loading: boolean;
  dirty: boolean;
  error: Fault | undefined;
  listeners: Set<() => void>;
}

/** Short name of a service: "offers" of obole.offers.v1.OffersService. */
export function serviceOf(method: { parent: { typeName: string } }): string {
  return method.parent.typeName.split(".")[1] ?? "";
}

export class Reads {
  private readonly entries = new Map<string, Entry>();
  private readonly cursors = new Map<string, Cursor>();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly transport: Transport,
    /** Whose answers these are: part of every key. */
    readonly owner: string,
    private readonly now: () => number = Date.now,
  ) {}

  /** A command of a service was answered: what is read of it from now on has seen that. */
  wrote(...cursors: (Cursor | undefined)[]): void {
    const services = new Set<string>();
    for (const c of cursors) {
      if (!c?.service) continue;
      this.cursors.set(c.service, c);
      services.add(c.service);
    }
    for (const s of services) this.refresh(s);
  }

  /** Something happened at a service. A burst is one refresh. */
  happened(...services: string[]): void {
    for (const e of this.entries.values()) if (services.includes(e.service)) e.dirty = true;
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      for (const e of this.entries.values()) if (e.dirty && e.shown > 0) void e.ask();
    }, 120);
  }

  refresh(service: string): void {
    for (const e of this.entries.values()) {
      if (e.service !== service) continue;
      e.dirty = true;
      if (e.shown > 0) void e.ask();
    }
  }

  /** The network is back, or the page is looked at again. */
  refreshAll(): void {
    for (const e of this.entries.values()) {
      e.dirty = true;
      if (e.shown > 0) void e.ask();
    }
  }

  /** Connections are broken: everything shown may be older than the truth. */
  mistrust(services: readonly string[]): void {
    for (const e of this.entries.values()) {
      if (!services.includes(e.service) || e.data === undefined || e.stale) continue;
      e.stale = true;
      for (const l of e.listeners) l();
    }
  }

  entry<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, init: MessageInitShape<I>): Entry {
    const request = create(method.input, init);
    const key = `${this.owner} ${method.parent.typeName}/${method.name} ${toJsonString(method.input, request)}`;
    const known = this.entries.get(key);
    if (known) return known;
    const e: Entry = {
      service: serviceOf(method),
      key,
      shown: 0,
      ask: () => this.ask(e, method, request),
      data: undefined,
      at: 0,
      stale: false,
      loading: false,
      dirty: true,
      error: undefined,
      listeners: new Set(),
    };
    this.entries.set(key, e);
    return e;
  }

  /** One call outside any screen, with the same cursors. */
  async call<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, init: MessageInitShape<I>, signal?: AbortSignal): Promise<MessageShape<O>> {
    const request = create(method.input, init);
    this.put(method, request);
    const answer = await this.transport.unary(method, signal, undefined, undefined, request);
    return answer.message;
  }

  private put<I extends DescMessage>(method: { parent: { typeName: string }; input: I }, request: MessageShape<I>): void {
    const cursor = this.cursors.get(serviceOf(method));
    const field = method.input.fields.find((f) => f.localName === "after" && f.message?.typeName === "obole.event.v1.Cursor");
    if (cursor && field) (request as unknown as Record<string, unknown>)[field.localName] ??= cursor;
  }

  private async ask<I extends DescMessage, O extends DescMessage>(e: Entry, method: DescMethodUnary<I, O>, request: MessageShape<I>): Promise<void> {
    if (e.loading) return; // `dirty` makes it come again when this one is there
    const tell = () => e.listeners.forEach((l) => l());
    e.loading = true;
    e.dirty = false;
    const asked = this.now();
    tell();
    try {
      const sent = clone(method.input, request);
      this.put(method, sent);
      const answer = await this.transport.unary(method, undefined, undefined, undefined, sent);
      e.data = answer.message;
      e.at = asked;
      e.stale = false;
      e.error = undefined;
      void keep(e.key, { bytes: toBinary(method.output, answer.message), at: asked });
    } catch (thrown) {
      e.error = faultOf(thrown instanceof ConnectError ? thrown : ConnectError.from(thrown));
      e.stale = e.data !== undefined;
      if (e.data === undefined && e.error.passing) await this.fromLast(e, method.output);
    }
    e.loading = false;
    tell();
    if (e.dirty && e.shown > 0 && !e.error) void e.ask();
  }

  private async fromLast<O extends DescMessage>(e: Entry, output: O): Promise<void> {
    const last = await recall(e.key);
    if (!last) return;
    try {
      e.data = fromBinary(output, last.bytes);
      e.at = last.at;
      e.stale = true;
    } catch {
      // Kept by another version of the page: as if nothing had been kept.
    }
  }
}

export const ReadsContext = createContext<Reads | undefined>(undefined);

export function useReads(): Reads {
  const reads = useContext(ReadsContext);
  if (!reads) throw new Error("no reads around this component");
  return reads;
}

/** Reads while the component is shown, and again whenever something happened at the service. */
export function useRead<I extends DescMessage, O extends DescMessage>(method: DescMethodUnary<I, O>, init: MessageInitShape<I>): Read<MessageShape<O>> {
  const reads = useReads();
  const entry = reads.entry(method, init);
  const [, redraw] = useState(0);
  useEffect(() => {
    const listener = () => redraw((n) => n + 1);
    entry.listeners.add(listener);
    entry.shown++;
    if (entry.dirty || entry.error) void entry.ask();
    else listener();
    return () => {
      entry.listeners.delete(listener);
      entry.shown--;
    };
  }, [entry]);
  const again = useMemo(() => () => void entry.ask(), [entry]);
  return {
    data: entry.data as MessageShape<O> | undefined,
    at: entry.at,
    stale: entry.stale,
    loading: entry.loading || (entry.data === undefined && entry.error === undefined),
    error: entry.error,
    again,
  };
}
