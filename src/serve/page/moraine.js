// The status page: asks /status every two seconds, keeps the last ten minutes for the charts, and
// writes facts into the page. Text always goes in as text, never as markup.
"use strict";

const POLL_MS = 2000;
const HISTORY_MS = 600000;
const OPEN_TOPICS_MAX = 6; // with more topics only those in trouble are shown in full at first
const UNKNOWN = "–";
const OUTCOMES = [["inserted", "inserted"], ["updated", "updated"], ["deleted", "deleted"],
  ["duplicate", "duplicates"], ["late_dropped", "late, dropped"], ["dead", "dead letters"], ["filtered", "filtered"]];
const REASONS = [["decode", "not readable"], ["event_time", "event time not readable"], ["key", "without key"], ["late", "late"]];
const STATE_CLASSES = {running: "ok", starting: "warn", paused: "warn", stopped: "", failed: "bad"};

// What to look at first, by the step in which a topic is stuck; the manual (operations.md) has the rest.
const HINTS = {
  schema: "Is the registry reachable, and the subject registered? The topic waits for it; moraine check names the line of what does not fit.",
  table: "Is the table's storage there and writable? A changed key, partitioning or number of buckets needs a new location: moraine check.",
  state: "Is there room in state_dir, and may the service write it? With the service stopped the folder may be deleted.",
  kafka: "Do the brokers run, under this name, and does the firewall let them answer? It goes on by itself.",
  fetch: "Do the brokers run, under this name, and does the firewall let them answer? It goes on by itself.",
  decode: "Is the registry reachable? If records cannot be read: moraine dead-letters shows what and why; does value.format fit the topic?",
  index: "Is the disk of state_dir slow, full or damaged? With the service stopped the folder may be deleted: it is built again.",
  encode: "Are memory and processors short? memory, lanes, or another instance.",
  upload: "Is the storage full, read-only, away or slow? Once there is room it goes on by itself.",
  commit: "Is the storage away, or does another program write this table? Undo what it changed, then systemctl reload moraine.",
  catalog: "Is the catalog reachable, with these credentials, or does another program change this table? It goes on by itself when the catalog answers.",
};
const FAILED_HINT = "Mend the cause, then systemctl reload moraine starts this topic again, and only it. Nothing is lost.";

const $ = id => document.getElementById(id);
const topics = new Map(); // name -> what belongs to it on the page

// ---- words ----------------------------------------------------------------------------------------

const grouped = new Intl.NumberFormat("en");
const number = n => n === null || n === undefined ? UNKNOWN : grouped.format(n);

function bytes(n) {
  if (n === null || n === undefined) return UNKNOWN;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit++; }
  return `${unit === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[unit]}`;
}

