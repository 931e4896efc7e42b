// What can be done to a tenant. Who may not is not shown it.

import { call, name_of } from "./api.js";
import { ask, h, toast } from "./dom.js";
import { may_administer, may_steer, refresh } from "./store.js";

const DOWN = new Set(["asleep", "stopped", "suspended", "failed", "backoff"]);
const HOLDS = [["1 hour", 3600], ["8 hours", 28800], ["1 day", 86400], ["7 days", 604800]];

const is_held = (whole) => whole.overridden?.includes("hold");
const ACTIONS = [
  { verb: "start", title: "Start", fits: (whole) => DOWN.has(whole.state) && whole.effective !== "suspended", main: true },
  { verb: "restart", title: "Restart", fits: (whole) => !DOWN.has(whole.state),
    ask: (id) => ask(`Restart ${id}?`, "Requests in flight are finished first; new ones wait until it is ready.", "Restart") },
  { verb: "stop", title: "Stop", fits: (whole) => !DOWN.has(whole.state),
    ask: (id, whole) => ask(`Stop ${id}?`, whole.effective === "running"
      ? "It is declared running: it stays stopped until it is started again, and its requests are refused."
      : "It is put to sleep now. The next request wakes it.", "Stop", { danger: true }) },
  { verb: "hold", title: "Hold awake", fits: (whole) => !is_held(whole) && !["stopped", "suspended"].includes(whole.effective),
    ask: (id) => ask(`Hold ${id} awake`, h("label", { class: "field" }, "For ",
      h("select", { name: "seconds" }, HOLDS.map(([name, seconds]) => h("option", { value: seconds }, name)))), "Hold"),
    body: (values) => ({ seconds: Number(values.seconds) }) },
  { verb: "release", title: "Release hold", fits: is_held },
  { verb: "suspend", admin: true, title: "Suspend", fits: (whole) => whole.effective !== "suspended",
    ask: (id) => ask(`Suspend ${id}?`, "It is stopped, and nothing wakes it: its requests are answered 503 until it is resumed. Its data stays.", "Suspend", { danger: true }) },
  { verb: "resume", admin: true, title: "Resume", fits: (whole) => whole.effective === "suspended", main: true },
];

async function act(action, id, whole, done) {
  const values = action.ask ? await action.ask(id, whole) : {};
  if (!values) return;
  try {
    const answer = await call("POST", `/api/instances/${name_of(id)}/${action.verb}`, action.body?.(values) ?? {});
    const failed = answer?.state === "failed" || answer?.timeout;
    toast(`${action.title}: ${id} is ${answer?.state ?? "told"}${answer?.reason ? `, ${answer.reason}` : ""}`, failed ? "failed" : "done");
  } catch (error) {
    toast(`${action.title} ${id}: ${error.message}`, "failed");
  }
  await refresh();
  done();
}

export function action_buttons(id, whole, done) {
  if (!may_steer()) return [];
  return ACTIONS.filter((action) => action.fits(whole) && (!action.admin || may_administer())).map((action) =>
    h("button", { type: "button", class: `button${action.main ? " primary" : ""}`, "data-verb": action.verb, onclick: async (event) => {
      event.currentTarget.disabled = true;
      const button = event.currentTarget;
      await act(action, id, whole, done);
      button.disabled = false;
    } }, action.title));
}
