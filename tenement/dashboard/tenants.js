// All tenants: as many elements as fit on the screen, however many there are.

import { bytes, count, duration, empty, h, ms, pill, rate, setClass, setText } from "./dom.js";
import { in_trouble, on, rows, SAMPLES, store } from "./store.js";
import { sparkline } from "./spark.js";

const STATES = ["ready", "starting", "asleep", "frozen", "draining", "stopping", "backoff", "failed", "stopped", "suspended"];
const COLUMNS = [
  { name: "id", title: "Tenant", order: (a, b) => (a.id < b.id ? -1 : 1) },
  { name: "state", title: "State", order: (a, b) => STATES.indexOf(a.state) - STATES.indexOf(b.state) },
  { name: "health", title: "Health", order: (a, b) => (a.health < b.health ? -1 : a.health > b.health ? 1 : 0) },
  { name: "rate", title: "Requests/s", number: true, order: (a, b) => (b.rate ?? -1) - (a.rate ?? -1) },
  { name: "latency", title: "Latency", number: true, order: (a, b) => (b.latency ?? -1) - (a.latency ?? -1) },
  { name: "memory", title: "Memory", number: true, order: (a, b) => (b.memory ?? -1) - (a.memory ?? -1) },
  { name: "storage", title: "Storage", number: true, order: (a, b) => (b.storage ?? -1) - (a.storage ?? -1) },
  { name: "note", title: "For", order: (a, b) => b.since - a.since },
];

// What was looked for stays while one looks at a tenant.
const view = { text: "", state: "", service: "", sort: "id", down: true, top: 0, active: "" };

function wanted() {
  const words = view.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const row of rows.values()) {
    if (view.service && row.service !== view.service) continue;
    if (view.state === "trouble" ? !in_trouble(row) : view.state && row.state !== view.state) continue;
    if (words.every((word) => row.key.includes(word))) found.push(row);
  }
  const { order } = COLUMNS.find((one) => one.name === view.sort);
  const sign = view.down ? 1 : -1;
  return found.sort((a, b) => sign * order(a, b) || (a.id < b.id ? -1 : 1));
}

// One element, used for one row after the other.
function make_row() {
  const cell = (name, ...inside) => h("div", { class: `cell c-${name}`, role: "gridcell" }, inside);
  const parts = {
    link: h("a", { tabindex: "-1" }), state: pill(""), health: h("span"), rate: h("span"), latency: h("span", { class: "ms" }),
    spark: sparkline(), memory: h("span"), storage: h("span"), note: h("span"),
  };
  const element = h("div", { class: "line", role: "row" }, cell("id", parts.link), cell("state", parts.state), cell("health", parts.health),
    cell("rate", parts.rate), cell("latency", parts.spark, parts.latency), cell("memory", parts.memory), cell("storage", parts.storage),
    cell("note", parts.note));
  return { element, parts, row: null };
}

function fill_row(line, row) {
  const { parts } = line;
  line.row = row;
  setText(parts.link, row.id);
  parts.link.setAttribute("href", `#/tenants/${row.id}`);
  setText(parts.state, row.state);
  setClass(parts.state, `pill is-${row.state}`);
  const health = row.health === "unknown" ? "" : row.health;
  setText(parts.health, health);
  setClass(parts.health, `health is-${health}`);
  setText(parts.rate, row.rate === null ? "" : rate(row.rate));
  setText(parts.latency, row.latency === null ? "" : ms(row.latency));
  parts.spark.draw(row.spark, SAMPLES);
  setText(parts.memory, row.memory === null ? "" : bytes(row.memory));
  setText(parts.storage, row.storage === null ? "" : bytes(row.storage));
  const note = row.reason || (row.since ? duration(Math.max(0, (Date.now() - row.since) / 1000)) : "");
  setText(parts.note, note);
  setClass(parts.note, row.reason ? "reason" : "");
  parts.note.title = row.reason;
}

