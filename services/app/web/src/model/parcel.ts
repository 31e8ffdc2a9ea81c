// What one delivery carries, and how its key travels: the buyer's side of the format that pkg/parcel describes, for the page. Nothing here
// asks anybody or keeps anything: keys come in as the text of a key file and are held by what this makes of it.

/** Why a package could not be opened here. */
export type Wrong =
  | "keyfile" // no key file of `obole keys`
  | "buyer" // a key file of another buyer
  | "key" // sealed to another key than the file's
  | "algorithm" // a key of a kind that this page does not know
  | "browser" // the browser lacks what it takes
  | "short" // the package ends early
  | "place" // bytes of another place than asked for
  | "digest" // not the bytes that the market has named
  | "format" // not a package of a known version
  | "sealed" // the content key does not open with the file's key
  | "tampered" // altered, cut short, or of another delivery
  | "manifest" // what is inside says that it is something else
  | "rows"; // not as many rows as it says, or lines that are none

export class ParcelError extends Error {
  override readonly name = "ParcelError";
  constructor(
    readonly wrong: Wrong,
    /** Names what is meant, as a key's id; never a part of a key or of a row. */
    readonly about: Record<string, string> = {},
  ) {
    super(wrong);
  }
}

const utf8 = new TextEncoder();
const magic = utf8.encode("OBP1");
const chunkSize = 64 << 10;
const tagSize = 16;
const keySize = 32;
const x25519 = "HPKE-X25519-HKDF-SHA256-AES256GCM";
const hybrid = "HPKE-MLKEM768X25519-HKDF-SHA256-AES256GCM";

type Bytes = Uint8Array<ArrayBuffer>;

/** A label and the delivery that it is said of: what every seal and signature is bound to. */
function bind(label: string, delivery: string, rest: Bytes = new Uint8Array()): Bytes {
  const head = utf8.encode(`${label}\0${delivery}`);
  const out = new Uint8Array(head.length + rest.length);
  out.set(head);
  out.set(rest, head.length);
  return out;
}

/** A buyer's keys, as the browser holds them while a screen is open. */
export interface Keys {
  /** Whose: the buyer's id. */
  readonly buyer: string;
  /** The key's id, as the market knows it. */
  readonly id: string;
  /** The receipt's signature over a delivery and the SHA-256 of its package. */
  sign(delivery: string, digest: Bytes): Promise<Bytes>;
  /** The content key of a delivery, as it was sealed to this key. */
  open(delivery: string, sealed: Bytes): Promise<Bytes>;
}

/** Reads a key file as `obole keys` writes it. What comes of it lives as long as whoever asked holds it. */
export async function readKeys(text: string): Promise<Keys> {
  const file = parsed(text);
  const [buyer, id, algorithm] = [texts(file, "buyer_id"), texts(file, "key_id"), texts(file, "algorithm")];
  const [own, receipt] = [bytesOf(file, "private_key"), bytesOf(file, "receipt_private_key")];
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(buyer) || id === "" || receipt.length !== 64 || own.length === 0) throw new ParcelError("keyfile");
  if (algorithm !== x25519 && algorithm !== hybrid) throw new ParcelError("algorithm", { algorithm });
  const signer = await signerOf(receipt);
  const { NotSupportedError, suite } = await suiteOf(algorithm);
  let recipient: CryptoKey;
  try {
    recipient = await suite.kem.importKey("raw", own.buffer, false);
  } catch (thrown) {
    throw new ParcelError(thrown instanceof NotSupportedError ? "browser" : "keyfile");
  }
  return {
    buyer,
    id,
    sign: async (delivery, digest) => new Uint8Array(await crypto.subtle.sign("Ed25519", signer, bind("obole receipt v1", delivery, digest))),
    open: async (delivery, sealed) => {
      const head = suite.kem.encSize;
      let key: ArrayBuffer;
      try {
        key = await suite.open({ recipientKey: recipient, enc: sealed.slice(0, head).buffer, info: bind("obole key v1", delivery).buffer }, sealed.slice(head).buffer);
      } catch {
        throw new ParcelError("sealed");
      }
      if (key.byteLength !== keySize) throw new ParcelError("sealed");
      return new Uint8Array(key);
    },
  };
}

