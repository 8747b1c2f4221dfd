// The page of one site: asks the API every few seconds and draws the answers. Addresses are relative, so that it
// works under any route prefix; text is only ever set as text.

const REFRESH_MS = 5000;
const TIMEOUT_MS = 30000;
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);

let site = null;
let chosenDay = null;

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), headers: { Accept: "application/json" } });
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail || `${path}: status ${response.status}`);
  return body;
}

// --- words and numbers

const whole = (value) => value.toLocaleString("en-GB");

function percent(share) {
  if (share === null || share === undefined) return "–";
  if (share > 0 && share < 0.001) return "<0.1 %";
  const points = share * 100;
  return `${points >= 99.95 || points === 0 ? points.toFixed(0) : points.toFixed(1)} %`;
}

function duration(seconds) {
  if (seconds === null) return "–";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const total = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor((total % 3600) / 60), total % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours} h ${two(minutes)} min` : `${minutes} min ${two(rest)} s`;
}

function spell(minutes) {
  return minutes < 90 ? `${minutes} min` : `${(minutes / 60).toFixed(1)} h`;
}

// The API's instants carry the site's offset, so their text already is the shop's local time.
const clock = (instant) => instant.slice(11, 16);

function dayName(day) {
  const [year, month, date] = day.split("-").map(Number);
  const options = { weekday: "short", day: "numeric", month: "short", year: "numeric", timeZone: "UTC" };
  return new Intl.DateTimeFormat("en-GB", options).format(Date.UTC(year, month - 1, date));
}

// --- building elements

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function shape(name, attributes, text) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function setText(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

function showEmpty(id, text) {
  byId(id).hidden = text === null;
  if (text !== null) setText(id, text);
}

function meter(share, label) {
  const bar = element("span");
  bar.style.width = `${Math.min(1, share || 0) * 100}%`;
  return element("div", { class: (share || 0) < 0.9 ? "meter low" : "meter", role: "img", "aria-label": label }, bar);
}

// --- sections

function drawHead(coverage) {
  setText("coverage-share", percent(coverage.interval_share));
  const bar = byId("coverage-meter");
  bar.classList.toggle("low", (coverage.interval_share || 0) < 0.9);
  bar.setAttribute("aria-label", `Coverage ${percent(coverage.interval_share)}`);
  bar.firstElementChild.style.width = `${Math.min(1, coverage.interval_share || 0) * 100}%`;
  const recorded = coverage.recorded_camera_minutes;
  setText(
    "coverage-text",
    recorded === 0
      ? "No video of this day was analysed."
      : `${spell(recorded)} of ${spell(coverage.asked_camera_minutes)} camera time on record; ` +
          `${percent(coverage.share)} of its frames analysed.`,
  );
}

function drawTotals(stats) {
  const { live, occupancy } = stats;
  const counted = (number) => (stats.coverage.recorded_camera_minutes ? whole(number) : "–");
  setText("now-title", live ? "People in now" : "People inside at the end");
  if (live) {
    setText("now", whole(live.people_now));
    setText("now-about", `live, ${clock(live.time)}`);
  } else {
    setText("now", occupancy ? whole(occupancy.inside) : "–");
    setText("now-about", occupancy ? `recorded, ${clock(occupancy.time)}` : "nothing is running");
  }
  setText("entries", counted(stats.entries));
  setText("entries-about", stats.turned_back ? `${whole(stats.turned_back)} turned back, not counted` : "over the counting lines");
  setText("exits", counted(stats.exits));
  setText("exits-about", "over the counting lines");
  setText("people", counted(stats.identities));
  setText("people-about", `${whole(stats.tracklets)} tracks, ${whole(stats.unidentified_tracklets)} without identity`);
}

// A step of the axis that people read easily, so that about four steps reach the highest bar.
function niceStep(most) {
  const wanted = Math.max(1, most / 4);
  const power = 10 ** Math.floor(Math.log10(wanted));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= wanted);
}

function drawHours(footfall) {
  const { buckets, total, coverage } = footfall;
  const none = total.entries + total.exits === 0;
  showEmpty("hours-empty", none ? (coverage.recorded_camera_minutes ? "Nobody crossed a counting line." : "No video of this day was analysed.") : null);
  byId("hours-chart").hidden = none;
  byId("hours-details").hidden = none;
  if (none) return;
  byId("hours-chart").replaceChildren(hoursChart(buckets, total));
  byId("hours-rows").replaceChildren(
    ...buckets.map((bucket) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, `${clock(bucket.from)}–${clock(bucket.to)}`),
        element("td", { class: "n" }, whole(bucket.entries)),
        element("td", { class: "n" }, whole(bucket.exits)),
        element("td", { class: "n" }, bucket.interval_share ? percent(bucket.interval_share) : "no video"),
      ),
    ),
  );
}

function hoursChart(buckets, total) {
  const width = Math.max(300, byId("hours-chart").clientWidth || 1100);
  const height = width < 520 ? 190 : 230;
  const [left, right, top, bottom] = [34, 4, 16, 22];
  const highest = Math.max(...buckets.map((bucket) => Math.max(bucket.entries, bucket.exits)));
  const step = niceStep(highest);
  const most = step * Math.max(1, Math.ceil(highest / step));
  const slot = (width - left - right) / buckets.length;
  const scaleY = (count) => height - bottom - ((height - top - bottom) * count) / most;
  const label = `Entries and exits by hour: ${total.entries} in, ${total.exits} out. The table below has every hour.`;
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  for (let count = 0; count <= most; count += step) {
    const y = scaleY(count);
    svg.append(shape("line", { class: "grid", x1: left, x2: width - right, y1: y, y2: y }));
    svg.append(shape("text", { class: "end", x: left - 6, y: y + 4 }, whole(count)));
  }
  const every = Math.ceil(40 / slot);
  buckets.forEach((bucket, index) => {
    const x = left + slot * index;
    const bar = Math.min(22, slot * 0.36);
    const middle = x + slot / 2;
    const group = shape("g", {});
    group.append(shape("title", {}, hourWords(bucket)));
    const blind = bucket.interval_share ? "" : " blind";
    group.append(shape("rect", { class: `hit${blind}`, x, y: top, width: slot, height: height - top - bottom }));
    group.append(barOf("in", middle - bar - 1, bar, bucket.entries, scaleY));
    group.append(barOf("out", middle + 1, bar, bucket.exits, scaleY));
    if (bucket.entries && slot > 30) {
      group.append(shape("text", { class: "count", x: middle - bar / 2 - 1, y: scaleY(bucket.entries) - 4 }, String(bucket.entries)));
    }
    svg.append(group);
    if (index % every === 0) svg.append(shape("text", { class: "mid", x: middle, y: height - 6 }, clock(bucket.from)));
  });
  return svg;
}

function hourWords(bucket) {
  const hour = `${clock(bucket.from)}–${clock(bucket.to)}`;
  if (!bucket.interval_share) return `${hour}: no video`;
  return `${hour}: ${whole(bucket.entries)} in, ${whole(bucket.exits)} out (coverage ${percent(bucket.interval_share)})`;
}

function barOf(kind, x, width, count, scaleY) {
  return shape("rect", { class: kind, x, y: scaleY(count), width, height: scaleY(0) - scaleY(count), rx: Math.min(2, width / 2) });
}

function drawZones(answer) {
  const { zones } = answer;
  showEmpty("zones-empty", zones.length ? null : "No zones are drawn yet: add them under “zones” in site.yaml.");
  byId("zones").hidden = zones.length === 0;
  const longest = Math.max(1, ...zones.map((zone) => zone.p90_dwell_s || 0));
  byId("zone-rows").replaceChildren(
    ...zones.map((zone) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, zone.name),
        element("td", { class: "n" }, whole(zone.visits)),
        element("td", { class: "n" }, duration(zone.median_dwell_s)),
        element("td", { class: "n" }, duration(zone.p90_dwell_s)),
        element("td", { class: "wide" }, dwellBars(zone, longest)),
      ),
    ),
  );
  const cut = zones.reduce((sum, zone) => sum + zone.censored, 0);
  byId("zones-note").hidden = cut === 0;
  setText("zones-note", `${whole(cut)} stays were cut off by the end of a track or of the video: true times are longer.`);
}

function dwellBars(zone, longest) {
  const [p90, median] = [element("span", { class: "p90" }), element("span")];
  p90.style.width = `${(100 * (zone.p90_dwell_s || 0)) / longest}%`;
  median.style.width = `${(100 * (zone.median_dwell_s || 0)) / longest}%`;
  return element("div", { class: "dwell", "aria-hidden": "true" }, p90, median);
}

function drawCameras(answer) {
  const { cameras } = answer;
  showEmpty("cameras-empty", cameras.length ? null : "No cameras are configured: add them under “cameras” in site.yaml.");
  byId("cameras").hidden = cameras.length === 0;
  byId("camera-rows").replaceChildren(...cameras.map(cameraRow));
}

function cameraRow(camera) {
  const { live } = camera;
  const status = live ? live.status : camera.recorded_minutes ? "recorded" : "no video";
  const seen = live ? live.last_frame_time : camera.last_minute;
  const notes = [seen ? `last frame ${clock(seen)}` : "", live ? live.detail : "", camera.reasons.join(", ")];
  const dropped = camera.dropped_frames ? `${whole(camera.dropped_frames)} frames dropped` : "";
  const about = [...notes, dropped].filter(Boolean).join(" · ");
  const share = element(
    "div",
    { class: "share" },
    meter(camera.interval_share, `Coverage ${percent(camera.interval_share)}`),
    element("span", { class: "n" }, percent(camera.interval_share)),
  );
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, camera.name, element("span", { class: "row-note" }, about)),
    element("td", {}, element("span", { class: `state ${live ? live.status : ""}` }, status)),
    element("td", { class: "wide" }, share),
  );
}

// --- site, day and refresh

function drawSite() {
  setText("site-name", site.name);
  document.title = `${site.name} – retail-ray`;
  setText("site-about", `${site.timezone.replaceAll("_", " ")} · day begins ${site.day_start.slice(0, 5)}`);
  const days = [...new Set([...site.days_on_record, site.default_day, site.today])].sort().reverse();
  const select = byId("day");
  const known = [...select.options].map((option) => option.value).join();
  if (known !== days.join()) {
    const name = (day) => dayName(day) + (site.days_on_record.includes(day) ? "" : " (no video)");
    select.replaceChildren(...days.map((day) => element("option", { value: day }, name(day))));
  }
  select.value = chosenDay || site.default_day;
  select.disabled = false;
}

function drawAdvice() {
  const notice = byId("notice");
  notice.hidden = site.days_on_record.length > 0;
  if (!notice.hidden) {
    notice.replaceChildren(
      element("strong", {}, "The lake is still empty. "),
      "Analyse recorded video with ",
      element("code", {}, "retail-ray run --site site.yaml"),
      " or live cameras with ",
      element("code", {}, "python jobs/stream.py --site site.yaml"),
      "; the numbers appear here by themselves.",
    );
  }
}

async function refresh() {
  try {
    site = await ask("v1/site");
    drawSite();
    const interval = chosenDay && chosenDay !== site.default_day ? `?from=${chosenDay}&to=${chosenDay}` : "";
    const hours = interval ? `${interval}&by=hour` : "?by=hour";
    const [stats, footfall, zones, cameras] = await Promise.all(
      [`v1/stats${interval}`, `v1/footfall${hours}`, `v1/zones${interval}`, `v1/cameras${interval}`].map(ask),
    );
    drawAdvice();
    drawHead(stats.coverage);
    drawTotals(stats);
    drawHours(footfall);
    drawZones(zones);
    drawCameras(cameras);
    setText("updated", `Updated ${new Date().toLocaleTimeString("en-GB")}`);
  } catch (error) {
    const notice = byId("notice");
    notice.hidden = false;
    notice.replaceChildren(element("strong", {}, "No new numbers: "), error.message || String(error));
  }
}

let timer = null;

async function keepFresh() {
  clearTimeout(timer);
  await refresh();
  timer = setTimeout(keepFresh, REFRESH_MS);
}

byId("day").addEventListener("change", (event) => {
  chosenDay = event.target.value;
  keepFresh();
});
keepFresh();
