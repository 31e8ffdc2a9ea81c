// The page opens what the Go side has sealed: keys, packages and receipts are those of services/obole/internal/buyer/testdata/page, which that
// side's tests hold to be what it opens and signs.
import { create, toBinary, toJsonString, type DescMessage, type MessageShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport, type Client, type Interceptor } from "@connectrpc/connect";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DeliverySchema, DeliveryService, DeliveryState, type Delivery } from "../gen/obole/delivery/v1/service_pb";
import { BuyerKeySchema, type BuyerKey } from "../gen/obole/offers/v1/events_pb";
import { openPackage, ParcelError, readKeys } from "../model/parcel";
import { columns, mismatch } from "../model/rowschema";
import { faultOf } from "../net/fault";
import { fitting, receive, type Stage } from "./receive";

interface Known {
  key_file: Record<string, string>;
  delivery: string;
  package: string;
  digest: string;
  receipt: string;
  sealed: string;
  rows: number;
  lines: string;
}

const algorithms = ["HPKE-X25519-HKDF-SHA256-AES256GCM", "HPKE-MLKEM768X25519-HKDF-SHA256-AES256GCM"] as const;
const known = (algorithm: string) => JSON.parse(readFileSync(`../../obole/internal/buyer/testdata/page/${algorithm}.json`, "utf8")) as Known;
const bytes = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));
const plain = known(algorithms[0]);

const deliveryOf = (k: Known, change: { sequence?: number; buyerKeyId?: string } = {}) =>
  create(DeliverySchema, {
    deliveryId: k.delivery,
    product: { id: "daily-steps", version: "1" },
    sequence: 1,
    state: DeliveryState.PREPARED,
    bytes: BigInt(bytes(k.package).length),
    digest: bytes(k.digest),
    buyerKeyId: k.key_file.key_id ?? "",
    ...change,
  });

/** A market that has one package, and what it was sent. It gives the key for the one right receipt. */
function market(k: Known, change: { sealed?: Uint8Array; breaks?: number; refuses?: string; keyId?: string } = {}) {
  const sent: string[] = [];
  const requests: DescMessage[] = [];
  const note: Interceptor = (next) => async (r) => {
    const take = <D extends DescMessage>(schema: D, message: MessageShape<D>) => {
      requests.push(schema);
      sent.push(toJsonString(schema, message), Buffer.from(toBinary(schema, message)).toString("latin1"), JSON.stringify([...r.header.entries()]), r.url);
    };
    if (!r.stream) take(r.method.input, r.message);
    else {
      const message = r.message;
      return next({
        ...r,
        message: (async function* () {
          for await (const m of message) {
            take(r.method.input, m);
            yield m;
          }
        })(),
      });
    }
    return next(r);
  };
  const whole = change.sealed ?? bytes(k.package);
  let breaks = change.breaks ?? 0;
  const asked: bigint[] = [];
  const transport = createRouterTransport(
    ({ service }) => {
      service(DeliveryService, {
        fetchPackage: async function* (r) {
          asked.push(r.offset);
          for (let at = Number(r.offset); at < whole.length; at += 16_384) {
            if (breaks > 0 && at > Number(r.offset)) {
              breaks--;
              throw new ConnectError("the stream broke", Code.Unavailable);
            }
            yield { offset: BigInt(at), chunk: whole.slice(at, at + 16_384) };
          }
        },
        signReceipt: (r) => {
          if (change.refuses) throw new ConnectError(change.refuses, Code.FailedPrecondition);
          if (!Buffer.from(r.signature).equals(Buffer.from(bytes(k.receipt)))) throw new ConnectError("not the buyer's signature", Code.InvalidArgument);
          return { sealedKey: bytes(k.sealed), keyId: change.keyId ?? k.key_file.key_id ?? "" };
        },
      });
    },
    { transport: { interceptors: [note] } },
  );
  return { client: createClient(DeliveryService, transport), sent, requests, asked };
}

