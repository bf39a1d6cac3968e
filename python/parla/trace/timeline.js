// timeline.js - the program of the page: unpacks the arrays, draws what is in view, answers pointer and keys.
//
// Spans lie sorted by (row, depth, start); `stripes` are the pieces of one row and depth, in which spans do not overlap, so that their ends
// are sorted too and bisection finds the first one in view. While spans are narrower than a pixel the next one drawn is found by bisection,
// so that a stripe costs at most a few steps for each pixel.
"use strict";

const LABELS = 190, AXIS = 26, LINE = 15, GAP = 7, HEAD = 18;
const state = { begin: 0, end: 1, top: 0, selected: -1, hover: -1, matches: [], match: -1, pattern: "" };
let data, columns = {}, stripes = [], rows = [], byNode, firstOfNode, before, after, isMatch;
const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");

async function unpack([type, text]) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new globalThis[type](await new Response(stream).arrayBuffer());
}

// Lists of `values` by key: those of key k are values[start[k]] … values[start[k + 1] - 1].
function lists(keys, values, n) {
  const start = new Uint32Array(n + 1);
  for (const key of keys) if (key >= 0) start[key + 1]++;
  for (let k = 0; k < n; k++) start[k + 1] += start[k];
  const fill = start.slice(), out = new Int32Array(start[n]);
  for (let i = 0; i < keys.length; i++) if (keys[i] >= 0) out[fill[keys[i]]++] = values ? values[i] : i;
  return (k) => out.subarray(start[k], start[k + 1]);
}

function findStripes() {
  const { row, depth } = columns;
  for (let i = 0; i < data.n; i++) {
    const last = stripes[stripes.length - 1];
    if (!last || last.row !== row[i] || last.depth !== depth[i]) stripes.push({ row: row[i], depth: depth[i], from: i, to: i + 1 });
    else last.to = i + 1;
  }
}

function layOut() {
  let y = 0, rank = -1;
  rows = data.rows.map((row, i) => {
    const head = row.rank !== rank ? HEAD : 0;
    rank = row.rank;
    const depth = Math.max(1, ...stripes.filter((stripe) => stripe.row === i).map((stripe) => stripe.depth + 1));
    const place = { ...row, head, y: y + head, height: depth * LINE };
    y += head + place.height + GAP;
    return place;
  });
  rows.height = y;
}

const end = (i) => columns.t0[i] + columns.duration[i];

// The first span of [from, to) that ends after t.
function firstEndingAfter(t, from, to) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (end(middle) > t) to = middle; else from = middle + 1;
  }
  return from;
}

const colours = new Map();
function colour(i) {
  const kind = data.kinds[columns.kind[i]];
  if (kind !== "task") return style("--" + kind);
  const group = data.names[columns.name[i]].replace(/\d+/g, "·");
  if (!colours.has(group)) {
    let hash = 2166136261;
    for (const letter of group) hash = Math.imul(hash ^ letter.codePointAt(0), 16777619);
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    colours.set(group, `hsl(${(hash >>> 0) % 360} ${45 + (hash >>> 9) % 20}% ${dark ? 42 : 62}%)`);
  }
  return colours.get(group);
}
let styles = {};
const style = (name) => (styles[name] ??= getComputedStyle(document.documentElement).getPropertyValue(name).trim());

function time(us) {
  for (const [unit, scale] of [["s", 1e6], ["ms", 1e3], ["µs", 1]]) if (Math.abs(us) >= scale) return `${+(us / scale).toPrecision(4)} ${unit}`;
  return `${+(us * 1e3).toPrecision(4)} ns`;
}
function size(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let k = 0;
  for (; n >= 1024 && k < units.length - 1; k++) n /= 1024;
  return `${+n.toPrecision(4)} ${units[k]}`;
}

// --- Drawing -------------------------------------------------------------------------------------------------------------------------------

let width = 0, height = 0;
const x = (t) => LABELS + (t - state.begin) / (state.end - state.begin) * (width - LABELS);
const t = (px) => state.begin + (px - LABELS) / (width - LABELS) * (state.end - state.begin);
const y = (row, depth) => AXIS + rows[row].y - state.top + depth * LINE;

