// The parts of the page, built from plain values. Text goes in as text: nothing of a line's words is ever markup.

const SVG = "http://www.w3.org/2000/svg";
const SPOKEN = { PASS: "PASS", FLAG: "FLAG", CANNOT_INSPECT: "CANNOT INSPECT" };
const whole = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

export function make(tag, kind, ...children) {
  const element = document.createElement(tag);
  if (kind) element.className = kind;
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

export function timeOf(moment) {
  return clock.format(moment);
}

export function whenOf(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  const element = make("time", "", today ? timeOf(moment) : `${day.format(moment)} ${timeOf(moment)}`);
  element.dateTime = iso;
  element.title = `${iso.slice(0, 19).replace("T", " ")} UTC`;
  return element;
}

export function lasting(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 90) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} days`;
}

const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(share !== 0 && share < 0.1 ? 2 : 1)} %`);
const milliseconds = (value) => (value === null ? "–" : `${value.toFixed(value < 10 ? 1 : 0)} ms`);

function verdictCard(line, verdict) {
  const count = line.counts[verdict];
  const share = line.told ? percent(count / line.told) : "no part yet";
  const card = make("div", `card count ${verdict}`, icon(verdict));
  card.append(make("div", "", make("h3", "", SPOKEN[verdict]), make("b", "", whole.format(count)), make("small", "", share)));
  return card;
}

function figure(title, value, said, kind = "") {
  const card = make("div", `card figure ${kind}`, make("h3", "", title), make("b", "", value));
  card.append(typeof said === "string" ? make("small", "", said) : said);
  return card;
}

function latencyCard(line) {
  const { latency_p50: p50, latency_p99: p99, latency_limit: limit } = line;
  const over = p99 !== null && limit !== null && p99 > limit;
  const said = make("div", "below");
  if (p99 !== null && limit !== null) said.append(latencyBar(p50, p99, limit));
  const words = limit === null ? "no limit set" : `limit ${milliseconds(limit)}${over ? ", OVER LIMIT" : ""}`;
  said.append(make("small", "", `p50 ${milliseconds(p50)} · ${words}`));
  return figure("Latency p99", milliseconds(p99), said, over ? "bad latency" : "latency");
}

function latencyBar(p50, p99, limit) {
  const full = 1.25 * Math.max(limit, p99);
  const bar = make("div", "bar", make("i", "most"), make("i", "half"), make("i", "mark"));
  bar.children[0].style.width = `${(100 * p99) / full}%`;
  bar.children[1].style.width = `${(100 * (p50 ?? 0)) / full}%`;
  bar.children[2].style.left = `${(100 * limit) / full}%`;
  return bar;
}

const USUAL = { unrecorded: 20, untold: 2 }; // records follow twice a second, signals at once

function waitingCard(line) {
  const said = make("small");
  ["skipped", "late", "missed", "untold", "unrecorded"].forEach((name, place) => {
    const count = line[name];
    const usual = count <= (USUAL[name] ?? 0);
    said.append(place ? " · " : "", make(count && !usual ? "strong" : "span", "", `${whole.format(count)} ${name}`));
  });
  return figure("Waiting", whole.format(line.waiting), said);
}

export function figures(line) {
  const rejected = `${whole.format(line.not_passed)} of ${whole.format(line.told)} not passed`;
  return [
    ...Object.keys(SPOKEN).map((verdict) => verdictCard(line, verdict)),
    figure("Reject rate", percent(line.reject_rate), rejected),
    figure("Frames a second", (line.frames_per_second ?? 0).toFixed(1), `${whole.format(line.captured)} taken in`),
    latencyCard(line),
    waitingCard(line),
  ];
}

export function lamp(health) {
  const item = make("li", health.up ? "up" : "down", icon(health.up ? "up" : "lost"));
  const state = make("span", "word", health.up ? "up" : "LOST");
  if (health.since && !health.up) state.append(" since ", whenOf(health.since));
  const words = make("div", "", make("b", "", health.what), state);
  const named = health.said.includes(health.name);
  const detail = [named ? "" : health.name, health.said].filter(Boolean).join(": ");
  const small = make("small", "", detail);
  small.title = detail;
  words.append(small);
  item.append(words);
  return item;
}

export function happened(event) {
  const item = make("li", event.bad ? "bad" : "", whenOf(event.at), icon(event.bad ? "lost" : "up"));
  item.append(make("p", "", make("b", "", event.kind), " ", make("span", "", event.said)));
  return item;
}

export function similarityBar(frame) {
  const { similarity, threshold } = frame;
  if (similarity === null) return make("p", "reason", frame.reason ?? "not compared");
  const bar = make("div", `bar ${frame.verdict}`, make("i", "most"));
  bar.children[0].style.width = `${100 * similarity}%`;
  if (threshold !== null) {
    bar.append(make("i", "mark"));
    bar.children[1].style.left = `${100 * threshold}%`;
  }
  return make("div", "similarity", bar, make("small", "", compared(frame)));
}

export function compared({ similarity, threshold, reason }) {
  if (similarity === null) return reason ?? "not compared";
  if (threshold === null) return similarity.toFixed(3);
  let digits = 3; // as many as tell both apart
  while (digits < 6 && similarity !== threshold && similarity.toFixed(digits) === threshold.toFixed(digits)) digits += 1;
  return `${similarity.toFixed(digits)} ${similarity < threshold ? "<" : "≥"} ${threshold.toFixed(digits)}`;
}

export function badge(verdict) {
  return make("span", `badge ${verdict}`, icon(verdict), SPOKEN[verdict] ?? verdict);
}

export function picture(address, words) {
  const image = make("img");
  image.alt = words;
  let tries = 0;
  image.addEventListener("load", () => { image.style.visibility = ""; });
  image.addEventListener("error", () => {
    tries += 1;
    image.style.visibility = "hidden"; // no broken picture while it is asked for again
    if (tries > 4 || (tries > 1 && !image.isConnected)) image.replaceWith(make("p", "nothing", "picture not at hand"));
    else setTimeout(() => { image.src = `${address}&try=${tries}`; }, 1500 * tries);
  });
  image.src = address;
  return image;
}

export function tile(frame, address, open) {
  const button = make("button", "shown");
  button.type = "button";
  button.append(frame.picture ? picture(address, `part ${frame.part_id}`) : make("p", "nothing", "no picture"));
  button.addEventListener("click", open);
  const name = make("b", "part", frame.part_id);
  name.title = frame.part_id;
  const latency = ` · ${frame.milliseconds === null ? "not told yet" : milliseconds(frame.milliseconds)}`;
  const foot = make("small", "foot", whenOf(frame.captured_at), `${latency}${frame.provisional ? " · provisional" : ""}`);
  return make("li", `tile card ${frame.verdict}`, button, badge(frame.verdict), name, similarityBar(frame), foot);
}
