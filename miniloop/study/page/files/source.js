// The source panel: the line that runs, and in a second colour the line that queued it.

import { byId, h } from "./dom.js";
import { colourLines } from "./python.js";
import { Rows } from "./rows.js";

const LINE = 18;
const AROUND = 2; // lines above and below the one that queued

export class SourcePanel {
  constructor(app) {
    this.app = app;
    this.coloured = new Map(); // file -> its lines
    this.file = -1;
    this.marks = new Map(); // line -> its kinds of marks
    this.rows = new Rows(
      byId("lines"),
      LINE,
      (i) => this._line(this.file, i),
      (i) => this._look(i),
      "",
    );
    this.select = byId("file");
    const readable = app.recording.files.map((file, i) => [file, i]).filter(([file]) => file.source !== null);
    for (const kind of new Set(readable.map(([file]) => file.kind))) {
      const group = h("optgroup", { label: kind });
      for (const [file, i] of readable)
        if (file.kind === kind) group.append(h("option", { value: i, title: file.path }, file.name));
      this.select.append(group);
    }
    this.select.addEventListener("change", () => this._open(Number(this.select.value), 0));
  }

  show(step) {
    const { recording } = this.app;
    const begun = recording.begun[step];
    const finish = recording.finish[step];
    const queued = recording.cause[begun];
    this.runs = recording.placeOf(recording.place[begun]);
    this.stops = finish < 0 ? null : recording.placeOf(recording.place[finish]);
    this.queued = queued < 0 ? null : this._origin(queued);
    this.chosen = null;
    const main = this.runs ?? this.stops ?? this.queued;
    if (main) this._open(main.file, main.line - 1);
    else this._open(this.file, -1);
    this._showOrigin(queued);
  }

  // Have the line that is shown in sight again, as when there is less room than before.
  reveal() {
    if (this.line >= 0) this.rows.centre(this.line);
  }

  // Show a place, until the next step.
  showPlace(number) {
    const place = this.app.recording.placeOf(number);
    if (!place) return;
    this.chosen = place;
    this._open(place.file, place.line - 1);
  }

  // The foreign line behind a queued entry: where it was queued, or what finished what it waited for.
  _origin(queued) {
    const { recording, words } = this.app;
    const { K, kind, cause, thing } = recording;
    for (let e = queued, hops = 0; e >= 0 && hops < 3; e = cause[e], hops++) {
      const told = kind[e] === K["timer due"] ? (words.setBy.get(thing[e]) ?? e) : e;
      const place = recording.placeOf(recording.place[told]);
      if (place) return place;
    }
    return null;
  }

  _showOrigin(queued) {
    const { app, queued: place } = this;
    const title = byId("origin-title");
    const lines = byId("origin-lines");
    if (!place) {
      title.textContent =
        queued < 0
          ? "Nothing queued it: it began inside another step."
          : `↳ queued ${app.words.plain(app.words.because(queued))}; no line of the program did it`;
      lines.replaceChildren();
      return;
    }
    const { files, other } = app.recording;
    const by = other[queued] >= 0 ? ` by ${app.words.label(other[queued])}` : "";
    const how = app.recording.kind[queued] === app.recording.K.created ? "started" : "queued";
    title.textContent = `↳ ${how}${by}: ${files[place.file].name}:${place.line}${place.function ? `, in ${place.function}` : ""}`;
    const rows = [];
    const count = this._linesOf(place.file).length;
    const first = Math.min(Math.max(place.line - 1 - AROUND, 0), Math.max(count - 2 * AROUND - 1, 0));
    for (let i = first; i < Math.min(first + 2 * AROUND + 1, count); i++) {
      rows.push(
        h("div", { class: `row ${i === place.line - 1 ? "queued" : ""}` }, ...this._line(place.file, i)),
      );
    }
    lines.replaceChildren(...rows);
  }

  _open(file, line) {
    const { recording } = this.app;
    this.file = file;
    this.line = -1;
    this.marks = new Map();
    const mark = (place, kind) => {
      if (place?.file !== file) return;
      this.marks.set(place.line - 1, [...(this.marks.get(place.line - 1) ?? []), kind]);
    };
    mark(this.runs, "runs");
    if (
      this.stops &&
      !(this.runs && this.stops.line === this.runs.line && this.stops.file === this.runs.file)
    )
      mark(this.stops, "stops");
    mark(this.queued, "queued");
    mark(this.chosen, "chosen");
    this.select.value = String(file);
    const known = file >= 0 && recording.files[file].source !== null;
    this.rows.element.dataset.empty = known && line >= 0 ? "" : this._absence(file, line);
    this.rows.show(known ? this._linesOf(file).length : 0);
    if (!known || line < 0) return;
    this.line = line;
    this.reveal();
  }

  _absence(file, line) {
    if (line < 0) return "No line of the program was recorded for this step: it belongs to the loop itself.";
    return `The recording has no source of ${this.app.recording.files[file].path}.`;
  }

  _linesOf(file) {
    if (!this.coloured.has(file))
      this.coloured.set(file, colourLines(this.app.recording.files[file].source ?? ""));
    return this.coloured.get(file);
  }

  _line(file, i) {
    const text = (this._linesOf(file)[i] ?? []).map(([kind, part]) =>
      kind ? h("span", { class: `py-${kind}` }, part) : part,
    );
    return [h("span", { class: "line-number" }, String(i + 1)), h("code", {}, ...text)];
  }

  _look(i) {
    const kinds = this.marks.get(i);
    if (!kinds) return {};
    const spoken = { runs: "runs", stops: "runs until here", queued: "queued it", chosen: "chosen" };
    return { class: kinds.join(" "), "data-marks": kinds.map((kind) => spoken[kind]).join(", ") };
  }
}
