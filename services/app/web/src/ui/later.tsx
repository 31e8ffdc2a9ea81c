// Pieces of the page that come when they are gone to, and what is said where one does not come or a screen breaks.
import { Component, type ComponentChildren, type ComponentType } from "preact";
import { useEffect, useState } from "preact/compat";
import { useSpeech } from "../i18n";
import { Fault } from "../net/fault";
import { Bones, PageHead, Problem } from "./parts";

// A screen that cannot be shown still has a head, where whoever goes there begins to read.
function Out({ fault, again }: { fault: Fault; again: () => void }) {
  const { t } = useSpeech();
  return (
    <>
      <PageHead title={t("page.out")} />
      <Problem fault={fault} again={again} />
    </>
  );
}

/** A component whose code is fetched when it is first shown. What could not be fetched is asked for again when somebody says so. */
export function later<P extends object>(load: () => Promise<ComponentType<P>>): ComponentType<P> {
  let come: ComponentType<P> | undefined;
  return function Later(props: P) {
    const [Shown, show] = useState(() => come);
    const [fault, setFault] = useState<Fault>();
    const fetch = (then: (f: Fault) => void) => {
      setFault(undefined);
      load().then(
        (c) => {
          come = c;
          show(() => c);
        },
        () => then(new Fault("offline", "PAGE_PIECE", "a piece of the page did not come")),
      );
    };
    useEffect(() => {
      if (!Shown) fetch(setFault);
    }, []);
    if (Shown) return <Shown {...props} />;
    // Where the network is there and the piece is not, the page has been replaced by a newer one: only loading it anew finds its pieces.
    return fault ? <Out fault={fault} again={() => fetch((f) => (navigator.onLine ? location.reload() : setFault(f)))} /> : <Bones tall />;
  };
}

interface Where {
  /** Where somebody is: what is broken at one place says nothing of another. */
  at: string;
}

/** Says that what stands within is broken, instead of leaving nothing there. */
export class Boundary extends Component<Where & { children: ComponentChildren }, Where & { broken: boolean }> {
  override state = { at: this.props.at, broken: false };
  static override getDerivedStateFromProps(props: Where, state: Where) {
    return props.at === state.at ? null : { at: props.at, broken: false };
  }
  static override getDerivedStateFromError() {
    return { broken: true };
  }
  override render() {
    return this.state.broken ? <Out fault={new Fault("broken", "PAGE_BROKEN", "a screen threw")} again={() => location.reload()} /> : this.props.children;
  }
}
