"use strict";
// In a function of its own: among a page's global names `top` is taken.
(() => {
// Operations come as columns, ordered by their invocations: [process, node, f, key, argument, result, end, invoked, returned], where texts
// are places in `words`. Everything is drawn on one canvas, and only what is in view.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const [P, NODE, F, KEY, ARGUMENT, RESULT, END, FROM, TO] = data.columns;
const count = P.length;
const LANE = 26, BAR = 18, AXIS = 30, NAMES = 64, LANES_SHOWN_MAX = 24;
// How many bars one lane may show: as many as it has pixels. Neighbours that fall into one pixel are one bar.
const canvas = byId("canvas"), pen = canvas.getContext("2d");
const begin = data.begin, end = Math.max(data.end, begin + 1);
const lanes = [...new Set(P)].sort((a, b) => a - b);
const core = new Set(data.core), inOrder = data.orders.map(order => new Map(order.operations.map((operation, rank) => [operation, order.before + rank + 1])));
let from = begin, to = end, top = 0, shown = lanes, byLane = [], matches = null, hovered = -1, kept = -1, scheduled = false, drag = null;
const state = window.timeline = { frames: 0, drawn: 0, hovered: -1, kept: -1, from, to };

function text(place) { return place < 0 ? "" : data.words[place]; }
function seconds(time) { return data.timed ? (time / 1e9).toFixed(6) + " s" : "line " + time; }
function returned(i) { return TO[i] === null ? Infinity : TO[i]; }

// The lanes that are shown, each with its operations; one process has one operation at a time, so both their ends ascend.
function arrange() {
  const lane = new Map(shown.map((process, row) => [process, row]));
  byLane = shown.map(() => []);
  for (let i = 0; i < count; i++) {
    const row = lane.get(P[i]);
    if (row !== undefined && (!matches || matches.has(i))) byLane[row].push(i);
  }
  top = Math.max(0, Math.min(top, shown.length - rows()));
  resize();
}
function rows() { return Math.min(shown.length, LANES_SHOWN_MAX); }
function resize() {
  const scale = window.devicePixelRatio || 1, height = AXIS + rows() * LANE + 8;
  canvas.style.height = height + "px";
  canvas.width = canvas.clientWidth * scale;
  canvas.height = height * scale;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  schedule();
}
function width() { return canvas.clientWidth - NAMES; }
function x(time) { return NAMES + (time - from) / (to - from) * width(); }
function timeAt(pixel) { return from + (pixel - NAMES) / width() * (to - from); }
function schedule() { if (!scheduled) { scheduled = true; requestAnimationFrame(draw); } }
function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }
// The first operation of a lane that ends at `time` or later. An open one is the last of its process.
function firstFrom(list, time) {
  let low = 0, high = list.length;
  while (low < high) { const middle = (low + high) >> 1; if (returned(list[middle]) < time) low = middle + 1; else high = middle; }
  return low;
}
// The first operation of a lane that begins after `time`.
function firstAfter(list, time, low) {
  let high = list.length;
  while (low < high) { const middle = (low + high) >> 1; if (FROM[list[middle]] <= time) low = middle + 1; else high = middle; }
  return low;
}

function draw() {
  scheduled = false;
  const w = canvas.clientWidth, h = AXIS + rows() * LANE + 8;
  const c = Object.fromEntries(["text", "dim", "line", "ok", "info", "fail", "bad", "order", "fault", "card"].map(name => [name, colour(name)]));
  pen.clearRect(0, 0, w, h);
  pen.save();
  pen.beginPath(); pen.rect(NAMES, 0, w - NAMES, h); pen.clip();
  pen.fillStyle = c.fault;
  for (const fault of data.faults) {
    const left = Math.max(NAMES, x(fault.from)), right = Math.min(w, x(fault.to === null ? end : fault.to));
    if (right > left) { pen.fillRect(left, AXIS, right - left, h); label(fault.name, left + 3, AXIS - 3, right - left, c.bad); }
  }
  axis(w, h, c);
  let drawn = 0;
  const focus = kept >= 0 ? kept : hovered;
  const orders = inOrder.filter(order => focus < 0 ? false : order.has(focus));
  const order = orders[0];
  for (let row = 0; row < rows(); row++) {
    const list = byLane[top + row], y = AXIS + row * LANE + (LANE - BAR) / 2;
    let at = firstFrom(list, from);
    while (at < list.length && FROM[list[at]] <= to) {
      const i = list[at], left = Math.max(NAMES - 4, x(FROM[i])), right = Math.min(w + 4, x(Math.min(returned(i), end)));
      const bar = Math.max(2, right - left);
      bars(i, left, y, bar, c, order, focus);
      drawn++;
      // What falls into the same pixel is drawn once.
      const next = firstAfter(list, timeAt(left + 1), at + 1);
      at = bar > 2 ? at + 1 : Math.max(at + 1, next);
    }
  }
  // What matters most is on top, however small it is.
  for (const i of [...data.core, data.culprit].filter(i => i !== null && (!matches || matches.has(i)))) {
    const row = shown.indexOf(P[i]) - top;
    if (row < 0 || row >= rows() || returned(i) < from || FROM[i] > to) continue;
    const left = Math.max(NAMES - 4, x(FROM[i])), bar = Math.max(3, Math.min(w + 4, x(Math.min(returned(i), end))) - left);
    bars(i, left, AXIS + row * LANE + (LANE - BAR) / 2, bar, c, order, focus);
    drawn++;
  }
  pen.restore();
  pen.font = "12px ui-monospace, monospace"; pen.textAlign = "right"; pen.fillStyle = c.dim;
  for (let row = 0; row < rows(); row++) pen.fillText("p" + shown[top + row], NAMES - 8, AXIS + row * LANE + LANE / 2 + 4);
  pen.textAlign = "left";
  Object.assign(state, { frames: state.frames + 1, drawn, hovered, kept, from, to });
}
function bars(i, left, y, bar, c, order, focus) {
  const rank = order && order.get(i);
  pen.fillStyle = i === data.culprit ? c.bad : rank ? c.order : END[i] === 0 ? c.ok : END[i] === 1 ? c.fail : c.info;
  pen.globalAlpha = order && !rank && i !== data.culprit ? .3 : 1;
  pen.beginPath(); pen.roundRect(left, y, bar, BAR, Math.min(4, bar / 2)); pen.fill();
  pen.globalAlpha = 1;
  if (core.has(i) || i === focus) { pen.lineWidth = i === focus ? 3 : 1.5; pen.strokeStyle = c.text; pen.stroke(); }
  label((rank ? rank + " · " : i === data.culprit ? "✗ " : "") + text(F[i]) + " " + text(ARGUMENT[i]) + (END[i] === 0 && RESULT[i] >= 0 ? " → " + text(RESULT[i]) : ""), left + 5, y + 13, bar - 8, "#fff");
}
function label(words, left, y, room, fill) {
  if (room < 14) return;
  pen.font = "11px ui-monospace, monospace"; pen.fillStyle = fill;
  const fits = Math.floor(room / 6.7);
  pen.fillText(words.length > fits ? words.slice(0, Math.max(1, fits - 1)) + "…" : words, left, y);
}
function axis(w, h, c) {
  const rough = (to - from) / Math.max(2, width() / 120), power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
  pen.font = "11px system-ui, sans-serif"; pen.strokeStyle = c.line; pen.lineWidth = 1;
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) {
    const at = Math.round(x(time)) + .5;
    pen.beginPath(); pen.moveTo(at, 16); pen.lineTo(at, h); pen.stroke();
    pen.fillStyle = c.dim;
    const digits = Math.max(0, Math.min(9, Math.ceil(9 - Math.log10(step))));
    pen.fillText(data.timed ? (time / 1e9).toFixed(digits) + " s" : String(Math.round(time)), at + 3, 12);
  }
}
function operationAt(event) {
  const box = canvas.getBoundingClientRect(), px = event.clientX - box.left, py = event.clientY - box.top;
  const row = Math.floor((py - AXIS) / LANE);
  if (px < NAMES || row < 0 || row >= rows()) return -1;
  const list = byLane[top + row], margin = 3 / width() * (to - from), time = timeAt(px);
  const at = firstFrom(list, time - margin);
  return at < list.length && FROM[list[at]] <= time + margin ? list[at] : -1;
}
function tell() {
  const i = kept >= 0 ? kept : hovered;
  if (i < 0) { byId("detail").textContent = "Point at an operation."; return; }
  const lines = [`process ${P[i]}${NODE[i] === null ? "" : " at node " + NODE[i]}: ${text(F[i])} ${text(ARGUMENT[i])}${KEY[i] < 0 ? "" : ", key " + text(KEY[i])}`];
  lines.push(["ok", "failed", "outcome unknown"][END[i]] + (END[i] === 0 ? ": " + (text(RESULT[i]) || "null") : "") + `, from ${seconds(FROM[i])} to ${TO[i] === null ? "the end" : seconds(TO[i])}`);
  if (i === data.culprit) lines.push("✗ no order of the operations explains it");
  const ranks = inOrder.map((order, nth) => order.has(i) ? `place ${order.get(i)} of ${data.orders[nth].length} in the longest order${inOrder.length > 1 ? " " + (nth + 1) : ""}` : "").filter(Boolean);
  if (ranks.length) lines.push(ranks.join("; "));
  byId("detail").textContent = lines.join("\n");
}
function view(a, b) {
  const least = data.timed ? 1000 : 4, span = Math.min(Math.max(b - a, least), (end - begin) * 1.04);
  const middle = (a + b) / 2;
  from = Math.max(begin - (end - begin) * .02, Math.min(middle - span / 2, end + (end - begin) * .02 - span));
  to = from + span;
  schedule();
}
function toCulprit() {
  const ids = data.core.length ? data.core : data.culprit === null ? [] : [data.culprit];
  if (!ids.length) return view(begin, end);
  const times = ids.flatMap(i => [FROM[i], TO[i] ?? FROM[i]]), a = Math.min(...times), b = Math.max(...times), space = (b - a) * .15 + 1;
  const row = data.culprit === null ? 0 : shown.indexOf(P[data.culprit]);
  top = Math.max(0, Math.min(row - (rows() >> 1), shown.length - rows()));
  view(a - space, b + space);
}
function search(query) {
  const wanted = [...query.matchAll(/(process|p|key|k|node|n)\s*[:=]?\s*("[^"]*"|\S+)/g)].map(([, what, value]) => [what[0], value]);
  matches = null; shown = lanes;
  if (wanted.length) {
    matches = new Set();
    for (let i = 0; i < count; i++) if (wanted.every(([what, value]) => (what === "p" ? String(P[i]) : what === "n" ? String(NODE[i]) : text(KEY[i])) === value)) matches.add(i);
    const processes = new Set([...matches].map(i => P[i]));
    shown = lanes.filter(process => processes.has(process));
  }
  top = 0; kept = hovered = -1;
  byId("count").textContent = (matches ? matches.size.toLocaleString("en") + " of " : "") + count.toLocaleString("en") + " operations" + (data.left_out ? `, ${data.left_out.toLocaleString("en")} more left out` : "");
  arrange(); tell();
}
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  if (event.shiftKey) { top = Math.max(0, Math.min(top + Math.sign(event.deltaY || event.deltaX), shown.length - rows())); return schedule(); }
  const at = timeAt(event.clientX - canvas.getBoundingClientRect().left), factor = Math.exp(event.deltaY * .002);
  view(at - (at - from) * factor, at + (to - at) * factor);
}, { passive: false });
canvas.addEventListener("pointerdown", event => { drag = { x: event.clientX, y: event.clientY, from, to, top, moved: false }; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointermove", event => {
  if (drag) {
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (Math.abs(dx) + Math.abs(dy) > 4) drag.moved = true;
    if (drag.moved) {
      const shift = -dx / width() * (drag.to - drag.from);
      top = Math.max(0, Math.min(drag.top - Math.round(dy / LANE), shown.length - rows()));
      view(drag.from + shift, drag.to + shift);
    }
    return;
  }
  const i = operationAt(event);
  if (i !== hovered) { hovered = i; tell(); schedule(); }
});
canvas.addEventListener("pointerup", event => {
  if (drag && !drag.moved) { const i = operationAt(event); kept = i === kept ? -1 : i; tell(); schedule(); }
  drag = null;
});
canvas.addEventListener("pointerleave", () => { if (hovered >= 0) { hovered = -1; tell(); schedule(); } });
canvas.addEventListener("keydown", event => {
  const span = to - from;
  const move = { ArrowLeft: [-.2, -.2], ArrowRight: [.2, .2], "+": [.2, -.2], "-": [-.25, .25] }[event.key];
  if (event.key === "Escape") { kept = -1; tell(); schedule(); }
  if (move) { event.preventDefault(); view(from + move[0] * span, to + move[1] * span); }
});
byId("search").addEventListener("input", event => search(event.target.value.trim()));
byId("all").addEventListener("click", () => view(begin, end));
byId("culprit").addEventListener("click", toCulprit);
byId("culprit").hidden = data.culprit === null && !data.core.length;
window.addEventListener("resize", resize);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule);

document.title = data.verdict + " · " + data.title;
byId("verdict").textContent = data.verdict; byId("verdict").className = data.verdict;
byId("title").textContent = data.title; byId("reason").textContent = data.reason;
for (const [name, value] of data.facts) {
  const fact = document.createElement("div"), head = document.createElement("b");
  head.textContent = name; fact.append(head, value); byId("facts").append(fact);
}
if (data.text) { byId("witness").hidden = false; byId("words").textContent = data.text; }
search(""); toCulprit();
})();