function duration(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  const sign = seconds < 0 ? "−" : "";
  const s = Math.abs(seconds);
  if (s === 0) return "0 s";
  if (s < 1) return `${sign}${Math.round(s * 1000)} ms`;
  if (s < 60) return `${sign}${s.toFixed(1)} s`;
  if (s < 3600) return `${sign}${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${sign}${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${sign}${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

const since = (then, now) => then === null || then === undefined ? UNKNOWN : duration(Math.max(0, now - then) / 1000);
const clock = ms => ms === null || ms === undefined ? UNKNOWN : new Date(ms).toISOString().replace("T", " ").replace(/\.\d+Z/, " UTC");
const atLeast = row => (row.lag_seconds_at_least && row.lag_seconds !== null ? "≥ " : "") + duration(row.lag_seconds);
const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
function setClass(element, base, extra) {
  const wanted = extra ? `${base} ${extra}` : base;
  if (element.className !== wanted) element.className = wanted;
}

// Rows of a table body, reused from poll to poll so that a selection or focus is not lost.
function fillTable(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((cells, i) => {
    const row = body.rows[i] || body.insertRow();
    cells.forEach((cell, k) => {
      const td = row.cells[k] || row.insertCell();
      td.className = cell.number ? "number" : "";
      if (cell.href) {
        const link = td.firstChild || td.appendChild(document.createElement("a"));
        link.href = cell.href;
        setText(link, cell.text);
      } else if (cell.badge !== undefined) {
        const badge = td.firstChild || td.appendChild(document.createElement("span"));
        setClass(badge, "badge", cell.badge);
        setText(badge, cell.text);
      } else {
        setText(td, cell.text);
      }
    });
  });
}
const numberCell = text => ({text, number: true});

// ---- charts ---------------------------------------------------------------------------------------

const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function paint(chart) {
  const set = chart.data.datasets[0];
  set.borderColor = color("--accent");
  set.backgroundColor = color("--accent-soft");
  for (const axis of [chart.options.scales.x, chart.options.scales.y]) {
    axis.ticks.color = color("--muted");
    axis.grid.color = color("--line");
  }
}

// Steps that people read on a clock; Chart.js would take 500 seconds.
const STEPS = [.05, .1, .25, .5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

function timeTicks(axis) {
  const range = axis.max - axis.min;
  const step = STEPS.find(s => range / s <= 4) || 86400 * Math.ceil(range / 345600);
  const ticks = [];
  for (let value = Math.ceil(axis.min / step) * step; value <= axis.max; value += step) ticks.push({value});
  return ticks;
}

// A round length of time: "30 s", "5 min", "1.5 h".
function roughly(seconds) {
  const [unit, name] = seconds >= 86400 ? [86400, "d"] : seconds >= 3600 ? [3600, "h"] : seconds >= 60 ? [60, "min"] : [1, "s"];
  return `${+(seconds / unit).toFixed(seconds < 1 ? 2 : 1)} ${name}`;
}

function makeChart(canvas, format) {
  const chart = new Chart(canvas, {
    type: "line",
    data: {datasets: [{data: [], borderWidth: 1.5, pointRadius: 0, pointHitRadius: 8, fill: "origin", spanGaps: false}]},
    options: {
      animation: false, responsive: true, maintainAspectRatio: false, parsing: false, normalized: true,
      interaction: {mode: "index", intersect: false},
      plugins: {
        legend: {display: false},
        tooltip: {displayColors: false, callbacks: {
          title: items => items.length ? clock(items[0].raw.x) : "",
          label: item => format(item.raw.y)}},
      },
      scales: {
        x: {type: "linear", grid: {display: false}, border: {display: false},
          afterBuildTicks: axis => { axis.ticks = [1, .5, 0].map(part => ({value: axis.max - part * (axis.max - axis.min)})); },
          ticks: {maxRotation: 0, autoSkip: false, callback: function (value, i) {
            return i === 2 ? "now" : `−${roughly((this.max - value) / 1000)}`;
          }}},
        y: {beginAtZero: true, grid: {drawTicks: false}, border: {display: false},
          afterBuildTicks: axis => { if (format === formatSeconds) axis.ticks = timeTicks(axis); },
          ticks: {maxTicksLimit: 4, callback: value => format(value, true)}},
      },
    },
  });
  paint(chart);
  return chart;
}

function drawChart(chart, points, now, label, format) {
  chart.data.datasets[0].data = points;
  const past = points.length ? now - points[0].x : 0;
  chart.options.scales.x.min = now - (past > HISTORY_MS / 2 ? HISTORY_MS : past > 120000 ? HISTORY_MS / 2 : 120000);
  chart.options.scales.x.max = now;
  // a flat line at zero still wants a scale
  chart.options.scales.y.suggestedMax = 1;
  chart.update("none");
  const known = points.filter(p => p.y !== null);
  const last = known.length ? known[known.length - 1].y : null;
  const most = known.reduce((m, p) => Math.max(m, p.y), 0);
  chart.canvas.setAttribute("aria-label", `${label}, last minutes: now ${format(last)}, at most ${format(most)}`);
}

const short = new Intl.NumberFormat("en", {notation: "compact", maximumFractionDigits: 1});
const formatCount = (value, tick) => value === null ? UNKNOWN : tick ? short.format(value) : number(Math.round(value));
const formatRate = (value, tick) => value === null ? UNKNOWN : tick ? short.format(value) : `${number(Math.round(value))} records/s`;
const formatSeconds = (value, tick) => value === null ? UNKNOWN : !tick ? duration(value) : value === 0 ? "0" : (value < 0 ? "−" : "") + roughly(Math.abs(value));

// Commits come in bursts: a rate is taken over some of their intervals.
function rates(points, intervalSeconds) {
  const window = Math.min(120000, Math.max(5000, (intervalSeconds || 0) * 3000));
  let from = 0;
  return points.map((point, i) => {
    while (from < i && point.time - points[from + 1].time >= window) from++;
    const before = points[from];
    const elapsed = point.time - before.time;
    const known = point.read !== null && before.read !== null && point.read >= before.read && elapsed >= 1000;
    return {x: point.time, y: known ? (point.read - before.read) * 1000 / elapsed : null};
  });
}

// ---- one topic ------------------------------------------------------------------------------------

function addTopic(name) {
  const section = $("topic").content.firstElementChild.cloneNode(true);
  const parts = {};
  for (const element of section.querySelectorAll("[data-is]")) parts[element.dataset.is] = element;
  section.id = `topic-${name}`;
  parts.topic.id = `title-${name}`;
  section.setAttribute("aria-labelledby", parts.topic.id);
  parts.topic.textContent = name;
  $("topics").append(section);
  parts.partitions.closest(".scroll").setAttribute("aria-label", `Partitions of ${name}`);
  const topic = {section, parts, points: [], partitions: [], charts: null};
  parts.partitions.closest("details").addEventListener("toggle", () => showPartitions(topic));
  parts.charts.addEventListener("toggle", () => { if (topic.draw) topic.draw(); });
  topics.set(name, topic);
  return topic;
}

function doing(topic) {
  if (!topic.ready) return ["bad", topic.words];
  if (topic.trouble) return ["warn", `Step ${topic.trouble_step || topic.step}: ${topic.trouble}`];
  if (topic.state === "paused") return ["warn", "Paused by an operator: records wait in Kafka."];
  if (topic.lag_records === null) return ["", "Waits for partitions or for their offsets."];
  if (topic.lag_records === 0) return ["", "Everything in Kafka is in the table."];
  return ["", `Working: ${plural(topic.lag_records, "record is", "records are")} not in the table yet.`];
}

function showTiles(parts, topic, now) {
  const commits = topic.commits;
  setText(parts.lag, number(topic.lag_records));
  setText(parts["lag-sub"], topic.lag_records === null ? "not known yet" : topic.lag_records === 0 ? "caught up"
    : topic.lag_seconds === null ? "records" : `records, the oldest waits ${atLeast(topic)}`);
  setText(parts.watermark, duration(topic.watermark_lag_seconds));
  setText(parts["watermark-sub"], topic.watermark_ms === null ? "no event time yet"
    : topic.watermark_lag_seconds < 0 ? "event times run ahead of the clock" : `complete to ${clock(topic.watermark_ms)}`);
  setText(parts.rate, topic.records_per_second === null ? UNKNOWN : `${number(Math.round(topic.records_per_second))}/s`);
  setText(parts["rate-sub"], topic.bytes_per_second === null ? "records committed" : `${bytes(topic.bytes_per_second)}/s from Kafka`);
  setText(parts.commit, commits.last_ms ? `${since(commits.last_ms, now)} ago` : "none yet");
  setText(parts["commit-sub"], commits.last_ms
    ? `${plural(commits.count, "commit", "commits")}, the last took ${duration(commits.last_duration_seconds)}`
    : `every ${duration(commits.interval_seconds)} when there are records`);
  setText(parts.fresh, duration(commits.last_freshness_seconds));
  setText(parts["fresh-sub"], "oldest record, Kafka to table");
  setText(parts.dead, number(topic.dead_letters.count));
  const reasons = REASONS.filter(([key]) => topic.dead_letters[key] > 0)
    .map(([key, words]) => `${number(topic.dead_letters[key])} ${words}`);
  setText(parts["dead-sub"], reasons.length ? reasons.join(", ") : topic.dead_letters.count ? "records put aside" : "nothing put aside");
  setClass(parts["dead-tile"], "", topic.dead_letters.count ? "warn" : "");
}

// Tables that nobody looks after here, or not yet, tell nothing of it.
function showUpkeep(parts, table) {
  parts["upkeep-tile"].hidden = table.delta_files === null;
  if (table.delta_files === null) return;
  setText(parts.upkeep, table.compaction_pending ? `${number(table.compaction_pending)} due` : "nothing due");
  const ratio = table.file_groups ? ` (${(table.delta_files / table.file_groups).toFixed(1)} per group)` : "";
  setText(parts["upkeep-sub"], table.upkeep_trouble
    || `${plural(table.delta_files, "delta file", "delta files")} on ${plural(table.file_groups, "file group", "file groups")}${ratio}`);
  setClass(parts["upkeep-tile"], "", table.upkeep_trouble ? "warn" : "");
}

function hint(topic) {
  if (topic.ready) return "";
  return topic.state === "failed" ? FAILED_HINT : HINTS[topic.stuck_step] || "";
}

function showLateness(parts, lateness) {
  const total = lateness.counts.reduce((sum, n) => sum + n, 0), most = Math.max(1, ...lateness.counts);
  const none = total === 0 && !lateness.future_records;
  parts["lateness-box"].hidden = none;
  if (none) return;
  setText(parts["lateness-sub"], [
    lateness.late_records === null ? "" : `${plural(lateness.late_records, "record", "records")} behind the watermark`,
    lateness.future_records ? `${number(lateness.future_records)} too far ahead of the clock to move it` : ""].filter(Boolean).join(", "));
  const bounds = lateness.bounds_seconds;
  parts.lateness.replaceChildren(...lateness.counts.map((count, i) => {
    const item = document.createElement("li"), column = document.createElement("i"), bar = document.createElement("span");
    const name = document.createElement("span"), value = document.createElement("b");
    bar.style.height = count ? `${Math.max(3, count * 100 / most)}%` : "0";
    column.append(bar);
    value.textContent = short.format(count);
    name.textContent = i === 0 && bounds[0] === 0 ? "in order" : i < bounds.length ? `≤ ${roughly(bounds[i])}` : "more";
    item.title = `${number(count)} records`;
    item.append(column, value, name);
    return item;
  }));
}

function showOutcomes(parts, rows) {
  const known = OUTCOMES.filter(([key]) => rows[key] > 0);
  parts.bar.replaceChildren(...known.map(([key]) => {
    const span = document.createElement("span");
    span.className = `is-${key}`;
    span.style.flexGrow = rows[key];
    return span;
  }));
  const shown = OUTCOMES.filter(([key]) => rows[key] !== null && (rows[key] > 0 || ["inserted", "updated", "deleted"].includes(key)));
  parts.outcomes.replaceChildren(...shown.map(([key, name]) => {
    const item = document.createElement("li"), swatch = document.createElement("i"), count = document.createElement("b");
    swatch.className = `is-${key}`;
    count.textContent = number(rows[key]);
    item.append(swatch, count, ` ${name}`);
    return item;
  }));
}

function showPartitions(shown) {
  const {parts, partitions} = shown;
  setText(parts["partitions-title"], plural(partitions.length, "partition", "partitions"));
  if (!parts.partitions.closest("details").open) return;
  fillTable(parts.partitions, partitions.map(row => [
    numberCell(String(row.partition) + (row.paused ? " (paused)" : "")), numberCell(number(row.lag_records)), numberCell(atLeast(row)),
    numberCell(number(row.low)), numberCell(number(row.table_offset)), numberCell(number(row.high)),
    numberCell(duration(row.watermark_lag_seconds))]));
}

function showCharts(shown, topic, now) {
  if (typeof Chart === "undefined") return;
  const parts = shown.parts;
  if (!shown.charts) {
    shown.charts = {lag: makeChart(parts["chart-lag"], formatCount), rate: makeChart(parts["chart-rate"], formatRate),
      watermark: makeChart(parts["chart-watermark"], formatSeconds)};
  }
  const points = shown.points;
  drawChart(shown.charts.lag, points.map(p => ({x: p.time, y: p.lag})), now, "Lag in records", formatCount);
  drawChart(shown.charts.rate, rates(points, topic.commits.interval_seconds), now, "Records committed per second", formatRate);
  drawChart(shown.charts.watermark, points.map(p => ({x: p.time, y: p.watermark})), now, "Watermark lag", formatSeconds);
}

function showTopic(topic, now, collapse) {
  const shown = topics.get(topic.topic) || addTopic(topic.topic);
  const parts = shown.parts;
  shown.points.push({time: now, read: topic.rows.read, lag: topic.lag_records, watermark: topic.watermark_lag_seconds});
  while (shown.points.length && shown.points[0].time < now - HISTORY_MS) shown.points.shift();
  setText(parts.state, topic.ready || topic.state !== "running" ? topic.state : "stuck");
  setClass(parts.state, "badge", topic.ready ? STATE_CLASSES[topic.state] : topic.state === "starting" ? "warn" : "bad");
  setText(parts.location, [topic.table.format, topic.table.location].filter(Boolean).join(" · "));
  const [tone, words] = doing(topic);
  setText(parts.doing, words);
  setClass(parts.doing, "doing", tone);
  setText(parts.hint, hint(topic));
  parts.hint.hidden = !parts.hint.textContent;
  if (!shown.asked) parts.charts.open = !collapse || !topic.ready; // later the reader decides
  shown.asked = true;
  showTiles(parts, topic, now);
  showUpkeep(parts, topic.table);
  showOutcomes(parts, topic.rows);
  showLateness(parts, topic.lateness);
  shown.partitions = topic.partitions;
  showPartitions(shown);
  shown.draw = () => { if (parts.charts.open) showCharts(shown, topic, now); };
  shown.draw();
}

// ---- the page -------------------------------------------------------------------------------------

function showService(status) {
  setText($("instance"), status.instance);
  setText($("version"), status.version);
  setText($("uptime"), since(status.started_ms, status.time_ms));
  setText($("ready"), status.ready ? "ready" : "not ready");
  setClass($("ready"), "badge", status.ready ? "ok" : "bad");
  document.title = `${status.ready ? "" : "⚠ "}moraine ${status.instance}`;
  const {used_bytes: used, limit_bytes: limit} = status.memory;
  setText($("memory-text"), `${bytes(used)} of ${bytes(limit)}`);
  $("memory-bar").style.width = used === null || !limit ? "0" : `${Math.min(100, used * 100 / limit)}%`;
  setText($("updated"), `As of ${clock(status.time_ms)}, every ${POLL_MS / 1000} seconds.`);
}

function showProblems(status) {
  // without "for how long": a screen reader shall hear a problem once
  const lines = status.topics.filter(topic => !topic.ready).map(topic =>
    `${topic.topic}: ${topic.what}, since ${clock(topic.not_ready_since_ms)}.${topic.trouble ? ` Last error: ${topic.trouble}` : ""}`);
  if (status.config.trouble) {
    lines.push(`The configuration was not taken over at ${clock(status.config.loaded_ms)}, the one before stays: ${status.config.trouble}`);
  }
  const box = $("problems");
  if (box.dataset.shown === lines.join("\n")) return;
  box.dataset.shown = lines.join("\n");
  box.replaceChildren(...lines.map(line => {
    const p = document.createElement("p");
    p.className = "notice bad";
    p.textContent = line;
    return p;
  }));
}

function showOverview(status) {
  $("overview").hidden = status.topics.length < 2;
  fillTable($("overview").querySelector("tbody"), status.topics.map(topic => [
    {text: topic.topic, href: `#topic-${encodeURIComponent(topic.topic)}`},
    {text: topic.ready || topic.state !== "running" ? topic.state : "stuck", badge: topic.ready ? STATE_CLASSES[topic.state] : "bad"},
    numberCell(number(topic.lag_records)), numberCell(atLeast(topic)), numberCell(duration(topic.watermark_lag_seconds)),
    numberCell(topic.records_per_second === null ? UNKNOWN : number(Math.round(topic.records_per_second))),
    numberCell(topic.commits.last_ms ? `${since(topic.commits.last_ms, status.time_ms)} ago` : UNKNOWN)]));
}

