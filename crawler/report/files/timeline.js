// Pages and failures a second, over time. Arrow keys move along it, and what is there is read out.

import { bytes, count, fold, h, hideTip, s, seconds, section, short, showTip, table, ticks } from "./draw.js";

// As wide as it will be, so that its text is as large as all other.
const WIDTH = Math.max(320, Math.min(1156, innerWidth - 84)), HEIGHT = 230, LEFT = 46, RIGHT = 8, TOP = 10, BOTTOM = 26;
const MOST_BARS = Math.floor(WIDTH / 7);

// So few steps that each can be seen.
function joined(timeline) {
  const number = timeline.pages.length;
  const group = Math.max(1, Math.ceil(number / MOST_BARS));
  const sums = (values) =>
    Array.from({ length: Math.ceil(number / group) }, (_, at) =>
      values.slice(at * group, (at + 1) * group).reduce((sum, value) => sum + value, 0));
  return {
    step: timeline.step * group, pages: sums(timeline.pages), failed: sums(timeline.failed),
    received: sums(timeline.received),
  };
}

function timeTicks(total) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];
  const step = steps.find((each) => total / each <= Math.max(3, WIDTH / 110)) ?? Math.ceil(total / 864000) * 86400;
  return Array.from({ length: Math.floor(total / step + 1e-9) + 1 }, (_, at) => at * step);
}

const clock = (time) => (time < 120 ? `${+time.toFixed(time < 10 ? 2 : 0)} s` : seconds(time));

export function timeline(data) {
  const steps = joined(data.timeline);
  const number = steps.pages.length;
  if (!number) return null;
  const { step } = steps;
  const rates = steps.pages.map((pages, at) => [pages / step, steps.failed[at] / step]);
  // Pages go up from the line, failures down.
  const best = Math.max(...rates.map(([pages]) => pages));
  const worst = Math.max(...rates.map(([, failed]) => failed));
  const [, each] = ticks(best + worst, 5);
  const up = Array.from({ length: Math.max(1, Math.ceil(best / each)) + 1 }, (_, at) => at * each);
  const down = Array.from({ length: Math.ceil(worst / each) }, (_, at) => -(at + 1) * each);
  const axis = [...down.reverse(), ...up];
  const most = up.at(-1), least = axis[0];
  const x = (at) => LEFT + ((WIDTH - LEFT - RIGHT) * at) / number;
  const y = (rate) => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * (rate - least)) / (most - least);
  const gap = number > 100 ? 0.5 : 1.5;
  const bar = (at, from, to, colour) =>
    to > from && s("rect", {
      x: x(at) + gap / 2, y: from < 0 ? y(0) + 0.5 : Math.min(y(to), y(0) - 1.5), width: Math.max(0.5, x(at + 1) - x(at) - gap),
      height: Math.max(1.5, y(from) - y(to)), fill: `var(--${colour})`, rx: number > 100 ? 0 : 1.5,
    });
  const cursor = s("rect", {
    y: TOP, height: HEIGHT - TOP - BOTTOM, width: x(1) - x(0), fill: "var(--ink)", "fill-opacity": 0.09,
    visibility: "hidden",
  });
  const total = number * step;
  const peak = rates.findIndex(([pages]) => pages === best);
  const text = `Pages a second over ${clock(total)}: at most ${short(rates[peak][0])}, after ${clock(peak * step)}; ` +
    `${count(data.failed)} failures.`;
  const picture = s(
    "svg",
    { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": text },
    axis.map((rate) => [
      s("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: y(rate), y2: y(rate) }),
      s("text", { x: LEFT - 8, y: y(rate) + 4, "text-anchor": "end" }, short(Math.abs(rate))),
    ]),
    timeTicks(total).map((time) =>
      s("text", { x: x(time / step), y: HEIGHT - 8, "text-anchor": time ? "middle" : "start" }, clock(time))),
    rates.map(([pages, failed], at) => [bar(at, 0, pages, "good"), bar(at, -failed, 0, "bad")])
      .flat().filter(Boolean),
    s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(0), y2: y(0), stroke: "var(--quiet)", "shape-rendering": "crispEdges" }),
    cursor,
  );
  const plot = h("div", {
    class: "plot", tabindex: "0", role: "slider", "aria-label": "Moment of the crawl",
    "aria-valuemin": 0, "aria-valuemax": number - 1, "aria-valuenow": 0,
  }, picture);
  let current = 0;
  const words = (at) =>
    `${clock(at * step)} to ${clock((at + 1) * step)}\n${short(rates[at][0])} pages/s, ` +
    `${short(rates[at][1])} failures/s\n${bytes(steps.received[at] / step)}/s`;
  const show = (at, event) => {
    current = Math.max(0, Math.min(number - 1, at));
    cursor.setAttribute("x", x(current));
    cursor.setAttribute("visibility", "visible");
    plot.setAttribute("aria-valuenow", current);
    plot.setAttribute("aria-valuetext", words(current));
    const box = picture.getBoundingClientRect();
    showTip(words(current), event?.clientX ?? box.left + (box.width * x(current + 0.5)) / WIDTH, event?.clientY ?? box.top + 20);
  };
  const hide = () => {
    cursor.setAttribute("visibility", "hidden");
    hideTip();
  };
  plot.setAttribute("aria-valuetext", words(0));
  plot.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    show(Math.floor((((event.clientX - box.left) / box.width) * WIDTH - LEFT) / (x(1) - x(0))), event);
  });
  plot.addEventListener("pointerleave", hide);
  plot.addEventListener("focus", () => plot.matches(":focus-visible") && show(current));
  plot.addEventListener("blur", hide);
  plot.addEventListener("keydown", (event) => {
    const jump = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageUp: 10, PageDown: -10, Home: -number, End: number }[event.key];
    if (jump) {
      event.preventDefault();
      show(current + jump);
    } else if (event.key === "Escape") hide();
  });
  const legend = h("ul", { class: "legend" },
    h("li", {}, h("span", { class: "key", style: { background: "var(--good)" } }), "pages/s, up"),
    h("li", {}, h("span", { class: "key", style: { background: "var(--bad)" } }), "failures/s, down"));
  const rows = rates.map(([pages, failed], at) => [clock(at * step), short(pages), short(failed), `${bytes(steps.received[at] / step)}/s`]);
  const made = section("Pages a second", `Each bar is ${step < 1 ? seconds(step) : clock(step)}; at most ${short(rates[peak][0])} pages/s.`, "", plot,
    fold("As a table", table("Pages a second", ["from", "pages/s", "failures/s", "received"], rows)));
  made.querySelector(".head").append(legend);
  return made;
}
