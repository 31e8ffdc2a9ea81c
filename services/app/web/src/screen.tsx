// Which screen a path is. Screens that are rarely the first, or heavy, come when they are gone to.
import { usePage } from "./page";
import { isId, parts, type Place } from "./route";
import { Home } from "./screens/home";
import { More } from "./screens/more";
import { Lost } from "./screens/lost";
import { PolicyPage } from "./screens/privacy";
import { Boundary, later } from "./ui/later";

const Data = later(() => import("./screens/data").then((m) => m.Data));
const Category = later(() => import("./screens/category").then((m) => m.Category));
const Mobile = later(() => import("./screens/mobile").then((m) => m.Mobile));
const Offers = later(() => import("./screens/offers").then((m) => m.Offers));
const OfferPage = later(() => import("./screens/offer").then((m) => m.OfferPage));
const Rules = later(() => import("./screens/rules").then((m) => m.Rules));
const Uses = later(() => import("./screens/uses").then((m) => m.Uses));
const UsePage = later(() => import("./screens/use").then((m) => m.UsePage));
const Money = later(() => import("./screens/money").then((m) => m.Money));
const Inbox = later(() => import("./screens/inbox").then((m) => m.Inbox));
const Record = later(() => import("./screens/record").then((m) => m.Record));
const Rights = later(() => import("./screens/rights").then((m) => m.Rights));
const Console = later(() => import("./console/console").then((m) => m.Console));

export function Screen({ place }: { place: Place }) {
  return <Boundary at={`${place.path}?${place.query}`}>{pick(place, usePage().me.roles)}</Boundary>;
}

function pick({ path, query }: Place, roles: string[]) {
  if (path === "/privacy") return <PolicyPage />;
  // Who is no subscriber begins in the console.
  if (path === "/console" || path.startsWith("/console/") || (path === "/" && !roles.includes("subscriber"))) return <Console path={path} query={query} />;
  if (!roles.includes("subscriber")) return <Lost />;
  if (path === "/") return <Home />;
  if (path === "/more") return <More />;
  const data = parts(path, "/data", 1);
  if (data?.[0] === "mobile") return <Mobile />;
  if (data) return data[0] ? <Category schema={data[0]} /> : <Data />;
  const offers = parts(path, "/offers", 1);
  if (offers?.[0] && !isId(offers[0])) return <Lost />;
  if (offers) return offers[0] ? <OfferPage id={offers[0]} query={query} /> : <Offers query={query} />;
  const uses = parts(path, "/uses", 1);
  if (uses?.[0] && !isId(uses[0])) return <Lost />;
  if (uses) return uses[0] ? <UsePage id={uses[0]} /> : <Uses />;
  if (parts(path, "/money")) return <Money query={query} />;
  if (parts(path, "/rules")) return <Rules />;
  if (parts(path, "/inbox")) return <Inbox />;
  if (parts(path, "/record")) return <Record query={query} />;
  if (parts(path, "/rights")) return <Rights />;
  return <Lost />;
}