function drawStripe(stripe) {
  const top = y(stripe.row, stripe.depth);
  if (top > height || top + LINE < AXIS) return 0;
  const perPixel = (state.end - state.begin) / (width - LABELS);
  let i = firstEndingAfter(state.begin, stripe.from, stripe.to), drawn = 0;
  while (i < stripe.to && columns.t0[i] < state.end) {
    const left = Math.max(LABELS, x(columns.t0[i])), right = Math.min(width, x(end(i)));
    const isThin = data.kinds[columns.kind[i]] === "idle";
    pen.globalAlpha = state.matches.length && !isMatch[columns.name[i]] ? 0.25 : 1;
    pen.fillStyle = colour(i);
    pen.fillRect(left, top + (isThin ? 5 : 1), Math.max(right - left, 0.75), LINE - (isThin ? 10 : 2));
    if (right - left > 34 && !isThin) {
      pen.save();
      pen.beginPath();
      pen.rect(left, top, right - left - 3, LINE);
      pen.clip();
      pen.fillStyle = data.kinds[columns.kind[i]] === "task" ? style("--ink") : style("--paper");
      pen.fillText(data.names[columns.name[i]], left + 4, top + LINE / 2 + 0.5);
      pen.restore();
    }
    drawn++;
    i = right - left < 1 ? Math.max(i + 1, firstEndingAfter(Math.max(end(i), t(left)) + perPixel, i, stripe.to)) : i + 1;
  }
  pen.globalAlpha = 1;
  return drawn;
}

function drawAxis() {
  const span = state.end - state.begin;
  let step = 10 ** Math.floor(Math.log10(span / 6));
  step *= [1, 2, 5, 10].find((factor) => span / (step * factor) <= 9) ?? 10;
  pen.fillStyle = style("--paper");
  pen.fillRect(0, 0, width, AXIS);
  pen.strokeStyle = style("--rule");
  pen.fillStyle = style("--faint");
  pen.beginPath();
  for (let tick = Math.ceil(state.begin / step) * step; tick <= state.end; tick += step) {
    const at = Math.round(x(tick)) + 0.5;
    pen.moveTo(at, AXIS - 6);
    pen.lineTo(at, height);
    if (at < width - 40) pen.fillText(tick === 0 ? "0" : time(tick), at + 4, AXIS / 2);
  }
  pen.moveTo(0, AXIS - 0.5);
  pen.lineTo(width, AXIS - 0.5);
  pen.stroke();
}

function drawLabels() {
  pen.fillStyle = style("--paper");
  pen.fillRect(0, AXIS, LABELS - 6, height);
  pen.save();
  pen.beginPath();
  pen.rect(0, AXIS, LABELS - 10, height);
  pen.clip();
  rows.forEach((row, i) => {
    const top = y(i, 0);
    if (row.head) {
      pen.fillStyle = style("--ink");
      pen.font = "600 12px system-ui, sans-serif";
      pen.fillText(`rank ${row.rank}`, 12, top - HEAD / 2);
      pen.font = "12px system-ui, sans-serif";
    }
    pen.fillStyle = style("--faint");
    pen.fillText(row.name, 22, top + LINE / 2 + 0.5);
  });
  pen.restore();
}

function arrow(from, to, colour) {
  const x0 = x(end(from)), y0 = y(columns.row[from], columns.depth[from]) + LINE / 2;
  const x1 = x(columns.t0[to]), y1 = y(columns.row[to], columns.depth[to]) + LINE / 2;
  const bend = Math.max(20, Math.abs(x1 - x0) / 2);
  pen.strokeStyle = colour;
  pen.lineWidth = 1.25;
  pen.beginPath();
  pen.moveTo(x0, y0);
  pen.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  pen.moveTo(x1 - 5, y1 - 3);
  pen.lineTo(x1, y1);
  pen.lineTo(x1 - 5, y1 + 3);
  pen.stroke();
  pen.lineWidth = 1;
}

const first = (node) => byNode(node)[0], last = (node) => byNode(node)[byNode(node).length - 1];

function drawSelection() {
  if (state.selected < 0) return;
  const node = columns.node[state.selected];
  if (node >= 0) {
    for (const other of before(node)) if (byNode(other).length) arrow(last(other), first(node), style("--arrow"));
    for (const other of after(node)) if (byNode(other).length) arrow(last(node), first(other), style("--copy"));
  }
  pen.strokeStyle = style("--glow");
  pen.lineWidth = 2;
  for (const i of node >= 0 ? byNode(node) : [state.selected])
    pen.strokeRect(x(columns.t0[i]), y(columns.row[i], columns.depth[i]) + 1, Math.max(x(end(i)) - x(columns.t0[i]), 2), LINE - 2);
  pen.lineWidth = 1;
}

