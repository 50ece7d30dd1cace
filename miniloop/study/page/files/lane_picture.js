// The picture of the lanes, on a canvas.
//
// Of what falls within one pixel, one pixel is drawn: so the cost is that of the picture, not of the
// recording. Each state differs in its height or its sign, and not in its colour alone.

import { lastAtMost } from "./recording.js";
import { CANCELLED, DONE, FAILED, READY, RUNNING, STATES, WAITING } from "./tasks.js";
import { duration } from "./words.js";

export const LANE = 22; // the height of a lane
export const HEAD = 22; // that of the scale above the lanes
export const CALLBACKS = -1; // the lane of all entries that are no tasks
const COLOURS = "quiet line hover running ready waiting done failed cancelled now arrow".split(" ");
const MOST_ARROWS = 300;
const MOST_EVENTS_FOR_ARROWS = 20000;

export function laneOf(recording, entry) {
  return recording.isTask(entry) ? entry : CALLBACKS;
}

export class LanePicture {
  constructor(app, canvas, axis) {
    this.app = app;
    this.canvas = canvas;
    this.axis = axis;
    this.width = canvas.clientWidth;
    this.height = canvas.clientHeight;
    this.useColours();
  }

  useColours() {
    const style = getComputedStyle(document.documentElement);
    this.colour = Object.fromEntries(
      COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    this.font = style.getPropertyValue("--font").trim();
  }

  // Draw `lanes`, of which `top` pixels are scrolled out of sight; `hidden` hides what comes.
  draw({ lanes, rowOf, top, step, hidden }) {
    const { canvas, width, height, axis } = this;
    if (!width || !height) return;
    const ratio = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    Object.assign(this, { lanes, rowOf, top, step });
    const paint = (this.paint = canvas.getContext("2d"));
    paint.setTransform(ratio, 0, 0, ratio, 0, 0);
    paint.clearRect(0, 0, width, height);
    this.scale = width / axis.span;
    const { recording } = this.app;
    const end = hidden ? recording.end[step] : recording.count - 1;
    const first = Math.max(Math.floor(top / LANE), 0);
    const last = Math.min(first + Math.ceil((height - HEAD) / LANE) + 1, lanes.length);

    this._drawNow(height);
    this._drawScale(height, end);
    paint.save();
    paint.beginPath();
    paint.rect(0, HEAD, width, height - HEAD);
    paint.clip();
    for (let row = first; row < last; row++) this._drawLane(row, end);
    this._drawArrows(end, first, last);
    paint.restore();
    if (hidden) this._drawCurtain(height);
  }

  _px(x) {
    return (x - this.axis.from) * this.scale;
  }

  _middle(row) {
    return HEAD + row * LANE - this.top + LANE / 2;
  }

  _drawNow(height) {
    const { recording } = this.app;
    const { paint, step } = this;
    const from = this.axis.start(step);
    const to = this.axis.stop(step);
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
    const unit = this.axis.unit(this.axis.span / Math.max(this.width / 90, 1));
    for (let x = Math.ceil(this.axis.from / unit) * unit; x <= this.axis.until; x += unit) {
      const number = this.axis.toScale ? duration(x) : recording.number(x).toLocaleString("en");
      if (!this.axis.toScale && x >= recording.steps) break;
      const px = this.axis.toScale ? this._px(x) : this._px(x + 0.5);
      const text = x === 0 && this.axis.toScale ? "start" : number;
      const left = Math.min(
        Math.max(px - paint.measureText(text).width / 2, 2),
        this.width - paint.measureText(text).width - 2,
      );
      paint.fillText(text, left, HEAD / 2);
    }
    const firstTurn = lastAtMost(
      recording.turnStart,
      recording.stepOf(Math.max(this.axis.eventAt(this.axis.from), 0)),
    );
    let before = -8;
    for (let t = Math.max(firstTurn, 0); t < recording.turnStart.length; t++) {
      const step = recording.turnStart[t];
      const px = Math.round(this._px(this.axis.start(step))) + 0.5;
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
    let i = Math.max(tasks.position(task, this.axis.eventAt(this.axis.from)), first);
    while (i < past && tasks.events[i] <= end) {
      const x = this._px(this.axis.at(tasks.events[i]));
      if (x > this.width) break;
      const open = i + 1 >= past || tasks.events[i + 1] > end;
      const next = open ? this._px(this.axis.at(end)) : this._px(this.axis.at(tasks.events[i + 1]));
      if (next - x >= 1 || i + 1 >= past) {
        this._drawState(tasks.states[i], x, next, y);
        i++;
      } else {
        // Many states in one pixel: show that it was at work, and go on at the next pixel.
        this._drawState(RUNNING, x, x + 1, y);
        const after = tasks.position(task, this.axis.eventAt(this.axis.from + (x + 1) / this.scale));
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
    const start = recording.stepOf(Math.max(this.axis.eventAt(this.axis.from), 0));
    let drawn = -1;
    for (let step = start; step < recording.steps; step++) {
      const e = recording.begun[step];
      const x = this._px(this.axis.start(step));
      if (x > this.width || e > end) break;
      if (recording.isTask(recording.entry(step))) continue;
      const next = this._px(this.axis.stop(step));
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
    const from = Math.max(this.axis.eventAt(this.axis.from), 0);
    const to = Math.min(this.axis.eventAt(this.axis.until), end);
    const seen = (lane) =>
      this.rowOf.has(lane) && this.rowOf.get(lane) >= first - 1 && this.rowOf.get(lane) <= last;
    const cause = recording.cause[recording.begun[step]];
    const arrows = [];
    for (let e = from; e <= to && arrows.length <= MOST_ARROWS && to - from < 20000; e++) {
      if (kind[e] !== K.queued || other[e] < 0) continue;
      const [a, b] = [laneOf(this.app.recording, other[e]), laneOf(this.app.recording, thing[e])];
      if (a !== b && seen(a) && seen(b)) arrows.push(e);
    }
    if (arrows.length <= MOST_ARROWS && this.scale * (this.axis.toScale ? 0 : 1) > 5) {
      for (const e of arrows) this._drawArrow(e, this.colour.waiting, 1);
    }
    for (let e = recording.begun[step]; e <= Math.min(recording.end[step], end); e++) {
      if (kind[e] === K.queued && other[e] >= 0) this._drawArrow(e, this.colour.running, 1.5);
    }
    if (cause >= 0) this._drawArrow(cause, this.colour.arrow, 2);
  }

  _drawArrow(e, colour, wide) {
    const { recording } = this.app;
    const from =
      recording.other[e] < 0 ? undefined : this.rowOf.get(laneOf(this.app.recording, recording.other[e]));
    const to = this.rowOf.get(laneOf(this.app.recording, recording.thing[e]));
    if (from === undefined || to === undefined || from === to) return;
    const { paint } = this;
    const x = this._px(this.axis.at(e));
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
    const x = this._px(this.axis.stop(this.step));
    paint.fillStyle = colour.hover;
    paint.fillRect(x, 0, this.width - x, height);
    paint.fillStyle = colour.quiet;
    paint.font = `bold 16px ${this.font}`;
    if (this.width - x > 30) paint.fillText("?", x + 12, HEAD / 2 + 1);
  }
}
