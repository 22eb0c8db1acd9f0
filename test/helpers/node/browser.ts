/** A real Chromium out of the npm registry, with the libraries that a bare machine lacks. */
import type { Browser } from "playwright-core";

/**
 * Starts the browser. It runs with a sandbox of its own switched off, since containers have none to give; it only
 * ever opens pages of these tests.
 */
export async function startBrowser(): Promise<Browser> {
  const before = { ...process.env };
  // The package unpacks its libraries only where it takes the machine for one that has none.
  process.env.AWS_EXECUTION_ENV ??= "AWS_Lambda_nodejs24.x";
  try {
    const { default: chromium } = await import("@sparticuz/chromium");
    const { chromium: playwright } = await import("playwright-core");
    const executablePath = await chromium.executablePath();
    const env = Object.entries(process.env).flatMap(([name, value]) => (value ? [[name, value]] : []));
    return await playwright.launch({
      executablePath,
      // Not the package's own arguments: they switch off what keeps origins apart, which is what is tested here.
      args: [
        "--no-sandbox",
        "--no-zygote",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-sync",
      ],
      env: Object.fromEntries(env) as Record<string, string>,
      headless: true,
    });
  } finally {
    // Its libraries are for the browser alone, not for what else this process starts.
    for (const name of ["AWS_EXECUTION_ENV", "LD_LIBRARY_PATH"]) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}
