// What is wrong with the files, what is held back, what cannot be given, and what was changed when.

import { call, get, name_of } from "./api.js";
import { ask, count, duration, empty, h, moment, toast } from "./dom.js";
import { may_administer, on, refresh, store } from "./store.js";

// "conf.d/a.toml:7:1: message\n  7 | text\n    | ^": the place, what is said, and the excerpt.
function problem(text) {
  const [first, ...excerpt] = text.replace(/\n+$/, "").split("\n");
  const place = /^(\S+?\.toml)(?::(\d+))?(?::(\d+))?: (.*)$/.exec(first);
  return h("article", { class: "problem" },
    place ? h("div", { class: "problem-head" }, h("code", null, place[1]), place[2] ? h("span", { class: "muted" }, `line ${place[2]}${place[3] ? `, column ${place[3]}` : ""}`) : "") : "",
    h("p", null, place ? place[4] : first),
    excerpt.length ? h("pre", { tabindex: "0", "aria-label": "Excerpt" }, excerpt.map((line) =>
      (/^\s*\|?\s*\|\s*\^/.test(line) ? h("span", { class: "caret" }, `${line}\n`) : `${line}\n`))) : "");
}

const panel = (title, note, ...body) => h("section", { class: "panel", "aria-label": title }, h("div", { class: "panel-head" }, h("h2", null, title), h("span", { class: "muted" }, note)), body);
const lines = (list) => h("ul", { class: "reasons" }, list.map((text) => h("li", null, text)));

async function attempt(what, work, after) {
  try {
    const answer = await work();
    const bad = answer?.problems?.length;
    toast(`${what}: ${bad ? answer.problems[0].split("\n")[0] : answer?.outcome ?? "done"}`, bad ? "failed" : "done");
  } catch (error) {
    toast(`${what}: ${error.message}`, "failed");
  }
  await refresh();
  after();
}

function held_panel(held, after) {
  const confirm = async () => {
    const yes = await ask("Let these tenants go?", [h("p", null, held.why), lines(held.instances.slice(0, 20)),
      held.instances.length > 20 ? h("p", null, `and ${count(held.instances.length - 20)} more`) : "", h("p", null, "Their processes end. Their data stays.")],
    `Remove ${count(held.instances.length)}`, { danger: true });
    if (yes) attempt("Confirmed", () => call("POST", "/api/config/apply", { confirm: true }), after);
  };
  return panel("Removals held back", held.files.join(", "),
    h("div", { class: "panel-body" }, h("p", null, held.why), lines(held.instances.slice(0, 20)),
      h("p", null, "If it is meant: ", h("code", { class: "type" }, held.type)),
      may_administer() ? h("button", { type: "button", class: "button danger", onclick: confirm }, "Confirm…") : ""));
}

function settings_panel(status) {
  const rows = [...status.confirm.map((text) => [text, "needs ten apply --confirm"]), ...status.restart_needed.map((text) => [text, "from the next start on"])];
  return rows.length ? panel("Settings that wait", "", h("dl", { class: "facts" }, rows.map(([text, what]) => [h("dt", null, text), h("dd", null, what)]))) : null;
}

function overrides_panel(overrides, after) {
  if (!overrides.length) return null;
  const drop = (one) => attempt(`Override of ${one.target}`, () => call("DELETE", `/api/overrides/${name_of(one.target.replace(/^route /, ""))}`), after);
  return panel("Overrides", "by hand, until they are dropped", h("table", { class: "plain overrides" },
    h("thead", null, h("tr", null, ["What", "Now", "Declared", "By", "Since", ""].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", null, overrides.map((one) => h("tr", null, h("th", { scope: "row" }, one.target), h("td", null, h("code", null, one.what)), h("td", null, h("code", null, one.declared)),
      h("td", null, one.by), h("td", null, moment(one.since * 1000)),
      h("td", null, may_administer() ? h("button", { type: "button", class: "button small", "aria-label": `Drop the override of ${one.target}`, onclick: () => drop(one) }, "Drop") : ""))))));
}

