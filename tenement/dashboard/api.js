// The way to the server: requests, what they fail with, and whether it is reached at all.

export class Refusal extends Error {
  constructor(status, body) {
    super(body?.error ?? `the server answered ${status}`);
    this.status = status;
    this.where = body?.where;
  }
}

// "session": signed out by the server; "connection": connection.lost has changed; others are the store's.
export const bus = new EventTarget();
export const tell = (name, detail) => bus.dispatchEvent(new CustomEvent(name, { detail }));
export const connection = { lost: false, since: 0, why: "" };

export function reached(yes, why = "") {
  const was = connection.lost;
  if (yes) connection.since = Date.now();
  connection.lost = !yes;
  connection.why = why;
  if (was !== connection.lost) tell("connection");
}

async function body_of(response) {
  const text = await response.text();
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return { error: text.slice(0, 300) };
  }
}

export async function call(method, path, body) {
  let response, answer;
  try {
    response = await fetch(path, {
      method,
      cache: "no-store",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    answer = await body_of(response);
  } catch (error) {
    reached(false, "the server cannot be reached");
    throw error;
  }
  if (response.status >= 502 && response.status <= 504 && !answer?.where) reached(false, answer?.error);
  else reached(true);
  if (response.status === 401 && path !== "/api/session") tell("session");
  if (!response.ok) throw new Refusal(response.status, answer);
  return answer;
}

export const get = (path) => call("GET", path);
export const name_of = (text) => encodeURIComponent(text).replaceAll("%3A", ":");

// Server-sent events, again and again; returns what ends them. A browser gives up on a status other
// than 200, so that is tried anew as well.
export function follow(path, names, on_event, on_state) {
  let source, timer, ended = false, wait = 1000;
  const open = () => {
    source = new EventSource(path);
    for (const name of names)
      source.addEventListener(name, (event) => {
        try {
          on_event(JSON.parse(event.data), name, event.lastEventId);
        } catch { /* (not ours) */ }
      });
    source.onopen = () => {
      wait = 1000;
      on_state?.(true);
    };
    source.onerror = () => {
      on_state?.(false);
      if (source.readyState !== EventSource.CLOSED || ended) return;
      timer = setTimeout(open, wait);
      wait = Math.min(wait * 2, 30000);
    };
  };
  open();
  return () => {
    ended = true;
    clearTimeout(timer);
    source.close();
  };
}
