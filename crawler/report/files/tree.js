// The sites as an icicle: the wider a part, the more pages are in it; the redder, the more failed.
// Enter or a click opens a part; arrow keys go to its neighbours, up to what it is in, down into it.

import { bytes, count, h, hideTip, percent, readable, seconds, section, showTip } from "./draw.js";

const ROW = 32, LEVELS = 7, LEAST = 0.35; // LEAST: percent of the width below which nothing is drawn

const weight = (part) => part.pages + part.failed;

// From blue to red in a few steps; style.css has the colours, with ink that can be read on each.
const SHADES = 5;
const shade = (part) => {
  const share = part.failed / Math.max(1, weight(part));
  return share === 0 ? 0 : share < 0.1 ? 1 : share < 0.5 ? 2 : share < 0.95 ? 3 : 4;
};

const words = (part) =>
  `${part.full}\n${count(part.pages)} pages, ${count(part.failed)} failed (${percent(part.failed / Math.max(1, weight(part)))})\n` +
  `${bytes(part.received)}, ${seconds(part.seconds / Math.max(1, weight(part)))} a page` +
  (part.more ? `\n${count(part.more)} smaller parts are not shown` : "");

function prepare(part, parent, full) {
  part.parent = parent;
  part.full = full;
  for (const inner of part.parts) prepare(inner, part, parent ? full.replace(/\/$/, "") + inner.name : inner.name);
}

export function tree(data) {
  const top = data.tree;
  if (!weight(top)) return null;
  top.name = "all sites";
  prepare(top, null, "all sites");
  const start = top.parts.length === 1 && !top.more ? top.parts[0] : top;
  const icicle = h("div", { class: "icicle", role: "tree", "aria-label": "Parts of the sites" });
  const crumbs = h("nav", { class: "crumbs", "aria-label": "Where in the sites" });
  let root = start;

  const draw = (focus) => {
    hideTip();
    const drawn = [];
    const place = (part, left, width, level) => {
      if (width < LEAST || level >= LEVELS) return;
      drawn.push([part, left, width, level]);
      let at = left;
      for (const inner of part.parts) {
        const share = (width * weight(inner)) / Math.max(1, weight(part));
        place(inner, at, share, level + 1);
        at += share;
      }
    };
    place(root, 0, 100, 0);
    icicle.style.height = `${(1 + Math.max(...drawn.map(([, , , level]) => level))) * ROW}px`;
    icicle.replaceChildren(...drawn.map(([part, left, width, level]) => {
      const element = h("div", {
        class: `part shade-${shade(part)}${part.parts.length ? "" : " leaf"}`, role: "treeitem", "aria-level": level + 1, tabindex: part === (focus ?? root) ? "0" : "-1",
        "aria-label": words(part).replaceAll("\n", ", "), "aria-expanded": part.parts.length ? "true" : null,
        style: { left: `calc(${left}% + 1px)`, width: `calc(${width}% - 2px)`, top: `${level * ROW}px` },
        onclick: () => open(part),
        onpointermove: (event) => showTip(words(part), event.clientX, event.clientY),
        onpointerleave: hideTip,
        onfocus: (event) => {
          if (!event.target.matches(":focus-visible")) return;
          const box = event.target.getBoundingClientRect();
          showTip(words(part), box.left, box.bottom - 14);
        },
        onblur: hideTip,
        onkeydown: (event) => key(event, part),
      }, width > 2.5 ? readable(part.name.replace(/^https?:\/\//, "")) : "");
      if (width <= 2.5) element.style.padding = "0";
      part.element = element;
      return element;
    }));
    const way = [];
    for (let part = root; part; part = part.parent) way.unshift(part);
    crumbs.replaceChildren(...way.map((part) =>
      h("button", { type: "button", "aria-current": part === root ? "location" : null, onclick: () => open(part) }, part.name)));
  };

  const open = (part) => {
    if (!part.parts.length) return;
    root = part;
    draw();
    if (icicle.contains(document.activeElement) || document.activeElement === document.body) root.element.focus();
  };

  const go = (part) => {
    if (!part?.element?.isConnected) return;
    icicle.querySelectorAll('[tabindex="0"]').forEach((each) => each.setAttribute("tabindex", "-1"));
    part.element.setAttribute("tabindex", "0");
    part.element.focus();
  };

  const key = (event, part) => {
    const beside = (step) => {
      const parts = part.parent?.parts ?? [part];
      return parts[parts.indexOf(part) + step];
    };
    const actions = {
      ArrowDown: () => go(part.parts[0]),
      ArrowUp: () => (part === root ? null : go(part.parent)),
      ArrowRight: () => part !== root && go(beside(1)),
      ArrowLeft: () => part !== root && go(beside(-1)),
      Enter: () => { open(part); root.element.focus(); },
      " ": () => { open(part); root.element.focus(); },
      Backspace: () => { if (root.parent) { open(root.parent); root.element.focus(); } },
      Escape: () => { open(start); root.element.focus(); },
      Home: () => go(root),
    };
    if (!(event.key in actions)) return;
    event.preventDefault();
    actions[event.key]();
  };

  draw();
  const scale = h("div", { class: "scale", "aria-hidden": "true" }, "none failed",
    h("i", { style: { background: `linear-gradient(90deg, ${Array.from({ length: SHADES }, (_, at) => `var(--shade-${at})`).join(",")})` } }), "all failed");
  const made = section("Site tree", "The wider a part, the more pages are in it. Click or press Enter to open one; arrow keys move.", "", crumbs, icicle);
  made.querySelector(".head").append(scale);
  return made;
}
