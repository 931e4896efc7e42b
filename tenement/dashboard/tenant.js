// One tenant: how it is and why, what it uses, what it says, what was declared of it.

import { get, name_of } from "./api.js";
import { bytes, count, duration, empty, h, moment, ms, pill, rate, setText } from "./dom.js";
import { on, rows, SAMPLES } from "./store.js";
import { action_buttons } from "./actions.js";
import { log_panel } from "./logs.js";
import { bars, sparkline } from "./spark.js";

const REREAD_MS = 3000;
const fact = (name, value) => (value === undefined || value === null || value === "" ? null : [h("dt", null, name), h("dd", null, value)]);

// ---- how it is, and why ----

function reasons(whole, why) {
  const list = [];
  const add = (kind, ...text) => list.push(h("li", { class: kind }, ...text));
  if (whole.reason) add("bad", whole.reason);
  if (whole.last_good) add("bad", "Its file is wrong; what was last right is in force: ", h("a", { href: "#/configuration" }, whole.wrong_file));
  if (whole.failed_check) add("bad", "Health check: ", whole.failed_check);
  if (whole.limits_problem) add("bad", whole.limits_problem);
  if (whole.next_try?.in_secs !== undefined) add("", `Tried again in ${duration(whole.next_try.in_secs)}`);
  if (why?.woken_by) add("", `Woken by ${why.woken_by}, ${duration(why.woken_secs)} ago`);
  for (const text of why?.kept_awake_by ?? []) add("", `Kept awake: ${text}`);
  for (const step of whole.next ?? []) add("", `If nobody asks for it, ${step.to} in ${duration(step.in_secs)}`);
  for (const [name, number] of Object.entries(whole.refusals ?? {})) add("", `${count(number)} refused: ${name.replaceAll("_", " ")}`);
  for (const text of whole.degraded ?? []) add("", text);
  if (whole.overridden?.length) add("", `By hand, and not by its file: ${whole.overridden.join(", ")}`);
  if (whole.last_exit) add("", `Its last process ended with ${whole.last_exit.name ?? `status ${whole.last_exit.status}`}`);
  return list.length ? h("ul", { class: "reasons" }, list) : null;
}

function facts(whole) {
  const usage = whole.usage ?? {}, storage = whole.storage ?? {};
  return h("dl", { class: "facts" },
    fact("Declared", whole.declared), fact("In force", whole.effective === whole.declared ? null : whole.effective),
    fact("Process", whole.pid && `${whole.pid}${whole.uid === null ? "" : `, uid ${whole.uid}`}`), fact("Up for", whole.uptime_secs !== null && duration(whole.uptime_secs) || null),
    fact("Idle for", whole.idle_secs === null ? null : duration(whole.idle_secs)), fact("Restarts", whole.restarts ? count(whole.restarts) : null),
    fact("Out of memory", whole.oom_kills ? `${count(whole.oom_kills)} times` : null),
    fact("Memory", whole.memory_bytes === undefined ? null : `${bytes(whole.memory_bytes)}${usage.memory_peak_bytes ? `, ${bytes(usage.memory_peak_bytes)} at most` : ""}`),
    fact("Processes", usage.pids), fact("Storage", storage.used_bytes === null || storage.used_bytes === undefined ? null
      : `${bytes(storage.used_bytes)}${storage.quota_bytes ? ` of ${bytes(storage.quota_bytes)} (${storage.usage_percent} %)` : ""}`),
    fact("Requests", `${count(whole.requests)}${whole.in_flight ? `, ${count(whole.in_flight)} now` : ""}`), fact("Weight", whole.weight),
    fact("Isolation", whole.isolation), fact("Network", whole.network), fact("Port", whole.port), fact("Socket", whole.socket && h("code", null, whole.socket)),
    fact("Folder", h("code", null, whole.dir)), fact("File", whole.file && h("code", null, `${whole.file}${whole.line ? `:${whole.line}` : ""}`)));
}

// ---- what it used ----

