import "./style/tokens.css";
import "./style/font.css";
import "./style/base.css";
import "./style/ui.css";
import "./style/screens.css";
import { render } from "preact/compat";
import { App } from "./app";

const root = document.getElementById("app");
if (root) render(<App />, root);

// The page's own files are kept for when there is no network; nothing personal goes through there.
if (import.meta.env.PROD && "serviceWorker" in navigator) {
  addEventListener("load", () => void navigator.serviceWorker.register("/sw.js").catch(() => undefined));
}
