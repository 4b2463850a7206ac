// What both pages share: elements, words for numbers, and how is looked for news.

export const byId = id => document.getElementById(id);

// An element. Texts are always texts: what a store says is never taken for markup.
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

export const grouped = number => number.toLocaleString("en-US");
export const when = time => time ? time.slice(0, 19).replace("T", " ") : "";

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 100) return seconds.toFixed(1) + " s";
  const minutes = Math.floor(seconds / 60), rest = Math.floor(seconds % 60);
  return minutes < 60 ? `${minutes} min ${rest} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

// For how long a run that goes on has done so.
export function running(run) {
  const begun = Date.parse(run.started);
  return Number.isNaN(begun) ? "" : duration(Math.max(0, (Date.now() - begun) / 1000));
}

export function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit++; }
  return (unit ? count.toFixed(1) : count) + " " + units[unit];
}

export const total = ops => ops ? ops.ok + ops.fail + ops.info : null;

export function faults(run) {
  // A kind and its count stay on one line.
  if (run.faults) return Object.entries(run.faults).map(([kind, count]) => `${kind}\u00a0${count}`).join(" · ") || "none";
  return run.nemesis.join(" · ") || "none";
}

const NEWS_INTERVAL = 2000;

// Asks for `address` again and again, and hands over what has changed; `stop` says when that is enough. Nobody asks while nobody looks.
export async function follow(address, show, lost, stop = () => false) {
  let known = null;
  for (;;) {
    if (!document.hidden || known === null) {
      try {
        const response = await fetch(address);
        const text = await response.text();
        if (!response.ok) throw new Error(text.trim() || response.statusText);
        lost(null);
        if (text !== known) { known = text; show(JSON.parse(text)); }
      } catch (error) {
        lost(error);
      }
      if (stop()) return;
    }
    await new Promise(resolve => setTimeout(resolve, NEWS_INTERVAL));
  }
}
