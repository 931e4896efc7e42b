// Who of a service gets how much of its traffic: bars that can be moved, and what that changes before it does.

import { call, get, name_of } from "./api.js";
import { empty, h, setClass, setText, svg, toast } from "./dom.js";
import { may_administer, on } from "./store.js";

const share = (weight, total) => (total ? Math.round((weight / total) * 1000) / 10 : 0);
const sum = (split) => Object.values(split).reduce((a, b) => a + b, 0);
const colour = (i) => `tone-${i % 8}`;

// A bar as long as its share; arrow keys, Home, End and the pointer move it.
function slider(id, tone, get_value, most, change, may) {
  const fill = svg("rect", { class: `fill ${tone}`, x: 0, y: 0, height: 18, rx: 3 });
  const knob = svg("rect", { class: "knob", y: 0, height: 18, width: 4, rx: 2 });
  const picture = svg("svg", { class: "slider-picture", "aria-hidden": "true" }, svg("rect", { class: "track", x: 0, y: 0, width: "100%", height: 18, rx: 3 }), fill, may ? knob : null);
  const element = h("div", { class: "slider", role: "slider", tabindex: may ? "0" : "-1", "aria-label": `Weight of ${id}`, "aria-valuemin": "0", "aria-valuemax": most,
    "aria-disabled": may ? null : "true" }, picture);
  const set = (value) => change(Math.min(Math.max(Math.round(value), 0), most));
  const at = (event) => {
    const box = picture.getBoundingClientRect();
    set(((event.clientX - box.left) / box.width) * most);
  };
  const keys = {
    ArrowLeft: () => -1, ArrowDown: () => -1, ArrowRight: () => 1, ArrowUp: () => 1, PageDown: () => -10, PageUp: () => 10,
    Home: () => -Infinity, End: () => Infinity,
  };
  if (may) {
    element.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      set(get_value() + keys[event.key]());
    });
    element.addEventListener("pointerdown", (event) => {
      element.setPointerCapture(event.pointerId);
      element.focus();
      at(event);
    });
    element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && at(event));
  }
  element.draw = (total) => {
    const value = get_value();
    fill.setAttribute("width", `${(value / most) * 100}%`);
    knob.setAttribute("x", `${(value / most) * 99}%`);
    element.setAttribute("aria-valuenow", value);
    element.setAttribute("aria-valuetext", `${value}, ${share(value, total)} % of the traffic`);
  };
  return element;
}

// All of a service's traffic as one bar, in parts.
function stack(title, ids, split) {
  const total = sum(split);
  let at = 0;
  const parts = ids.map((id, i) => {
    const part = share(split[id] ?? 0, total);
    const rect = svg("rect", { class: colour(i), x: `${at}%`, y: 0, width: `${part}%`, height: 10 }, svg("title", null, `${id}: ${part} %`));
    at += part;
    return rect;
  });
  return h("div", { class: "stack" }, h("span", null, title), svg("svg", { class: "stack-picture", "aria-hidden": "true" }, svg("rect", { class: "track", width: "100%", height: 10 }), parts));
}

