// What went wrong, in terms that a screen can act on. The services answer with google.rpc details; they are read here by hand, since
// three small messages do not justify three descriptors on a phone.
import { Code, ConnectError } from "@connectrpc/connect";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

export type Kind =
  | "offline" // no answer came at all
  | "unavailable" // the edge answers, what is behind it does not
  | "session" // nobody is signed in any more
  | "refused" // the rules say no
  | "invalid" // the request is wrong in a field
  | "wait" // too many calls
  | "conflict" // somebody was faster, or the key was used
  | "denied"
  | "missing"
  | "canceled"
  | "broken"; // a fault of ours

/** Fact is one thing that an error says of the request: the field's path or the name of a value, and words. */
export interface Fact {
  name: string;
  text: string;
}

/** Fault is an error with its reason, an enum value of the contract without its prefix. */
export class Fault extends Error {
  override readonly name = "Fault";
  constructor(
    readonly kind: Kind,
    readonly reason: string,
    message: string,
    readonly facts: readonly Fact[] = [],
    /** Milliseconds after which trying again makes sense; 0 where nothing is said. */
    readonly retryAfter = 0,
  ) {
    super(message);
  }
  fact(name: string): string | undefined {
    return this.facts.find((f) => f.name === name)?.text;
  }
  /** Whether the same call may succeed later, unchanged. */
  get passing(): boolean {
    return this.kind === "offline" || this.kind === "unavailable" || this.kind === "wait";
  }
}

interface Details {
  reason: string;
  facts: Fact[];
  retryAfter: number;
}

/** One detail: the type's full name and its bytes. */
export interface Detail {
  type: string;
  value: Uint8Array;
}

/** Reads ErrorInfo, BadRequest and RetryInfo; what else there is, is left alone. */
export function readDetails(details: readonly Detail[]): Details {
  const out: Details = { reason: "", facts: [], retryAfter: 0 };
  for (const d of details) {
    try {
      if (d.type === "google.rpc.ErrorInfo") errorInfo(d.value, out);
      else if (d.type === "google.rpc.BadRequest") badRequest(d.value, out);
      else if (d.type === "google.rpc.RetryInfo") retryInfo(d.value, out);
    } catch {
      // A detail that cannot be read says nothing; the code still does.
    }
  }
  return out;
}

// Calls `field` for each field of a message; whoever does not read a field skips it.
function fields(value: Uint8Array, field: (no: number, type: WireType, r: BinaryReader) => boolean): void {
  const r = new BinaryReader(value);
  while (r.pos < r.len) {
    const [no, type] = r.tag();
    if (!field(no, type, r)) r.skip(type, no);
  }
}

function pair(value: Uint8Array): Fact {
  const out = { name: "", text: "" };
  fields(value, (no, type, r) => {
    if (type !== WireType.LengthDelimited || no > 2) return false;
    if (no === 1) out.name = r.string();
    else out.text = r.string();
    return true;
  });
  return out;
}

function errorInfo(value: Uint8Array, out: Details): void {
  fields(value, (no, type, r) => {
    if (type !== WireType.LengthDelimited) return false;
    if (no === 1) out.reason = r.string();
    else if (no === 3) out.facts.push(pair(r.bytes()));
    else return false;
    return true;
  });
}

function badRequest(value: Uint8Array, out: Details): void {
  fields(value, (no, type, r) => {
    if (no !== 1 || type !== WireType.LengthDelimited) return false;
    out.facts.push(pair(r.bytes()));
    return true;
  });
}

function retryInfo(value: Uint8Array, out: Details): void {
  fields(value, (no, type, r) => {
    if (no !== 1 || type !== WireType.LengthDelimited) return false;
    let ms = 0;
    fields(r.bytes(), (n, t, d) => {
      if (t !== WireType.Varint) return false;
      const v = Number(d.int64());
      ms += n === 1 ? v * 1000 : n === 2 ? v / 1_000_000 : 0;
      return true;
    });
    out.retryAfter = ms;
    return true;
  });
}

const kinds: Partial<Record<Code, Kind>> = {
  [Code.Unavailable]: "unavailable",
  [Code.DeadlineExceeded]: "unavailable",
  [Code.Unauthenticated]: "session",
  [Code.FailedPrecondition]: "refused",
  [Code.InvalidArgument]: "invalid",
  [Code.OutOfRange]: "invalid",
  [Code.ResourceExhausted]: "wait",
  [Code.Aborted]: "conflict",
  [Code.AlreadyExists]: "conflict",
  [Code.PermissionDenied]: "denied",
  [Code.NotFound]: "missing",
  [Code.Canceled]: "canceled",
};

/** What any thrown value is to a screen. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown;
  if (thrown instanceof DOMException && thrown.name === "AbortError") return new Fault("canceled", "", thrown.message);
  // fetch throws a bare TypeError when no answer came; connect wraps it as Unknown or Unavailable with it as the cause.
  if (thrown instanceof TypeError) return new Fault("offline", "", thrown.message);
  const err = ConnectError.from(thrown);
  if (err.cause instanceof TypeError) return new Fault("offline", "", err.rawMessage);
  const details = err.details.filter((d): d is Detail => "type" in d && "value" in d && d.value instanceof Uint8Array);
  const read = readDetails(details);
  return new Fault(kinds[err.code] ?? "broken", read.reason, err.rawMessage, read.facts, read.retryAfter);
}

/** The same for the edge's own endpoints, whose errors have the form of Connect's. */
export async function faultOfResponse(response: Response): Promise<Fault> {
  let body: unknown;
  try {
    body = await response.json();
  } catch {
    body = undefined;
  }
  return faultOfBody(response.status, body);
}

export function faultOfBody(status: number, body: unknown): Fault {
  const code = property(body, "code");
  const message = property(body, "message");
  const raw = typeof body === "object" && body !== null && "details" in body && Array.isArray(body.details) ? (body.details as unknown[]) : [];
  const details: Detail[] = [];
  for (const d of raw) {
    const type = property(d, "type");
    const value = property(d, "value");
    if (type && value !== undefined) details.push({ type, value: fromBase64(value) });
  }
  const read = readDetails(details);
  return new Fault(byName[code ?? ""] ?? byStatus(status), read.reason, message ?? String(status), read.facts, read.retryAfter);
}

const byName: Record<string, Kind> = {
  unavailable: "unavailable",
  deadline_exceeded: "unavailable",
  unauthenticated: "session",
  failed_precondition: "refused",
  invalid_argument: "invalid",
  out_of_range: "invalid",
  resource_exhausted: "wait",
  aborted: "conflict",
  already_exists: "conflict",
  permission_denied: "denied",
  not_found: "missing",
  canceled: "canceled",
};

function byStatus(status: number): Kind {
  if (status === 401) return "session";
  if (status === 403) return "denied";
  if (status === 404) return "missing";
  if (status === 429) return "wait";
  if (status === 502 || status === 503 || status === 504) return "unavailable";
  return status >= 400 && status < 500 ? "invalid" : "broken";
}

function property(value: unknown, name: string): string | undefined {
  if (typeof value !== "object" || value === null || !(name in value)) return undefined;
  const found = (value as Record<string, unknown>)[name];
  return typeof found === "string" ? found : undefined;
}

function fromBase64(text: string): Uint8Array {
  try {
    const binary = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(binary, (c) => c.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}
