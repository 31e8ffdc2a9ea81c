/// <reference types="vitest/config" />
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { defineConfig, type Plugin } from "vite";

// Tells the service worker which files the build has.
function worker(): Plugin {
  return {
    name: "worker-files",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const sw = bundle["sw.js"];
      if (sw?.type !== "chunk") throw new Error("no service worker in the bundle");
      // What opens packages is for buyers, who have a network then: it is not put on every phone.
      const needsNetwork = (f: string) => {
        const piece = bundle[f];
        return piece?.type === "chunk" && piece.moduleIds.some((m) => /\/node_modules\/(@hpke|mlkem)\//.test(m));
      };
      const made = Object.keys(bundle).filter((f) => f.startsWith("assets/") && !needsNetwork(f));
      const files = ["/", "/theme.js", "/icon.svg", "/manifest.webmanifest", ...made.map((f) => `/${f}`)].sort();
      const version = createHash("sha256").update(files.join("\n")).update(String(bundle["index.html"]?.fileName)).digest("hex").slice(0, 12);
      sw.code = sw.code.replace("__FILES__", files.join(" ")).replace("__VERSION__", version);
    },
  };
}

const languages = ["en", "fr", "es"];
const escaped = (text: string) => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);

// A page for addresses that are none, in each language: the edge sends it with 404 to whoever follows an old link, and it needs no script.
function lost(): Plugin {
  return {
    name: "lost",
    apply: "build",
    enforce: "post",
    generateBundle(_, bundle) {
      const entry = Object.values(bundle).find((f) => f.type === "chunk" && f.isEntry && f.name === "index");
      const styles = entry?.type === "chunk" ? [...(entry.viteMetadata?.importedCss ?? [])] : [];
      if (styles.length === 0) throw new Error("no style sheet of the page in the bundle");
      for (const language of languages) {
        const m = JSON.parse(readFileSync(new URL(`src/i18n/messages/${language}.json`, import.meta.url), "utf8")) as Record<string, string>;
        const t = (key: string) => escaped(m[key] ?? "");
        this.emitFile({
          type: "asset",
          fileName: `lost.${language}.html`,
          source: `<!doctype html>
<html lang="${language}">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
    <meta name="color-scheme" content="light dark" />
    <meta name="robots" content="noindex" />
    <meta name="referrer" content="no-referrer" />
    <title>${t("lost.title")} · Obole</title>
    <link rel="icon" href="/icon.svg" type="image/svg+xml" />
    <script src="/theme.js"></script>
${styles.map((f) => `    <link rel="stylesheet" href="/${f}" />`).join("\n")}
  </head>
  <body>
    <div class="frame outside">
      <header class="top">
        <a class="brand" href="/"><img src="/icon.svg" alt="" />Obole</a>
      </header>
      <main class="main" id="main">
        <section class="explain">
          <h1>${t("lost.title")}</h1>
          <p class="lead">${t("lost.what")}</p>
          <p>${t("lost.text")}</p>
          <a class="button main-act" href="/">${t("lost.home")}</a>
        </section>
      </main>
      <footer class="foot">
        <div class="inner"><a href="/privacy">${t("nav.privacy")}</a></div>
      </footer>
    </div>
  </body>
</html>
`,
        });
      }
    },
  };
}

// What is built is committed and compared byte for byte, so nothing of the machine or the hour may enter it.
export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [worker(), lost()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    sourcemap: false,
    // The strict policy allows no inline script and no data: fonts or styles.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 400,
    rolldownOptions: {
      input: { index: "index.html", sw: "src/sw.ts" },
      output: {
        entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
        chunkFileNames: "assets/[name]-[hash].js",
        assetFileNames: "assets/[name]-[hash][extname]",
      },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8480", "/rpc": "http://127.0.0.1:8480", "/login": "http://127.0.0.1:8480", "/import": "http://127.0.0.1:8480" } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
