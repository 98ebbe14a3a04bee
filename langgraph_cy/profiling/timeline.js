"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const names = data.names;
const RUN = data.run_kind;
const partOf = Object.fromEntries(Object.entries(data.kinds).map(([kind, name]) => [name, +kind]));
const GUTTER = 168, AXIS = 26;
const many = data.rows.filter((row) => row.kind === "tasks").length > 48;
const HEIGHTS = { run: 22, supersteps: 18, parts: 26, tasks: many ? 7 : 20, saver: 16 };

// ---- words and colours

function time(ns) {
  if (ns >= 1e9) return (ns / 1e9).toFixed(2) + " s";
  if (ns >= 1e6) return (ns / 1e6).toFixed(2) + " ms";
  if (ns >= 1e4 || ns === 0) return (ns / 1e3).toFixed(0) + " µs";
  return (ns / 1e3).toFixed(1) + " µs";
}

const percent = (part, whole) => (whole ? (100 * part) / whole : 0).toFixed(1) + " %";

// the nodes that ran the longest have colours of their own; where there are more, colours repeat
const hues = new Map();
for (const node of data.nodes) if (!hues.has(node[1])) hues.set(node[1], "--n" + (hues.size % 8));
const FAMILIES = {
  "run": "--n0", "wait for tasks": "--wait", "hand out tasks": "--wait",
  "wait for saver": "--wait", "wait for retry": "--retry", "reduce": "--reduce",
  "save": "--saver", "serialise": "--serialise", "make checkpoint": "--serialise",
  "load checkpoint": "--saver", "look in cache": "--saver", "consumer": "--consumer",
  "stock's engine": "--stock", "plan": "--n6", "queue": "--wait", "hand over": "--wait",
};
let styles = getComputedStyle(document.documentElement);
let cache = {};
const colour = (name) => (cache[name] ??= styles.getPropertyValue(name).trim());

function hue(kind, name) {
  if (kind === RUN) return hues.get(name) ?? "--n0";
  return FAMILIES[data.kinds[kind]] ?? "--engine";
}

function element(kind, text, classes) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

// ---- the timeline

const rows = [];
let height = AXIS;
for (const row of data.rows) {
  const count = row.start.length;
  const start = new Float64Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) start[i] = at += row.start[i];
  const gap = row.kind === "run" ? (row.depth ? 4 : 8) : 2;
  height += gap;
  rows.push({ ...row, start, spent: Float64Array.from(row.spent), top: height });
  height += HEIGHTS[row.kind];
}
height += 8;

const box = document.getElementById("timeline");
const canvas = box.querySelector("canvas");
const paint = canvas.getContext("2d");
const tip = document.getElementById("tip");
const END = Math.max(1, data.wall);
let from = 0, to = END, width = 0, visible = 0, hovered = null, waiting = false;

function firstAndLast() {
  let first = Infinity, last = 0;
  for (const row of rows) {
    if (row.depth || row.kind !== "run" || !row.start.length) continue;
    const end = row.start.length - 1;
    first = Math.min(first, row.start[0]);
    last = Math.max(last, row.start[end] + row.spent[end]);
  }
  return first < last ? [first, last] : [0, END];
}

function fit() {
  const [first, last] = firstAndLast();
  const margin = (last - first) * 0.01;
  show(first - margin, last + margin);
}

function show(a, b) {
  const span = Math.min(Math.max(b - a, 20), END * 1.2);
  const middle = (a + b) / 2;
  from = middle - span / 2;
  to = middle + span / 2;
  if (from < -0.1 * END) [from, to] = [-0.1 * END, -0.1 * END + span];
  if (to > 1.1 * END) [from, to] = [1.1 * END - span, 1.1 * END];
  redraw();
}

function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function resize() {
  const scale = devicePixelRatio || 1;
  const most = Math.max(200, innerHeight * 0.68);
  visible = Math.min(height, most);
  document.getElementById("space").style.height = Math.max(0, height - visible) + "px";
  width = box.clientWidth;
  canvas.width = width * scale;
  canvas.height = visible * scale;
  canvas.style.width = width + "px";
  canvas.style.height = visible + "px";
  redraw();
}

const x = (t) => GUTTER + ((t - from) / (to - from)) * (width - GUTTER - 8);
const t = (at) => from + ((at - GUTTER) / (width - GUTTER - 8)) * (to - from);

/* The first bar that ends after a moment; bars of a row don't overlap. */
function seek(row, moment) {
  let low = 0, high = row.start.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (row.start[middle] + row.spent[middle] > moment) high = middle; else low = middle + 1;
  }
  return low;
}

