// dashboard.mjs: one browser, one story, told what to do by lines of JSON on stdin and answering each with
// one on stdout ({"step": ...} of STEPS below); the test that starts it does what is done outside.

import readline from "node:readline";
import { open_browser, open_page, sign_in } from "./rig.mjs";

const browser = await open_browser();
const page = await open_page(browser);
let base;

const list = () => page.getByRole("grid", { name: "Tenants" });
const line_of = (id) => list().getByRole("row").filter({ has: page.getByRole("link", { name: id, exact: true }) });
const go = (hash) => page.evaluate((to) => { location.hash = to; }, hash);

const STEPS = {
  // A wrong token is told so, and stays out.
  async wrong({ url }) {
    base = url;
    await page.goto(`${base}/`);
    await page.getByLabel("Token").fill("ten_" + "0".repeat(64));
    await page.keyboard.press("Enter");
    const said = await page.getByRole("alert").filter({ hasText: "not known" }).textContent();
    // (that it was refused is in the console, by the browser's own hand)
    page.troubles = page.troubles.filter((text) => !/401/.test(text));
    return { said, address: page.url() };
  },
  async sign_in({ token }) {
    await page.getByLabel("Token").fill(token);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Tenants" }).waitFor();
    await line_of("notes:alice").waitFor();
    const cookies = await page.context().cookies();
    return { cookies, script_sees: await page.evaluate(() => document.cookie) };
  },
  async state({ id, state }) {
    await line_of(id).getByText(state, { exact: true }).waitFor();
    return {};
  },
  // Who is shown as in trouble: nobody who went to sleep, or was stopped, as he should.
  async in_trouble() {
    return { ids: await list().locator(".trouble a").allTextContents() };
  },
  // The whole way to a tenant and back without a pointer.
  async keyboard() {
    await page.keyboard.press("/");
    await page.keyboard.type("ali not"); // any order, any part
    await page.locator(".found", { hasText: /^1 of/ }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "notes:alice" }).waitFor();
    const buttons = [];
    for (let i = 0; i < 40 && buttons.at(-1) !== "Suspend"; i++) {
      await page.keyboard.press("Tab");
      buttons.push(await page.evaluate(() => document.activeElement.textContent));
    }
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    await page.keyboard.press("Enter"); // asks first
    const asked = await page.getByRole("dialog").getByRole("heading").textContent();
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.evaluate(() => document.activeElement.blur());
    await page.keyboard.press("Escape");
    await list().waitFor();
    await page.keyboard.press("/");
    await page.keyboard.press("Escape");
    return { buttons, outline, asked };
  },
  async log({ search, not }) {
    await go("#/tenants/notes:alice");
    const log = page.getByRole("log");
    await log.getByText(not).first().waitFor();
    await page.getByLabel("Search the log").fill(search);
    await log.locator("mark").first().waitFor();
    await log.getByText(not).waitFor({ state: "detached" });
    return { lines: await log.locator(".log-line span").allTextContents() };
  },
  async log_live({ count }) {
    await page.getByRole("log").locator(".log-line").nth(count - 1).waitFor();
    return {};
  },
  async spec() {
    const declared = await page.locator(".spec pre").allTextContents();
    await page.getByRole("tab", { name: "Merged" }).click();
    const merged = await page.locator(".spec pre").textContent();
    return { declared, merged };
  },
  // By the keyboard: the slider is moved, what changes is shown, and only then applied.
  async weight() {
    await go("#/routes");
    const slider = page.getByRole("slider", { name: "Weight of v2" });
    await slider.focus();
    for (let i = 0; i < 3; i++) await page.keyboard.press("PageUp");
    const diff = await page.getByRole("table", { name: "What changes" }).getByRole("row").allTextContents();
    const value = await slider.getAttribute("aria-valuetext");
    return { diff, value };
  },
  async weight_apply() {
    await page.getByRole("button", { name: "Apply" }).click();
    await page.getByText("every worker has the new weights").waitFor();
    return {};
  },
  async problem({ file }) {
    await go("#/configuration");
    const problem = page.getByRole("article").filter({ hasText: file });
    await problem.locator("pre").waitFor();
    return { said: await problem.locator("p").textContent(), excerpt: await problem.locator("pre").textContent() };
  },
  async solved() {
    await page.getByText("All files are").waitFor();
    await page.getByRole("article").waitFor({ state: "detached" });
    return {};
  },
  async events({ id }) {
    await go("#/events");
    await page.getByRole("listitem").filter({ hasText: id }).first().waitFor();
    return { events: await page.getByRole("listitem").filter({ hasText: id }).allTextContents() };
  },
  // Another window, as narrow as a phone's: nothing is wider than it, on any page.
  async phone({ token }) {
    const phone = await open_page(browser, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, colorScheme: "dark" });
    await sign_in(phone, base, token);
    const wide = {};
    for (const hash of ["tenants", "tenants/notes:alice", "routes", "configuration", "events"]) {
      await phone.goto(`${base}/dashboard/#/${hash}`);
      await phone.getByRole("heading", { level: 1 }).waitFor();
      if (hash.includes(":")) await phone.locator(".facts dd").first().waitFor();
      const width = await phone.evaluate(() => Math.max(document.documentElement.scrollWidth, document.getElementById("main").scrollWidth));
      if (width > 360) wide[hash] = width;
    }
    const colour = await phone.evaluate(() => getComputedStyle(document.body).backgroundColor);
    await phone.context().close();
    return { wide, colour, troubles: phone.troubles };
  },
  // Ten thousand of them: what a letter in the search, and a page further down, take until they are painted.
  async many({ token }) {
    const many = await open_page(browser);
    const listed = Array.from({ length: 10000 }, (_, i) => ({ id: `s${i % 50}:t${i}`, state: i % 3 ? "asleep" : "ready", state_secs: i, health: "healthy" }));
    await many.route("**/api/instances?*", (route) => route.fulfill({ json: listed }));
    await many.route("**/api/top", (route) => route.fulfill({ json: { clock_ms: Date.now(), instances: [] } }));
    await sign_in(many, base, token);
    await many.locator('#tenant-list[aria-rowcount="10000"]').waitFor();
    const rows = await many.locator("#tenant-list .line").count();
    const measure = (name, work) => many.evaluate(async ([which, work]) => {
      const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      const search = document.querySelector("main input[type=search]"), list = document.getElementById("tenant-list");
      const took = [];
      for (const step of work) {
        await painted();
        const begun = performance.now();
        if (which === "search") {
          search.value = step;
          search.dispatchEvent(new Event("input"));
        } else list.scrollTop = step;
        await painted();
        took.push(performance.now() - begun);
      }
      return took.sort((a, b) => a - b)[Math.floor(took.length / 2)];
    }, [name, work]);
    const search = await measure("search", ["t", "t9", "t99", "t999", "t99", "t9", "s", "s1", "s1 9", ""]);
    const scroll = await measure("scroll", [5000, 90000, 180000, 355000, 200, 123456]);
    await many.getByRole("searchbox").fill("s7 t9957");
    await many.getByRole("link", { name: "s7:t9957" }).waitFor();
    const found = await many.locator("#tenant-list .line:not([hidden]) a").allTextContents();
    await many.context().close();
    return { rows, search, scroll, found, troubles: many.troubles };
  },
  // What somebody without rights is shown.
  async read_only({ token }) {
    const other = await open_page(browser);
    await sign_in(other, base, token);
    const pages = await other.getByRole("navigation").getByRole("link").allTextContents();
    await other.locator("#tenant-list a", { hasText: ":" }).first().waitFor();
    const tenants = await other.locator("#tenant-list .line:not([hidden]) a").allTextContents();
    await other.goto(`${base}/dashboard/#/tenants/notes:alice`);
    await other.getByText("Declared").first().waitFor();
    const buttons = await other.getByRole("group", { name: "Actions" }).getByRole("button").allTextContents();
    await other.context().close();
    return { pages, tenants, buttons, troubles: other.troubles };
  },
  async lost() {
    await page.getByRole("alert").getByText("Connection lost").waitFor();
    page.troubles = page.troubles.filter((text) => !/Failed to load resource|ERR_/.test(text));
    return { stale: await page.evaluate(() => document.body.classList.contains("stale")) };
  },
  async sign_out() {
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").waitFor();
    const cookies = await page.context().cookies();
    await go("#/tenants"); // where the next one begins
    return { cookies, status: await page.evaluate(async () => (await fetch("/api/instances", { cache: "no-store" })).status) };
  },
  async troubles() {
    return { troubles: page.troubles.filter((text) => !/status of 401/.test(text)) };
  },
};

for await (const text of readline.createInterface({ input: process.stdin })) {
  const { step, ...asked } = JSON.parse(text);
  try {
    console.log(JSON.stringify(await STEPS[step](asked)));
  } catch (error) {
    console.log(JSON.stringify({ failed: `${step}: ${error.message}`, shown: await page.innerText("body").catch(() => "") }));
  }
}
await browser.close();
