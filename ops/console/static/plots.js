// The plots of a shortcode: what was available in each account, with its thresholds, by uPlot.
// Dragging across a plot, or the buttons beside it, ask the server for a part in full; Escape shows the whole period again.
"use strict";

const holder = document.getElementById("plots");
const buttons = document.querySelectorAll("button[data-since]");
const amounts = new Intl.NumberFormat("en-KE", { maximumFractionDigits: 2 });
let drawn = [];
let period = { since: holder.dataset.since };
// The ends of what is shown, and how often it was asked for: an answer that another has overtaken is not drawn.
let ends = [0, 0];
let asked = 0;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis() {
  const faint = { stroke: colour("--pico-muted-border-color"), width: 1 };
  return { stroke: colour("--pico-color"), grid: faint, ticks: faint };
}

// Dates as the tables have them: year, month, day, and hours up to 24.
function dated(template) {
  const ours = [["{M}/{D}/{YY}", "{YYYY}-{MM}-{DD}"], ["{M}/{D}", "{MM}-{DD}"], ["{h}", "{HH}"], ["{aa}", ""]];
  return uPlot.fmtDate(ours.reduce((text, [theirs, own]) => text.replaceAll(theirs, own), template));
}

function options(account, figure) {
  const limits = account.thresholds.map((one) => ({
    label: `${one.kind} ${amounts.format(one.amount)}`, stroke: colour("--bad"), dash: [6, 4], width: 1.5, points: { show: false },
  }));
  return {
    width: figure.clientWidth,
    height: 240,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Africa/Nairobi"),
    fmtDate: dated,
    axes: [axis(), { ...axis(), size: 90, values: (_, ticks) => ticks.map((one) => amounts.format(one)) }],
    series: [
      {},
      { label: "Available", stroke: colour("--line"), width: 2, spanGaps: true, value: (_, one) => (one === null ? "" : amounts.format(one)) },
      ...limits,
    ],
    cursor: { drag: { x: true, y: false, setScale: false } },
    hooks: { setSelect: [zoom] },
  };
}

function zoom(plot) {
  if (plot.select.width < 4) return;
  const [left, right] = [plot.select.left, plot.select.left + plot.select.width].map((at) => plot.posToVal(at, "x"));
  part(left, right);
}

function part(from, until) {
  period = { ...period, from, until };
  show();
}

// What dragging does, for whoever has no mouse: half of what is shown, twice that, or the half before or after it.
const MOVES = {
  closer: (from, until) => [from + (until - from) / 4, until - (until - from) / 4],
  wider: (from, until) => [from - (until - from) / 2, until + (until - from) / 2],
  earlier: (from, until) => [from - (until - from) / 2, until - (until - from) / 2],
  later: (from, until) => [from + (until - from) / 2, until + (until - from) / 2],
};

function draw(account, at) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const known = account.available.filter((one) => one !== null);
  caption.textContent = `${account.name} (${account.currency || "?"})`;
  figure.append(caption);
  holder.append(figure);
  if (known.length < 2) {
    caption.textContent += ": one balance or none in this period is no line";
    return;
  }
  const lines = account.thresholds.map((one) => at.map(() => one.amount));
  const plot = new uPlot(options(account, figure), [at, account.available, ...lines], figure);
  // A canvas says nothing to whoever does not see it.
  const picture = plot.root.querySelector("canvas");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `${account.name}: ${known.length} balances, from ${amounts.format(known[0])} to ${amounts.format(known.at(-1))}`);
  drawn.push({ plot, figure });
}

async function show() {
  const address = new URL(holder.dataset.course, location.href);
  if (period.from) {
    address.searchParams.set("since", new Date(period.from * 1e3).toISOString());
    address.searchParams.set("until", new Date(period.until * 1e3).toISOString());
  } else {
    address.searchParams.set("since", period.since);
  }
  const mine = ++asked;
  const answer = await fetch(address, { headers: { Accept: "application/json" } });
  const course = answer.ok ? await answer.json() : null;
  if (mine !== asked) return;
  drawn.forEach(({ plot }) => plot.destroy());
  drawn = [];
  if (!course) {
    holder.textContent = "The plots cannot be drawn now: load the page again.";
    return;
  }
  ends = period.from ? [period.from, period.until] : [course.at[0], course.at.at(-1)];
  holder.replaceChildren();
  if (!course.accounts.length) holder.textContent = "No balance in this period.";
  course.accounts.forEach((account) => draw(account, course.at));
  holder.dataset.shown = period.from ? "part" : period.since;
}

function whole(since) {
  period = { since };
  buttons.forEach((one) => {
    one.setAttribute("aria-pressed", String(one.dataset.since === since));
    one.classList.toggle("outline", one.dataset.since !== since);
  });
  show();
}

document.querySelectorAll("button[data-move]").forEach((one) => one.addEventListener("click", () => {
  if (ends[1] > ends[0]) part(...MOVES[one.dataset.move](...ends));
}));
buttons.forEach((one) => one.addEventListener("click", () => whole(one.dataset.since)));
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && period.from) whole(period.since);
});
addEventListener("resize", () => drawn.forEach(({ plot, figure }) => plot.setSize({ width: figure.clientWidth, height: 240 })));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
// A new balance of this shortcode belongs to the whole picture, not to a part of it.
// Several parts of the page hear of each.
let told = 0;
document.body.addEventListener("htmx:sseMessage", () => {
  clearTimeout(told);
  told = setTimeout(() => {
    if (!period.from) show();
  }, 50);
});
show();
