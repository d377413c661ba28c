// Asks the server every second what its lines do, shows it, and says so at once when the figures are old.

import { badge, compared, figures, happened, icon, lamp, lasting, make, picture, tile, timeOf, whenOf } from "./drawing.js";

const EVERY = 1000;
const PATIENCE = 3000;
const SILENCE = 4000;
const TILES_EVERY = 2000;
const STATES = { running: "RUNNING", stopped: "STOPPED", lost: "LOST" };

const at = (id) => document.getElementById(id);
const tiles = new Map();
let answer = null;
let answeredAt = 0;
let failure = "Waiting for the line's first figures.";
let moved = { line: null, now: null, at: 0 };
let tilesAt = 0;
let flaggedKey;
let pageVersion = null;

function chosen() {
  return answer.lines.find((line) => `#${encodeURIComponent(line.line)}` === location.hash) ?? answer.lines[0];
}

async function poll() {
  const stop = new AbortController();
  const patience = setTimeout(() => stop.abort(), PATIENCE);
  try {
    const reply = await fetch("api/line", { signal: stop.signal, cache: "no-store" });
    if (reply.status === 401) throw new Error("The page asks for its access token: open it with /?token=... once.");
    if (!reply.ok) throw new Error(`The server answered ${reply.status}.`);
    answer = await reply.json();
    if (pageVersion !== null && pageVersion !== answer.page) location.reload();
    pageVersion = answer.page;
    show();
    answeredAt = Date.now();
  } catch (error) {
    failure = error instanceof TypeError || error.name === "AbortError" ? "The server does not answer." : error.message;
  } finally {
    clearTimeout(patience);
    judge();
  }
}

async function forever() {
  for (;;) {
    const begun = Date.now();
    await poll();
    await new Promise((done) => { setTimeout(done, Math.max(100, EVERY - (Date.now() - begun))); });
  }
}

function show() {
  const line = chosen();
  if (!line || !line.line) return;
  if (moved.line !== line.line) {
    tiles.clear();
    tilesAt = 0;
  }
  if (moved.line !== line.line || moved.now !== line.now) moved = { line: line.line, now: line.now, at: Date.now() };
  at("line").textContent = line.line;
  at("product").textContent = line.view === "default" ? line.product : `${line.product} · ${line.view}`;
  at("provisional").hidden = !line.provisional;
  at("figures").replaceChildren(...figures(line));
  at("lamps").replaceChildren(...line.health.map(lamp));
  showEvents(line);
  showGrounds(line);
  showLines(line);
  showFlagged(line);
  if (Date.now() - tilesAt >= TILES_EVERY - 100) showTiles(line);
}

function showEvents(line) {
  const list = at("events");
  const key = JSON.stringify(line.events.map((event) => [event.at, event.kind, event.said]));
  if (list.dataset.key === key && list.dataset.day === new Date().toDateString()) return;
  Object.assign(list.dataset, { key, day: new Date().toDateString() });
  const nothing = make("li", "none", "Nothing happened yet.");
  list.replaceChildren(...(line.events.length ? line.events.map(happened) : [nothing]));
}

function showGrounds(line) {
  const threshold = line.threshold === null ? "no threshold" : `threshold ${line.threshold.toFixed(3)}`;
  const calibration = line.calibration ? `calibration ${line.calibration}` : "not calibrated";
  const words = [threshold, calibration, `engine ${line.engine}`, `when too fast: ${line.policy}`];
  at("grounds").replaceChildren(...words.map((word) => make("span", "", word)), make("span", "", "started ", whenOf(line.started_at)));
}

function showLines(current) {
  const bar = at("lines");
  bar.hidden = answer.lines.length < 2;
  bar.replaceChildren(...answer.lines.filter((line) => line.line).map((line) => {
    const state = old(line) ? "lost" : line.state;
    const link = make("a", state, icon(state), line.line, make("small", "", old(line) ? "STALE" : STATES[line.state]));
    link.href = `#${encodeURIComponent(line.line)}`;
    if (line === current) link.setAttribute("aria-current", "true");
    return link;
  }));
}

function addressOf(line, frame, kind) {
  const asked = new URLSearchParams({ line: line.line, kind, taken: frame.captured_at });
  return `api/frames/${frame.sequence}.jpg?${asked}`;
}

function showFlagged(line) {
  const frame = line.last_flagged;
  const key = frame && `${frame.sequence} ${frame.captured_at} ${line.line}`;
  const when = at("flagged-when");
  when.replaceChildren(...(frame ? [whenOf(frame.captured_at), ` · ${lasting((Date.parse(line.now) - Date.parse(frame.captured_at)) / 1000)} ago`] : []));
  if (flaggedKey === key) return;
  flaggedKey = key;
  if (!frame) {
    at("flagged").replaceChildren(make("p", "nothing", "No part was flagged since the line was started."));
    return;
  }
  const kind = matchMedia("(min-width: 700px)").matches ? "strip" : "overlay";
  const shown = frame.picture ? picture(addressOf(line, frame, kind), `part ${frame.part_id}`) : make("p", "nothing", "no picture");
  const words = make("p", "said", badge(frame.verdict), make("b", "", frame.part_id), make("span", "", compared(frame)));
  at("flagged").replaceChildren(...(kind === "strip" && frame.picture ? [shown] : [words, shown]));
}

