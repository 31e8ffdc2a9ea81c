// Which screen a path is. Screens that are rarely the first, or heavy, come when they are gone to.
import { lazy, Suspense } from "preact/compat";
import { usePage } from "./page";
import { parts, type Place } from "./route";
import { Home } from "./screens/home";
import { More } from "./screens/more";
import { Lost } from "./screens/lost";
import { Bones } from "./ui/parts";

const Data = lazy(() => import("./screens/data").then((m) => ({ default: m.Data })));
const Category = lazy(() => import("./screens/category").then((m) => ({ default: m.Category })));
const Mobile = lazy(() => import("./screens/mobile").then((m) => ({ default: m.Mobile })));
const Offers = lazy(() => import("./screens/offers").then((m) => ({ default: m.Offers })));
const OfferPage = lazy(() => import("./screens/offer").then((m) => ({ default: m.OfferPage })));
const Rules = lazy(() => import("./screens/rules").then((m) => ({ default: m.Rules })));
const Uses = lazy(() => import("./screens/uses").then((m) => ({ default: m.Uses })));
const UsePage = lazy(() => import("./screens/use").then((m) => ({ default: m.UsePage })));
const Money = lazy(() => import("./screens/money").then((m) => ({ default: m.Money })));
const Inbox = lazy(() => import("./screens/inbox").then((m) => ({ default: m.Inbox })));
const Record = lazy(() => import("./screens/record").then((m) => ({ default: m.Record })));
const Rights = lazy(() => import("./screens/rights").then((m) => ({ default: m.Rights })));
const Console = lazy(() => import("./console/console").then((m) => ({ default: m.Console })));
const Privacy = lazy(() => import("./screens/privacy").then((m) => ({ default: m.Privacy })));

export function Screen({ place }: { place: Place }) {
  return <Suspense fallback={<Bones tall />}>{pick(place, usePage().me.roles)}</Suspense>;
}

function pick({ path, query }: Place, roles: string[]) {
  if (path === "/privacy") return <Privacy />;
  // Who is no subscriber begins in the console.
  if (path === "/console" || path.startsWith("/console/") || (path === "/" && !roles.includes("subscriber"))) return <Console path={path} query={query} />;
  if (!roles.includes("subscriber")) return <Lost />;
  if (path === "/") return <Home />;
  if (path === "/more") return <More />;
  const data = parts(path, "/data", 1);
  if (data?.[0] === "mobile") return <Mobile />;
  if (data) return data[0] ? <Category schema={data[0]} /> : <Data />;
  const offers = parts(path, "/offers", 1);
  if (offers) return offers[0] ? <OfferPage id={offers[0]} query={query} /> : <Offers query={query} />;
  const uses = parts(path, "/uses", 1);
  if (uses) return uses[0] ? <UsePage id={uses[0]} /> : <Uses />;
  if (parts(path, "/money")) return <Money query={query} />;
  if (parts(path, "/rules")) return <Rules />;
  if (parts(path, "/inbox")) return <Inbox />;
  if (parts(path, "/record")) return <Record query={query} />;
  if (parts(path, "/rights")) return <Rights />;
  return <Lost />;
}
