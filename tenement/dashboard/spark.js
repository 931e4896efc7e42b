// Lines and bars in SVG. Positions are attributes and colours are classes: no style is written.

import { h, setText, svg } from "./dom.js";

// A line over the last samples; null is a gap.
export function sparkline(width = 92, height = 22) {
  const line = svg("path", { class: "spark-line" });
  const area = svg("path", { class: "spark-area" });
  const dot = svg("circle", { class: "spark-dot", r: 1.8, visibility: "hidden" });
  const element = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, area, line, dot);
  let drawn = null;

  element.draw = (values, room) => {
    const top = Math.max(1, ...values.filter((value) => value !== null));
    const step = (width - 4) / (room - 1), begin = width - 2 - (values.length - 1) * step;
    const parts = [];
    let last = null, path = "", shade = "", open = false;
    values.forEach((value, i) => {
      if (value === null) return;
      const x = (begin + i * step).toFixed(1), y = (height - 3 - (value / top) * (height - 6)).toFixed(1);
      parts.push([x, y]);
      last = [x, y];
    });
    for (const [x, y] of parts) {
      path += `${open ? "L" : "M"}${x} ${y}`;
      open = true;
    }
    if (parts.length > 1) shade = `${path}L${last[0]} ${height - 1}L${parts[0][0]} ${height - 1}Z`;
    if (path === drawn) return;
    drawn = path;
    line.setAttribute("d", path || "M0 0");
    area.setAttribute("d", shade || "M0 0");
    dot.setAttribute("visibility", last ? "visible" : "hidden");
    if (last) {
      dot.setAttribute("cx", last[0]);
      dot.setAttribute("cy", last[1]);
    }
  };
  return element;
}

// Bars over time. POINTS: {at, value, label}; the one under the pointer, or chosen by arrow keys, is read out.
export function bars(title, points, format, summary) {
  const width = 480, height = 96, base = height - 14;
  const top = Math.max(...points.map((point) => point.value ?? 0), 0);
  const slot = width / Math.max(points.length, 1);
  const said = h("span", { class: "plot-said", "aria-live": "polite" }, summary);
  const shapes = points.map((point, i) => {
    const tall = top ? Math.max(point.value ? 1.5 : 0, ((point.value ?? 0) / top) * (base - 6)) : 0;
    return svg("rect", { class: "bar", x: (i * slot + slot * 0.12).toFixed(2), y: (base - tall).toFixed(2),
      width: (slot * 0.76).toFixed(2), height: tall.toFixed(2), rx: Math.min(1.5, slot / 5) });
  });
  const first = points[0]?.label ?? "", last = points.at(-1)?.label ?? "";
  const picture = svg("svg", { class: "bars", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("line", { class: "grid", x1: 0, x2: width, y1: 6, y2: 6 }),
    svg("line", { class: "grid", x1: 0, x2: width, y1: (base + 6) / 2, y2: (base + 6) / 2 }),
    svg("line", { class: "axis", x1: 0, x2: width, y1: base, y2: base }), shapes);
  let chosen = -1;
  const choose = (i) => {
    shapes[chosen]?.setAttribute("class", "bar");
    chosen = i < 0 || i >= points.length ? -1 : i;
    shapes[chosen]?.setAttribute("class", "bar chosen");
    setText(said, chosen < 0 ? summary : `${points[chosen].label}: ${format(points[chosen].value)}`);
  };
  const at = (event) => {
    const box = picture.getBoundingClientRect();
    choose(Math.floor(((event.clientX - box.left) / box.width) * points.length));
  };
  return h("figure", {
    class: "plot", tabindex: "0", role: "group", "aria-label": `${title}, ${summary}; arrow keys go through it`,
    onpointermove: at, onpointerleave: () => choose(-1), onblur: () => choose(-1),
    onkeydown: (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      choose(chosen < 0 ? points.length - 1 : Math.min(Math.max(chosen + by, 0), points.length - 1));
    },
  },
  h("figcaption", null, h("span", null, title), said), h("div", { class: "plot-picture" }, h("span", { class: "plot-top" }, top ? format(top) : ""), picture),
  h("div", { class: "plot-axis" }, h("span", null, first), h("span", null, last)));
}