function show(status) {
  showService(status);
  showProblems(status);
  showOverview(status);
  const names = new Set(status.topics.map(topic => topic.topic));
  for (const [name, shown] of topics) {
    if (names.has(name)) continue;
    if (shown.charts) Object.values(shown.charts).forEach(chart => chart.destroy());
    shown.section.remove();
    topics.delete(name);
  }
  for (const topic of status.topics) showTopic(topic, status.time_ms, status.topics.length > OPEN_TOPICS_MAX);
}

async function ask(path) {
  const answer = await fetch(path, {cache: "no-store", signal: AbortSignal.timeout(10000)});
  if (!answer.ok) throw new Error(`${path} answered ${answer.status}`);
  return answer.json();
}

let heard = Date.now();
async function poll() {
  try {
    show(await ask("/status"));
    heard = Date.now();
    $("silence").hidden = true;
    document.body.classList.remove("stale");
  } catch (error) {
    setText($("silence"), `No answer from the service for ${duration((Date.now() - heard) / 1000)}: the facts below are old. (${error.message})`);
    $("silence").hidden = false;
    document.body.classList.add("stale");
  }
  setTimeout(poll, document.hidden ? POLL_MS * 5 : POLL_MS);
}

async function start() {
  if (typeof Chart !== "undefined") Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  try { // the service remembers the last ten minutes; without them the charts start empty
    for (const past of (await ask("/history")).topics) {
      addTopic(past.topic).points = past.time_ms.map((time, i) => (
        {time, read: past.read[i], lag: past.lag_records[i], watermark: past.watermark_lag_seconds[i]}));
    }
  } catch (error) { /* poll says what is wrong */ }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const {charts} of topics.values()) if (charts) Object.values(charts).forEach(chart => { paint(chart); chart.update("none"); });
  });
  document.addEventListener("visibilitychange", () => { heard = document.hidden ? heard : Date.now(); });
  poll();
}
start();