const keysOf = (k: Known) => readKeys(JSON.stringify(k.key_file));
const go = async (client: Client<typeof DeliveryService>, d: Delivery, k = plain, who = k.key_file.buyer_id ?? "", known: BuyerKey[] = []) =>
  receive(client, who, d, fitting(d, known), await keysOf(k), () => undefined, new AbortController().signal);
const wrong = async (what: Promise<unknown>): Promise<string> =>
  what.then(
    () => "nothing",
    (thrown: unknown) => (thrown instanceof ParcelError ? thrown.wrong : faultOf(thrown).kind),
  );

describe("a package that the Go side has sealed", () => {
  it.each(algorithms)("comes out row by row under %s", async (algorithm) => {
    const k = known(algorithm);
    const { client } = market(k);
    const stages: Stage[] = [];
    const opened = await receive(client, k.key_file.buyer_id ?? "", deliveryOf(k), fitting(deliveryOf(k), []), await keysOf(k), (s) => stages.push(s), new AbortController().signal);
    expect(opened.rows).toHaveLength(k.rows);
    expect(createHash("sha256").update(opened.lines).digest("base64")).toBe(k.lines);
    expect(columns(opened.manifest.schema)).toEqual(["person", "date", "steps", "energy"]);
    expect(mismatch(opened.manifest.schema, opened.rows)).toBeUndefined();
    expect(opened.rows[2]).toEqual({ person: "made-up-000", date: "2016-04-03", steps: 200, energy: null });
    expect(stages.map((s) => s.at).filter((s, i, all) => s !== all[i - 1])).toEqual(["fetching", "asking", "opening"]);
  });

  it("goes on where a fetch broke", async () => {
    const { client, asked } = market(plain, { breaks: 2 });
    expect((await go(client, deliveryOf(plain))).rows).toHaveLength(plain.rows);
    expect(asked).toEqual([0n, 16_384n, 32_768n]);
  });
});

describe("what leaves the page", () => {
  it.each(algorithms)("is no part of a private key of %s, in any spelling, and no row", async (algorithm) => {
    const k = known(algorithm);
    const { client, sent, requests } = market(k);
    await go(client, deliveryOf(k), k);
    expect(requests.map((r) => r.typeName)).toEqual(["obole.delivery.v1.FetchPackageRequest", "obole.delivery.v1.SignReceiptRequest"]);
    const all = sent.join("\n");
    // The receipt's key is its seed and then its public half: the seed is what is secret.
    const secrets = [bytes(k.key_file.private_key ?? ""), bytes(k.key_file.receipt_private_key ?? "").slice(0, 32)];
    for (const secret of secrets) {
      expect(secret.length).toBe(32);
      for (let at = 0; at + 8 <= secret.length; at += 8) {
        const part = Buffer.from(secret.slice(at, at + 8));
        for (const spelling of [part.toString("latin1"), part.toString("hex"), part.toString("base64").replace(/=+$/, "").slice(0, 10)]) expect(all).not.toContain(spelling);
      }
      expect(all).not.toContain(Buffer.from(secret).toString("base64").slice(0, 42));
      expect(all).not.toContain(Buffer.from(secret).toString("base64url").slice(0, 42));
    }
    expect(all).not.toContain("made-up");
    // The same search finds what was sent: it can fail.
    expect(all).toContain(bytesText(k.receipt));
    expect(all).toContain(k.receipt);
  });
});

describe("what stays behind in the browser", () => {
  afterEach(() => vi.unstubAllGlobals());
  it.each(algorithms)("is nothing, and no other way out is taken, under %s", async (algorithm) => {
    const touched: string[] = [];
    const trap = (name: string) =>
      new Proxy(() => undefined, {
        get: (_, property) => {
          touched.push(`${name}.${String(property)}`);
          return () => undefined;
        },
        apply: () => void touched.push(name),
        construct: () => {
          touched.push(name);
          return {};
        },
      });
    for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches", "document", "navigator", "BroadcastChannel", "fetch", "XMLHttpRequest", "WebSocket", "EventSource", "Worker"]) vi.stubGlobal(name, trap(name));
    const k = known(algorithm);
    await go(market(k).client, deliveryOf(k), k);
    expect(touched).toEqual([]);
    // The traps work.
    localStorage.setItem("key", "x");
    void fetch("/");
    expect(touched).toEqual(["localStorage.setItem", "fetch"]);
  });
});

