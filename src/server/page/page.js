/** The plane's page: reads with a token, which stays in this tab; text is only ever set as text. */

const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const MINUTES = 60;
const SHOWN = 50;
const REFRESH_MS = 5_000;
/** With every decision, but no oftener: a busy plane has better to do. */
const EAGER_MS = 1_000;
const RETRY_MS = 2_000;
/** Classes of page.css, distinct in hue; the legend names each. */
const COLORS = ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"];
const KEY = "portcullis-token";

let token = sessionStorage.getItem(KEY);
/** Ends what was begun with this token. */
let session = new AbortController();
/** The last ones, the newest first. */
let decisions = [];
/** Whether they stay as they are shown, for who reads them. */
let held = false;
let painting = false;
/** Seconds from this page's clock to the plane's, which may differ from the browser's. */
let ahead = 0;
/** Status index of the first node shown, and where the next page begins. */
let from = 0;
let following = 0;
let refreshed = 0;
let refreshes = 0;
/** Minute to denials by family. */
let minutes = new Map();

class Refused extends Error {}

async function get(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { authorization: `Bearer ${token}` } });
  if (response.status === 401 || response.status === 403)
    throw new Refused("The token is refused.");
  if (!response.ok) throw new Error(`The plane answers ${response.status}.`);
  return response;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function cell(content, className) {
  const made = element("td", undefined, className);
  made.append(content);
  return made;
}

const clock = (seconds) => new Date(seconds * 1000).toLocaleString();
const planeSeconds = () => ahead + performance.now() / 1000;
const short = (hex) => (hex === null ? "unknown" : `${hex.slice(2, 14)}…`);

function verdict(code) {
  return code === null ? cell("allowed", "good") : cell(element("code", code), "bad");
}

function span(seconds) {
  const left = Math.abs(seconds);
  return left < 120 ? `${left} s` : `${Math.floor(left / 60)} min`;
}

function showState({ domain, charter, snapshot, freeze, decision, now }) {
  ahead = now - performance.now() / 1000;
  byId("domain").textContent = domain;
  const left = snapshot.expires - now;
  const age = `version ${snapshot.version}, ${span(now - snapshot.issued)} old, `;
  const end = left > 0 ? `${span(left)} left` : `expired ${span(left)} ago: all is denied`;
  const rows = [
    ["Snapshot", age + end, left > 0 ? "good" : "bad"],
    ["Freeze", freeze, freeze === "none" ? "good" : "warn"],
    [
      "Decides",
      decision === "plane" ? "the plane, for every job" : "the plane where a grant demands it",
    ],
    ["Charter", String(charter)],
  ];
  byId("state").replaceChildren(
    ...rows.flatMap(([name, text, look]) => [element("dt", name), element("dd", text, look)]),
  );
}

function showNodes(nodes) {
  const rows = nodes.map((node) => {
    const row = element("tr");
    const last = node.revoked ? cell("revoked", "bad") : cell("none yet");
    const name = element("code", short(node.ueid));
    name.title = node.ueid;
    row.append(
      cell(name),
      cell(node.labels.join(", ")),
      cell(`${node.session[0]}.${node.session[1]}`),
      node.last === null || node.revoked ? last : verdict(node.last.code),
      cell(node.last === null ? "" : clock(node.last.time)),
    );
    return row;
  });
  byId("nodes").replaceChildren(...rows);
}

function decisionRow({ time, code, ueid, leaf }) {
  const row = element("tr");
  row.append(
    cell(clock(time)),
    verdict(code),
    cell(element("code", short(ueid))),
    cell(String(leaf)),
  );
  return row;
}

function count(minute, code, more) {
  if (code === "allowed") return;
  const family = code.split(".")[0];
  const counts = minutes.get(minute) ?? new Map();
  counts.set(family, (counts.get(family) ?? 0) + more);
  minutes.set(minute, counts);
}

function rectangle(x, y, width, height, look) {
  const made = document.createElementNS(SVG, "rect");
  for (const [name, value] of Object.entries({ x, y, width, height, class: look })) {
    made.setAttribute(name, value);
  }
  return made;
}

function drawing(box) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", box);
  made.setAttribute("preserveAspectRatio", "none");
  return made;
}