function clipped(text, room) {
  if (paint.measureText(text).width <= room) return text;
  let low = 0, high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (paint.measureText(text.slice(0, middle) + "…").width <= room) low = middle;
    else high = middle - 1;
  }
  return low > 1 ? text.slice(0, low) + "…" : "";
}

function light(value) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(value.slice(i, i + 2), 16));
  return 0.299 * r + 0.587 * g + 0.114 * b > 140;
}

function fill(row, i) {
  if (row.kind === "run") return colour("--run");
  if (row.kind === "supersteps") return colour(i % 2 ? "--step-a" : "--step-b");
  if (row.kind === "saver") return colour("--saver");
  return colour(hue(row.part[i], names[row.name[i]]));
}

function drawRow(row, top) {
  const tall = HEIGHTS[row.kind];
  const edge = width - 8;
  let pixel = -1, longest = -1, chosen = "";
  const flush = () => {
    if (pixel >= 0) { paint.fillStyle = chosen; paint.fillRect(pixel, top, 1, tall); }
    pixel = longest = -1;
  };
  for (let i = seek(row, from); i < row.start.length && row.start[i] < to; i++) {
    const left = Math.max(GUTTER, x(row.start[i]));
    const right = Math.min(edge, x(row.start[i] + row.spent[i]));
    if (right - left < 1) {  // several in a pixel: the longest shows
      if (Math.floor(left) !== pixel) { flush(); pixel = Math.floor(left); }
      if (row.spent[i] > longest) { longest = row.spent[i]; chosen = fill(row, i); }
      continue;
    }
    flush();
    const style = fill(row, i);
    paint.fillStyle = style;
    const gap = right - left > 4 ? 0.6 : 0;
    paint.fillRect(left, top, right - left - gap, tall);
    if (right - left > 34 && tall >= 14) {
      paint.fillStyle = light(style) ? "#1c1c1a" : "#ffffff";
      const whole = `${names[row.name[i]]} · ${time(row.spent[i])}`;
      const room = right - left - 10;
      const text = paint.measureText(whole).width <= room ? whole : clipped(names[row.name[i]], room);
      paint.fillText(text, left + 5, top + tall / 2 + 0.5);
    }
  }
  flush();
}

function drawAxis() {
  const span = to - from;
  const aim = span / Math.max(2, (width - GUTTER) / 130);
  const power = 10 ** Math.floor(Math.log10(aim));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= aim);
  paint.fillStyle = colour("--card");
  paint.fillRect(0, 0, width, AXIS);
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const place = x(at);
    if (place < GUTTER - 1) continue;
    paint.fillStyle = colour("--line");
    paint.fillRect(place, 0, 1, visible);
    paint.fillStyle = colour("--quiet");
    paint.fillText(axis(at, step), place + 4, AXIS / 2);
  }
  paint.fillStyle = colour("--line");
  paint.fillRect(0, AXIS - 1, width, 1);
}

function axis(at, step) {
  const [unit, size] = step >= 1e8 ? ["s", 1e9] : step >= 1e5 ? ["ms", 1e6] : ["µs", 1e3];
  const places = Math.max(0, Math.ceil(-Math.log10(step / size) - 1e-9));
  return `${(at / size).toFixed(places)} ${unit}`;
}

function draw() {
  const scale = devicePixelRatio || 1;
  paint.setTransform(scale, 0, 0, scale, 0, 0);
  paint.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
  paint.textBaseline = "middle";
  paint.fillStyle = colour("--card");
  paint.fillRect(0, 0, width, visible);
  drawAxis();
  const scrolled = box.scrollTop;
  paint.save();
  paint.beginPath();
  paint.rect(0, AXIS, width, visible - AXIS);
  paint.clip();
  let last = "";
  for (const row of rows) {
    const top = row.top - scrolled, tall = HEIGHTS[row.kind];
    if (top + tall < AXIS || top > visible) continue;
    drawRow(row, top);
    paint.fillStyle = colour("--card");
    paint.fillRect(0, top - 1, GUTTER - 1, tall + 2);
    if (tall >= 14 || row.kind !== last) {
      paint.fillStyle = colour(row.kind === "run" ? "--text" : "--quiet");
      const indent = 10 + 12 * row.depth + (row.kind === "run" ? 0 : 10);
      const text = clipped(tall >= 14 ? row.label : "tasks", GUTTER - indent - 10);
      paint.fillText(text, indent, top + Math.max(tall, 12) / 2);
    }
    last = row.kind;
  }
  if (hovered) drawHovered(scrolled);
  paint.restore();
}

