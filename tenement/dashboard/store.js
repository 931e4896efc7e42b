// What is known of all tenants. The list is read whole once in a while, what runs every two seconds,
// and states change as the server tells of them.

import { bus, call, connection, follow, get, Refusal, tell } from "./api.js";

export const SAMPLES = 60;
const TICK_MS = 2000, LIST_MS = 60000, STATUS_MS = 5000, EVENTS_KEPT = 500;

export const rows = new Map(); // "notes:alice" → row
export const store = { session: null, status: null, total: { rate: 0, memory: 0 }, events: [], live: false, listed: false };

const TROUBLE = new Set(["failed", "backoff"]);
export const in_trouble = (row) => TROUBLE.has(row.state) || row.health === "unhealthy" || row.reason !== "";
export const may_steer = () => Boolean(store.session && !store.session.read_only);
export const may_see_all = () => store.session?.scope === "all";
export const may_administer = () => may_steer() && may_see_all();

function row_of(id) {
  let row = rows.get(id);
  if (!row) {
    const colon = id.indexOf(":");
    row = {
      id, key: id.toLowerCase(), service: id.slice(0, colon), tenant: id.slice(colon + 1), state: "", health: "", reason: "",
      since: 0, requests: 0, rate: null, latency: null, memory: null, storage: null, quota: null, url: "", spark: [],
      seen: null,
    };
    rows.set(id, row);
  }
  return row;
}

function take_listed(one) {
  const row = row_of(one.id);
  row.state = one.state;
  row.health = one.health ?? "";
  row.reason = one.reason ?? "";
  row.since = Date.now() - (one.state_secs ?? 0) * 1000;
  row.requests = one.requests ?? 0;
  row.storage = one.storage_used_bytes ?? row.storage;
  row.quota = one.storage_quota_bytes ?? row.quota;
  row.url = one.url ?? "";
  row.overridden = one.overridden ?? [];
  return row;
}

export async function load_list() {
  const listed = await get("/api/instances?all=1&brief=1");
  const there = new Set();
  for (const one of listed) there.add(take_listed(one).id);
  for (const id of rows.keys()) if (!there.has(id)) rows.delete(id);
  store.listed = true;
  tell("list");
}

// A sample of what counts up: what came since the last one, by the server's clock.
function take_running(one, clock) {
  const row = row_of(one.id);
  const before = row.seen;
  row.state = one.state;
  row.memory = one.memory_bytes;
  row.storage = one.stored_bytes ?? row.storage;
  row.requests = one.requests;
  row.in_flight = one.in_flight;
  if (before && clock > before.clock && one.requests >= before.requests) {
    const answers = (one.answers ?? 0) - before.answers;
    row.rate = ((one.requests - before.requests) * 1000) / (clock - before.clock);
    row.latency = answers > 0 ? ((one.took_usec ?? 0) - before.took) / answers / 1000 : null;
    row.cpu = ((one.cpu_usec ?? 0) - before.cpu) / 1000 / (clock - before.clock);
    row.spark.push(row.latency);
    if (row.spark.length > SAMPLES) row.spark.shift();
  }
  row.seen = { clock, requests: one.requests, answers: one.answers ?? 0, took: one.took_usec ?? 0, cpu: one.cpu_usec ?? 0 };
}

function forget_run(row) {
  row.seen = null;
  row.rate = row.latency = row.memory = row.cpu = null;
  row.in_flight = 0;
  row.spark = [];
}

async function load_running() {
  const top = await get("/api/top");
  const up = new Set();
  let total = 0, memory = 0;
  for (const one of top.instances) {
    take_running(one, top.clock_ms);
    up.add(one.id);
  }
  for (const row of rows.values()) {
    if (row.seen && !up.has(row.id)) forget_run(row);
    total += row.rate ?? 0;
    memory += row.memory ?? 0;
  }
  store.total = { rate: total, memory };
  tell("running");
}

async function load_status() {
  if (!may_see_all()) return;
  store.status = await get("/api/status");
  tell("status");
}

// ---- events ----

let list_wanted = false;

function take_event(event) {
  if (event.kind === "reset") {
    list_wanted = true;
    return;
  }
  store.events.unshift(event);
  if (store.events.length > EVENTS_KEPT) store.events.pop();
  const row = rows.get(event.instance);
  if (event.kind === "state" && row) {
    row.state = event.to;
    row.reason = TROUBLE.has(event.to) ? event.text : ""; // (that it went to sleep as it should is no trouble)
    row.since = event.time;
    if (event.to !== "ready") row.health = "";
  } else list_wanted = true;
  tell("event", event);
}

// ---- going on ----

let timers = [], stop_events = null;

function every(ms, work) {
  let busy = false;
  const turn = async () => {
    if (busy || (document.hidden && !connection.lost)) return;
    busy = true;
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refusal) && !connection.lost) console.warn(error);
    }
    busy = false;
  };
  timers.push(setInterval(turn, ms));
  return turn();
}

const EVENT_NAMES = ["state", "health", "declared", "removed", "reconcile", "problem", "solved", "held", "unheld", "rollout", "deploy", "route",
  "pause", "unpause", "reset"];

export async function begin(session) {
  store.session = session;
  every(STATUS_MS, load_status);
  every(LIST_MS, load_list);
  every(TICK_MS, async () => {
    if (list_wanted) {
      list_wanted = false;
      await load_list();
    }
    await load_running();
  });
  stop_events = follow("/api/events?limit=100", EVENT_NAMES, take_event, (live) => {
    if (live && !store.live) list_wanted = true;
    store.live = live;
    tell("live");
  });
}

export function end() {
  timers.forEach(clearInterval);
  timers = [];
  stop_events?.();
  stop_events = null;
  rows.clear();
  Object.assign(store, { session: null, status: null, events: [], listed: false });
}

export const refresh = () => Promise.allSettled([load_list(), load_status()]);
export const session_read = () => get("/api/session");
export const sign_in = (token) => call("POST", "/api/session", { token });
export const sign_out = () => call("DELETE", "/api/session");
export const on = (name, work) => {
  const heard = (event) => work(event.detail);
  bus.addEventListener(name, heard);
  return () => bus.removeEventListener(name, heard);
};
