// Which rooms of the console somebody has, by role. The services decide what each may do; this only leaves out doors that are shut.
import type { Key } from "../i18n";
import type { IconName } from "../ui/icon";

export interface Room {
  href: string;
  name: Key;
  icon: IconName;
  roles: readonly string[];
}

export const rooms: readonly Room[] = [
  { href: "/console/bids", name: "nav.bids", icon: "offers", roles: ["buyer"] },
  { href: "/console/funds", name: "nav.funds", icon: "money", roles: ["buyer"] },
  { href: "/console/deliveries", name: "nav.deliveries", icon: "down", roles: ["buyer"] },
  { href: "/console/balance", name: "nav.balance", icon: "money", roles: ["finance", "auditor"] },
  { href: "/console/payouts", name: "nav.payouts", icon: "person", roles: ["finance", "auditor"] },
  { href: "/console/statement", name: "nav.statement", icon: "record", roles: ["finance", "auditor"] },
  { href: "/console/replay", name: "nav.replay", icon: "clock", roles: ["finance", "auditor"] },
  { href: "/console/buyers", name: "nav.buyers", icon: "person", roles: ["operator", "auditor"] },
  { href: "/console/services", name: "nav.services", icon: "console", roles: ["operator", "auditor"] },
];

/** The rooms that any of somebody's roles opens. */
export function roomsOf(roles: readonly string[]): Room[] {
  return rooms.filter((r) => r.roles.some((role) => roles.includes(role)));
}

/** The room in which a path lies; the first one for the console itself. Undefined where the roles open none of that name. */
export function roomAt(path: string, roles: readonly string[]): Room | undefined {
  const open = roomsOf(roles);
  if (path === "/" || path === "/console" || path === "/console/") return open[0];
  return open.find((r) => path === r.href || path.startsWith(`${r.href}/`));
}