// The pieces of HPKE come when a key asks for them: the hybrid's are larger, and few have such a key.
async function suiteOf(algorithm: string) {
  const { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256, NotSupportedError } = await import("@hpke/core");
  const kem = algorithm === hybrid ? new (await import("@hpke/hybridkem-x-wing")).XWing() : new DhkemX25519HkdfSha256();
  return { NotSupportedError, suite: new CipherSuite({ kem, kdf: new HkdfSha256(), aead: new Aes256Gcm() }) };
}

// A private key of Go's ed25519 is its seed and then its public key.
async function signerOf(key: Bytes): Promise<CryptoKey> {
  const url = (b: Bytes) => btoa(String.fromCharCode(...b)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  try {
    return await crypto.subtle.importKey("jwk", { kty: "OKP", crv: "Ed25519", d: url(key.slice(0, 32)), x: url(key.slice(32)) }, "Ed25519", false, ["sign"]);
  } catch (thrown) {
    throw new ParcelError(thrown instanceof DOMException && thrown.name === "NotSupportedError" ? "browser" : "keyfile");
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {
    // Said below: the cause would quote the file.
  }
  throw new ParcelError("keyfile");
}

function texts(file: Record<string, unknown>, name: string): string {
  const value = file[name];
  return typeof value === "string" ? value : "";
}

function bytesOf(file: Record<string, unknown>, name: string): Bytes {
  try {
    return Uint8Array.from(atob(texts(file, name)), (c) => c.charCodeAt(0));
  } catch {
    throw new ParcelError("keyfile");
  }
}

/** SHA-256. */
export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Whether two digests are the same. Neither is a secret. */
export function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** Opens a package. Only what is whole comes out: a chunk that is altered, moved or missing, the last one too, and nothing does. */
export async function openPackage(key: Bytes, delivery: string, sealed: Bytes): Promise<Bytes> {
  if (sealed.length < magic.length || !same(sealed.subarray(0, magic.length), magic)) throw new ParcelError("format");
  const gcm = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
  const additionalData = bind("obole package v1", delivery);
  const body = sealed.subarray(magic.length);
  const chunks = Math.max(1, Math.ceil(body.length / (chunkSize + tagSize)));
  const file = new Uint8Array(Math.max(0, body.length - chunks * tagSize));
  for (let i = 0, at = 0; i < chunks; i++) {
    const iv = new Uint8Array(12);
    new DataView(iv.buffer).setUint32(7, i);
    iv[11] = i === chunks - 1 ? 1 : 0;
    try {
      const plain = await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData }, gcm, body.subarray(i * (chunkSize + tagSize), (i + 1) * (chunkSize + tagSize)));
      file.set(new Uint8Array(plain), at);
      at += plain.byteLength;
    } catch {
      throw new ParcelError("tampered");
    }
  }
  return file;
}

/** What the rows are and what may be done with them: the first line of a package's file. */
export interface Manifest {
  format: string;
  delivery: string;
  agreement: string;
  sequence: number;
  product: string;
  version: string;
  /** "id:rung" each. */
  fields: string[];
  purpose: string;
  rows: number;
  retention_days: number;
  recipients?: string[];
  /** JSON Schema of a row. */
  schema: unknown;
}

export type Row = Record<string, unknown>;

/** A package that was opened. */
export interface Opened {
  manifest: Manifest;
  rows: Row[];
  /** The manifest and the rows as they came, for files. */
  head: Bytes;
  lines: Bytes;
}

/** Splits a package's file into its manifest and rows, and holds them to what the delivery is said to be. */
export function split(file: Bytes, expected: { delivery: string; product: string; version: string; sequence: number }): Opened {
  const end = file.indexOf(10);
  if (end < 0) throw new ParcelError("format");
  const manifest = json(file.subarray(0, end)) as Partial<Manifest> | undefined;
  if (manifest?.format !== "obole package 1") throw new ParcelError("format");
  const { delivery, product, version, sequence } = expected;
  if (manifest.delivery !== delivery || manifest.product !== product || manifest.version !== version || manifest.sequence !== sequence) throw new ParcelError("manifest");
  const lines = file.subarray(end + 1);
  const rows: Row[] = [];
  for (let at = 0; at < lines.length; ) {
    const next = lines.indexOf(10, at);
    const row = next < 0 ? undefined : json(lines.subarray(at, next));
    if (typeof row !== "object" || row === null || Array.isArray(row)) throw new ParcelError("rows");
    rows.push(row as Row);
    at = next + 1;
  }
  if (rows.length !== manifest.rows) throw new ParcelError("rows");
  return { manifest: manifest as Manifest, rows, head: file.subarray(0, end + 1), lines };
}

function json(bytes: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