async function showTiles(line) {
  tilesAt = Date.now();
  const shown = line.latest.map((frame) => {
    const key = `${frame.sequence} ${frame.captured_at} ${frame.milliseconds}`;
    if (!tiles.has(key)) tiles.set(key, tile(frame, addressOf(line, frame, "overlay"), () => enlarge(line, frame)));
    return [key, tiles.get(key)];
  });
  const kept = new Set(shown.map(([key]) => key));
  for (const key of tiles.keys()) if (!kept.has(key)) tiles.delete(key);
  const nothing = make("li", "none", "No part yet.");
  const list = at("frames");
  if (list.children.length) await pictures(shown.map(([, element]) => element.querySelector("img")));
  if (moved.line !== line.line) return;
  const next = shown.length ? shown.map(([, element]) => element) : [nothing];
  if (next.length !== list.children.length || next.some((element, i) => element !== list.children[i])) list.replaceChildren(...next);
}

// Tiles take their places once their pictures are here; what takes longer than a second comes later.
function pictures(images) {
  const coming = images.filter((image) => image && !image.complete).map((image) => image.decode());
  return Promise.race([Promise.allSettled(coming), new Promise((done) => { setTimeout(done, 1000); })]);
}

function enlarge(line, frame) {
  if (!frame.picture) return;
  at("large-title").textContent = frame.part_id;
  at("large-picture").src = addressOf(line, frame, "strip");
  at("large-said").replaceChildren(badge(frame.verdict), ` ${compared(frame)} · frame ${frame.sequence} · `, whenOf(frame.captured_at));
  at("large").showModal();
}

function old(line) {
  const limit = answer.stale_seconds * 1000;
  return line.problem !== null || Date.parse(answer.served_at) - Date.parse(line.now) > limit;
}

function staleness() {
  if (answer === null || answeredAt === 0) return { word: "NOT CONNECTED", said: failure };
  const silent = Date.now() - answeredAt;
  const since = timeOf(new Date(answeredAt));
  if (silent > SILENCE) return { word: "STALE", said: `${failure} All below is as of ${since}, ${lasting(silent / 1000)} ago.` };
  const line = chosen();
  if (!line) return { word: "NO LINE", said: "The server shows no line." };
  if (!line.line) return { word: "NO FIGURES", said: line.problem ?? "The line gave no figures yet." };
  const truth = timeOf(new Date(line.now));
  if (line.problem) return { word: "STALE", said: `${line.problem}. All below is as of ${truth}.` };
  if (old(line) || Date.now() - moved.at > answer.stale_seconds * 1000) {
    return { word: "STALE", said: `The line's figures stand still since ${truth}; the server answers, the line does not.` };
  }
  return null;
}

function judge() {
  try {
    showTruth();
  } catch (error) {
    document.body.classList.add("stale");
    at("alarm").hidden = false;
    at("alarm").querySelector("b").textContent = "STALE";
    at("alarm").querySelector("span").textContent = `This page failed and has to be loaded again: ${error.message}`;
  }
}

function showTruth() {
  const stale = staleness();
  document.body.classList.toggle("stale", stale !== null);
  at("alarm").hidden = stale === null;
  const line = answer && chosen();
  const now = new Date();
  at("clock").textContent = timeOf(now);
  at("clock").title = `${now.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  at("zone").textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (stale) {
    const [word, said] = at("alarm").querySelectorAll("b, span");
    if (word.textContent !== stale.word) word.textContent = stale.word;
    if (said.textContent !== stale.said) said.textContent = stale.said;
    showState("lost", stale.word, line?.state ? `was ${line.state}` : "");
  } else {
    showState(line.troubled ? "running troubled" : line.state, STATES[line.state] ?? line.state, detail(line));
  }
  document.title = `${stale ? stale.word : STATES[line.state] ?? line.state}: ${line?.line ?? "goldentwin"}`;
}

function detail(line) {
  const down = line.health.filter((health) => !health.up).map((health) => `${health.what} lost`);
  const since = `for ${lasting((Date.parse(line.now) - Date.parse(line.started_at)) / 1000)}`;
  if (line.state !== "running") down.unshift("parts are not inspected");
  return down.join(", ") || since;
}

function showState(kind, word, said) {
  const key = `${kind} ${word} ${said}`;
  const state = at("state");
  if (state.dataset.key === key) return;
  state.dataset.key = key;
  state.className = `state ${kind}`;
  const shape = kind.split(" ")[0];
  state.replaceChildren(icon(shape in STATES ? shape : "lost"), make("p", "", make("b", "", word), make("small", "", said)));
}

at("close").addEventListener("click", () => at("large").close());
addEventListener("hashchange", () => { tilesAt = 0; if (answer) { show(); judge(); } });
addEventListener("visibilitychange", () => { judge(); if (!document.hidden) poll(); });
setInterval(judge, 500);
forever();
