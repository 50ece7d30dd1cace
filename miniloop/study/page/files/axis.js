// The axis of the lanes: one column a step, or the time to scale; and the piece of it in sight.
//
// A point of it is a number: of columns, or of nanoseconds.

import { lastAtMost } from "./recording.js";

const NARROWEST = 12; // columns
const SHORTEST = 1000; // nanoseconds
const AT_FIRST = 80; // columns in sight

export class Axis {
  constructor(recording) {
    this.recording = recording;
    this.toScale = false;
    this.from = 0;
    this.span = Math.max(Math.min(recording.steps, AT_FIRST), NARROWEST);
  }

  get until() {
    return this.from + this.span;
  }

  get extent() {
    const { recording } = this;
    return this.toScale
      ? Math.max(recording.time[recording.count - 1] ?? 0, SHORTEST)
      : Math.max(recording.steps, NARROWEST);
  }

  moveTo(from) {
    this.from = Math.min(Math.max(from, 0), Math.max(this.extent - this.span, 0));
  }

  // Move, if a step is not well in sight, so that it is.
  reveal(step) {
    const x = this.at(this.recording.begun[step]);
    const margin = this.span * 0.15;
    if (x >= this.from + margin && x <= this.until - margin) return;
    const far = x < this.from - this.span || x > this.from + 2 * this.span;
    const share = far ? 0.5 : x > this.from + this.span / 2 ? 0.7 : 0.3;
    this.moveTo(x - this.span * share);
  }

  // Show more (factor > 1) or less, and leave a point where it is.
  zoom(factor, x) {
    const least = this.toScale ? SHORTEST : NARROWEST;
    const share = Math.min(Math.max((x - this.from) / this.span, 0), 1);
    this.span = Math.min(Math.max(this.span * factor, least), this.extent);
    this.moveTo(x - this.span * share);
  }

  change(step) {
    this.toScale = !this.toScale;
    this.span = this.toScale ? this.extent : Math.max(Math.min(this.recording.steps, AT_FIRST), NARROWEST);
    this.moveTo(this.at(this.recording.begun[step]) - this.span / 2);
  }

  // Where an event lies on the axis. In a column of a step its events keep their order.
  at(e) {
    const { recording } = this;
    if (this.toScale) return recording.time[e];
    const step = recording.stepOf(e);
    const begun = recording.begun[step];
    if (e <= begun) return step;
    const finish = recording.finish[step];
    const last = finish >= 0 && finish <= recording.end[step] ? finish : recording.end[step] + 1;
    return step + Math.min((e - begun) / Math.max(last - begun, 1), 1);
  }

  // The last event at or before a point of the axis.
  eventAt(x) {
    const { recording } = this;
    if (this.toScale) return lastAtMost(recording.time, x);
    if (x < 0) return -1;
    const step = Math.min(Math.floor(x), recording.steps - 1);
    const begun = recording.begun[step];
    return Math.min(begun + Math.floor((x - step) * (recording.end[step] - begun + 1)), recording.end[step]);
  }

  // Where a step begins and ends.
  start(step) {
    return this.toScale ? this.recording.beginTime(step) : step;
  }

  stop(step) {
    return this.toScale ? this.recording.endTime(step) : step + 1;
  }

  // The distance of two marks: round, and at least so far apart.
  unit(least) {
    let unit = 10 ** Math.floor(Math.log10(least));
    unit *= [1, 2, 5, 10].find((factor) => unit * factor >= least) ?? 10;
    return this.toScale ? unit : Math.max(Math.round(unit), 1);
  }
}