function list_of(on_open) {
  const spacer = h("div", { class: "spacer", role: "presentation" });
  const box = h("div", {
    class: "lines", role: "grid", tabindex: "0", "aria-label": "Tenants", "aria-colcount": COLUMNS.length, id: "tenant-list",
  }, spacer);
  const lines = [];
  let found = [], height = 36, active = 0, framed = 0;

  const measure = () => {
    height = parseFloat(getComputedStyle(box).getPropertyValue("--line")) || 36;
    const needed = Math.ceil(box.clientHeight / height) + 6;
    while (lines.length < needed) {
      const line = make_row();
      lines.push(line);
      spacer.append(line.element);
    }
    while (lines.length > needed) lines.pop().element.remove();
  };
  const draw = () => {
    framed = 0;
    const first = Math.max(0, Math.floor(box.scrollTop / height) - 2);
    for (let i = first; i < first + lines.length; i++) {
      // By its place, so that what scrolls in takes the element of what scrolled out.
      const line = lines[i % lines.length], row = found[i];
      line.element.hidden = !row;
      if (!row) continue;
      if (line.at !== i) {
        line.at = i;
        line.element.style.transform = `translateY(${i * height}px)`;
        line.element.id = `tenant-${i}`;
        line.element.setAttribute("aria-rowindex", i + 1);
      }
      line.element.classList.toggle("active", i === active);
      line.element.classList.toggle("trouble", in_trouble(row));
      fill_row(line, row);
    }
    view.top = box.scrollTop;
    if (found.length) box.setAttribute("aria-activedescendant", `tenant-${active}`);
    else box.removeAttribute("aria-activedescendant");
  };
  const redraw = () => { framed ||= requestAnimationFrame(draw); };
  const go = (to) => {
    active = Math.min(Math.max(to, 0), found.length - 1);
    view.active = found[active]?.id ?? "";
    const top = active * height;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight;
    redraw();
  };
  const page = () => Math.max(1, Math.floor(box.clientHeight / height) - 1);
  const steps = {
    ArrowDown: () => go(active + 1), ArrowUp: () => go(active - 1), PageDown: () => go(active + page()), PageUp: () => go(active - page()),
    Home: () => go(0), End: () => go(found.length - 1), Enter: () => found[active] && on_open(found[active]),
  };

  box.addEventListener("keydown", (event) => {
    if (!steps[event.key]) return;
    event.preventDefault();
    steps[event.key]();
  });
  box.addEventListener("scroll", redraw, { passive: true });
  box.addEventListener("click", (event) => {
    const line = lines.find((one) => one.element.contains(event.target));
    if (line?.row && event.target.tagName !== "A") on_open(line.row);
  });
  const observer = new ResizeObserver(() => {
    measure();
    for (const line of lines) line.at = -1;
    spacer.style.height = `${found.length * height}px`;
    redraw();
  });
  observer.observe(box);
  return {
    element: box,
    show(rows_found) {
      found = rows_found;
      const at = view.active ? found.findIndex((row) => row.id === view.active) : 0;
      active = Math.max(0, at);
      spacer.style.height = `${found.length * height}px`;
      box.setAttribute("aria-rowcount", found.length);
      redraw();
    },
    redraw,
    restore: () => { box.scrollTop = view.top; },
    close: () => observer.disconnect(),
    go_in: () => {
      box.focus();
      go(active);
    },
  };
}

function state_chips(choose) {
  const box = h("div", { class: "chips", role: "group", "aria-label": "Filter by state" });
  const chips = new Map();
  for (const name of ["", "trouble", ...STATES]) {
    const number = h("b");
    const chip = h("button", { type: "button", class: `chip${name ? ` is-${name}` : ""}`, onclick: () => choose(view.state === name ? "" : name) },
      number, name === "" ? "all" : name === "trouble" ? "in trouble" : name);
    chips.set(name, { chip, number });
    box.append(chip);
  }
  const draw = () => {
    const counts = new Map([["", rows.size], ["trouble", 0]]);
    for (const row of rows.values()) {
      counts.set(row.state, (counts.get(row.state) ?? 0) + 1);
      if (in_trouble(row)) counts.set("trouble", counts.get("trouble") + 1);
    }
    for (const [name, { chip, number }] of chips) {
      setText(number, count(counts.get(name) ?? 0));
      chip.hidden = !counts.get(name) && name !== view.state && name !== "";
      chip.setAttribute("aria-pressed", view.state === name);
    }
  };
  return { element: box, draw };
}