function draw() {
  const scale = devicePixelRatio || 1;
  width = canvas.clientWidth;
  height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.font = "12px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.fillStyle = style("--paper");
  pen.fillRect(0, 0, width, height);
  rows.forEach((row, i) => {
    if (i % 2) return;
    pen.fillStyle = style("--band");
    pen.fillRect(0, y(i, 0) - GAP / 2, width, row.height + GAP);
  });
  drawAxis();
  pen.save();
  pen.beginPath();
  pen.rect(LABELS, AXIS, width - LABELS, height - AXIS);
  pen.clip();
  const t0 = performance.now();
  let drawn = 0;
  for (const stripe of stripes) drawn += drawStripe(stripe);
  drawSelection();
  pen.restore();
  drawLabels();
  state.drawn = drawn;
  state.draw_ms = performance.now() - t0;
}

let isDue = false;
function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => { isDue = false; draw(); });
}

// --- Moving --------------------------------------------------------------------------------------------------------------------------------

function show(begin, stop) {
  const shortest = 0.01, longest = data.duration_us * 1.1;
  const middle = (begin + stop) / 2, span = Math.min(Math.max(stop - begin, shortest), longest);
  begin = Math.min(Math.max(middle - span / 2, -0.05 * data.duration_us), 1.05 * data.duration_us - span);
  Object.assign(state, { begin, end: begin + span });
  redraw();
}
const showAll = () => { state.top = 0; show(-0.01 * data.duration_us, 1.01 * data.duration_us); };
function zoom(factor, px) {
  const at = t(px);
  show(at - (at - state.begin) * factor, at + (state.end - at) * factor);
}
function move(share) {
  const by = (state.end - state.begin) * share;
  show(state.begin + by, state.end + by);
}
function scroll(by) {
  state.top = Math.max(0, Math.min(state.top + by, rows.height - (height - AXIS) + 20));
  redraw();
}

function bring(i) {
  const span = state.end - state.begin;
  if (columns.t0[i] < state.begin || end(i) > state.end || columns.duration[i] < span / 2000) {
    const wide = Math.max(columns.duration[i] * 20, Math.min(span, data.duration_us / 50));
    const middle = columns.t0[i] + columns.duration[i] / 2;
    show(middle - wide / 2, middle + wide / 2);
  }
  const top = y(columns.row[i], columns.depth[i]);
  if (top < AXIS || top + LINE > height) scroll(top - height / 2);
}

function at(px, py) {
  const when = t(px), slack = (state.end - state.begin) / (width - LABELS) * 2;
  for (const stripe of stripes) {
    const top = y(stripe.row, stripe.depth);
    if (py < top || py >= top + LINE || px < LABELS) continue;
    const i = firstEndingAfter(when - slack, stripe.from, stripe.to);
    if (i < stripe.to && columns.t0[i] <= when + slack) return i;
  }
  return -1;
}

function select(i) {
  state.selected = i;
  describe(i);
  redraw();
}

function describe(i) {
  const detail = document.getElementById("detail");
  if (i < 0) {
    detail.textContent = "";
    return;
  }
  const row = data.rows[columns.row[i]], node = columns.node[i], kind = data.kinds[columns.kind[i]];
  const parts = [`${kind} on rank ${row.rank}, ${row.name}`, `begins at ${time(columns.t0[i])}`, `takes ${time(columns.duration[i])}`];
  if (columns.bytes[i] > 0) parts.push(`${size(columns.bytes[i])} (${+(columns.bytes[i] / columns.duration[i] / 1e3).toPrecision(3)} GB/s)`);
  if (node >= 0) {
    if (byNode(node).length > 1) parts.push(`one of ${byNode(node).length} steps of its task`);
    parts.push(`after ${before(node).length} tasks`, `before ${after(node).length}`);
  }
  const name = document.createElement("b");
  name.textContent = data.names[columns.name[i]];
  detail.replaceChildren(name, `: ${parts.join(", ")}`);
}

function follow(neighbours, pick) {
  const node = state.selected >= 0 ? columns.node[state.selected] : -1;
  const others = node >= 0 ? Array.from(neighbours(node)).filter((other) => byNode(other).length) : [];
  if (!others.length) return;
  const next = others.map(pick).reduce((best, i) => (pick === last ? end(i) > end(best) : columns.t0[i] < columns.t0[best]) ? i : best);
  select(next);
  bring(next);
}