/* An outline, and before a task the line on which it queued. */
function drawHovered(scrolled) {
  const { row, i } = hovered;
  const top = row.top - scrolled, tall = HEIGHTS[row.kind];
  const left = Math.max(GUTTER, x(row.start[i]));
  const right = Math.min(width - 8, x(row.start[i] + row.spent[i]));
  paint.fillStyle = paint.strokeStyle = colour("--text");
  paint.lineWidth = 1.5;
  paint.strokeRect(left + 0.5, top + 0.5, Math.max(1, right - left - 1), tall - 1);
  for (const [name, value] of row.more[i] ?? []) {
    if (names[name] !== "queue") continue;
    const began = Math.max(GUTTER, x(row.start[i] - value));
    paint.fillRect(began, top + tall / 2, Math.max(0, left - began), 1.5);
  }
}

function find(event) {
  const area = canvas.getBoundingClientRect();
  const at = event.clientX - area.left, down = event.clientY - area.top;
  if (at < GUTTER || down < AXIS) return null;
  const row = rows.find((row) => {
    const top = row.top - box.scrollTop;
    return down >= top && down <= top + HEIGHTS[row.kind];
  });
  if (!row) return null;
  const slack = ((to - from) / width) * 1.5;  // narrow bars are drawn a pixel wide
  let best = null, near = slack;
  for (let i = seek(row, t(at) - slack); i < row.start.length; i++) {
    if (row.start[i] > t(at) + slack) break;
    const away = Math.max(row.start[i] - t(at), t(at) - row.start[i] - row.spent[i], 0);
    if (away < near || (away === near && row.spent[i] > row.spent[best])) [best, near] = [i, away];
  }
  return best === null ? null : { row, i: best };
}

function tell(event) {
  tip.hidden = !hovered;
  if (!hovered) return;
  const { row, i } = hovered;
  tip.replaceChildren(element("h3", names[row.name[i]]));
  const list = element("dl");
  const add = (name, value) => list.append(element("dt", name), element("dd", value));
  const kind = data.kinds[row.part[i]];
  if (kind && kind !== names[row.name[i]]) add("what", kind);
  add("took", time(row.spent[i]));
  add("began at", time(row.start[i]));
  if (row.step[i] !== null && row.kind !== "supersteps") add("superstep", row.step[i]);
  for (const [name, value] of row.more[i] ?? []) {
    add(names[name], typeof value === "number" ? time(value) : value);
  }
  tip.append(list);
  const side = event.clientX + 18 + tip.offsetWidth > innerWidth ? -18 - tip.offsetWidth : 18;
  tip.style.left = event.clientX + side + "px";
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
}

function zoom(factor, around) {
  show(around - (around - from) * factor, around + (to - around) * factor);
}

