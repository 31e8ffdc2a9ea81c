/// <reference types="vitest/config" />
import { createHash } from "node:crypto";
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

// What is built is committed and compared byte for byte, so nothing of the machine or the hour may enter it.
export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [worker()],
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
