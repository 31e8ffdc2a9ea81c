// The page: who is here, in what language, and which screen.
import { useEffect, useMemo, useRef, useState } from "preact/compat";
import { Frame } from "./frame";
import { load, localeOf, pick, Speech, SpeechContext, useSpeech, type Language } from "./i18n";
import { onSessionEnd, transport } from "./net/client";
import { faultOf, type Fault } from "./net/fault";
import { leave as leaveNothing, wipe } from "./net/last";
import { live, watched, type Line } from "./net/live";
import { Reads, ReadsContext } from "./net/reads";
import { readConfig, signOut, whoAmI, type Config, type Me } from "./net/session";
import { PageContext } from "./page";
import { usePlace } from "./route";
import { remember, remembered } from "./remember";
import { Screen } from "./screen";
import { Welcome } from "./screens/welcome";
import { Bones, Button, Problem } from "./ui/parts";

export function App() {
  const [speech, setSpeech] = useState<Speech>();
  const [language, setLanguage] = useState<Language>(() => pick([remembered("language") ?? "", ...navigator.languages]));
  useEffect(() => {
    let here = true;
    void load(language).then((messages) => {
      if (!here) return;
      document.documentElement.lang = language;
      setSpeech(new Speech(language, localeOf(language, navigator.languages), messages));
    });
    return () => {
      here = false;
    };
  }, [language]);
  if (!speech) return null;
  const speak = (l: Language) => {
    remember("language", l);
    setLanguage(l);
  };
  return (
    <SpeechContext.Provider value={speech}>
      <Signed speak={speak} />
    </SpeechContext.Provider>
  );
}

interface Start {
  me: Me | undefined;
  config: Config | undefined;
  fault: Fault | undefined;
}

// Nobody is signed in: whoever sits here next, without a network too, learns nothing of who was.
function forget(): void {
  remember("start", undefined);
  remember("person", undefined);
  void wipe();
}

function Signed({ speak }: { speak: (l: Language) => void }) {
  const [start, setStart] = useState<Start>();
  const begin = () => {
    Promise.all([whoAmI(), readConfig()]).then(
      ([me, config]) => {
        // Somebody else than last time: what was kept is not theirs.
        const before = remembered("person");
        if (me && before !== me.subject) {
          void wipe();
          remember("person", me.subject);
        }
        if (me) remember("start", JSON.stringify({ me, config }));
        else forget();
        setStart({ me, config, fault: undefined });
      },
      (thrown: unknown) => {
        const fault = faultOf(thrown);
        const kept = fault.passing ? keptStart() : undefined;
        setStart({ me: kept?.me, config: kept?.config, fault });
      },
    );
  };
  useEffect(begin, []);
  if (!start)
    return (
      <div class="main">
        <Bones tall />
      </div>
    );
  if (start.me && start.config) return <Inside me={start.me} config={start.config} speak={speak} />;
  if (start.fault)
    return (
      <main class="main">
        <Problem fault={start.fault} again={begin} />
      </main>
    );
  return <Welcome config={start.config} speak={speak} />;
}

// Whoever was here last may read their last state without a network: id and name only, and only until they sign out.
function keptStart(): { me: Me; config: Config } | undefined {
  try {
    const kept: unknown = JSON.parse(remembered("start") ?? "null");
    if (typeof kept !== "object" || kept === null || !("me" in kept) || !("config" in kept)) return undefined;
    return kept as { me: Me; config: Config };
  } catch {
    return undefined;
  }
}

function Inside({ me, config, speak }: { me: Me; config: Config; speak: (l: Language) => void }) {
  const place = usePlace();
  const reads = useMemo(() => new Reads(transport, me.subject), [me.subject]);
  const [line, setLine] = useState<Line>("starting");
  const [online, setOnline] = useState(navigator.onLine);
  const [over, setOver] = useState(false);
  const [said, say] = useState("");
  const subscriber = me.roles.includes("subscriber");

  useEffect(() => onSessionEnd(() => setOver(true)), []);

  useEffect(() => {
    if (!subscriber || over) return;
    const end = new AbortController();
    live(
      me.subject,
      {
        happened: (service) => {
          // What happened at one service often leads to something at the others a moment later; each tells by itself, but the screens that
          // stand on two of them may as well ask at once. Offers have no stream: a consent or a delivery changes how they stand.
          reads.happened(service, "offers");
        },
        line: (l) => {
          setLine(l);
          if (l === "broken") reads.mistrust(watched);
        },
        resumed: (service) => reads.happened(service),
      },
      end.signal,
    );
    return () => end.abort();
  }, [me.subject, subscriber, over, reads]);

  // Without the streams the page asks by itself, so that what it shows is not old for long.
  useEffect(() => {
    if (!subscriber || over || line === "live") return;
    const timer = setInterval(() => {
      if (document.visibilityState === "visible" && navigator.onLine) reads.happened(...watched);
    }, 10_000);
    return () => clearInterval(timer);
  }, [subscriber, over, line, reads]);

  useEffect(() => {
    const net = () => {
      setOnline(navigator.onLine);
      // A stream may look open for a while after the network has gone: what stands on screen is no longer known to be so.
      if (navigator.onLine) reads.refreshAll();
      else reads.mistrust(["offers", ...watched]);
    };
    const seen = () => {
      if (document.visibilityState === "visible") reads.happened("offers", ...watched);
    };
    addEventListener("online", net);
    addEventListener("offline", net);
    document.addEventListener("visibilitychange", seen);
    return () => {
      removeEventListener("online", net);
      removeEventListener("offline", net);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [reads]);

  // Signing out in one tab signs out the others: nothing personal stays on any screen.
  const goodbye = useRef<BroadcastChannel>(undefined);
  useEffect(() => {
    const channel = new BroadcastChannel("obole-session");
    goodbye.current = channel;
    channel.onmessage = () => void leaveNothing().then(() => location.replace("/"));
    return () => channel.close();
  }, []);

  const leave = async (everywhere: boolean) => {
    const to = await signOut(everywhere);
    forget();
    await leaveNothing();
    goodbye.current?.postMessage("out");
    location.replace(to);
  };

  // The title of a new screen takes the focus; the first one leaves it to the browser.
  const first = useRef(true);
  useEffect(() => {
    if (first.current) {
      first.current = false;
      return;
    }
    say("");
    scrollTo(0, 0);
    document.getElementById("page-title")?.focus({ preventScroll: true });
  }, [place.path]);

  return (
    <PageContext.Provider value={{ me, config, line, online, over, speak, leave, say }}>
      <ReadsContext.Provider value={reads}>
        <Frame path={place.path}>
          <Screen place={place} />
        </Frame>
        <Said text={said} close={() => say("")} />
      </ReadsContext.Provider>
    </PageContext.Provider>
  );
}

// What came of an act. It stays until it is closed or another screen is gone to: nobody must be quick to read it.
function Said({ text, close }: { text: string; close: () => void }) {
  const { t } = useSpeech();
  return (
    <div class={text ? "said" : "unseen"} role="status" aria-live="polite" data-testid="said">
      {text && (
        <>
          <p>{text}</p>
          <Button kind="plain" square icon="close" label={t("act.close")} onClick={close}>
            {null}
          </Button>
        </>
      )}
    </div>
  );
}
