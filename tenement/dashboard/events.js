// What happens, as it happens.

import { clock, count, empty, h, setText } from "./dom.js";
import { on, store } from "./store.js";

const SHOWN = 300;

const BAD = new Set(["problem", "held"]);

function line_of(event) {
  const state = event.kind === "state" ? event.to : "";
  return h("div", { class: `event${BAD.has(event.kind) || state === "failed" ? " bad" : ""}`, role: "listitem" },
    h("time", null, clock(event.time)), h("span", { class: "event-kind" }, event.kind),
    event.instance ? h("a", { href: `#/tenants/${event.instance}` }, event.instance)
      : h("span", { class: "event-of" }, event.file ? `${event.file}${event.line ? `:${event.line}` : ""}` : event.process ?? ""),
    h("span", { class: "event-what" }, state ? h("span", null, `${event.from} → `, h("span", { class: `state is-${state}` }, state)) : "",
      event.generation ? `generation ${event.generation} is in force: ` : "", event.text ?? ""));
}

export function events_page(main) {
  const search = h("input", { type: "search", placeholder: "Filter events", "aria-label": "Filter events", spellcheck: "false", autocomplete: "off" });
  const said = h("span", { class: "found", role: "status" });
  const box = h("div", { class: "events", role: "list", "aria-label": "Events", tabindex: "0" });
  let framed = 0;
  const draw = () => {
    framed = 0;
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = store.events.filter((event) => {
      event.words ??= JSON.stringify(event).toLowerCase();
      return words.every((word) => event.words.includes(word));
    });
    setText(said, store.live ? `live, ${count(found.length)} shown` : "not connected");
    box.replaceChildren(...(found.length ? found.slice(0, SHOWN).map(line_of)
      : [empty(store.events.length ? "Nothing fits" : "Quiet", store.events.length ? "No event fits the filter." : "Each start, sleep, wake, change and refusal shows here when it happens.")]));
  };
  const soon = () => { framed ||= requestAnimationFrame(draw); };
  search.addEventListener("input", soon);
  main.append(h("div", { class: "page" }, h("div", { class: "page-head" }, h("h1", null, "Events")),
    h("div", { class: "tools" }, h("div", { class: "search" }, search, h("kbd", { "aria-hidden": "true" }, "/")), said), h("div", { class: "panel" }, box)));
  draw();
  const stop = [on("event", soon), on("live", soon)];
  return () => stop.forEach((one) => one());
}
