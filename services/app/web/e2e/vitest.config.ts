import { defineConfig } from "vitest/config";

// One market for all. Files run one after another; of one file two tests at a time, which is what two cores carry. A test that hangs ends.
export default defineConfig({
  test: {
    include: [process.env.FIGURES ? "e2e/figures.ts" : "e2e/**/*.test.ts"],
    environment: "node",
    globalSetup: "e2e/setup.ts",
    fileParallelism: false,
    maxConcurrency: 2,
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
