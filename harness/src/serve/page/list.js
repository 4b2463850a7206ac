// The list of all runs: searched, filtered and sorted here, since all of it is here.
import { byId, element, grouped, when, duration, running, total, faults, follow } from "/-/common.js";

// How many runs are drawn before somebody asks for more.
const SHOWN_MIN = 200;
const STATES = ["running", "violation", "unknown", "valid", "interrupted", "damaged", "planned"];
const text = value => value ?? "";
const COLUMNS = [
  { name: "verdict", of: run => STATES.indexOf(run.state) },
  { name: "started", title: "when, UTC", of: run => text(run.started) },
  { name: "workload", of: run => text(run.workload) },
  { name: "system", of: run => text(run.system) },
  { name: "nodes", number: true, of: run => run.nodes ?? -1 },
  { name: "faults", of: faults },
  { name: "seed", number: true, of: run => run.seed === null ? -1n : BigInt(run.seed) },
  { name: "duration", number: true, of: run => run.seconds ?? -1 },
  { name: "operations", number: true, of: run => total(run.ops) ?? -1 },
  { name: "reason", of: run => text(run.reason) },
];
let data = null;
// What is looked for; it is in the address, so that it can be kept and sent on.
const view = { q: "", verdict: "", workload: "", system: "", sort: "started", down: true };
let shownMax = SHOWN_MIN;
const state = window.listing = { drawn: 0, matching: 0, total: 0, frames: 0 };

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const name of ["q", "verdict", "workload", "system"]) view[name] = given.get(name) ?? "";
  const sort = given.get("sort") ?? "-started";
  view.down = sort.startsWith("-");
  view.sort = sort.replace(/^-/, "");
  if (!COLUMNS.some(column => column.name === view.sort)) { view.sort = "started"; view.down = true; }
  byId("search").value = view.q;
}
function writeAddress() {
  const given = new URLSearchParams();
  for (const name of ["q", "verdict", "workload", "system"]) if (view[name]) given.set(name, view[name]);
  const sort = (view.down ? "-" : "") + view.sort;
  if (sort !== "-started") given.set("sort", sort);
  history.replaceState(null, "", given.size ? "?" + given : location.pathname);
}

const FIELDS = {
  seed: (run, word) => run.seed === word,
  nodes: (run, word) => String(run.nodes) === word,
  workload: (run, word) => text(run.workload).toLowerCase().startsWith(word),
  system: (run, word) => text(run.system).toLowerCase().includes(word),
  fault: (run, word) => faults(run).toLowerCase().includes(word),
  verdict: (run, word) => run.state.startsWith(word),
};
function matcher() {
  const words = view.q.toLowerCase().split(/\s+/).filter(Boolean).map(word => {
    const [field, value] = [word.slice(0, word.indexOf(":")), word.slice(word.indexOf(":") + 1)];
    return Object.hasOwn(FIELDS, field) ? run => FIELDS[field](run, value) : run => everything(run).includes(word);
  });
  return run => words.every(word => word(run))
    && (!view.workload || run.workload === view.workload)
    && (!view.system || run.system === view.system);
}
function everything(run) {
  return [run.state, run.workload, run.system, run.path, run.seed, run.reason, faults(run), when(run.started)].join("\n").toLowerCase();
}