function route_card(route, applied) {
  const ids = Object.keys(route.split), wanted = { ...route.split };
  const most = Math.max(100, ...Object.values(route.split));
  const diff = h("div", { class: "route-diff" }), lines = [];
  const declare = h("input", { type: "checkbox", id: `declare-${route.process}` });
  const changed = () => ids.filter((id) => wanted[id] !== route.split[id]);

  const draw = () => {
    const total = sum(wanted), before = sum(route.split);
    for (const line of lines) line.draw(total);
    const different = changed();
    card.classList.toggle("changed", different.length > 0);
    if (!different.length) return diff.replaceChildren();
    const say = (id) => {
      const was = share(route.split[id], before), is = share(wanted[id], total);
      return h("tr", { class: different.includes(id) ? "" : "shifted" }, h("th", { scope: "row" }, id), h("td", { class: "old" }, `${route.split[id]} (${was} %)`), h("td", null, "→"),
        h("td", { class: is > was ? "new more" : is < was ? "new less" : "new" }, `${wanted[id]} (${is} %)`));
    };
    return diff.replaceChildren(
      stack("now", ids, route.split), stack("then", ids, wanted),
      h("table", { class: "diff-table", "aria-label": "What changes" }, h("tbody", null,
        ids.filter((id) => different.includes(id) || share(route.split[id], before) !== share(wanted[id], total)).map(say))),
      total === 0 ? h("p", { class: "said" }, "Nobody would get any of the traffic.") : "",
      h("div", { class: "row end" }, h("label", { class: "check" }, declare, "write it to the files, too"),
        h("button", { type: "button", class: "button", onclick: discard }, "Discard"),
        h("button", { type: "button", class: "button primary", "data-apply": true, onclick: apply }, "Apply")));
  };
  const discard = () => {
    Object.assign(wanted, route.split);
    draw();
  };
  const apply = async (event) => {
    event.currentTarget.disabled = true;
    try {
      for (const id of changed()) {
        await call("PUT", `/api/instances/${name_of(`${route.process}:${id}`)}/weight`, { weight: wanted[id], ...(declare.checked ? { declare: true } : {}) });
        route.split[id] = wanted[id];
      }
      toast(`${route.process}: every worker has the new weights`);
    } catch (error) {
      toast(`${route.process}: ${error.message}`, "failed");
    }
    applied();
  };

  const body = ids.map((id, i) => {
    const may = may_administer();
    const number = h("input", { type: "number", min: 0, max: 10000, step: 1, "aria-label": `Weight of ${id}, as a number`, disabled: !may });
    const part = h("span", { class: "share" });
    const set = (value) => {
      wanted[id] = value;
      draw();
    };
    const bar = slider(id, colour(i), () => Math.min(wanted[id], most), most, set, may);
    number.addEventListener("input", () => number.value !== "" && number.checkValidity() && set(Number(number.value)));
    lines.push({ draw: (total) => {
      bar.draw(total);
      if (document.activeElement !== number) number.value = wanted[id];
      setText(part, `${share(wanted[id], total)} %`);
      setClass(line, `route-line${wanted[id] === route.split[id] ? "" : " changed"}`);
    } });
    const line = h("div", { class: "route-line" }, h("a", { class: "route-id", href: `#/tenants/${route.process}:${id}` }, id), bar, number, part);
    return line;
  });
  const source = { route: "[route]", balance: "balance", routing: "[routing]", override: "hand" }[route.source] ?? route.source;
  const card = h("section", { class: "panel route", "aria-label": `Route ${route.process}`, "data-route": route.process },
    h("div", { class: "panel-head" }, h("h2", null, route.process), h("span", { class: "muted" }, route.host), h("span", { class: "muted" }, `by ${source}`),
      route.sticky && route.sticky !== "none" && route.sticky !== "off" ? h("span", { class: "muted" }, `sticky: ${route.sticky}`) : ""),
    h("div", { class: "route-lines" }, body.length ? body : h("p", { class: "muted" }, "It has no tenants.")), diff);
  card.is_changed = () => changed().length > 0;
  draw();
  return card;
}

export function routes_page(main) {
  const box = h("div", { class: "stack-of-panels" });
  let shown = "", closed = false;
  const load = async (anyway) => {
    // What somebody is about to change is not taken from under their hands.
    if (!anyway && [...box.children].some((card) => card.is_changed?.() || card.contains(document.activeElement))) return;
    try {
      const { routes } = await get("/api/routes");
      const text = JSON.stringify(routes);
      if (closed || (!anyway && text === shown)) return;
      shown = text;
      box.replaceChildren(...(routes.length ? routes.map((route) => route_card(route, () => load(true)))
        : [empty("No traffic is shared out", "A ", h("code", null, "[route.NAME]"), " with weights, or ", h("code", null, "balance = true"), " in a service, shows here.")]));
    } catch (error) {
      if (!closed && error.status) box.replaceChildren(empty("The routes cannot be read", error.message));
    }
  };
  main.append(h("div", { class: "page" }, h("div", { class: "page-head" }, h("h1", null, "Routes"), h("p", { class: "muted" }, "Weights as they are in force; a change is shown before it applies.")), box));
  load(true);
  const timer = setInterval(() => document.hidden || load(false), 4000);
  const stop = on("event", () => load(false));
  return () => {
    closed = true;
    clearInterval(timer);
    stop();
  };
}
