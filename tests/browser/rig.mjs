// A browser and what it said; for the tests and for the screenshots.

import { chromium } from "playwright-core";

export async function open_browser() {
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
}

// A page on which anything that goes wrong in the console, or is refused by the content security
// policy, is noted in .troubles.
export async function open_page(browser, options) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.troubles = [];
  page.on("console", (message) => {
    if (message.type() === "error" || /content security policy/i.test(message.text())) page.troubles.push(message.text());
  });
  page.on("pageerror", (error) => page.troubles.push(String(error)));
  page.setDefaultTimeout(20000);
  return page;
}

export async function sign_in(page, base, token) {
  await page.goto(`${base}/dashboard/`);
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Tenants" }).waitFor();
}