const RANGES = [{ name: "24 h", hours: 24, by: "hour" }, { name: "7 days", hours: 168, by: "hour" }, { name: "30 days", hours: 720, by: "day" }];
const PLOTS = [
  { title: "Requests", key: "requests", format: (n) => count(n ?? 0), sum: true },
  { title: "CPU", key: "cpu_usec", format: (n) => (n >= 1e7 ? `${Math.round(n / 1e6)} s` : ms((n ?? 0) / 1000)), sum: true },
  { title: "Memory, at most", key: "memory_max_bytes", format: bytes },
  { title: "Storage", key: "stored_bytes", format: bytes, last: true },
];

function points_of(found, range, key) {
  const step = range.by === "day" ? 86400 : 3600, number = (range.hours * 3600) / step;
  const end = Math.floor(Date.now() / 1000 / step) * step;
  const by_time = new Map(found.map((one) => [Math.floor(one.from / step) * step, one[key]]));
  return Array.from({ length: number }, (_, i) => {
    const at = end - (number - 1 - i) * step, label = moment(at * 1000);
    return { value: by_time.get(at) ?? null, label: range.by === "day" ? label.slice(5, 10) : label.slice(5) };
  });
}

function usage_panel(row) {
  const box = h("div", { class: "plots" });
  let range = RANGES[0];
  const load = async () => {
    try {
      const since = Math.floor(Date.now() / 1000) - range.hours * 3600;
      const answer = await get(`/api/usage?tenant=${name_of(row.id)}&by=${range.by}&since=${since}`);
      box.replaceChildren(...PLOTS.map((plot) => {
        const points = points_of(answer.rows, range, plot.key), values = points.map((one) => one.value).filter((value) => value !== null);
        const number = plot.sum ? values.reduce((a, b) => a + b, 0) : plot.last ? values.at(-1) : Math.max(...values);
        return bars(plot.title, points, plot.format, values.length ? plot.format(number) : "nothing yet");
      }));
    } catch (error) {
      box.replaceChildren(empty("What it used is not known", error.message));
    }
  };
  const choice = h("div", { class: "segments", role: "group", "aria-label": "Time" }, RANGES.map((one) =>
    h("button", { type: "button", "aria-pressed": one === range, onclick: (event) => {
      range = one;
      for (const button of choice.children) button.setAttribute("aria-pressed", button === event.currentTarget);
      load();
    } }, one.name)));
  const timer = setInterval(load, 60000);
  load();
  return { element: h("section", { class: "panel usage", "aria-label": "Usage" }, h("div", { class: "panel-head" }, h("h2", null, "Usage"), choice), box), close: () => clearInterval(timer) };
}

// ---- what was declared ----

function spec_panel(whole) {
  const spec = whole.spec;
  if (!spec) return null;
  const merged = Object.entries(spec.merged).map(([name, value]) => `${name} = ${typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, null, 1).replace(/\n\s*/g, " ")}`).join("\n");
  const shown = [
    { name: "Declared", body: spec.declared.map((one) => [h("div", { class: "file-name" }, one.file), h("pre", { tabindex: "0" }, one.text)]) },
    { name: "Merged", body: [h("div", { class: "file-name" }, "all layers: defaults, the service, the tenant"), h("pre", { tabindex: "0" }, merged)] },
  ];
  const body = h("div", { class: "spec", role: "tabpanel", id: "spec-body" }, shown[0].body);
  const tabs = h("div", { class: "segments", role: "tablist", "aria-label": "Declaration" }, shown.map((one, i) =>
    h("button", { type: "button", role: "tab", "aria-selected": i === 0, "aria-controls": "spec-body", onclick: (event) => {
      for (const tab of tabs.children) tab.setAttribute("aria-selected", tab === event.currentTarget);
      body.replaceChildren(...one.body.flat());
    } }, one.name)));
  return h("section", { class: "panel", "aria-label": "Declaration" }, h("div", { class: "panel-head" }, h("h2", null, "Declaration"), tabs), body);
}

