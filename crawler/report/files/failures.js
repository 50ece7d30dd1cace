// What failed, why, some examples, and a page on which each of those stands.

import { count, h, link, percent, section } from "./draw.js";

export function failures(data) {
  if (!data.failures.length) return null;
  const most = data.failures[0].number;
  const all = data.pages + data.failed;
  return section(
    "Failures", `${count(data.failed)} of ${count(all)} URLs, ${percent(data.failed / all)}.`, "failures",
    data.failures.map((failure, at) =>
      h("details", { open: at === 0 },
        h("summary", {},
          h("span", { class: "name" }, failure.reason),
          h("span", { class: "track", "aria-hidden": "true" }, h("span", { class: "fill", style: { display: "block", width: `${(100 * failure.number) / most}%` } })),
          h("b", {}, count(failure.number))),
        h("ul", {},
          failure.examples.map((example) =>
            h("li", {}, link(example.url), example.detail ? h("span", { class: "quiet" }, ` — ${example.detail}`) : null,
              example.on ? h("div", { class: "quiet" }, "found on ", link(example.on)) : null)),
          failure.number > failure.examples.length
            ? h("li", { class: "quiet" }, `and ${count(failure.number - failure.examples.length)} more`) : null))),
  );
}
