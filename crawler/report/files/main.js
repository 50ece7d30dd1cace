// Puts the page together.

import { bytes, count, h, percent, seconds, short } from "./draw.js";
import { depths, flags, linked, statuses, types } from "./bars.js";
import { failures } from "./failures.js";
import { hosts, slowest } from "./hosts.js";
import { phases } from "./phases.js";
import { timeline } from "./timeline.js";
import { tree } from "./tree.js";

function tiles(data) {
  const tile = (name, value, unit, below, kind = "") =>
    h("div", { class: `tile ${kind}` }, h("dt", {}, name), h("dd", {}, value, unit ? h("small", {}, ` ${unit}`) : null), below ? h("dd", { style: { all: "revert", margin: 0, "font-size": "12.5px", color: "var(--quiet)" } }, below) : null);
  const all = data.pages + data.failed;
  return h(
    "dl",
    { class: "tiles" },
    tile("Pages", short(data.pages), "", data.redirected ? `and ${count(data.redirected)} redirects` : data.leftOut ? `${count(data.leftOut)} left out by robots.txt` : `on ${count(data.hostsKnown)} host${data.hostsKnown === 1 ? "" : "s"}`),
    tile("Failed", short(data.failed), "", all ? percent(data.failed / all) : "", data.failed ? "bad" : ""),
    tile("Links found", short(data.links), "", data.pages ? `${short(data.links / data.pages)} a page` : ""),
    tile("Received", ...bytes(data.received).split(" "), data.decoded > data.received ? `${bytes(data.decoded)} decompressed` : ""),
    tile("Speed", short(data.pages / Math.max(data.took, 1e-3)), "pages/s", `in ${seconds(data.took)}`),
    tile("Median page", ...seconds(data.seconds.p50).split(" "), `90 % within ${seconds(data.seconds.p90)}`),
  );
}

function theme() {
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  const show = () => {
    const now = chosen ?? (dark.matches ? "dark" : "light");
    document.documentElement.dataset.theme = now;
    button.textContent = now === "dark" ? "Light colours" : "Dark colours";
  };
  button.addEventListener("click", () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    show();
  });
  dark.addEventListener("change", show);
  show();
}

const column = (...sections) => {
  const shown = sections.filter(Boolean);
  return shown.length ? h("div", { class: "column" }, shown) : null;
};

function show(data) {
  const nothing = h("p", { class: "note", style: { "grid-column": "span 12" } }, "Nothing was crawled, so there is nothing to show.");
  const parts = data.seconds.number ? [
    tiles(data), timeline(data),
    phases(data), column(statuses(data), types(data), depths(data), flags(data)),
    failures(data),
    tree(data),
    linked(data), slowest(data),
    hosts(data),
  ] : [nothing];
  document.getElementById("figures").append(...parts.filter(Boolean));
}

theme();
show(JSON.parse(document.getElementById("data").textContent));