let dragged = null;
canvas.addEventListener("pointerdown", (event) => {
  dragged = { at: event.clientX, down: event.clientY, from, to, scrolled: box.scrollTop };
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointerup", () => { dragged = null; });
canvas.addEventListener("pointermove", (event) => {
  if (dragged) {
    const moved = ((event.clientX - dragged.at) / (width - GUTTER)) * (dragged.to - dragged.from);
    box.scrollTop = dragged.scrolled - (event.clientY - dragged.down);
    show(dragged.from - moved, dragged.to - moved);
    hovered = null;
  } else {
    hovered = find(event);
  }
  tell(event);
  redraw();
});
canvas.addEventListener("pointerleave", () => { hovered = null; tip.hidden = true; redraw(); });
canvas.addEventListener("dblclick", (event) => {
  const found = find(event);
  if (!found) return fit();
  const start = found.row.start[found.i], spent = found.row.spent[found.i];
  show(start - spent * 0.05, start + spent * 1.05);
});
box.addEventListener("wheel", (event) => {
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    const moved = ((event.deltaX || event.deltaY) / width) * (to - from);
    show(from + moved, to + moved);
  } else if (event.ctrlKey || event.metaKey || height <= visible) {
    zoom(Math.exp(event.deltaY * 0.0022), t(event.clientX - canvas.getBoundingClientRect().left));
  } else {
    return;
  }
  event.preventDefault();
}, { passive: false });
box.addEventListener("scroll", redraw);
box.addEventListener("keydown", (event) => {
  const span = to - from, middle = (from + to) / 2;
  const act = {
    w: () => zoom(0.7, middle), s: () => zoom(1 / 0.7, middle), 0: fit,
    a: () => show(from - span / 5, to - span / 5), d: () => show(from + span / 5, to + span / 5),
  }[event.key.toLowerCase()];
  if (act && !event.ctrlKey && !event.metaKey) { act(); event.preventDefault(); }
});

// ---- what it comes to

function summarise() {
  const summary = document.getElementById("summary");
  const add = (value, what) => {
    const item = element("div");
    item.append(element("b", value), element("span", what));
    summary.append(item);
  };
  add(data.runs_count.toLocaleString("en"), data.runs_count === 1 ? "run" : "runs");
  add(time(data.measured), "in runs");
  add(data.tasks.toLocaleString("en"), data.tasks === 1 ? "task" : "tasks");
  add(time(data.engine), `in the engine itself (${percent(data.engine, data.measured)})`);
  if (data.stock_count) add(data.stock_count.toLocaleString("en"), "on stock's engine");
  const bar = document.getElementById("parts"), legend = document.getElementById("legend");
  for (const [kind, spent] of data.parts) {
    const style = `var(${FAMILIES[data.kinds[kind]] ?? "--engine"})`;
    const piece = element("div");
    piece.style.cssText = `flex: ${spent} 0 0; background: ${style}`;
    piece.title = `${data.kinds[kind]}: ${time(spent)}`;
    bar.append(piece);
    const item = element("li"), mark = element("i");
    mark.style.background = style;
    item.append(mark, element("span", data.kinds[kind]), element("b", time(spent)));
    item.append(element("small", percent(spent, data.measured)));
    legend.append(item);
  }
}

function pathCell(path) {
  const cell = element("td", undefined, "text wide"), bar = element("div", undefined, "path");
  for (const [name, spent] of path) {
    const piece = element("div");
    const node = name.replace(/^run /, "").replace(/ x \d+$/, "");
    const style = name.startsWith("run ") ? hues.get(node) ?? "--n0" : FAMILIES[name] ?? "--engine";
    piece.style.cssText = `flex: ${spent} 0 0; background: var(${style})`;
    piece.title = `${name}: ${time(spent)}`;
    bar.append(piece);
  }
  const most = [...path].sort((a, b) => b[1] - a[1]).slice(0, 4);
  const said = path.filter((part) => most.includes(part));
  const text = said.map(([name, spent]) => `${name} ${time(spent)}`).join(" → ");
  cell.append(bar, element("div", text, "said"));
  return cell;
}

/* A table that a click on a heading sorts. Columns: [heading, kind]: "text", "number", "count" and
   "time", of which nought is no news, or "path". */
function fillTable(id, columns, body) {
  const table = document.getElementById(id);
  const head = table.createTHead().insertRow(), lines = table.createTBody();
  let sorted = -1, sign = -1;
  const put = () => {
    lines.replaceChildren(...body.map((values) => {
      const line = element("tr");
      columns.forEach(([, kind], place) => {
        const value = values[place];
        if (kind === "path") return line.append(pathCell(value));
        const text = kind === "time" ? (value ? time(value) : "–")
          : kind === "count" ? (value ? value.toLocaleString("en") : "–") : value;
        const classes = kind === "text" ? "text" : value || kind === "number" ? "" : "nothing";
        line.append(element("td", text, classes));
      });
      return line;
    }));
  };
  columns.forEach(([heading, kind], place) => {
    const cell = element("th", heading, kind === "text" || kind === "path" ? "text" : "");
    cell.addEventListener("click", () => {
      sign = sorted === place ? -sign : kind === "text" ? 1 : -1;
      sorted = place;
      const key = (line) => kind === "path" ? line[place].length : line[place];
      body.sort((a, b) => sign * (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
      put();
    });
    head.append(cell);
  });
  put();
}

const count = (name) => [name, "count"], spent = (name) => [name, "time"];
const words = (name) => [name, "text"];
fillTable("nodes", [
  words("graph"), words("node"), count("tasks"), count("cached"), count("errors"),
  count("retries"), spent("run"), spent("a task"), spent("longest"), spent("queue"),
  spent("reduce"), spent("serialise"), spent("save"),
], data.nodes);
fillTable("steps", [
  words("graph"), ["superstep", "number"], count("tasks"), spent("time"), ["critical path", "path"],
], data.steps);
fillTable("runs", [
  words("graph"), words("thread"), words("ended"), words("on stock's engine because"),
  spent("began at"), spent("time"), count("supersteps"),
], data.runs);
for (const [id, shown, all] of [
  ["steps", data.steps.length, data.steps_count], ["runs", data.runs.length, data.runs_count],
]) {
  if (shown < all) {
    const text = `The ${shown} longest of ${all.toLocaleString("en")}.`;
    document.getElementById(id).parentElement.before(element("p", text, "hint"));
  }
}
summarise();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  styles = getComputedStyle(document.documentElement);
  cache = {};
  redraw();
});
addEventListener("resize", resize);
resize();
fit();