function history_panel(history, after) {
  const undo = async (one) => {
    const yes = await ask(`Undo generation ${one.generation}?`, ["Its files get the texts from before: ", lines((one.files ?? []).map((file) => file.name))], "Undo", { danger: true });
    if (yes) attempt(`Undo ${one.generation}`, () => call("POST", "/api/undo", { generation: one.generation }), after);
  };
  const change = (file) => h("li", null, h("code", null, file.name), " ", h("span", { class: "muted" }, file.change));
  return panel("History", history.length === 1 ? "1 generation" : `the last ${count(history.length)} generations`, history.length ? h("table", { class: "plain history" },
    h("thead", null, h("tr", null, ["Generation", "When", "By", "Files", ""].map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", null, history.map((one, i) => h("tr", null, h("th", { scope: "row" }, one.generation), h("td", null, moment(one.time * 1000)), h("td", null, one.by),
      h("td", null, h("ul", { class: "files" }, (one.files ?? []).slice(0, 8).map(change), (one.files?.length ?? 0) > 8 ? h("li", null, `and ${count(one.files.length - 8)} more`) : "")),
      h("td", null, i === 0 && may_administer() ? h("button", { type: "button", class: "button small", onclick: () => undo(one) }, "Undo…") : "")))))
    : empty("No changes yet", "Each change of a file that was taken over is a generation."));
}

export function config_page(main) {
  const errors = h("div", { class: "stack-of-panels", "aria-live": "polite" }), rest = h("div", { class: "stack-of-panels" });
  let closed = false, shown = "", more = { overrides: [], history: [] }, more_shown = "";

  const draw = () => {
    const status = store.status;
    if (!status || closed) return;
    const parts = [status.problems, status.problems_omitted, status.held, status.confirm, status.restart_needed, status.halted, status.warnings, status.degraded, status.lacks, status.files, status.paused, status.generation, status.converged];
    const text = JSON.stringify(parts);
    if (text === shown) return;
    shown = text;
    const good = !status.problems.length && !status.held && !status.halted.length;
    errors.replaceChildren(...[
      h("div", { class: `verdict ${good ? "good" : "bad"}`, id: "verdict" }, h("span", { class: "dot" }),
        h("strong", null, good ? (status.converged ? "All files are in force" : "All files are right; tenants are on their way") : `${count(status.files.bad)} of ${count(status.files.total)} files ${status.files.bad === 1 ? "is" : "are"} wrong`),
        h("span", { class: "muted" }, `${count(status.files.total)} files, generation ${count(status.generation)}${status.paused ? ", paused" : ""}, up ${duration(status.uptime_secs)}`)),
      status.problems.length ? panel("Problems", "what was last right stays in force", status.problems.map(problem),
        status.problems_omitted ? h("p", { class: "panel-body muted" }, `and ${count(status.problems_omitted)} more`) : "") : "",
      status.held ? held_panel(status.held, reload) : "",
      status.halted.length ? panel("Changes that were halted", "", lines(status.halted)) : "",
      settings_panel(status) ?? "",
      status.warnings.length ? panel("Warnings", "", lines(status.warnings)) : "",
      status.degraded.length || status.lacks.length ? panel("What this machine cannot give", "", lines([...status.degraded, ...status.lacks.map((one) => `${one.option}${one.value ? ` = ${one.value}` : ""}: ${one.why}`)])) : "",
    ].filter(Boolean));
  };
  const reload = async () => {
    try {
      const [{ overrides }, { history }] = await Promise.all([get("/api/overrides"), get("/api/history?limit=30")]);
      more = { overrides, history };
    } catch (error) {
      if (!error.status) return;
    }
    const text = JSON.stringify(more);
    if (closed || text === more_shown) return;
    more_shown = text;
    rest.replaceChildren(...[overrides_panel(more.overrides, reload), history_panel(more.history, reload)].filter(Boolean));
  };
  main.append(h("div", { class: "page" }, h("div", { class: "page-head" }, h("h1", null, "Configuration")), errors, rest));
  draw();
  reload();
  const stop = [on("status", () => {
    draw();
    reload();
  }), on("event", () => { refresh(); })];
  return () => {
    closed = true;
    stop.forEach((one) => one());
  };
}