const bytesText = (base64: string) => Buffer.from(base64, "base64").toString("latin1");

describe("what cannot be opened is told apart", () => {
  it("a file that is no key file", async () => {
    for (const text of ["", "{", "null", "[]", "{}", JSON.stringify({ ...plain.key_file, private_key: "*" }), JSON.stringify({ ...plain.key_file, receipt_private_key: "AAAA" })])
      expect(await wrong(readKeys(text)), text.slice(0, 20)).toBe("keyfile");
    expect(await wrong(readKeys(JSON.stringify({ ...plain.key_file, private_key: "AAAA" })))).toBe("keyfile");
    expect(await wrong(readKeys(JSON.stringify({ ...plain.key_file, algorithm: "ROT13" })))).toBe("algorithm");
  });

  it("another buyer's key file, or another key of this one, before anything is signed", async () => {
    const { client, sent } = market(plain);
    expect(await wrong(go(client, deliveryOf(plain), plain, "11111111-1111-4111-8111-111111111111"))).toBe("buyer");
    expect(await wrong(go(client, deliveryOf(plain, { buyerKeyId: "k-other" })))).toBe("key");
    expect(sent).toEqual([]);
  });

  it("but not one that has taken the place of the delivery's", async () => {
    const key = (id: string, replacedBy: string) => create(BuyerKeySchema, { id, replacedBy });
    const own = plain.key_file.key_id ?? "";
    const d = deliveryOf(plain, { buyerKeyId: "k-old" });
    const rotated = [key(own, ""), key("k-middle", own), key("k-old", "k-middle")];
    expect(fitting(d, rotated)).toEqual(["k-old", "k-middle", own]);
    expect((await go(market(plain).client, d, plain, plain.key_file.buyer_id, rotated)).rows).toHaveLength(plain.rows);
    expect(await wrong(go(market(plain).client, d, plain, plain.key_file.buyer_id, [key("k-old", "k-middle")]))).toBe("key");
    expect(fitting(d, [key("k-old", "k-middle"), key("k-middle", "k-old")])).toEqual(["k-old", "k-middle"]);
  });

  it("a key that went to another key after all", async () => {
    expect(await wrong(go(market(plain, { keyId: "k-other" }).client, deliveryOf(plain)))).toBe("key");
  });

  it("the right names on other private keys", async () => {
    const other = known(algorithms[1]);
    const mixed = { ...plain, key_file: { ...plain.key_file, private_key: other.key_file.private_key ?? "" } };
    expect(await wrong(go(market(plain).client, deliveryOf(plain), mixed))).toBe("sealed");
  });

  it("a package that is cut short", async () => {
    const { client, asked } = market(plain, { sealed: bytes(plain.package).slice(0, -1) });
    expect(await wrong(go(client, deliveryOf(plain)))).toBe("short");
    // What comes is counted anew; then four times nothing does.
    expect(asked.slice(1)).toEqual(Array.from({ length: 4 }, () => BigInt(bytes(plain.package).length - 1)));
  });

  it("a package whose bytes are others than the market has named", async () => {
    const altered = bytes(plain.package);
    altered[40_000] = (altered[40_000] ?? 0) ^ 1;
    expect(await wrong(go(market(plain, { sealed: altered }).client, deliveryOf(plain)))).toBe("digest");
  });

  it("a package that says to be of another product or place", async () => {
    const { client } = market(plain);
    expect(await wrong(go(client, deliveryOf(plain, { sequence: 2 })))).toBe("manifest");
  });

  it("a key that is not released yet, by the market's own word", async () => {
    expect(await wrong(go(market(plain, { refuses: "the person has paused it" }).client, deliveryOf(plain)))).toBe("refused");
  });
});

