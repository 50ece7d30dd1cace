// Where the time of a page goes: what an average page is made of, and how the phases vary.

import { count, fold, h, hideTip, percent, s, seconds, section, showTip, table } from "./draw.js";

export const PHASES = {
  acquire: "wait for a connection",
  resolve: "DNS",
  connect_tcp: "connect",
  connect_proxy: "proxy",
  start_tls: "TLS",
  send_request: "send",
  receive_head: "wait for the reply",
  receive_body: "receive the body",
  redirect: "redirects",
  retry: "pause and retry",
  rest: "find the links, wait for the loop",
};

// As wide as it will be, so that its text is as large as all other.
const WIDTH = Math.max(320, Math.min(innerWidth < 860 ? 760 : 560, innerWidth - 84)), ROW = 46, NAME = 150, RIGHT = 12, TOP = 22;

const colour = (phase) => `var(--p-${phase.name})`;

function axisOf(phases, edges) {
  const used = phases.flatMap((phase) => phase.counts.map(([bucket]) => bucket));
  const low = Math.min(...used), high = Math.max(...used) + 1;
  const ticks = [1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100].filter((tick) => tick >= edges[low] * 0.99 && tick <= edges[high] * 1.01);
  const x = (time) =>
    NAME + ((WIDTH - NAME - RIGHT) * (Math.log(Math.max(time, edges[low])) - Math.log(edges[low]))) / (Math.log(edges[high]) - Math.log(edges[low]));
  return { ticks, x };
}

function row(phase, at, x, edges) {
  const base = TOP + (at + 1) * ROW - 8;
  const most = Math.max(...phase.counts.map(([, number]) => number));
  const height = (number) => (ROW - 16) * Math.sqrt(number / most);
  const words = `${PHASES[phase.name]}: median ${seconds(phase.p50)}, p90 ${seconds(phase.p90)}, ` +
    `p99 ${seconds(phase.p99)}, longest ${seconds(phase.longest)}, ${count(phase.number)} times`;
  return s(
    "g",
    {
      onpointermove: (event) => showTip(words.replaceAll(", ", "\n").replace(": ", "\n"), event.clientX, event.clientY),
      onpointerleave: hideTip,
    },
    s("rect", { x: 0, y: base - ROW + 10, width: WIDTH, height: ROW, fill: "transparent" }),
    s("line", { class: "rule", x1: NAME, x2: WIDTH - RIGHT, y1: base, y2: base }),
    s("text", { class: "strong", x: 0, y: base - 12, style: { "font-size": "13px" } }, PHASES[phase.name].split(",")[0]),
    s("text", { x: 0, y: base + 3 }, `${seconds(phase.p50)} · ${seconds(phase.p99)}`),
    phase.counts.map(([bucket, number]) =>
      s("rect", {
        x: x(edges[bucket]) + 0.5, width: Math.max(1, x(edges[bucket + 1]) - x(edges[bucket]) - 1),
        y: base - height(number), height: height(number), fill: colour(phase), rx: 1,
      })),
    [phase.p50, phase.p99].map((time) => s("line", { class: "mark", x1: x(time), x2: x(time), y1: base - ROW + 16, y2: base + 3 })),
  );
}

export function phases(data) {
  const shown = data.phases.filter((phase) => phase.total > 0);
  if (!shown.length) return null;
  const whole = shown.reduce((sum, phase) => sum + phase.total, 0);
  const stack = h(
    "div",
    { class: "stack", role: "img", "aria-label": `Of all the time that pages took: ${[...shown].sort((one, other) => other.total - one.total).map((phase) => `${PHASES[phase.name]} ${percent(phase.total / whole)}`).join("; ")}.` },
    shown.map((phase) =>
      h("span", {
        style: { flex: `${phase.total / whole} 0 0`, background: colour(phase) },
        onpointermove: (event) =>
          showTip(`${PHASES[phase.name]}\n${percent(phase.total / whole)} of the time, ${seconds(phase.total / data.seconds.number)} of an average page`, event.clientX, event.clientY),
        onpointerleave: hideTip,
      })),
  );
  const legend = h("ul", { class: "legend", style: { "margin-bottom": "14px" } },
    shown.filter((phase) => phase.total / whole >= 0.005).map((phase) =>
      h("li", {}, h("span", { class: "key", style: { background: colour(phase) } }), `${PHASES[phase.name].split(",")[0]} ${percent(phase.total / whole)}`)));
  const { ticks, x } = axisOf(shown, data.edges);
  const height = TOP + shown.length * ROW + 4;
  const picture = s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": `How long each phase took: ${shown.map((phase) => `${PHASES[phase.name]}, median ${seconds(phase.p50)}`).join("; ")}.` },
    ticks.map((tick) => [
      s("line", { class: "rule", x1: x(tick), x2: x(tick), y1: TOP - 6, y2: height - 6, "stroke-dasharray": "2 3" }),
      s("text", { x: x(tick), y: 10, "text-anchor": "middle" }, seconds(tick).replace(".00", "").replace(".0", "")),
    ]),
    shown.map((phase, at) => row(phase, at, x, data.edges)),
  );
  const rows = shown.map((phase) => [
    PHASES[phase.name], count(phase.number), seconds(phase.total / phase.number), seconds(phase.p50), seconds(phase.p90), seconds(phase.p99), seconds(phase.longest),
  ]);
  return section(
    "Where the time goes",
    `An average page took ${seconds(data.seconds.total / data.seconds.number)}. Lines, and the figures below each name: median and p99. The axis is logarithmic.`,
    "half", stack, legend, picture,
    fold("As a table", table("Seconds by phase", ["phase", "times", "mean", "median", "p90", "p99", "longest"], rows)),
  );
}
