// The lanes: one row a task, its states from left to right, and arrows from who woke whom.
//
// The names are a list of real elements, of which a screen reader learns each task's state; the
// canvas beside it follows their scrolling. One column is one step, or the time runs to scale. Of
// what falls within one pixel, one pixel is drawn: so the cost is that of the picture, not of the
// recording.

import { byId, h } from "./dom.js";
import { lastAtMost } from "./recording.js";
import { Rows } from "./rows.js";
import { CANCELLED, DONE, FAILED, READY, RUNNING, STATES, WAITING } from "./tasks.js";
import { duration, many } from "./words.js";

const ROW = 22;
const HEAD = 22; // the scale above the lanes
const CALLBACKS = -1; // the lane of all entries that are no tasks
const MOST_ARROWS = 300;
const NARROWEST = 12; // columns

export class LanesPanel {
  constructor(app) {
    this.app = app;
    this.canvas = byId("lanes");
    this.names = byId("names");
    this.toScale = false;
    this.from = 0;
    this.span = Math.max(Math.min(app.recording.steps, 80), NARROWEST);
    this.lanes = [];
    this.rowOf = new Map();
    this.rows = new Rows(
      this.names,
      ROW,
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
    this.size = [this.canvas.clientWidth, this.canvas.clientHeight];
    new ResizeObserver(() => {
      this.size = [this.canvas.clientWidth, this.canvas.clientHeight];
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
    this.useColours();
  }

  // The rows: of every task, or of those that the filter lets through.
  setTasks(tasks) {
    this.lanes = [CALLBACKS, ...tasks];
    this.rowOf = new Map(this.lanes.map((task, row) => [task, row]));
    this.active = Math.min(this.active, this.lanes.length - 1);
    this.rows.show(this.lanes.length);
  }

  useColours() {
    const style = getComputedStyle(document.documentElement);
    this.colour = Object.fromEntries(
      [
        "text",
        "quiet",
        "line",
        "panel",
        "hover",
        "running",
        "ready",
        "waiting",
        "done",
        "failed",
        "cancelled",
        "now",
        "arrow",
      ].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    this.font = style.getPropertyValue("--font").trim();
    this.draw();
  }

  show(step, hidden) {
    this.step = step;
    this.hidden = hidden;
    const x = this._x(this.app.recording.begun[step]);
    const margin = this.span * 0.15;
    if (x < this.from + margin || x > this.from + this.span - margin) {
      const far = x < this.from - this.span || x > this.from + 2 * this.span;
      const share = far ? 0.5 : x > this.from + this.span / 2 ? 0.7 : 0.3;
      this._moveTo(x - this.span * share);
    }
    const lane = this._laneOf(this.app.recording.entry(step));
    if (this.rowOf.has(lane)) this.rows.reveal(this.rowOf.get(lane), 1);
    else this.rows.refresh();
    this.draw();
    this._describe();
  }

  // Where the two axes end.
  get _extent() {
    const { recording } = this.app;
    return this.toScale
      ? Math.max(recording.time[recording.count - 1] ?? 0, 1000)
      : Math.max(recording.steps, NARROWEST);
  }

  _moveTo(from) {
    this.from = Math.min(Math.max(from, 0), Math.max(this._extent - this.span, 0));
  }

  zoom(factor, x = this._x(this.app.recording.begun[this.step])) {
    const least = this.toScale ? 1000 : NARROWEST;
    const span = Math.min(Math.max(this.span * factor, least), this._extent);
    const share = Math.min(Math.max((x - this.from) / this.span, 0), 1);
    this.span = span;
    this._moveTo(x - span * share);
    this.draw();
  }

  _changeAxis() {
    const { recording } = this.app;
    this.toScale = !this.toScale;
    byId("axis").setAttribute("aria-pressed", String(this.toScale));
    if (this.toScale) {
      this.span = this._extent;
      this.from = 0;
    } else {
      this.span = Math.max(Math.min(recording.steps, 80), NARROWEST);
    }
    this._moveTo(this._x(recording.begun[this.step]) - this.span / 2);
    this.draw();
  }

  // Where an event lies on the axis. In a column of a step its events keep their order.
  _x(e) {
    const { recording } = this.app;
    if (this.toScale) return recording.time[e];
    const step = recording.stepOf(e);
    const begun = recording.begun[step];
    if (e <= begun) return step;
    const finish = recording.finish[step];
    const last = finish >= 0 && finish <= recording.end[step] ? finish : recording.end[step] + 1;
    return step + Math.min((e - begun) / Math.max(last - begun, 1), 1);
  }

  // The last event at or before a point of the axis.
  _eventAt(x) {
    const { recording } = this.app;
    if (this.toScale) return lastAtMost(recording.time, x);
    if (x < 0) return -1;
    const step = Math.min(Math.floor(x), recording.steps - 1);
    const begun = recording.begun[step];
    return Math.min(begun + Math.floor((x - step) * (recording.end[step] - begun + 1)), recording.end[step]);
  }

  _laneOf(entry) {
    return this.app.recording.isTask(entry) ? entry : CALLBACKS;
  }

  // ---- the picture

  draw() {
    const { canvas, app } = this;
    const [width, height] = this.size;
    if (!width || !height || this.step === undefined) return;
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const paint = (this.paint = canvas.getContext("2d"));
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    this.width = width;
    this.scale = width / this.span;
    const { recording } = app;
    const end = this.hidden ? recording.end[this.step] : recording.count - 1;
    const first = this.rows.first;
    const last = Math.min(first + Math.ceil((height - HEAD) / ROW) + 1, this.lanes.length);

    this._drawNow(height);
    this._drawScale(height, end);
    paint.save();
    paint.beginPath();
    paint.rect(0, HEAD, width, height - HEAD);
    paint.clip();
    for (let row = first; row < last; row++) this._drawLane(row, end);
    this._drawArrows(end, first, last);
    paint.restore();
    if (this.hidden) this._drawCurtain(height);
  }

  _px(x) {
    return (x - this.from) * this.scale;
  }

  _middle(row) {
    return HEAD + row * ROW - this.rows.top + ROW / 2;
  }

  _drawNow(height) {
    const { recording } = this.app;
    const { paint, step } = this;
    const from = this.toScale ? recording.beginTime(step) : step;
    const to = this.toScale ? recording.endTime(step) : step + 1;
    paint.fillStyle = this.colour.now;
    paint.fillRect(this._px(from), 0, Math.max(this._px(to) - this._px(from), 2), height);
  }

  // Steps or times above the lanes; a line where a turn begins.
  _drawScale(height, end) {
    const { paint, app, colour } = this;
    const { recording } = app;
    paint.font = `11px ${this.font}`;
    paint.fillStyle = colour.quiet;
    paint.textBaseline = "middle";
    paint.strokeStyle = colour.line;
    paint.lineWidth = 1;
    const unit = niceUnit(this.span / Math.max(this.width / 90, 1), !this.toScale);
    for (let x = Math.ceil(this.from / unit) * unit; x <= this.from + this.span; x += unit) {
      const number = this.toScale ? duration(x) : recording.number(x).toLocaleString("en");
      if (!this.toScale && x >= recording.steps) break;
      const px = this.toScale ? this._px(x) : this._px(x + 0.5);
      const text = x === 0 && this.toScale ? "start" : number;
      const left = Math.min(
        Math.max(px - paint.measureText(text).width / 2, 2),
        this.width - paint.measureText(text).width - 2,
      );
      paint.fillText(text, left, HEAD / 2);
    }
    const firstTurn = lastAtMost(
      recording.turnStart,
      recording.stepOf(Math.max(this._eventAt(this.from), 0)),
    );
    let before = -8;
    for (let t = Math.max(firstTurn, 0); t < recording.turnStart.length; t++) {
      const step = recording.turnStart[t];
      const px = Math.round(this._px(this.toScale ? recording.beginTime(step) : step)) + 0.5;
      if (px > this.width || recording.from[step] > end) break;
      if (px - before < 8) continue; // a fence of turns tells nobody anything
      before = px;
      paint.beginPath();
      paint.moveTo(px, HEAD);
      paint.lineTo(px, height);
      paint.stroke();
    }
  }

  _drawLane(row, end) {
    const lane = this.lanes[row];
    const y = this._middle(row);
    const { paint, app } = this;
    const followed = app.followed !== null && app.followed !== lane;
    paint.globalAlpha = followed ? 0.3 : 1;
    if (lane === CALLBACKS) this._drawCallbacks(y, end);
    else this._drawTask(lane, y, end);
    paint.globalAlpha = 1;
  }

  _drawTask(task, y, end) {
    const { tasks } = this.app;
    const first = tasks.first[task];
    const past = tasks.first[task + 1];
    let i = Math.max(tasks.position(task, this._eventAt(this.from)), first);
    while (i < past && tasks.events[i] <= end) {
      const x = this._px(this._x(tasks.events[i]));
      if (x > this.width) break;
      const open = i + 1 >= past || tasks.events[i + 1] > end;
      const next = open ? this._px(this._x(end)) : this._px(this._x(tasks.events[i + 1]));
      if (next - x >= 1 || i + 1 >= past) {
        this._drawState(tasks.states[i], x, next, y);
        i++;
      } else {
        // Many states in one pixel: show that it was at work, and go on at the next pixel.
        this._drawState(RUNNING, x, x + 1, y);
        const after = tasks.position(task, this._eventAt(this.from + (x + 1) / this.scale));
        i = Math.max(after, i + 1);
      }
    }
  }

  _drawState(state, x, next, y) {
    const { paint, colour } = this;
    const from = Math.max(x, -4);
    const wide = Math.max(Math.min(next, this.width + 4) - from, 1);
    switch (state) {
      case RUNNING:
        paint.fillStyle = colour.running;
        paint.fillRect(from, y - 7, wide > 6 ? wide - 1 : wide, 14);
        break;
      case READY:
        paint.fillStyle = colour.ready;
        paint.fillRect(from, y - 3, wide, 6);
        break;
      case WAITING:
        paint.fillStyle = colour.waiting;
        paint.fillRect(from, y - 1, wide, 2);
        break;
      case DONE:
      case FAILED:
      case CANCELLED:
        if (x < -12) return;
        paint.fillStyle = colour[STATES[state]];
        paint.font = `bold 13px ${this.font}`;
        paint.textBaseline = "middle";
        paint.fillText({ [DONE]: "✓", [FAILED]: "✕", [CANCELLED]: "⊘" }[state], Math.max(x, 0) + 2, y);
        break;
    }
  }

  _drawCallbacks(y, end) {
    const { recording } = this.app;
    const { paint } = this;
    paint.fillStyle = this.colour.running;
    const start = recording.stepOf(Math.max(this._eventAt(this.from), 0));
    let drawn = -1;
    for (let step = start; step < recording.steps; step++) {
      const e = recording.begun[step];
      const x = this._px(this.toScale ? recording.time[e] : step);
      if (x > this.width || e > end) break;
      if (recording.isTask(recording.entry(step))) continue;
      const next = this._px(this.toScale ? recording.endTime(step) : step + 1);
      if (next <= drawn) continue;
      paint.fillRect(x, y - 7, Math.max(next - x > 6 ? next - x - 1 : next - x, 1), 14);
      drawn = x + 1;
    }
  }

  // Who woke whom: all that is in sight if it is not too much, and always those of this step.
  _drawArrows(end, first, last) {
    const { recording } = this.app;
    const { K, kind, other, thing } = recording;
    const { step } = this;
    const from = Math.max(this._eventAt(this.from), 0);
    const to = Math.min(this._eventAt(this.from + this.span), end);
    const seen = (lane) =>
      this.rowOf.has(lane) && this.rowOf.get(lane) >= first - 1 && this.rowOf.get(lane) <= last;
    const cause = recording.cause[recording.begun[step]];
    const arrows = [];
    for (let e = from; e <= to && arrows.length <= MOST_ARROWS && to - from < 20000; e++) {
      if (kind[e] !== K.queued || other[e] < 0) continue;
      const [a, b] = [this._laneOf(other[e]), this._laneOf(thing[e])];
      if (a !== b && seen(a) && seen(b)) arrows.push(e);
    }
    if (arrows.length <= MOST_ARROWS && this.scale * (this.toScale ? 0 : 1) > 5) {
      for (const e of arrows) this._drawArrow(e, this.colour.waiting, 1);
    }
    for (let e = recording.begun[step]; e <= Math.min(recording.end[step], end); e++) {
      if (kind[e] === K.queued && other[e] >= 0) this._drawArrow(e, this.colour.running, 1.5);
    }
    if (cause >= 0) this._drawArrow(cause, this.colour.arrow, 2);
  }

  _drawArrow(e, colour, wide) {
    const { recording } = this.app;
    const from = recording.other[e] < 0 ? undefined : this.rowOf.get(this._laneOf(recording.other[e]));
    const to = this.rowOf.get(this._laneOf(recording.thing[e]));
    if (from === undefined || to === undefined || from === to) return;
    const { paint } = this;
    const x = this._px(this._x(e));
    const down = to > from ? 1 : -1;
    const [y1, y2] = [this._middle(from) + 7 * down, this._middle(to) - 4 * down];
    paint.strokeStyle = paint.fillStyle = colour;
    paint.lineWidth = wide;
    paint.beginPath();
    paint.moveTo(x, y1);
    paint.lineTo(x, y2 - 4 * down);
    paint.stroke();
    paint.beginPath();
    paint.moveTo(x, y2);
    paint.lineTo(x - 3.5, y2 - 6 * down);
    paint.lineTo(x + 3.5, y2 - 6 * down);
    paint.fill();
  }

  _drawCurtain(height) {
    const { paint, colour } = this;
    const x = this._px(this.toScale ? this.app.recording.endTime(this.step) : this.step + 1);
    paint.fillStyle = colour.hover;
    paint.fillRect(x, 0, this.width - x, height);
    paint.fillStyle = colour.quiet;
    paint.font = `bold 16px ${this.font}`;
    if (this.width - x > 30) paint.fillText("?", x + 12, HEAD / 2 + 1);
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
    const runs = this._laneOf(app.recording.entry(app.step)) === lane;
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
    const x = this.from + (event.offsetX / this.width) * this.span;
    if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, x);
    else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      this._moveTo(this.from + ((event.deltaX || event.deltaY) / this.width) * this.span);
      this.draw();
    } else this.names.scrollTop += event.deltaY;
  }

  _stepAt(event) {
    const x = this.from + (event.offsetX / this.width) * this.span;
    return this.app.recording.stepOf(Math.max(this._eventAt(x), 0));
  }

  _goTo(event) {
    if (!this.hidden) this.app.go(this._stepAt(event));
  }

  _tell(event) {
    const row = Math.floor((event.offsetY - HEAD + this.rows.top) / ROW);
    const lane = this.lanes[row];
    const step = this._stepAt(event);
    const hides = this.hidden && step > this.step;
    if (hides || lane === undefined || event.offsetY < HEAD) this.canvas.title = "";
    else if (lane === CALLBACKS)
      this.canvas.title = `step ${this.app.recording.number(step)}: ${this.app.words.plain(this.app.words.beginning(step))}`;
    else
      this.canvas.title = `${this.app.recording.name(lane)} at step ${this.app.recording.number(step)}: ${this.app.words.plain(this.app.words.state(lane, this.app.recording.end[step]))}`;
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

function niceUnit(least, whole) {
  let unit = 10 ** Math.floor(Math.log10(least));
  for (const factor of [1, 2, 5, 10]) {
    if (unit * factor >= least) {
      unit *= factor;
      break;
    }
  }
  return whole ? Math.max(Math.round(unit), 1) : unit;
}
