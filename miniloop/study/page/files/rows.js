// A list of any length of which only the rows in sight exist.

import { h } from "./dom.js";

export class Rows {
  // `draw(index)` returns the nodes of a row, `attributes(index)` what the row itself has.
  constructor(element, height, draw, attributes = () => ({}), role = "listitem") {
    this.element = element;
    this.height = height;
    this.draw = draw;
    this.attributes = attributes;
    this.role = role;
    this.count = 0;
    const inside = role === "listitem" ? "list" : "presentation";
    this.inner = h("div", { class: "rows", role: role ? inside : null });
    this.inner.style.setProperty("--row", `${height}px`);
    element.append(this.inner);
    element.addEventListener("scroll", () => this.refresh());
    new ResizeObserver(() => this.refresh()).observe(element);
  }

  show(count) {
    this.count = count;
    this.inner.style.height = `${count * this.height}px`;
    // A list without items is no list.
    if (this.role === "listitem") this.inner.setAttribute("role", count ? "list" : "presentation");
    this.refresh();
  }

  get first() {
    return Math.max(Math.floor(this.element.scrollTop / this.height), 0);
  }

  get inSight() {
    return Math.ceil(this.element.clientHeight / this.height) + 1;
  }

  refresh() {
    const rows = [];
    const last = Math.min(this.first + this.inSight, this.count);
    for (let i = this.first; i < last; i++) {
      const given = this.attributes(i);
      const numbered = this.role ? { role: this.role, "aria-setsize": this.count, "aria-posinset": i + 1 } : {};
      const row = h("div", { ...numbered, ...given, class: `row ${given.class ?? ""}` }, ...this.draw(i));
      row.style.top = `${i * this.height}px`;
      rows.push(row);
    }
    this.inner.replaceChildren(...rows);
  }

  // Scroll, if need be, so that a row is well in sight.
  reveal(index, margin = 2) {
    const { element, height } = this;
    const top = index * height;
    const room = Math.min(margin * height, Math.max((element.clientHeight - height) / 2, 0));
    if (top - room < element.scrollTop) element.scrollTop = top - room;
    else if (top + height + room > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + height + room - element.clientHeight;
    }
    this.refresh();
  }

  centre(index) {
    const { element, height } = this;
    const top = index * height;
    const away = top < element.scrollTop + height || top > element.scrollTop + element.clientHeight - 3 * height;
    if (away) element.scrollTop = top - element.clientHeight / 2 + height;
    this.refresh();
  }
}
