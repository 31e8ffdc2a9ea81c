// The console: what buyers and staff see, by role. It is a piece of the page of its own, which no subscriber loads.
import { useSpeech } from "../i18n";
import { usePage } from "../page";
import { isId, parts } from "../route";
import { Lost } from "../screens/lost";
import { later } from "../ui/later";
import { BidForm } from "./bidform";
import { Bids } from "./bids";
import { Buyers } from "./buyers";
import { Deliveries } from "./deliveries";
import { Balance, Replay, Statement } from "./finance";
import { Funds } from "./funds";
import { Payouts } from "./payouts";
import { roomAt, roomsOf } from "./roles";
import { Services } from "./services";

// Opening packages is more code than the rest of the console, and only buyers need it.
const Parcel = later(() => import("./parcel").then((m) => m.Parcel));

export function Console({ path, query }: { path: string; query: URLSearchParams }) {
  const { t } = useSpeech();
  const { me } = usePage();
  const at = roomAt(path, me.roles)?.href;
  // Beside a subscriber's own screens the frame has room for one way in, so the rooms are shown here.
  const rooms = me.roles.includes("subscriber") ? roomsOf(me.roles) : [];
  return (
    <>
      {rooms.length > 1 && (
        <nav class="row" aria-label={t("nav.console")}>
          {rooms.map((r) => (
            <a key={r.href} class="button" href={r.href} aria-current={r.href === at ? "page" : undefined}>
              {t(r.name)}
            </a>
          ))}
        </nav>
      )}
      <Room path={path} query={query} at={at} />
    </>
  );
}

function Room({ path, query, at }: { path: string; query: URLSearchParams; at: string | undefined }) {
  // What a room has below it; the console itself opens the first room.
  const below = at === undefined ? undefined : path === "/" || parts(path, "/console") ? [] : parts(path, at, 1);
  const [one] = below ?? [];
  if (at === "/console/bids" && one === "new") return <BidForm />;
  if (at === "/console/deliveries" && one !== undefined && isId(one)) return <Parcel key={one} id={one} />;
  if (below?.length !== 0) return <Lost />;
  switch (at) {
    case "/console/bids":
      return <Bids />;
    case "/console/funds":
      return <Funds />;
    case "/console/deliveries":
      return <Deliveries query={query} />;
    case "/console/balance":
      return <Balance />;
    case "/console/payouts":
      return <Payouts query={query} />;
    case "/console/statement":
      return <Statement />;
    case "/console/replay":
      return <Replay />;
    case "/console/buyers":
      return <Buyers query={query} />;
    case "/console/services":
      return <Services />;
  }
  return <Lost />;
}