function tile(title) {
  const value = h("strong"), note = h("small");
  return { element: h("div", { class: "tile" }, h("span", null, title), value, note), set: (text, more = "") => { setText(value, text); setText(note, more); } };
}

export function tenants_page(main) {
  const open = (row) => { location.hash = `#/tenants/${row.id}`; };
  const list = list_of(open);
  const said = h("span", { class: "found", role: "status" });
  const nothing = h("div");
  const search = h("input", { type: "search", placeholder: "Search tenants", "aria-label": "Search tenants", "aria-controls": "tenant-list", value: view.text, spellcheck: "false", autocomplete: "off" });
  const service = h("select", { "aria-label": "Service" });
  const tiles = { running: tile("Running"), rate: tile("Requests/s"), memory: tile("Memory"), trouble: tile("In trouble") };
  let framed = 0;

  const filter = () => {
    framed = 0;
    const found = wanted();
    list.show(found);
    setText(said, found.length === rows.size ? "" : `${count(found.length)} of ${count(rows.size)}`);
    nothing.replaceChildren(found.length || !store.listed ? "" : rows.size
      ? empty("Nothing fits", "No tenant has ", h("q", null, view.text || view.state), ". Esc empties the search.")
      : empty("No tenants yet", "Drop a file into conf.d, and whoever it declares is here within a second."));
  };
  const soon = () => { framed ||= requestAnimationFrame(filter); };
  const chips = state_chips((state) => {
    view.state = state;
    chips.draw();
    soon();
  });
  const services = () => {
    const names = [...new Set([...rows.values()].map((row) => row.service))].sort();
    if (names.length + 1 === service.options.length && names.every((name, i) => service.options[i + 1].value === name)) return;
    service.replaceChildren(h("option", { value: "" }, "All services"), ...names.map((name) => h("option", { value: name }, name)));
    service.value = view.service;
  };
  const sums = () => {
    let running = 0, trouble = 0;
    for (const row of rows.values()) {
      running += row.state === "ready";
      trouble += in_trouble(row);
    }
    tiles.running.set(count(running), `of ${count(rows.size)}`);
    tiles.rate.set(rate(store.total.rate));
    tiles.memory.set(bytes(store.total.memory));
    tiles.trouble.set(count(trouble));
    tiles.trouble.element.classList.toggle("bad", trouble > 0);
    chips.draw();
  };
  const all = () => {
    services();
    sums();
    soon();
  };

  search.addEventListener("input", () => {
    view.text = search.value;
    soon();
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") {
      event.preventDefault();
      list.go_in();
    } else if (event.key === "Escape") {
      search.value = view.text = "";
      soon();
    }
  });
  service.addEventListener("change", () => {
    view.service = service.value;
    soon();
  });

  const head = h("div", { class: "line head" }, COLUMNS.map((one) =>
    h("button", { type: "button", class: `cell c-${one.name}`, "data-sort": one.name, onclick: () => {
      view.down = view.sort === one.name ? !view.down : true;
      view.sort = one.name;
      mark();
      soon();
    } }, one.title)));
  const mark = () => {
    for (const button of head.children) {
      button.dataset.order = button.dataset.sort === view.sort ? (view.down ? "down" : "up") : "";
      button.setAttribute("aria-pressed", button.dataset.sort === view.sort);
    }
  };

  main.append(h("div", { class: "page tenants" },
    h("div", { class: "page-head" }, h("h1", null, "Tenants"), h("div", { class: "tiles" }, Object.values(tiles).map((one) => one.element))),
    h("div", { class: "tools" }, h("div", { class: "search" }, search, h("kbd", { "aria-hidden": "true" }, "/")), service, chips.element, said),
    h("div", { class: "panel table" }, head, list.element, nothing)));
  mark();
  all();
  requestAnimationFrame(() => requestAnimationFrame(list.restore));
  const stop = [on("list", all), on("running", () => {
    sums();
    // (who sorts by what moves sees it move)
    if (["rate", "latency", "memory", "storage"].includes(view.sort)) soon();
    else list.redraw();
  }), on("event", () => {
    sums();
    if (view.state || view.sort === "state") soon();
    else list.redraw();
  })];
  return () => {
    stop.forEach((one) => one());
    list.close();
  };
}
