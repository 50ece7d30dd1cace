// Things that are counted: statuses, types, depths, and the pages that most others link to.

import { bytes, count, h, link, percent, section } from "./draw.js";

const PHRASES = {
  200: "OK", 201: "Created", 204: "No Content", 206: "Partial Content", 301: "Moved Permanently", 302: "Found",
  303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
  401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
  408: "Request Timeout", 410: "Gone", 418: "I'm a teapot", 421: "Misdirected", 429: "Too Many Requests",
  451: "Unavailable For Legal Reasons", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
  504: "Gateway Timeout",
};
const COLOURS = { 2: "--good", 3: "--moved", 4: "--warn", 5: "--bad" };

function bars(label, rows, name = "150px") {
  const most = Math.max(...rows.map((row) => row.number));
  return h(
    "ul",
    { class: "rows", "aria-label": label, style: { "--name": name } },
    rows.map((row) =>
      h("li", {},
        h("span", { class: "name", title: row.name }, row.name),
        h("span", { class: "track", "aria-hidden": "true" },
          h("span", { class: "fill", style: { width: `${(100 * row.number) / most}%`, background: `var(${row.colour ?? "--good"})` } })),
        h("span", { class: "number" }, h("b", {}, count(row.number)), row.after ? ` ${row.after}` : ""))),
  );
}

export function statuses(data) {
  if (!data.statuses.length) return null;
  const all = data.statuses.reduce((sum, [, number]) => sum + number, 0);
  return section(
    "Status codes", `Of ${count(all)} replies.`, "",
    bars("Status codes", data.statuses.map(([status, number]) => ({
      name: `${status} ${PHRASES[status] ?? ""}`.trim(), number, colour: COLOURS[Math.floor(status / 100)], after: `· ${percent(number / all)}`,
    })), "190px"),
  );
}

export function types(data) {
  if (!data.types.length) return null;
  return section("Types of pages", null, "",
    bars("Types of pages", data.types.map((each) => ({ name: each.type, number: each.pages, after: `· ${bytes(each.received)}` })), "190px"));
}

export function depths(data) {
  if (data.depths.length < 2) return null;
  return section("Links from the start", "How many pages were found how far away.", "",
    bars("Pages by depth", data.depths.map(([depth, number]) => ({ name: depth ? `${depth} link${depth > 1 ? "s" : ""} away` : "given", number })), "110px"));
}

export function flags(data) {
  if (!data.flags.length) return null;
  return section("What was odd and did no harm", null, "",
    bars("Flags", data.flags.map(([name, number]) => ({ name, number, colour: "--warn" })), "190px"));
}

export function linked(data) {
  if (!data.linked.length) return null;
  const most = data.linked[0][1];
  const about = data.linksForgotten
    ? "On how many pages each link stands, at least: there were more different links than could be counted."
    : "On how many pages each link stands.";
  return section(
    "Most-linked pages", about, "half",
    h("ul", { class: "rows inside" },
      data.linked.slice(0, 12).map(([url, number]) =>
        h("li", {},
          h("div", { class: "bar", style: { "--share": `${(100 * number) / most}%` } }, h("span", { class: "name" }, link(url))),
          h("span", { class: "number" }, h("b", {}, count(number)))))),
  );
}