function draw() {
  const matches = data.runs.filter(matcher());
  drawStates(matches);
  const chosen = matches.filter(run => !view.verdict || run.state === view.verdict);
  const column = COLUMNS.find(column => column.name === view.sort);
  const keyed = chosen.map(run => [column.of(run), run]);
  keyed.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (view.down ? -1 : 1));
  const shown = keyed.slice(0, shownMax).map(([, run]) => run);
  byId("runs").tBodies[0].replaceChildren(...shown.map(row));
  byId("runs").tHead.rows[0].replaceChildren(...COLUMNS.map(heading));
  byId("runs").hidden = !shown.length;
  const nothing = byId("nothing");
  nothing.hidden = shown.length > 0;
  nothing.textContent = data.runs.length ? "No run is like that." : `No runs yet. ${data.program} run makes one; it will show here.`;
  const more = byId("more");
  more.hidden = chosen.length <= shownMax;
  more.textContent = `show all ${grouped(chosen.length)}`;
  byId("count").textContent = chosen.length === data.runs.length
    ? `${grouped(data.runs.length)} runs` : `${grouped(chosen.length)} of ${grouped(data.runs.length)} runs`;
  Object.assign(state, { drawn: shown.length, matching: chosen.length, total: data.runs.length, frames: state.frames + 1 });
}
function heading(column) {
  const isSorted = column.name === view.sort;
  const sort = () => {
    // Words from their beginning, all else from the largest.
    view.down = isSorted ? !view.down : column.number || column.name === "started";
    view.sort = column.name;
    change();
  };
  const mark = isSorted ? (view.down ? " ↓" : " ↑") : "";
  const order = isSorted ? (view.down ? "descending" : "ascending") : null;
  return element("th", { class: column.number ? "number" : null, "aria-sort": order },
    element("button", { type: "button", onclick: sort, "data-sort": column.name }, (column.title ?? column.name) + mark));
}
function row(run) {
  const href = "/run/" + run.href;
  const isLatest = run.path === data.latest;
  const went = run.state === "running" ? running(run) : duration(run.seconds);
  return element("tr", { "data-path": run.path },
    element("td", {}, element("a", { href }, element("span", { class: "pill " + run.state }, run.state))),
    element("td", {}, element("a", { href, title: run.path }, when(run.started) || run.path), isLatest ? element("span", { class: "tag" }, "latest") : null),
    element("td", {}, text(run.workload)),
    element("td", { title: run.system }, text(run.system).split("/").pop()),
    element("td", { class: "number" }, text(run.nodes)),
    element("td", { class: "wide faults" }, element("span", { title: faults(run) }, run.state === "damaged" ? "" : faults(run))),
    element("td", { class: "number mono" }, text(run.seed)),
    element("td", { class: "number", "data-running": run.state === "running" ? run.started : null }, went),
    element("td", { class: "number" }, run.ops ? grouped(total(run.ops)) : ""),
    element("td", { class: "wide" }, element("span", { title: run.reason }, text(run.reason))));
}
function drawStates(matches) {
  const counts = new Map();
  for (const run of matches) counts.set(run.state, (counts.get(run.state) ?? 0) + 1);
  const chips = STATES.filter(name => counts.has(name) || name === view.verdict).map(name =>
    element("button", {
      type: "button", "aria-pressed": String(view.verdict === name), "data-state": name,
      onclick: () => { view.verdict = view.verdict === name ? "" : name; change(); },
    }, `${name} ${grouped(counts.get(name) ?? 0)}`));
  byId("states").replaceChildren(...chips);
}
function drawChoice(name, all) {
  const values = [...new Set(data.runs.map(run => run[name]).filter(Boolean))].sort();
  if (view[name] && !values.includes(view[name])) values.push(view[name]);
  const choice = byId(name);
  choice.replaceChildren(element("option", { value: "" }, all), ...values.map(value => element("option", { value }, value)));
  choice.value = view[name];
  choice.hidden = values.length < 2 && !view[name];
}
function drawOthers() {
  const rows = data.others.map(other => element("tr", {},
    element("td", {}, other.kind),
    element("td", {}, when(other.started)),
    element("td", {}, element("a", { href: "/run/" + other.href }, other.path))));
  byId("others").querySelector("tbody").replaceChildren(...rows);
  byId("others").hidden = !rows.length;
}
function change() { writeAddress(); draw(); }

readAddress();
byId("search").addEventListener("input", event => { view.q = event.target.value.trim(); change(); });
for (const name of ["workload", "system"]) byId(name).addEventListener("change", event => { view[name] = event.target.value; change(); });
byId("more").addEventListener("click", () => { shownMax = Infinity; draw(); });
setInterval(() => {
  for (const cell of document.querySelectorAll("[data-running]")) cell.textContent = running({ started: cell.dataset.running });
}, 1000);
follow("/api/store", news => {
  data = news;
  document.title = `Runs in ${data.store}`;
  byId("title").textContent = `Runs in ${data.store}`;
  byId("latest").replaceChildren(...data.latest ? [element("a", { href: "/run/latest" }, "latest")] : []);
  drawChoice("workload", "all workloads");
  drawChoice("system", "all systems");
  drawOthers();
  draw();
}, error => {
  byId("news").textContent = error ? `The server does not answer: ${error.message}` : data?.is_cut ? "There are more folders than are looked at." : "";
});
