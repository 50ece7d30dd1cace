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
    // Kept here: to ask the element between two changes would lay out the page each time.
    this.top = 0;
    this.tall = element.clientHeight;
    element.addEventListener("scroll", () => this._resized());
    new ResizeObserver(() => this._resized()).observe(element);
  }

  _resized() {
    const { scrollTop, clientHeight } = this.element;
    if (scrollTop === this.top && clientHeight === this.tall) return;
    this.top = scrollTop;
    this.tall = clientHeight;
    this.refresh();
  }

  show(count) {
    this.count = count;
    this.inner.style.height = `${count * this.height}px`;
    this.top = Math.min(this.top, Math.max(count * this.height - this.tall, 0)); // as the browser will
    // A list without items is no list.
    if (this.role === "listitem") this.inner.setAttribute("role", count ? "list" : "presentation");
    this.refresh();
  }

  get first() {
    return Math.max(Math.floor(this.top / this.height), 0);
  }

  get inSight() {
    return Math.ceil(this.tall / this.height) + 1;
  }

  refresh() {
    const rows = [];
    const last = Math.min(this.first + this.inSight, this.count);
    for (let i = this.first; i < last; i++) {
      const given = this.attributes(i);
      const numbered = this.role
        ? { role: this.role, "aria-setsize": this.count, "aria-posinset": i + 1 }
        : {};
      const row = h("div", { ...numbered, ...given, class: `row ${given.class ?? ""}` }, ...this.draw(i));
      row.style.top = `${i * this.height}px`;
      rows.push(row);
    }
    this.inner.replaceChildren(...rows);
  }

  // Scroll, if need be, so that a row is in sight, with so many rows around it.
  reveal(index, margin = 1) {
    const top = index * this.height;
    const room = Math.min(margin * this.height, Math.max((this.tall - this.height) / 2, 0));
    if (top - room < this.top) this._scrollTo(top - room);
    else if (top + this.height + room > this.top + this.tall)
      this._scrollTo(top + this.height + room - this.tall);
    else this.refresh();
  }

  // Scroll, if a row is not well in sight, so that it is in the middle.
  centre(index) {
    const top = index * this.height;
    const away = top < this.top + this.height || top > this.top + this.tall - 3 * this.height;
    if (away) this._scrollTo(Math.round((top - this.tall / 2) / this.height + 1) * this.height);
    else this.refresh();
  }

  _scrollTo(top) {
    const most = Math.max(this.count * this.height - this.tall, 0);
    this.element.scrollTop = this.top = Math.min(Math.max(top, 0), most);
    this.refresh();
  }
}
