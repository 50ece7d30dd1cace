// The lanes: one row a task, its states from left to right, and arrows from who woke whom.
//
// The names are a list of real elements, of which a screen reader learns each task's state; the
// canvas beside it follows their scrolling.

import { Axis } from "./axis.js";
import { byId, h } from "./dom.js";
import { CALLBACKS, HEAD, LANE, LanePicture, laneOf } from "./lane_picture.js";
import { Rows } from "./rows.js";
import { DONE, STATES } from "./tasks.js";
import { many } from "./words.js";

export class LanesPanel {
  constructor(app) {
    this.app = app;
    this.canvas = byId("lanes");
    this.names = byId("names");
    this.axis = new Axis(app.recording);
    this.picture = new LanePicture(app, this.canvas, this.axis);
    this.lanes = [];
    this.rowOf = new Map();
    this.rows = new Rows(
      this.names,
      LANE,
      (i) => this._name(i),
      (i) => this._look(i),
      "option",
    );
    this.names.addEventListener("scroll", () => this.draw());
    this.names.addEventListener("click", (event) => this._choose(event));
    this.names.addEventListener("keydown", (event) => this._key(event));
    this.canvas.addEventListener("wheel", (event) => this._wheel(event), { passive: false });
    this.canvas.addEventListener("click", (event) => this._goTo(event));
    this.canvas.addEventListener("mousemove", (event) => this._tell(event));
    byId("zoom-in").addEventListener("click", () => this.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => this.zoom(2));
    byId("axis").addEventListener("click", () => this._changeAxis());
    new ResizeObserver(() => {
      this.picture.width = this.canvas.clientWidth;
      this.picture.height = this.canvas.clientHeight;
      this.draw();
    }).observe(this.canvas);
    byId("lane-legend").append(
      ...["running", "ready", "waiting"].map((name) => h("span", { class: `key lane-${name}` }, name)),
      ...[
        ["✓", "returned"],
        ["✕", "failed"],
        ["⊘", "cancelled"],
      ].map(([sign, name]) => h("span", { class: `key end-${name}` }, `${sign} ${name}`)),
    );
    this.active = 0; // the row that the keyboard is on
  }

  // The rows: of every task, or of those that the filter lets through.
  setTasks(tasks) {
    this.lanes = [CALLBACKS, ...tasks];
    this.rowOf = new Map(this.lanes.map((task, row) => [task, row]));
    this.active = Math.min(this.active, this.lanes.length - 1);
    this.rows.show(this.lanes.length);
  }

  useColours() {
    this.picture.useColours();
    this.draw();
  }

  show(step, hidden) {
    this.step = step;
    this.hidden = hidden;
    this.axis.reveal(step);
    const lane = laneOf(this.app.recording, this.app.recording.entry(step));
    if (this.rowOf.has(lane)) this.rows.reveal(this.rowOf.get(lane), 1);
    else this.rows.refresh();
    this.draw();
    // It looks at every task: that is for when the reader rests.
    clearTimeout(this.describing);
    this.describing = setTimeout(() => this._describe(), 150);
  }

  draw() {
    if (this.step === undefined) return;
    const { lanes, rowOf, step, hidden } = this;
    this.picture.draw({ lanes, rowOf, step, hidden, top: this.rows.top });
  }

  zoom(factor, x = this.axis.at(this.app.recording.begun[this.step])) {
    this.axis.zoom(factor, x);
    this.draw();
  }

  _changeAxis() {
    this.axis.change(this.step);
    byId("axis").setAttribute("aria-pressed", String(this.axis.toScale));
    this.draw();
  }

  // ---- names, and what they say to those who do not see the canvas

