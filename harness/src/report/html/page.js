"use strict";
// In a function of its own: among a page's global names `top` is taken.
(() => {
// Operations come as columns, ordered by their invocations; texts are places in `words`. Everything is drawn on one canvas, and only
// what is in view.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = id => document.getElementById(id);
const { process: P, node: NODE, f: F, key: KEY, argument: ARGUMENT, result: RESULT, end: END, invoked: FROM, returned: TO } = data.columns;
const count = P.length;
const LANE = 26, BAR = 18, AXIS = 30, NAMES = 64, LANES_SHOWN_MAX = 24;
// Bars that are thinner than this, in pixels, are drawn as one with their neighbours, so that a lane has no more of them than pixels.
const THIN = 2;
const canvas = byId("canvas"), pen = canvas.getContext("2d");
const begin = data.begin, end = Math.max(data.end, begin + 1);
const lanes = [...new Set(P)].sort((a, b) => a - b);
// The violation that is shown: the operation that no order explains, the smallest core, and the longest orders with each operation's place.
let culprit = null, core = new Set(), orders = [];
const numbered = new Set();
let wide = NAMES + 1, from = begin, to = end, top = 0, shown = lanes, byLane = [], matches = null, hovered = -1, kept = -1, pointer = null, scheduled = false, drag = null;
const state = window.timeline = { frames: 0, drawn: 0, hovered: -1, kept: -1, numbered: 0, from, to, box };

function focused() { return kept >= 0 ? kept : hovered; }
function text(place) { return place < 0 ? "" : data.words[place]; }
function seconds(time) { return data.timed ? (time / 1e9).toFixed(6) + " s" : "line " + time; }
function returned(i) { return TO[i] === null ? Infinity : TO[i]; }

function choose(nth) {
  const violation = data.violations[nth];
  culprit = violation ? violation.culprit : null;
  core = new Set(violation ? violation.core : []);
  orders = (violation ? violation.orders : []).map(order => ({
    length: order.length,
    ranks: new Map(order.operations.map((operation, rank) => [operation, order.before + rank + 1])),
  }));
  byId("witness").hidden = !violation;
  byId("words").textContent = violation ? violation.text : "";
  byId("culprit").hidden = culprit === null && !core.size;
}
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
  // Asking the browser for it takes longer than all else that a bar needs.
  wide = canvas.clientWidth;
  canvas.width = wide * scale;
  canvas.height = height * scale;
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  schedule();
}
function width() { return wide - NAMES; }
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

function draw() {
  scheduled = false;
  const w = wide, h = AXIS + rows() * LANE + 8;
  const c = Object.fromEntries(["text", "dim", "line", "ok", "info", "fail", "bad", "order", "fault", "on"].map(name => [name, colour(name)]));
  pen.clearRect(0, 0, w, h);
  pen.save();
  pen.beginPath(); pen.rect(NAMES, 0, w - NAMES, h); pen.clip();
  for (const fault of data.faults) {
    pen.fillStyle = c.fault;
    const left = Math.max(NAMES, x(fault.from)), right = Math.min(w, x(fault.to === null ? end : fault.to));
    if (right > left) { pen.fillRect(left, AXIS, right - left, h); label(fault.name, left + 3, AXIS - 3, right - left, c.bad); }
  }
  axis(w, h, c);
  let drawn = 0;
  numbered.clear();
  const focus = focused();
  // Of the operation that no order explains: one of those that explain all the others they can.
  const order = focus < 0 ? undefined : (orders.find(order => order.ranks.has(focus)) ?? (focus === culprit ? orders[0] : undefined))?.ranks;
  for (let row = 0; row < rows(); row++) {
    const list = byLane[top + row], y = AXIS + row * LANE + (LANE - BAR) / 2;
    let run = null;
    for (let at = firstFrom(list, from); at < list.length && FROM[list[at]] <= to; at++) {
      const i = list[at], left = Math.max(NAMES - 4, x(FROM[i])), right = Math.min(w + 4, x(Math.min(returned(i), end)));
      if (right - left > THIN) {
        bars(i, left, y, right - left, c, order, focus);
        drawn++;
        continue;
      }
      const kind = order && order.has(i) ? 3 : END[i];
      if (kind === 3) numbered.add(i);
      // What is seldom must not vanish behind what is not.
      if (run && left < run.left + THIN) run.kind = Math.max(run.kind, kind);
      else if (run && run.kind === kind && left <= run.right + 1) run.right = left + THIN;
      else { drawn += thin(run, y, c, order); run = { left, right: left + THIN, kind }; }
    }
    drawn += thin(run, y, c, order);
  }
  // What matters most is on top, however small it is.
  for (const i of new Set([...core, culprit ?? -1, focus])) {
    if (i < 0 || matches && !matches.has(i)) continue;
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
  placeTip();
  Object.assign(state, { frames: state.frames + 1, drawn, numbered: numbered.size, hovered, kept, from, to });
}
// Draws a run of thin bars; how many rectangles that are.
function thin(run, y, c, order) {
  if (!run) return 0;
  pen.globalAlpha = order && run.kind !== 3 ? .3 : 1;
  pen.fillStyle = [c.ok, c.fail, c.info, c.order][run.kind];
  pen.fillRect(run.left, y, run.right - run.left, BAR);
  pen.globalAlpha = 1;
  return 1;
}
function bars(i, left, y, bar, c, order, focus) {
  const rank = order && order.get(i);
  if (rank) numbered.add(i);
  pen.fillStyle = i === culprit ? c.bad : rank ? c.order : END[i] === 0 ? c.ok : END[i] === 1 ? c.fail : c.info;
  pen.globalAlpha = order && !rank && i !== culprit ? .3 : 1;
  pen.beginPath(); pen.roundRect(left, y, bar, BAR, Math.min(4, bar / 2)); pen.fill();
  pen.globalAlpha = 1;
  if (core.has(i) || i === focus) { pen.lineWidth = i === focus ? 3 : 1.5; pen.strokeStyle = c.text; pen.stroke(); }
  if (bar < 22) return;
  const words = [text(F[i]), text(ARGUMENT[i]), END[i] === 0 && RESULT[i] >= 0 ? "→ " + text(RESULT[i]) : ""].filter(Boolean).join(" ");
  label((rank ? rank + " · " : i === culprit ? "✗ " : "") + words, left + 5, y + 13, bar - 8, c.on);
}
function label(words, left, y, room, fill) {
  if (room < 14) return;
  pen.font = "11px ui-monospace, monospace"; pen.fillStyle = fill;
  const fits = Math.floor(room / 6.7);
  pen.fillText(words.length > fits ? words.slice(0, Math.max(1, fits - 1)) + "…" : words, left, y);
}
function axis(w, h, c) {
  const rough = (to - from) / Math.max(2, width() / 120), power = 10 ** Math.floor(Math.log10(rough));
  const wanted = [1, 2, 5, 10].map(m => m * power).find(s => s >= rough);
  // There is nothing between two lines.
  const step = data.timed ? wanted : Math.max(1, Math.ceil(wanted));
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
// What has an argument and returns nothing was done for its effect.
function outcome(i) {
  if (END[i] > 0) return ["", ": failed", ": outcome unknown"][END[i]];
  return RESULT[i] >= 0 ? " → " + text(RESULT[i]) : ARGUMENT[i] >= 0 ? ": ok" : " → null";
}
// What there is to say of an operation, line by line.
function story(i) {
  const lines = [`${text(F[i])} ${text(ARGUMENT[i])}`.trim() + outcome(i)];
  lines.push(`process ${P[i]}` + (NODE[i] === null ? "" : `, node ${NODE[i]}`) + (KEY[i] < 0 ? "" : `, key ${text(KEY[i])}`));
  lines.push(`${seconds(FROM[i])} – ${TO[i] === null ? "open to the end" : seconds(TO[i])}` + (data.timed && TO[i] !== null ? `, ${((TO[i] - FROM[i]) / 1e6).toFixed(3)} ms` : ""));
  if (i === culprit) lines.push("✗ no order of the operations explains it");
  for (const [nth, order] of orders.entries())
    if (order.ranks.has(i)) lines.push(`place ${order.ranks.get(i)} of ${order.length} in the longest order${orders.length > 1 ? " " + (nth + 1) : ""}`);
  return lines;
}
function tell() {
  const i = focused(), tip = byId("tip");
  tip.hidden = i < 0;
  tip.className = kept >= 0 ? "kept" : "";
  if (i >= 0) tip.replaceChildren(...story(i).map(line => { const row = document.createElement("div"); row.textContent = line; return row; }));
  schedule();
}
// The part of an operation's bar that is in view, on the canvas; null where none is.
function box(i) {
  const row = shown.indexOf(P[i]) - top;
  if (row < 0 || row >= rows() || returned(i) < from || FROM[i] > to) return null;
  const left = Math.max(NAMES, x(FROM[i])), right = Math.min(wide, x(Math.min(returned(i), end)));
  return { left, right: Math.max(left, right), top: AXIS + row * LANE + (LANE - BAR) / 2, bottom: AXIS + row * LANE + (LANE + BAR) / 2 };
}
// Below the bar, or above it where the window ends.
function placeTip() {
  const tip = byId("tip"), i = focused(), at = i < 0 ? null : box(i);
  tip.style.visibility = at ? "visible" : "hidden";
  if (!at) return;
  const wanted = kept < 0 && pointer !== null ? pointer - 20 : at.left;
  tip.style.left = Math.max(4, Math.min(wanted, wide - tip.offsetWidth - 4)) + "px";
  const room = window.innerHeight - canvas.getBoundingClientRect().top - at.bottom;
  tip.style.top = (room > tip.offsetHeight + 12 ? at.bottom + 6 : at.top - tip.offsetHeight - 6) + "px";
}
function view(a, b) {
  const least = data.timed ? 1000 : 4, span = Math.min(Math.max(b - a, least), (end - begin) * 1.04);
  const middle = (a + b) / 2;
  from = Math.max(begin - (end - begin) * .02, Math.min(middle - span / 2, end + (end - begin) * .02 - span));
  to = from + span;
  schedule();
}
function toCulprit() {
  const ids = culprit === null ? [...core] : [...core, culprit];
  if (!ids.length) return view(begin, end);
  const times = ids.flatMap(i => [FROM[i], TO[i] ?? FROM[i]]), a = Math.min(...times), b = Math.max(...times), space = (b - a) * .15 + 1;
  const row = culprit === null ? 0 : shown.indexOf(P[culprit]);
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
  pointer = event.clientX - canvas.getBoundingClientRect().left;
  if (i !== hovered) { hovered = i; tell(); } else if (i >= 0) schedule();
});
canvas.addEventListener("pointerup", event => {
  if (drag && !drag.moved) { const i = operationAt(event); kept = i === kept ? -1 : i; tell(); }
  drag = null;
});
canvas.addEventListener("pointerleave", () => { if (hovered >= 0) { hovered = -1; tell(); } });
canvas.addEventListener("keydown", event => {
  const span = to - from;
  const move = { ArrowLeft: [-.2, -.2], ArrowRight: [.2, .2], "+": [.2, -.2], "-": [-.25, .25] }[event.key];
  if (event.key === "Escape") { kept = -1; tell(); }
  if (move) { event.preventDefault(); view(from + move[0] * span, to + move[1] * span); }
});
byId("search").addEventListener("input", event => search(event.target.value.trim()));
byId("all").addEventListener("click", () => view(begin, end));
byId("culprit").addEventListener("click", toCulprit);
byId("which").addEventListener("change", event => { kept = hovered = -1; choose(Number(event.target.value)); tell(); toCulprit(); });
window.addEventListener("resize", resize);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", schedule);

document.title = data.verdict + " · " + data.title;
byId("verdict").textContent = data.verdict; byId("verdict").className = data.verdict;
byId("title").textContent = data.title; byId("reason").textContent = data.reason;
for (const [name, value] of data.facts) {
  const fact = document.createElement("div"), head = document.createElement("b");
  head.textContent = name; fact.append(head, value); byId("facts").append(fact);
}
for (const [nth, violation] of data.violations.entries()) byId("which").append(new Option(violation.object, nth));
byId("which").hidden = data.violations.length < 2;
choose(0); search(""); toCulprit();
})();