// ---- the page ----

function now_strip(id) {
  const parts = { rate: h("strong"), latency: h("strong"), memory: h("strong"), cpu: h("strong") };
  const line = sparkline(160, 30);
  const one = (title, value, more) => h("div", { class: "tile" }, h("span", null, title), value, more);
  return {
    element: h("div", { class: "tiles now" }, one("Requests/s", parts.rate), one("Latency", parts.latency, line), one("Memory", parts.memory), one("CPU", parts.cpu)),
    draw: () => {
      const row = rows.get(id);
      setText(parts.rate, rate(row?.rate ?? null));
      setText(parts.latency, ms(row?.latency));
      setText(parts.memory, bytes(row?.memory));
      setText(parts.cpu, row?.cpu === null || row?.cpu === undefined ? "–" : `${(row.cpu * 100).toFixed(row.cpu < 0.1 ? 1 : 0)} %`);
      line.draw(row?.spark ?? [], SAMPLES);
    },
  };
}

export function tenant_page(main, id) {
  const colon = id.indexOf(":"), row = { id, service: id.slice(0, colon), tenant: id.slice(colon + 1) };
  const head = h("div", { class: "tenant-head" }), why_box = h("div"), facts_box = h("div"), spec_box = h("div");
  const actions = h("div", { class: "row actions", role: "group", "aria-label": "Actions" });
  const strip = now_strip(id), log = log_panel(row), usage = usage_panel(row);
  const grid = h("div", { class: "tenant-grid" }, h("div", { class: "column" }, log.element, usage.element),
    h("div", { class: "column" }, h("section", { class: "panel", "aria-label": "Status" }, h("div", { class: "panel-head" }, h("h2", null, "Status")), why_box, facts_box), spec_box));
  let closed = false, shown = "", buttons = "", spec_shown = "";

  const draw = (whole, why) => {
    const text = JSON.stringify([whole, why]), which = JSON.stringify([whole.state, whole.effective, whole.overridden]), spec = JSON.stringify(whole.spec ?? null);
    if (text !== shown) {
      head.replaceChildren(h("a", { class: "back", href: "#/tenants", "aria-label": "All tenants" }, "‹ Tenants"),
        h("div", { class: "row" }, h("h1", null, id), pill(whole.state), whole.health !== "unknown" && h("span", { class: `health is-${whole.health}` }, whole.health),
          whole.url && h("a", { class: "url", href: whole.url, target: "_blank", rel: "noopener noreferrer" }, whole.url.replace(/^https?:\/\/|\/$/g, ""))));
      why_box.replaceChildren(reasons(whole, why) ?? "");
      facts_box.replaceChildren(facts(whole));
    }
    // (who has the focus on one of these keeps it)
    if (which !== buttons) actions.replaceChildren(...action_buttons(id, whole, load));
    if (spec !== spec_shown) spec_box.replaceChildren(spec_panel(whole) ?? "");
    [shown, buttons, spec_shown] = [text, which, spec];
  };
  const load = async () => {
    try {
      const [whole, why] = await Promise.all([get(`/api/instances/${name_of(id)}?log=0`), get(`/api/instances/${name_of(id)}/why`)]);
      if (!closed) draw(whole, why);
    } catch (error) {
      if (!closed && error.status === 404)
        main.replaceChildren(h("div", { class: "page" }, h("a", { class: "back", href: "#/tenants" }, "‹ Tenants"), empty("There is no such tenant", error.message)));
    }
  };

  head.append(h("h1", null, id));
  main.append(h("div", { class: "page tenant" }, h("div", { class: "page-head" }, head, actions), strip.element, grid));
  strip.draw();
  load();
  const timer = setInterval(() => document.hidden || load(), REREAD_MS);
  const stop = [on("running", strip.draw), on("event", (event) => event.instance === id && load())];
  return () => {
    closed = true;
    clearInterval(timer);
    stop.forEach((one) => one());
    log.close();
    usage.close();
  };
}
