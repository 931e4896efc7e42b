// The frame: who is signed in, which page is shown, and whether what is shown is still so.

import { bus, connection } from "./api.js";
import { ask, count, h, icon, setText } from "./dom.js";
import { begin, end, may_see_all, on, rows, session_read, sign_out, store } from "./store.js";
import { sign_in_page } from "./session.js";
import { tenants_page } from "./tenants.js";
import { tenant_page } from "./tenant.js";
import { routes_page } from "./routes.js";
import { config_page } from "./config.js";
import { events_page } from "./events.js";

const app = document.getElementById("app");
const PAGES = [
  { name: "tenants", title: "Tenants", page: tenants_page, icon: "M3 4h14v3H3zM3 9h14v2.5H3zM3 13.5h14V16H3z" },
  { name: "routes", title: "Routes", page: routes_page, icon: "M4 5h3l6 10h3M4 15h3l2-3.4M11 8.4 13 5h3M14.5 3.5 16 5l-1.5 1.5M14.5 13.5 16 15l-1.5 1.5", all: true },
  { name: "configuration", title: "Configuration", page: config_page, icon: "M5 3h7l3 3v11H5zM8 9h4M8 12h4", all: true },
  { name: "events", title: "Events", page: events_page, icon: "M3 10h3l2-5 4 10 2-5h3" },
];

let leave = null; // what the page that is shown has to let go

// ---- light and dark ----

const themes = ["auto", "light", "dark"];
const theme_now = () => (themes.includes(localStorage.getItem("theme")) ? localStorage.getItem("theme") : "auto");

function set_theme(theme) {
  localStorage.setItem("theme", theme);
  document.documentElement.dataset.theme = theme;
}

function theme_button() {
  const label = h("span", null, theme_now());
  return h("button", {
    class: "nav-item quiet", type: "button", "data-theme-button": true, "aria-label": "Light or dark",
    onclick: () => {
      set_theme(themes[(themes.indexOf(theme_now()) + 1) % themes.length]);
      setText(label, theme_now());
    },
  }, icon("M10 3a7 7 0 1 0 0 14z M10 3a7 7 0 0 1 0 14"), h("span", { class: "nav-label" }, "Theme: ", label));
}

// ---- pages ----

function route_of(hash) {
  const [name, ...rest] = hash.replace(/^#\/?/, "").split("/");
  try {
    return { name: name || "tenants", rest: rest.map(decodeURIComponent) };
  } catch {
    return { name: "tenants", rest: [] }; // (no address of ours)
  }
}

function show() {
  if (!store.session) return;
  const { name, rest } = route_of(location.hash);
  const known = PAGES.find((one) => one.name === name && (!one.all || may_see_all())) ?? PAGES[0];
  const page = known.name === "tenants" && rest[0] ? tenant_page : known.page;
  const main = document.getElementById("main");
  leave?.();
  leave = null;
  main.replaceChildren();
  main.scrollTop = 0;
  for (const link of document.querySelectorAll("nav a"))
    if (link.dataset.page === known.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  document.title = `${rest[0] ?? known.title} · tenement`;
  leave = page(main, ...rest);
}

const badge = (name) => h("span", { class: "badge", "data-badge": name });

function set_badge(name, text, kind = "") {
  const element = document.querySelector(`[data-badge="${name}"]`);
  if (!element) return;
  setText(element, text);
  element.className = `badge ${kind}`;
}

function show_badges() {
  const status = store.status;
  const bad = status ? status.problems.length + (status.held ? 1 : 0) + status.halted.length : 0;
  set_badge("tenants", store.listed ? count(rows.size) : "");
  set_badge("configuration", bad ? count(bad) : "", "bad");
  set_badge("events", store.live ? "live" : "", "live");
}

function show_connection() {
  const banner = document.getElementById("banner");
  if (!banner) return;
  document.body.classList.toggle("stale", connection.lost);
  banner.hidden = !connection.lost;
  if (connection.lost)
    setText(banner.lastChild, `Connection lost: ${connection.why}. What is shown is as of ${
      Math.max(1, Math.round((Date.now() - connection.since) / 1000))} s ago; trying again.`);
}

function help() {
  const keys = [["/", "search"], ["↑ ↓ PgUp PgDn Home End", "in the list of tenants"], ["Enter", "open the tenant"],
    ["Esc", "back to the list, or empty the search"], ["1 to 4", "go to a page"], ["?", "this"]];
  ask("Keys", h("dl", { class: "facts" }, keys.map(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])));
}

function frame() {
  const session = store.session;
  const scope = session.scope === "all" ? "all tenants" : session.of;
  const seen = PAGES.filter((one) => !one.all || may_see_all());
  app.replaceChildren(
    h("div", { class: "frame" },
      h("header", { class: "side" },
        h("a", { class: "brand", href: "#/tenants" }, h("img", { src: "icon.svg", alt: "", width: 24, height: 24 }), h("span", null, "tenement")),
        h("nav", { "aria-label": "Pages" }, seen.map((one) =>
          h("a", { class: "nav-item", href: `#/${one.name}`, "data-page": one.name }, icon(one.icon),
            h("span", { class: "nav-label" }, one.title), badge(one.name)))),
        h("div", { class: "who" },
          h("div", { class: "who-name" }, h("strong", null, session.name),
            h("small", null, `${scope}${session.read_only ? ", read only" : ""}`)),
          theme_button(),
          h("button", { class: "nav-item quiet", type: "button", id: "sign-out", "aria-label": "Sign out", onclick: leave_session },
            icon("M8 4H4v12h4M8 10h9M14 7l3 3-3 3"), h("span", { class: "nav-label" }, "Sign out")))),
      h("div", { class: "content" },
        h("div", { id: "banner", role: "alert", hidden: true }, h("span", { class: "dot" }), h("span")),
        h("main", { id: "main", tabindex: "-1" }))));
  show_badges();
  show_connection();
}

// ---- sessions ----

async function leave_session() {
  await sign_out().catch(() => {});
  signed_out();
}

function signed_out(why) {
  if (!store.session && app.querySelector("form")) return;
  leave?.();
  leave = null;
  end();
  app.replaceChildren(sign_in_page(signed_in, why));
  document.title = "Sign in · tenement";
  app.querySelector("input").focus();
}

function signed_in(session) {
  begin(session);
  frame();
  show();
  document.getElementById("main").focus();
}

function on_key(event) {
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (!store.session || event.ctrlKey || event.metaKey || event.altKey || typing) return;
  const seen = PAGES.filter((one) => !one.all || may_see_all());
  if (event.key === "/") {
    const search = document.querySelector("main input[type=search]");
    if (!search) return;
    event.preventDefault();
    search.focus();
    search.select();
  } else if (event.key === "?") help();
  else if (event.key === "Escape" && route_of(location.hash).rest.length) location.hash = "#/tenants";
  else if (seen[event.key - 1]) location.hash = `#/${seen[event.key - 1].name}`;
}

async function start() {
  set_theme(theme_now());
  window.addEventListener("hashchange", show);
  document.addEventListener("keydown", on_key);
  bus.addEventListener("session", () => signed_out("Your session is over. Sign in again."));
  bus.addEventListener("connection", show_connection);
  for (const name of ["list", "status", "live"]) on(name, show_badges);
  setInterval(show_connection, 1000);
  try {
    const session = await session_read();
    if (session.scope !== "none") return signed_in(session);
    signed_out();
  } catch (error) {
    signed_out(error.message);
  }
}

start();
