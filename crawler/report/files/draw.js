// Making elements, and writing numbers for people. What a stranger wrote (URLs, reasons) becomes text
// and nothing else: no function here takes markup.

const SVG = "http://www.w3.org/2000/svg";

function add(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const h = (name, attributes = {}, ...children) =>
  add(document.createElement(name), attributes, children);

export const s = (name, attributes = {}, ...children) =>
  add(document.createElementNS(SVG, name), attributes, children);

const whole = new Intl.NumberFormat("en");

export const count = (number) => whole.format(Math.round(number));

export function short(number) {
  if (number < 10_000) return number < 10 && number % 1 ? number.toFixed(1) : count(number);
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (number >= size) return `${(number / size).toPrecision(3)}${unit}`;
  }
}

export function bytes(number) {
  for (const [size, unit] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (number >= size) return `${(number / size).toFixed(number / size < 10 ? 1 : 0)} ${unit}`;
  }
  return `${Math.round(number)} B`;
}

export function seconds(number) {
  const two = (large, one, small, other) => (Math.floor(small) ? `${Math.floor(large)} ${one} ${Math.floor(small)} ${other}` : `${Math.floor(large)} ${one}`);
  if (number >= 3600) return two(number / 3600, "h", (number % 3600) / 60, "min");
  if (number >= 120) return two(number / 60, "min", number % 60, "s");
  if (number >= 1) return `${number.toFixed(number < 10 ? 2 : number < 60 ? 1 : 0)} s`;
  if (number >= 1e-3) return `${(number * 1e3).toFixed(number < 0.01 ? 1 : 0)} ms`;
  return `${Math.round(number * 1e6)} µs`;
}

export function percent(share) {
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${(share * 100).toFixed(share < 0.1 && share > 0 ? 1 : 0)} %`;
}

// A link, if it is one that a browser may be asked to follow.
export const link = (url, text = url) =>
  /^https?:/i.test(url) ? h("a", { href: url, title: url, rel: "noreferrer noopener" }, text) : h("span", {}, text);

export const section = (title, lead, size, ...children) => {
  const id = `h-${title.toLowerCase().replace(/\W+/g, "-")}`;
  return h(
    "section",
    { class: size, "aria-labelledby": id },
    h("div", { class: "head" }, h("div", {}, h("h2", { id }, title), lead && h("p", { class: "lead" }, lead))),
    ...children,
  );
};

// What a percent-encoded path says.
export function readable(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export const fold = (title, content) => h("details", { class: "fold" }, h("summary", {}, title), content);

export const table = (caption, heads, rows) =>
  h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": `${caption}, as a table` },
    h(
      "table",
      { "aria-label": caption },
      h("thead", {}, h("tr", {}, heads.map((head, at) => h("th", { scope: "col", class: at ? "number" : "" }, head)))),
      h(
        "tbody",
        {},
        rows.map(([name, ...cells]) =>
          h("tr", {}, h("th", { scope: "row" }, name), cells.map((cell) => h("td", { class: "number" }, cell))),
        ),
      ),
    ),
  );

// Round numbers for an axis from 0 to `most`.
export function ticks(most, number = 4) {
  if (most <= 0) return [0, 1];
  const rough = most / number;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
  return Array.from({ length: Math.ceil(most / step - 1e-9) + 1 }, (_, at) => at * step);
}

const tip = () => document.getElementById("tip");

export function showTip(text, x, y) {
  const box = tip();
  box.textContent = text;
  box.hidden = false;
  const { width, height } = box.getBoundingClientRect();
  box.style.left = `${Math.max(6, Math.min(x + 14, innerWidth - width - 6))}px`;
  box.style.top = `${y + 18 + height > innerHeight ? y - height - 12 : y + 18}px`;
}

export const hideTip = () => {
  tip().hidden = true;
};
