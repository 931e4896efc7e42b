// Elements made of data. Text from the server gets in as text alone: there is no innerHTML here.

const SVG = "http://www.w3.org/2000/svg";

function put(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || (value === false && !name.startsWith("aria-"))) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true && !name.startsWith("aria-") ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (tag, attributes, ...children) => put(document.createElement(tag), attributes, children);
export const svg = (tag, attributes, ...children) => put(document.createElementNS(SVG, tag), attributes, children);

// Leave what is so already alone: a write costs a layout.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setClass(element, name) {
  if (element.getAttribute("class") !== name) element.setAttribute("class", name);
}

export const icon = (path) =>
  svg("svg", { viewBox: "0 0 20 20", class: "icon", "aria-hidden": "true" }, svg("path", { d: path }));

export function pill(state) {
  return h("span", { class: `pill is-${state}` }, state);
}

// ---- numbers as people read them ----

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(number) {
  if (number === null || number === undefined) return "–";
  let unit = 0;
  while (number >= 1024 && unit < UNITS.length - 1) {
    number /= 1024;
    unit++;
  }
  return `${unit && number < 10 ? number.toFixed(1) : Math.round(number)} ${UNITS[unit]}`;
}

const whole = new Intl.NumberFormat("en");
export const count = (number) => (number === null || number === undefined ? "–" : whole.format(number));

export function short(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1e6) return `${(number / 1e6).toFixed(1)} M`;
  if (number >= 1e4) return `${(number / 1e3).toFixed(1)} k`;
  return number >= 10 || Number.isInteger(number) ? `${Math.round(number)}` : number.toFixed(1);
}

export function rate(number) {
  if (!number) return number === 0 ? "0" : "–";
  return number < 0.1 ? "<0.1" : number < 10 ? number.toFixed(1) : short(Math.round(number));
}

export function ms(number) {
  if (number === null || number === undefined) return "–";
  if (number >= 1000) return `${(number / 1000).toFixed(number < 10000 ? 2 : 1)} s`;
  return `${number < 10 ? number.toFixed(1) : Math.round(number)} ms`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  for (let i = 0; i < parts.length; i++) {
    const [name, size] = parts[i];
    if (seconds < size && size > 1) continue;
    const rest = parts[i + 1] && Math.floor((seconds % size) / parts[i + 1][1]);
    return `${Math.floor(seconds / size)} ${name}${rest ? ` ${rest} ${parts[i + 1][0]}` : ""}`;
  }
  return "0 s";
}

export const clock = (stamp) => new Date(stamp).toLocaleTimeString("en-GB");
export const moment = (stamp) => new Date(stamp).toLocaleString("sv-SE").slice(0, 16);

// ---- what asks, and what tells ----

export function toast(text, kind = "done") {
  const box = document.getElementById("toasts");
  const element = h("div", { class: `toast ${kind}` }, text);
  box.append(element);
  while (box.children.length > 4) box.firstChild.remove();
  setTimeout(() => element.remove(), kind === "failed" ? 12000 : 5000);
}

// A question; resolves to the fields' values, or null. Without a button to say yes it only tells.
export function ask(title, body, button, { danger = false } = {}) {
  return new Promise((resolve) => {
    const form = h("form", { method: "dialog" },
      h("h2", { id: "ask-title" }, title), h("div", { class: "ask-body" }, body),
      h("div", { class: "row end" },
        h("button", { type: "button", class: "button", onclick: () => dialog.close() }, button ? "Cancel" : "Close"),
        button ? h("button", { type: "submit", class: danger ? "button danger" : "button primary" }, button) : ""));
    const dialog = h("dialog", { "aria-labelledby": "ask-title" }, form);
    let values = null;
    form.addEventListener("submit", () => { values = Object.fromEntries(new FormData(form)); });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(values);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export const empty = (title, ...text) => h("div", { class: "empty" }, h("strong", null, title), h("p", null, text));
