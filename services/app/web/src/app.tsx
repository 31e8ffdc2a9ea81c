// The page: who is here, in what language, and which screen.
import { useEffect, useMemo, useRef, useState } from "preact/compat";
import { Frame } from "./frame";
import { load, localeOf, pick, Speech, SpeechContext, useSpeech, type Language } from "./i18n";
import { onNotOwner, onSessionEnd, transport } from "./net/client";
import { faultOf, type Fault } from "./net/fault";
import { keepNothing, leave as leaveNothing, wipe } from "./net/last";
import { live, watched, type Line } from "./net/live";
import { Reads, ReadsContext } from "./net/reads";
import { readConfig, signOut, whoAmI, type Config, type Me } from "./net/session";
import { PageContext, type Speak } from "./page";
import { scrollBack, usePlace } from "./route";
import { remember, remembered } from "./remember";
import { Screen } from "./screen";
import { Welcome } from "./screens/welcome";
import { Bones, Button, Problem } from "./ui/parts";

// Said where no language's words can be had, so it is in no language's file.
const wordless = [
  ["en", "The page could not be loaded. Check your connection and try again."],
  ["fr", "La page n’a pas pu être chargée. Vérifiez votre connexion et réessayez."],
  ["es", "No se pudo cargar la página. Compruebe su conexión e inténtelo de nuevo."],
] as const;

export function App() {
  const [speech, setSpeech] = useState<Speech>();
  const [mute, setMute] = useState(false);
  const wanted = useRef<Language>(undefined);
  const begin = async (language: Language) => {
    wanted.current = language;
    const messages = await load(language);
    if (wanted.current !== language) return; // another was chosen meanwhile
    document.documentElement.lang = language;
    setSpeech(new Speech(language, localeOf(language, navigator.languages), messages));
  };
  useEffect(() => {
    begin(pick([remembered("language") ?? "", ...navigator.languages])).catch(() => setMute(true));
  }, []);
  if (!speech)
    return mute ? (
      <main class="main">
        <h1 class="unseen">Obole</h1>
        {wordless.map(([language, words]) => (
          <p key={language} lang={language}>
            {words}
          </p>
        ))}
        <div>
          <button type="button" class="button" onClick={() => location.reload()}>
            ↻ Obole
          </button>
        </div>
      </main>
    ) : null;
  // Chosen is what could be loaded: until then, and where it cannot, the page goes on in the language that it has.
  const speak = async (language: Language) => {
    await begin(language);
    remember("language", language);
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

function Signed({ speak }: { speak: Speak }) {
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
  if (start.me && start.config) return <Inside me={start.me} known={!start.fault} config={start.config} speak={speak} />;
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

// Between tabs: somebody has signed out, or who it is that is signed in.
interface Tidings {
  out?: true;
  subject?: string;
}

// Somebody else is signed in here now.
function startAnew(): void {
  keepNothing();
  location.reload();
}

function Inside({ me, known, config, speak }: { me: Me; known: boolean; config: Config; speak: Speak }) {
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

  // Signing out in one tab signs out the others, and somebody else's signing in shows them the new person's page: nothing personal of who
  // was here stays on any screen.
  const others = useRef<BroadcastChannel>(undefined);
  useEffect(() => {
    const channel = new BroadcastChannel("obole-session");
    others.current = channel;
    channel.onmessage = (m: MessageEvent<Tidings>) => {
      if (m.data.out) void leaveNothing().then(() => location.replace("/"));
      else if (m.data.subject !== me.subject) startAnew();
    };
    // Who was here last is no tidings: without an answer of the edge nobody is known to be signed in.
    if (known) channel.postMessage({ subject: me.subject } satisfies Tidings);
    const asked = onNotOwner(() => {
      whoAmI().then(
        (now) => {
          if (now && now.subject !== me.subject) startAnew();
        },
        () => undefined, // it is asked again with the next refusal
      );
    });
    return () => {
      channel.close();
      asked();
    };
  }, [me.subject, known]);

  const leave = async (everywhere: boolean) => {
    const to = await signOut(everywhere);
    forget();
    await leaveNothing();
    others.current?.postMessage({ out: true } satisfies Tidings);
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
    scrollBack(place.y);
    document.getElementById("page-title")?.focus({ preventScroll: true });
  }, [place.turn]);

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
