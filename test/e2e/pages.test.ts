/** What goes for both pages before a sign-in. */
import { describe, expect, it } from "vitest";
import { expectAccessible, expectNoSideScroll, openPage } from "../helpers/node/open-page.ts";
import { browser, gateway, serveInBrowser } from "../helpers/node/served-page.ts";

serveInBrowser();

describe.each(["/", "/admin"])("%s", (path) => {
  it.each(["light", "dark"] as const)("is quiet, accessible and narrow enough in %s", async (colorScheme) => {
    const screen = { width: 360, height: 740 };
    const opened = await openPage(browser, gateway.url + path, { colorScheme, viewport: screen });
    await opened.page.getByRole("heading").first().waitFor();
    await expectAccessible(opened.page);
    await expectNoSideScroll(opened.page);
    expect([opened.complaints, opened.elsewhere]).toEqual([[], []]);
    await opened.close();
  });
});