  _name(i) {
    const { app } = this;
    const task = this.lanes[i];
    if (task === CALLBACKS)
      return [
        h("span", { class: "task-name" }, "callbacks"),
        h("span", { class: "unseen" }, ": entries that are no tasks"),
      ];
    const depth = app.filter ? 0 : Math.min(app.tasks.depth.get(task), 8);
    const state = app.words.plain(app.words.state(task, app.recording.end[app.step]));
    const name = h("span", { class: "task-name" }, app.recording.name(task));
    name.style.paddingInlineStart = `${depth * 12}px`;
    return [name, h("span", { class: "unseen" }, `: ${state}`)];
  }

  _look(i) {
    const { app } = this;
    const lane = this.lanes[i];
    const runs = laneOf(app.recording, app.recording.entry(app.step)) === lane;
    const state = lane === CALLBACKS ? -1 : app.tasks.stateAt(lane, app.recording.end[app.step]);
    const chosen = app.followed === lane;
    const title =
      lane === CALLBACKS
        ? "entries that are no tasks"
        : `${app.recording.name(lane)}: ${app.words.plain(app.words.state(lane, app.recording.end[app.step]))}`;
    return {
      id: `task-${lane}`,
      title,
      "data-row": i,
      "aria-selected": String(chosen),
      class: `${runs ? "runs" : ""} ${i === this.active ? "active" : ""} ${state >= DONE || (state < 0 && lane !== CALLBACKS) ? "over" : ""}`,
    };
  }

  _choose(event) {
    const row = event.target.closest("[data-row]");
    if (!row) return;
    this.active = Number(row.dataset.row);
    const lane = this.lanes[this.active];
    this.app.follow(this.app.followed === lane ? null : lane);
  }

  _key(event) {
    const move = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (move) {
      this.active = Math.min(Math.max(this.active + move, 0), this.lanes.length - 1);
      this.rows.reveal(this.active, 1);
      this.draw();
      this.names.setAttribute("aria-activedescendant", `task-${this.lanes[this.active]}`);
    } else if (event.key === "Enter" || event.key === " ") {
      const lane = this.lanes[this.active];
      this.app.follow(this.app.followed === lane ? null : lane);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  _wheel(event) {
    event.preventDefault();
    const { axis } = this;
    const x = this._xOf(event);
    if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, x);
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      axis.moveTo(axis.from + ((event.deltaX || event.deltaY) / this.picture.width) * axis.span);
      this.draw();
    } else this.names.scrollTop += event.deltaY;
  }

  _xOf(event) {
    return this.axis.from + (event.offsetX / this.picture.width) * this.axis.span;
  }

  _stepAt(event) {
    return this.app.recording.stepOf(Math.max(this.axis.eventAt(this._xOf(event)), 0));
  }

  _goTo(event) {
    if (!this.hidden) this.app.go(this._stepAt(event));
  }

  _tell(event) {
    const { recording, words } = this.app;
    const lane = this.lanes[Math.floor((event.offsetY - HEAD + this.rows.top) / LANE)];
    const step = this._stepAt(event);
    const number = recording.number(step);
    if (lane === undefined || event.offsetY < HEAD || (this.hidden && step > this.step)) {
      this.canvas.title = "";
    } else if (lane === CALLBACKS) {
      this.canvas.title = `step ${number}: ${words.plain(words.beginning(step))}`;
    } else {
      const state = words.plain(words.state(lane, recording.end[step]));
      this.canvas.title = `${recording.name(lane)} at step ${number}: ${state}`;
    }
  }

  _describe() {
    const { tasks, recording } = this.app;
    const counts = new Array(STATES.length).fill(0);
    for (const task of tasks.all) {
      const state = tasks.stateAt(task, recording.end[this.step]);
      if (state >= 0) counts[state]++;
    }
    const text = STATES.map((name, i) => (counts[i] ? `${counts[i]} ${name}` : ""))
      .filter(Boolean)
      .join(", ");
    this.canvas.setAttribute(
      "aria-label",
      `Lanes of ${many(this.lanes.length - 1, "task")} over time. At this step: ${text || "no tasks"}. The list beside it names each with its state.`,
    );
  }
}
