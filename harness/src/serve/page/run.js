// The page of one folder: what it is, how it is repeated, its files, and its report.
import { byId, element, grouped, when, duration, running, bytes, faults, follow } from "/-/common.js";

const href = location.pathname.slice("/run/".length).replace(/\/$/, "");
// How much of a file is shown, from its beginning or its end.
const VIEWED_BYTES = 256 * 1024;
// The first files are those that a run is about.
const FIRST = ["report.html", "report.txt", "results.json", "test.json", "history.jsonl", "latency.svg", "rate.svg", "junit.xml"];
// What is shown as it is, and what is only to be kept.
const PAGES = /^(text\/html|image\/)/, BYTES = "application/octet-stream";
let withBytes = false;
let data = null, viewed = null, fromEnd = false, reportOf = null;
const state = window.page = { frames: 0 };

function draw() {
  const { run, other } = data;
  byId("folder").textContent = data.path;
  if (run) {
    const verdict = byId("verdict");
    verdict.hidden = false;
    verdict.className = run.state;
    verdict.textContent = run.state;
    byId("title").textContent = `${run.workload ?? "run"}${run.nodes ? ` on ${run.nodes} nodes` : ""}`;
    byId("reason").textContent = run.reason ?? "";
    drawFacts(run);
  } else {
    byId("title").textContent = data.path;
    byId("reason").textContent = other ? { bench: "a measurement", cluster: "a cluster that was played with", files: "" }[other.kind] : "";
  }
  document.title = `${run ? run.state + " · " : ""}${data.path}`;
  drawCommands();
  drawFiles();
  drawReport(run);
  drawBench(other);
  state.frames++;
}
function drawFacts(run) {
  const ops = run.ops;
  const facts = [
    ["when, UTC", when(run.started)],
    ["system", run.system],
    ["ok", ops && grouped(ops.ok)], ["fail", ops && grouped(ops.fail)], ["unknown outcome", ops && grouped(ops.info)],
    [run.state === "running" ? "goes on for" : "under load", run.state === "running" ? running(run) : duration(run.seconds)],
    ["asked for", run.time_limit_seconds === null ? null : duration(run.time_limit_seconds)],
    ["clients", run.concurrency],
    ["rate", run.concurrency === null ? null : run.rate === null ? "max" : `${grouped(run.rate)} a second`],
    ["elections", run.elections],
    [run.faults ? "faults" : "faults asked for", run.state === "damaged" ? null : faults(run)],
    ["seed", run.seed],
  ];
  const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  byId("facts").replaceChildren(...shown.map(([name, value]) => element("div", {}, element("b", {}, name), String(value))));
}
function drawCommands() {
  const rows = data.commands.map(({ what, command }) => {
    const code = element("code", {}, command);
    const button = element("button", { type: "button", onclick: () => copy(code, button) }, "copy");
    return element("div", { class: "command" }, element("b", {}, what), code, button);
  });
  const commands = byId("commands");
  commands.replaceChildren(commands.querySelector("h2"), ...rows);
  commands.hidden = !rows.length;
}
async function copy(code, button) {
  // Where the browser does not let a page write there, it is at least marked.
  getSelection().selectAllChildren(code);
  try { await navigator.clipboard.writeText(code.textContent); button.textContent = "copied"; } catch { button.textContent = "marked"; }
  setTimeout(() => { button.textContent = "copy"; }, 1500);
}
function drawFiles() {
  const rank = file => { const place = FIRST.indexOf(file.path); return place < 0 ? FIRST.length : place; };
  const files = [...data.files].sort((a, b) => rank(a) - rank(b));
  const rows = files.map(file => {
    const address = "/file/" + file.href;
    const open = PAGES.test(file.kind) ? element("a", { href: address }, "open")
      : file.kind === BYTES ? null : element("a", { href: "#viewer", onclick: () => view(file), "data-view": file.path }, "view");
    // What nodes keep for themselves is of interest to few.
    return element("tr", { hidden: file.kind === BYTES && !withBytes },
      element("td", { class: "mono" }, file.path),
      element("td", { class: "number" }, bytes(file.bytes)),
      element("td", {}, open),
      element("td", {}, element("a", { href: address + "?download", download: true }, "download")));
  });
  byId("files").querySelector("tbody").replaceChildren(...rows);
  const kept = files.filter(file => file.kind === BYTES).length;
  byId("bytes").hidden = !kept || withBytes;
  byId("bytes").textContent = `show ${grouped(kept)} files of nodes' data`;
  byId("files").hidden = !rows.length;
  byId("archive").href = "/archive/" + data.href;
  byId("cut").hidden = !data.is_cut;
}
function view(file) {
  viewed = file;
  // Of what a program says as it goes on the last words count.
  fromEnd = /(^|\/)log$|\.log$/.test(file.path);
  show();
}
async function show() {
  byId("viewer").hidden = false;
  byId("viewed").textContent = viewed.path;
  byId("alone").href = "/file/" + viewed.href;
  const range = fromEnd ? `bytes=-${VIEWED_BYTES}` : `bytes=0-${VIEWED_BYTES - 1}`;
  const response = await fetch("/file/" + viewed.href, { headers: { range } });
  const isEmpty = response.status === 416;
  const text = isEmpty ? "" : await response.text();
  const whole = Number(response.headers.get("content-range")?.split("/")[1] ?? text.length);
  byId("text").textContent = text;
  byId("count").textContent = whole > VIEWED_BYTES
    ? `the ${fromEnd ? "last" : "first"} ${bytes(VIEWED_BYTES)} of ${bytes(whole)}` : bytes(whole);
  for (const [id, pressed] of [["head", !fromEnd], ["tail", fromEnd]]) byId(id).setAttribute("aria-pressed", String(pressed));
  byId("text").scrollTop = fromEnd ? byId("text").scrollHeight : 0;
  state.viewed = viewed.path;
}
function drawReport(run) {
  const has = name => data.files.find(file => file.path === name);
  const report = has("report.html"), section = byId("report");
  section.hidden = !report;
  // Its files are written anew when it is rendered again; a frame that is looked at is not torn away for anything else.
  const version = report && `${report.bytes} ${JSON.stringify(run)}`;
  if (report && version !== reportOf) {
    reportOf = version;
    section.querySelector("a").href = "/file/" + report.href;
    const frame = element("iframe", { src: "/file/" + report.href, title: "Report" });
    section.querySelector("iframe")?.remove();
    section.append(frame);
  }
  // The report has the plots inside.
  const plots = report ? [] : data.files.filter(file => /^[^/]*\.svg$/.test(file.path));
  byId("plots").replaceChildren(...plots.map(file => element("img", { src: "/file/" + file.href, alt: file.path })));
}
const MEASURED = [
  ["system", line => line.setting ? `${line.system} ${line.setting}` : line.system],
  ["operation", line => line.op], ["nodes", line => line.nodes], ["clients", line => line.clients], ["in flight each", line => line.pipeline],
  ["bytes", line => line.value_bytes],
  ["a second", line => grouped(Math.round(line.per_second))],
  ["p50, µs", line => grouped(Math.round(line.p50_us))], ["p99, µs", line => grouped(Math.round(line.p99_us))],
];
async function drawBench(other) {
  if (other?.kind !== "bench") return;
  const response = await fetch("/file/" + data.href + "/results.jsonl");
  const lines = (await response.text()).split("\n").filter(Boolean).flatMap(line => { try { return [JSON.parse(line)]; } catch { return []; } });
  const cell = (tag, value, place) => element(tag, { class: place > 1 ? "number" : null }, String(value ?? ""));
  const points = lines.filter(line => line.per_second !== undefined);
  byId("bench").hidden = !points.length;
  byId("bench").querySelector("thead tr").replaceChildren(...MEASURED.map(([name], place) => cell("th", name, place)));
  byId("bench").querySelector("tbody").replaceChildren(...points.map(line => element("tr", {}, ...MEASURED.map(([, of], place) => cell("td", of(line), place)))));
}

byId("bytes").addEventListener("click", () => { withBytes = true; drawFiles(); });
byId("head").addEventListener("click", () => { fromEnd = false; show(); });
byId("tail").addEventListener("click", () => { fromEnd = true; show(); });
setInterval(() => { if (data?.run?.state === "running") drawFacts(data.run); }, 1000);
follow("/api/run/" + href, news => { data = news; draw(); }, error => {
  if (error) byId("reason").textContent = error.message;
});
