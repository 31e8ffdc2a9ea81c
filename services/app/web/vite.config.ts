/// <reference types="vitest/config" />
import { defineConfig } from "vite";

// What is built is committed and compared byte for byte, so nothing of the machine or the hour may enter it.
export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
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
  },
  server: { proxy: { "/api": "http://127.0.0.1:8480", "/obole.": "http://127.0.0.1:8480" } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