function showChart() {
  const last = Math.floor(planeSeconds() / 60);
  for (const minute of minutes.keys()) if (minute <= last - MINUTES) minutes.delete(minute);
  const totals = new Map();
  for (const counts of minutes.values()) {
    for (const [family, number] of counts) totals.set(family, (totals.get(family) ?? 0) + number);
  }
  const families = [...totals.keys()].sort();
  const color = (family) => COLORS[families.indexOf(family) % COLORS.length];
  const sums = [...minutes.values()].map((counts) =>
    [...counts.values()].reduce((a, b) => a + b, 0),
  );
  const highest = Math.max(1, ...sums);
  const svg = drawing(`0 0 ${MINUTES} ${highest}`);
  svg.setAttribute("role", "img");
  const told = families.map((family) => `${family} ${totals.get(family)}`).join(", ") || "none";
  svg.setAttribute("aria-label", `Denials in the last hour: ${told}`);
  for (const [minute, counts] of minutes) {
    let top = highest;
    for (const family of families) {
      const number = counts.get(family) ?? 0;
      top -= number;
      const x = MINUTES - 1 - (last - minute);
      if (number > 0) svg.append(rectangle(x + 0.1, top, 0.8, number, color(family)));
    }
  }
  byId("chart").replaceChildren(svg);
  const items = families.map((family) => {
    const item = element("li");
    const mark = drawing("0 0 1 1");
    mark.setAttribute("aria-hidden", "true");
    mark.append(rectangle(0, 0, 1, 1, color(family)));
    item.append(mark, `${family}: ${totals.get(family)}`);
    return item;
  });
  byId("legend").replaceChildren(...items);
}

async function refresh() {
  const mine = ++refreshes;
  refreshed = performance.now();
  const [state, { nodes, next }] = await Promise.all(
    ["/v1/state", `/v1/nodes?from=${from}`].map(async (path) => (await get(path)).json()),
  );
  // Another was asked for since, of another page of nodes perhaps.
  if (mine !== refreshes) return;
  showState(state);
  showNodes(nodes);
  following = next ?? 0;
  byId("more").hidden = from === 0 && next === null;
  byId("more").textContent = next === null ? "First nodes" : "Next nodes";
  paint();
}

function tellOf(promise) {
  promise.catch((error) => {
    if (error instanceof Refused) leave(error.message);
    else byId("notice").textContent = error.message;
  });
}

/** Once a frame, however many decisions come in it. */
function paint() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    if (!held) byId("decisions").replaceChildren(...decisions.map(decisionRow));
    showChart();
  });
}

async function readAll() {
  const past = await (await get("/v1/decisions")).json();
  decisions = past.decisions.slice(-SHOWN).reverse();
  minutes = new Map();
  for (const { minute, counts } of past.minutes) {
    for (const [code, number] of Object.entries(counts)) count(minute, code, number);
  }
  await refresh();
}

function take(decision) {
  decisions = [decision, ...decisions].slice(0, SHOWN);
  count(Math.floor(decision.time / 60), decision.code ?? "allowed", 1);
  paint();
}

/** Server-sent events, by fetch: an EventSource cannot send the token. */
async function follow(signal) {
  const { body } = await get("/v1/events", { signal });
  // What was decided between the two is in one of them at least.
  await readAll();
  if (signal.aborted) return;
  byId("view").hidden = false;
  byId("leave").hidden = false;
  byId("notice").textContent = "";
  let text = "";
  for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const data = /^data: (.*)$/m.exec(event)?.[1];
      if (data !== undefined) take(JSON.parse(data));
    }
    if (performance.now() - refreshed >= EAGER_MS) await refresh();
  }
}

function leave(why) {
  session.abort();
  // No answer that is still to come is shown.
  refreshes += 1;
  token = null;
  sessionStorage.removeItem(KEY);
  byId("view").hidden = true;
  byId("leave").hidden = true;
  byId("enter").hidden = false;
  byId("token").focus();
  byId("notice").textContent = why;
}

async function show() {
  session = new AbortController();
  const { signal } = session;
  byId("enter").hidden = true;
  while (!signal.aborted) {
    try {
      await follow(signal);
      if (signal.aborted) return;
      byId("notice").textContent = "The plane ended the stream; asking again.";
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused) return leave(error.message);
      byId("notice").textContent = `${error.message} Asking again.`;
    }
    await new Promise((done) => setTimeout(done, RETRY_MS));
  }
}

byId("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  token = byId("token").value.trim();
  byId("token").value = "";
  sessionStorage.setItem(KEY, token);
  show();
  // The form is gone, and what had the focus with it.
  byId("notice").textContent = "Asking the plane.";
  byId("title").focus();
});
byId("leave").addEventListener("click", () => leave("The token is forgotten."));
byId("hold").addEventListener("click", () => {
  held = !held;
  byId("hold").setAttribute("aria-pressed", String(held));
  paint();
});
byId("more").addEventListener("click", () => {
  from = following;
  tellOf(refresh());
});
setInterval(() => {
  if (token === null || byId("view").hidden) return;
  tellOf(refresh());
}, REFRESH_MS);
if (token !== null) show();
