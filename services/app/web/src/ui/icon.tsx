// Line icons on a 24 grid, drawn for this page; each is hidden from screen readers, since words stand beside it.
const paths = {
  home: "M4 11.2 12 4.5l8 6.7M6 9.6V19.5h4.5V14h3v5.5H18V9.6",
  data: "M4 19.5h16M6.5 16v-3.5M11 16V8M15.5 16v-5.5M20 16V5",
  offers: "M4.5 7.5h15v11h-15zM4.5 8l7.5 6 7.5-6",
  rules: "M4 7h8M16 7h4M4 17h4M12 17h8M14 4.8v4.4M10 14.8v4.4",
  uses: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 9.2a2.8 2.8 0 1 1 0 5.6 2.8 2.8 0 0 1 0-5.6",
  money: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 8.5a3.5 3.5 0 1 1-3.5 3.5",
  inbox: "M4 13.5 6.5 5.5h11l2.5 8v5H4zM4 13.5h5l1.2 2h3.6l1.2-2h5",
  record: "M6 3.8h9l3.5 3.5v12.9H6zM9.2 11h6M9.2 14.5h6M9.2 7.6h2.5",
  rights: "M12 3.8 19 6.5v5.3c0 4-2.9 7-7 8.4-4.1-1.4-7-4.4-7-8.4V6.5zM9 12l2.2 2.2L15.2 10",
  more: "M5 7h14M5 12h14M5 17h14",
  console: "M4 5.5h16v13H4zM8 10l2.5 2L8 14M12.5 14.5H16",
  back: "M14.5 6 8.5 12l6 6",
  next: "M9.5 6l6 6-6 6",
  info: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 11v5M12 8v.1",
  warn: "M12 4.5 21 19.5H3zM12 10v4.5M12 17v.1",
  good: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M8.5 12.3l2.4 2.4 4.6-5",
  bad: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M9 9l6 6M15 9l-6 6",
  clock: "M12 4a8 8 0 1 1 0 16 8 8 0 0 1 0-16M12 7.5V12l3 2",
  pause: "M8.5 6v12M15.5 6v12",
  file: "M12 15.5V5M8 9l4-4 4 4M5 15v4h14v-4",
  down: "M12 5v10.5M8 11.5l4 4 4-4M5 15.5v4h14v-4",
  plus: "M12 5.500v13M5.500 12h13",
  minus: "M5.500 12h13",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  offline: "M4 4l16 16M8.5 16.5a5 5 0 0 1 7 0M5.5 13a9.5 9.5 0 0 1 4-2.3M14 10.6a9.5 9.5 0 0 1 4.5 2.4M12 19.5v.1",
  person: "M12 4.5a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7M5 19.5c.8-3.4 3.500-5 7-5s6.200 1.600 7 5",
  out: "M10 5H5v14h5M14 8l4 4-4 4M18 12H9",
  steps: "M8 4.500c2 0 2.800 2 2.600 4.500S10 13 8 13s-2.800-1.500-2.800-4S6 4.500 8 4.500M6 15.500h3.500c0 2-.5 3.500-1.700 3.500S6 17.500 6 15.500M16.500 7c2 0 2.500 2 2.300 4.200S18 15 16.300 15s-2.700-1.300-2.600-3.800S14.500 7 16.500 7",
  sleep: "M19 14.500A7.500 7.500 0 1 1 10 5a6 6 0 0 0 9 9.500",
  weight: "M5 8h14l1 11.500H4zM9.500 8a2.500 2.500 0 1 1 5 0M12 12l2 2.500",
  heart: "M12 19.500C6 15.500 4 12.500 4 9.500A4 4 0 0 1 12 8a4 4 0 0 1 8 1.500c0 3-2 6-8 10",
  phone: "M7.500 3.500h9v17h-9zM11 17.500h2",
} as const;

export type IconName = keyof typeof paths;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      <path d={paths[name]} />
    </svg>
  );
}

/** The coin of the house. */
export function Coin() {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <circle cx="16" cy="16" r="13" fill="none" stroke="var(--accent)" stroke-width="3.6" />
      <path d="M16 9.600a6.400 6.400 0 1 1-6.400 6.400" fill="none" stroke="var(--coin)" stroke-width="3.200" stroke-linecap="round" />
    </svg>
  );
}
