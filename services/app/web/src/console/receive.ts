// How the page receives a delivery: ciphertext first, then the receipt for the key, then the rows, as `obole receive` does. Of the buyer's
// keys the market learns a key's id and one signature; the rows and the keys stay with whoever calls.
import type { Client } from "@connectrpc/connect";
import type { Delivery, DeliveryService } from "../gen/obole/delivery/v1/service_pb";
import type { BuyerKey } from "../gen/obole/offers/v1/events_pb";
import type { Cursor } from "../gen/obole/event/v1/event_pb";
import { openPackage, ParcelError, same, sha256, split, type Keys, type Opened } from "../model/parcel";
import { faultOf } from "../net/fault";

/** How far it is. */
export type Stage = { at: "fetching"; bytes: number } | { at: "asking" } | { at: "opening" };

/** How often in a row a fetch may break without a byte having come. */
const tries = 5;

/** Ids of the keys to which a delivery's content key may come: the one that it names, and those that have taken its place, the newest last. */
export function fitting(d: Delivery, known: readonly BuyerKey[]): string[] {
  const fits = [d.buyerKeyId];
  for (;;) {
    const next = known.find((k) => k.id === fits[fits.length - 1])?.replacedBy ?? "";
    if (next === "" || fits.includes(next)) return fits;
    fits.push(next);
  }
}

/** Whether these keys are of those that a delivery is for. Asked before anything is signed, since what is signed for is charged. */
export function check(fits: readonly string[], buyer: string, keys: Keys): void {
  if (keys.buyer !== buyer) throw new ParcelError("buyer");
  if (!fits.includes(keys.id)) throw new ParcelError("key", { wanted: fits[fits.length - 1] ?? "", held: keys.id });
}

/** A delivery that was received, and up to where the market's log is behind it. */
export interface Received extends Opened {
  cursor: Cursor | undefined;
}

/**
 * Receives one delivery. A refusal of the market is thrown as it came; what cannot be opened is a ParcelError. Whoever calls again pays
 * nothing more: a delivery is charged once.
 */
export async function receive(from: Client<typeof DeliveryService>, buyer: string, d: Delivery, fits: readonly string[], keys: Keys, tell: (s: Stage) => void, signal: AbortSignal): Promise<Received> {
  check(fits, buyer, keys);
  const sealed = await fetchPackage(from, buyer, d, tell, signal);
  const digest = await sha256(sealed);
  if (!same(digest, d.digest)) throw new ParcelError("digest");
  tell({ at: "asking" });
  const signature = await keys.sign(d.deliveryId, digest);
  const answer = await from.signReceipt({ buyerId: buyer, deliveryId: d.deliveryId, digest, keyId: keys.id, signature }, { signal });
  if (answer.keyId !== keys.id) throw new ParcelError("key", { wanted: answer.keyId, held: keys.id });
  tell({ at: "opening" });
  const key = await keys.open(d.deliveryId, answer.sealedKey.slice());
  const file = await openPackage(key, d.deliveryId, sealed);
  const said = { delivery: d.deliveryId, product: d.product?.id ?? "", version: d.product?.version ?? "", sequence: d.sequence };
  return { ...split(file, said), cursor: answer.cursor };
}

// Brings the ciphertext, going on where a fetch broke.
async function fetchPackage(from: Client<typeof DeliveryService>, buyer: string, d: Delivery, tell: (s: Stage) => void, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const whole = Number(d.bytes);
  const sealed = new Uint8Array(whole);
  let have = 0;
  tell({ at: "fetching", bytes: 0 });
  for (let left = tries; have < whole; left--) {
    const before = have;
    try {
      for await (const m of from.fetchPackage({ buyerId: buyer, deliveryId: d.deliveryId, offset: BigInt(have) }, { signal, timeoutMs: 60_000 })) {
        if (m.offset !== BigInt(have) || have + m.chunk.length > whole) throw new ParcelError("place");
        sealed.set(m.chunk, have);
        have += m.chunk.length;
        tell({ at: "fetching", bytes: have });
      }
    } catch (thrown) {
      if (thrown instanceof ParcelError || signal.aborted || !faultOf(thrown).passing || (have === before && left === 1)) throw thrown;
    }
    if (have > before) left = tries;
    else if (left === 1) throw new ParcelError("short");
  }
  return sealed;
}
