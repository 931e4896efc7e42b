// screenshots.mjs BASE TOKEN FOLDER [KEY]: what the dashboard looks like, for the README.

import { open_browser, open_page, sign_in } from "./rig.mjs";

const [base, token, folder, key = "notes:alice"] = process.argv.slice(2);
const browser = await open_browser();

async function shoot(name, hash, options, before) {
  const page = await open_page(browser, { reducedMotion: "reduce", ...options });
  await sign_in(page, base, token);
  if (hash) await page.goto(`${base}/dashboard/#/${hash}`);
  await page.waitForTimeout(hash ? 8000 : 40000); // a picture of what moves, which has to have moved
  await page.mouse.move(5, 300);
  if (before) await before(page);
  await page.screenshot({ path: `${folder}/${name}.png` });
  await page.context().close();
  if (page.troubles.length) console.error(name, page.troubles);
}

const phone = { viewport: { width: 390, height: 800 }, hasTouch: true, isMobile: true };
await Promise.all([
  shoot("tenants", "", {}),
  shoot("tenants-dark", "", { colorScheme: "dark" }),
  shoot("tenants-phone", "", phone),
  shoot("tenant", `tenants/${key}`, {}),
  shoot("tenant-phone", `tenants/${key}`, { ...phone, colorScheme: "dark" }),
  shoot("routes", "routes", {}, async (page) => {
    const slider = page.getByRole("slider").nth(1);
    await slider.focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press("PageUp");
  }),
  shoot("configuration-dark", "configuration", { colorScheme: "dark" }),
  shoot("events", "events", {}),
]);
await browser.close();
