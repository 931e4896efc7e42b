// What a tenant says: the last lines, and those to come, all of them or those that a search finds.

import { follow, get, name_of } from "./api.js";
import { empty, h, setText } from "./dom.js";

const LINES_MAX = 1000, LINES_FIRST = 200;

// The words of a search that are looked for, to be marked.
function words_of(search) {
  return (search.match(/"[^"]+"|[^\s"()]+/g) ?? []).filter((word) => !/^(AND|OR|NOT|NEAR)$/.test(word))
    .map((word) => word.replace(/^"|"$|\*$/g, "").toLowerCase()).filter((word) => word.length > 1);
}

function marked(text, words) {
  const lower = text.toLowerCase(), parts = [];
  let at = 0;
  while (words.length && parts.length < 40) {
    let first = -1, length = 0;
    for (const word of words) {
      const found = lower.indexOf(word, at);
      if (found >= 0 && (first < 0 || found < first)) [first, length] = [found, word.length];
    }
    if (first < 0) break;
    parts.push(text.slice(at, first), h("mark", null, text.slice(first, first + length)));
    at = first + length;
  }
  return [...parts, text.slice(at)];
}

const time_of = (stamp) => {
  const date = new Date(stamp);
  return `${date.toLocaleTimeString("en-GB")}.${String(date.getMilliseconds()).padStart(3, "0")}`;
};

export function log_panel(row) {
  const search = h("input", { type: "search", placeholder: "Search the log: timeout AND NOT health", "aria-label": "Search the log", spellcheck: "false", autocomplete: "off" });
  const level = h("select", { "aria-label": "Stream" }, h("option", { value: "" }, "Both"), h("option", { value: "stdout" }, "stdout"), h("option", { value: "stderr" }, "stderr"));
  const live = h("input", { type: "checkbox", checked: true, id: "log-live" });
  const said = h("span", { class: "found", role: "status" });
  const box = h("div", { class: "log", role: "log", "aria-live": "off", "aria-label": "Log", tabindex: "0" });
  let stop = null, turn = 0, timer = 0, pending = [], framed = 0, day = "", words = [];

  const at_end = () => box.scrollHeight - box.scrollTop - box.clientHeight < 40;
  const line_of = (entry) => {
    const date = moment_day(entry.timestamp), parts = [];
    if (date !== day) parts.push(h("div", { class: "log-day" }, date));
    day = date;
    parts.push(h("div", { class: `log-line ${entry.level}` }, h("time", { title: new Date(entry.timestamp).toISOString() }, time_of(entry.timestamp)),
      h("span", null, marked(entry.message, words))));
    return parts;
  };
  const add = () => {
    framed = 0;
    const down = at_end();
    box.querySelector(".empty")?.remove();
    box.append(...pending.splice(0).slice(-LINES_MAX).flatMap(line_of));
    while (box.children.length > LINES_MAX) box.firstChild.remove();
    if (down) box.scrollTop = box.scrollHeight;
    show_count();
  };
  const query = () => {
    const query_of = [`process=${name_of(row.service)}`, `id=${name_of(row.tenant)}`];
    if (level.value) query_of.push(`level=${level.value}`);
    if (search.value.trim()) query_of.push(`search=${name_of(search.value.trim())}`);
    return query_of.join("&");
  };
  const nothing = () => (search.value.trim() ? empty("Nothing found", "No line fits the search.") : empty("No lines yet", "What it prints appears here."));
  const show_count = () => setText(said, search.value.trim() ? `${box.querySelectorAll(".log-line").length} found` : "");
  // The last lines and those to come, in one stream; it goes on where it was when the connection was lost.
  const begin = () => {
    box.replaceChildren(nothing());
    stop = follow(`/api/logs/stream?${query()}&limit=${LINES_FIRST}`, ["message"], (entry) => {
      pending.push(entry);
      if (pending.length > 2 * LINES_MAX) pending.splice(0, LINES_MAX); // (no frame comes while the page is hidden)
      framed ||= requestAnimationFrame(add);
    }, (up) => (up ? show_count() : setText(said, "not connected")));
  };
  const read_once = async (mine) => {
    try {
      const lines = await get(`/api/logs?${query()}&limit=${LINES_FIRST}`);
      if (mine !== turn) return;
      box.replaceChildren(...(lines.length ? lines.flatMap(line_of) : [nothing()]));
      box.scrollTop = box.scrollHeight;
      show_count();
    } catch (error) {
      if (mine === turn) box.replaceChildren(empty("The log cannot be read", error.message));
    }
  };
  const load = () => {
    stop?.();
    stop = null;
    pending = [];
    day = "";
    words = words_of(search.value);
    turn++;
    if (live.checked) begin();
    else read_once(turn);
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(load, 200);
  };

  search.addEventListener("input", soon);
  search.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && search.value) {
      event.stopPropagation();
      search.value = "";
      load();
    }
  });
  level.addEventListener("change", load);
  live.addEventListener("change", load);
  load();
  return {
    element: h("section", { class: "panel logs", "aria-label": "Log" },
      h("div", { class: "panel-head" }, h("h2", null, "Log"), h("div", { class: "search" }, search, h("kbd", { "aria-hidden": "true" }, "/")), level,
        h("label", { class: "check" }, live, "live"), said), box),
    close: () => {
      turn++;
      clearTimeout(timer);
      stop?.();
    },
  };
}

function moment_day(stamp) {
  return new Date(stamp).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", year: "numeric" });
}