describe("chunks", () => {
  const sealing = async () => {
    const keys = await keysOf(plain);
    return keys.open(plain.delivery, bytes(plain.sealed));
  };
  it("do not open when altered, dropped, moved, of another delivery or without their end", async () => {
    const key = await sealing();
    const whole = bytes(plain.package);
    const second = 4 + 65_536 + 16;
    expect((await openPackage(key, plain.delivery, whole)).length).toBe(whole.length - 4 - 32);
    const altered = whole.slice();
    altered[second + 1] = (altered[second + 1] ?? 0) ^ 128;
    const moved = new Uint8Array([...whole.slice(0, 4), ...whole.slice(second), ...whole.slice(4, second)]);
    for (const [what, package_] of Object.entries({ altered, moved, ended: whole.slice(0, second), begun: new Uint8Array([...whole.slice(0, 4), ...whole.slice(second)]), cut: whole.slice(0, -1), bare: whole.slice(0, 4) }))
      expect(await wrong(openPackage(key, plain.delivery, package_)), what).toBe("tampered");
    expect(await wrong(openPackage(key, "11111111-1111-4111-8111-111111111111", whole))).toBe("tampered");
    expect(await wrong(openPackage(key, plain.delivery, new TextEncoder().encode("OBP2")))).toBe("format");
    expect(await wrong(openPackage(key, plain.delivery, new Uint8Array()))).toBe("format");
  });
});

describe("rows are held to their schema", () => {
  const schema = {
    type: "object",
    additionalProperties: false,
    required: ["person", "date"],
    properties: {
      person: { type: "string", minLength: 1 },
      date: { type: "string", format: "date" },
      week: { type: "string", pattern: "^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$" },
      steps: { type: ["integer", "null"], minimum: 0, multipleOf: 100 },
      mass: { type: "number", minimum: 0, multipleOf: 0.1 },
      band: { enum: ["low", "high", null] },
    },
  };
  const row = { person: "p", date: "2016-04-12", week: "2016-W15", steps: 300, mass: 70.3, band: "low" };
  it("and hold", () => {
    expect(mismatch(schema, [row, { ...row, steps: null, band: null }, { person: "q", date: "2016-02-29" }])).toBeUndefined();
  });
  it("or do not, and which one is told", () => {
    const bad: [Record<string, unknown>, string][] = [
      [{ ...row, person: "" }, "person"],
      [{ ...row, date: "2015-02-29" }, "date"],
      [{ ...row, date: 1 }, "date"],
      [{ ...row, week: "2016-W54" }, "week"],
      [{ ...row, steps: 250 }, "steps"],
      [{ ...row, steps: -100 }, "steps"],
      [{ ...row, steps: 1.5 }, "steps"],
      [{ ...row, mass: 70.35 }, "mass"],
      [{ ...row, mass: null }, "mass"],
      [{ ...row, band: "middle" }, "band"],
      [{ ...row, more: 1 }, "more"],
      [{ person: "p" }, "date"],
    ];
    for (const [r, field] of bad) expect(mismatch(schema, [row, r])).toEqual({ row: 2, field });
  });
  it("but not to one with words that are not known here", () => {
    expect(mismatch({ ...schema, oneOf: [] }, [])).toEqual({ row: 0, field: "oneOf" });
    expect(mismatch({ ...schema, properties: { a: { maximum: 1 } } }, [])).toEqual({ row: 0, field: "a.maximum" });
    expect(mismatch({ ...schema, properties: { a: { type: "string", format: "uri" } } }, [])).toEqual({ row: 0, field: "a.format" });
    expect(mismatch(undefined, [])).toEqual({ row: 0, field: "properties" });
  });
});