function search(pattern) {
  state.pattern = pattern;
  const wanted = pattern.toLowerCase();
  isMatch = Uint8Array.from(data.names, (name) => wanted !== "" && name.toLowerCase().includes(wanted));
  state.matches = [];
  if (wanted) for (let i = 0; i < data.n; i++) if (isMatch[columns.name[i]]) state.matches.push(i);
  state.matches.sort((a, b) => columns.t0[a] - columns.t0[b]);
  state.match = -1;
  document.getElementById("matches").textContent = wanted ? `${state.matches.length} found` : "";
  redraw();
}
function nextMatch() {
  if (!state.matches.length) return;
  state.match = (state.match + 1) % state.matches.length;
  document.getElementById("matches").textContent = `${state.match + 1} of ${state.matches.length}`;
  select(state.matches[state.match]);
  bring(state.matches[state.match]);
}

function listen() {
  let drag = null;
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.shiftKey) move(event.deltaY / 800 || event.deltaX / 800);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) move(event.deltaX / 800);
    else zoom(1.0015 ** event.deltaY, event.offsetX);
  }, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    drag = { x: event.offsetX, y: event.offsetY, begin: state.begin, end: state.end, top: state.top, moved: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) {
      const i = at(event.offsetX, event.offsetY);
      if (i !== state.hover) {
        state.hover = i;
        describe(i >= 0 ? i : state.selected);
      }
      return;
    }
    const dx = event.offsetX - drag.x, dy = event.offsetY - drag.y;
    drag.moved ||= Math.hypot(dx, dy) > 4;
    if (!drag.moved) return;
    canvas.classList.add("drag");
    const by = dx / (width - LABELS) * (drag.end - drag.begin);
    state.top = drag.top;
    scroll(-dy);
    show(drag.begin - by, drag.end - by);
  });
  canvas.addEventListener("pointerup", (event) => {
    canvas.classList.remove("drag");
    if (drag && !drag.moved) select(at(event.offsetX, event.offsetY));
    drag = null;
  });
  const box = document.getElementById("search");
  box.addEventListener("input", () => search(box.value));
  document.getElementById("next").addEventListener("click", nextMatch);
  document.getElementById("all").addEventListener("click", showAll);
  const middle = () => LABELS + (width - LABELS) / 2;
  const keys = {
    w: () => zoom(0.7, middle()), s: () => zoom(1 / 0.7, middle()), a: () => move(-0.2), d: () => move(0.2), 0: showAll,
    "/": () => box.focus(), ArrowLeft: () => follow(before, last), ArrowRight: () => follow(after, first),
    ArrowUp: () => scroll(-60), ArrowDown: () => scroll(60), n: nextMatch, Escape: () => select(-1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.target === box) {
      if (event.key === "Enter") nextMatch();
      if (event.key === "Escape") { box.value = ""; search(""); box.blur(); }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  new ResizeObserver(redraw).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { styles = {}; colours.clear(); redraw(); });
}

async function start() {
  data = JSON.parse(document.getElementById("data").textContent);
  for (const [name, packed] of Object.entries(data.columns)) columns[name] = await unpack(packed);
  delete data.columns;
  const nNodes = 1 + columns.node.reduce((most, node) => Math.max(most, node), -1);
  const order = Int32Array.from(columns.node, (_, i) => i).sort((a, b) => columns.t0[a] - columns.t0[b]);
  byNode = lists(order.map((i) => columns.node[i]), order, nNodes);
  const isKnown = columns.edge_from.map((from, e) => from < nNodes && columns.edge_to[e] < nNodes);
  before = lists(columns.edge_to.map((to, e) => isKnown[e] ? to : -1), columns.edge_from, nNodes);
  after = lists(columns.edge_from.map((from, e) => isKnown[e] ? from : -1), columns.edge_to, nNodes);
  isMatch = new Uint8Array(data.names.length);
  findStripes();
  layOut();
  const lacks = data.dropped ? `, ${data.dropped} records are missing` : "";
  document.getElementById("summary").textContent = `${data.n.toLocaleString("en")} spans, ${time(data.duration_us)}${lacks}`;
  listen();
  showAll();
  draw();
  window.timeline = { state, columns, data, draw, show, search, select, nextMatch, x, y };
  document.documentElement.dataset.ready = "true";
}
start().catch((error) => { document.getElementById("detail").textContent = `The page could not be shown: ${error.message}`; });
