// The hosts on which the crawl spent most of its time, and the pages that took longest.

import { bytes, count, h, link, s, seconds, section } from "./draw.js";

function spread(host, longest) {
  const low = Math.log(Math.max(1e-4, longest.least)), high = Math.log(longest.most);
  const x = (time) => (100 * Math.max(0, Math.log(Math.max(time, 1e-4)) - low)) / Math.max(high - low, 1e-9);
  const text = `median ${seconds(host.p50)}, p90 ${seconds(host.p90)}, slowest ${seconds(host.longest)}`;
  const dot = (time, radius, fill) => s("circle", { cx: `${x(time)}%`, cy: 9, r: radius, fill });
  return s(
    "svg",
    { width: "100%", height: 18, role: "img", "aria-label": text, style: { height: "18px" } },
    s("title", {}, text),
    s("line", { x1: `${x(host.p50)}%`, x2: `${x(host.longest)}%`, y1: 9, y2: 9, stroke: "var(--p-rest)", "stroke-width": 2 }),
    s("line", { x1: `${x(host.p50)}%`, x2: `${x(host.p90)}%`, y1: 9, y2: 9, stroke: "var(--good)", "stroke-width": 4 }),
    dot(host.longest, 3, "var(--p-rest)"), dot(host.p90, 4, "var(--good)"), dot(host.p50, 5, "var(--good-ink)"),
  );
}

const COLUMNS = [
  ["host", (host) => host.host],
  ["pages", (host) => host.pages],
  ["failed", (host) => host.failed],
  ["received", (host) => host.received],
  ["median", (host) => host.p50],
  ["p90", (host) => host.p90],
  ["slowest", (host) => host.longest],
  ["seconds a page", null],
];

export function hosts(data) {
  if (!data.hosts.length) return null;
  const longest = {
    least: Math.min(...data.hosts.map((host) => host.p50)) / 1.5,
    most: Math.max(...data.hosts.map((host) => host.longest), 1e-3) * 1.05,
  };
  const rows = h("tbody");
  const heads = COLUMNS.map(([name, value], at) =>
    h("th", { scope: "col", class: at && value ? "number" : "", "aria-sort": value ? "none" : null },
      value ? h("button", { type: "button", onclick: () => sort(at) }, name) : name));
  let sorted = null, down = true;
  const fill = (list) =>
    rows.replaceChildren(...list.map((host) =>
      h("tr", {},
        h("th", { scope: "row", title: host.host }, host.host.replace(/^https?:\/\//, (scheme) => (scheme === "http://" ? "" : scheme))),
        h("td", { class: "number" }, count(host.pages)),
        h("td", { class: host.failed ? "number bad-ink" : "number" }, count(host.failed)),
        h("td", { class: "number" }, bytes(host.received)),
        h("td", { class: "number" }, seconds(host.p50)),
        h("td", { class: "number" }, seconds(host.p90)),
        h("td", { class: "number" }, seconds(host.longest)),
        h("td", { class: "wide" }, spread(host, longest)))));
  const sort = (at) => {
    down = sorted === at ? !down : at > 0;
    sorted = at;
    heads.forEach((head, each) => COLUMNS[each][1] && head.setAttribute("aria-sort", each === at ? (down ? "descending" : "ascending") : "none"));
    const value = COLUMNS[at][1];
    fill([...data.hosts].sort((one, other) => (value(one) < value(other) ? -1 : 1) * (down ? -1 : 1)));
  };
  fill(data.hosts);
  sort(5);
  const known = data.hostsKnown > data.hosts.length ? `The ${data.hosts.length} of ${count(data.hostsKnown)} hosts that took most of the time. ` : "";
  return section(
    "Slowest hosts", `${known}Dots: the median page, 90 % of the pages, the slowest.`, "",
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Hosts" },
      h("table", { "aria-label": "Hosts" }, h("thead", {}, h("tr", {}, heads)), rows)),
  );
}

export function slowest(data) {
  if (!data.slowest.length) return null;
  const most = data.slowest[0][1];
  return section(
    "Slowest pages", "From the wait for a connection to the last link.", "half",
    h("ul", { class: "rows inside" },
      data.slowest.slice(0, 12).map(([url, time]) =>
        h("li", {},
          h("div", { class: "bar", style: { "--share": `${(100 * time) / (most || 1)}%` } }, h("span", { class: "name" }, link(url))),
          h("span", { class: "number" }, h("b", {}, seconds(time)))))),
  );
}
