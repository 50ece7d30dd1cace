// The first module: unpacks the recording, makes the panels, and moves between the steps.

import { DetailsPanel } from "./details.js";
import { byId, capital, h, sentence } from "./dom.js";
import { findHints } from "./hints.js";
import { LanesPanel } from "./lanes.js";
import { LoopPanel } from "./loop.js";
import { Quiz } from "./quiz.js";
import { Recording, lastAtMost, unpack } from "./recording.js";
import { SourcePanel } from "./source.js";
import { Replay } from "./state.js";
import { Tasks } from "./tasks.js";
import { Words, duration, many } from "./words.js";

class App {
  constructor(recording) {
    this.recording = recording;
    this.tasks = new Tasks(recording);
    this.words = new Words(recording, this.tasks);
    this.replay = new Replay(recording);
    this.hints = findHints(recording, this.tasks, this.words);
    this.step = 0;
    this.followed = null; // a task, or -1 for all callbacks
    this.filter = "";
    this.visited = null; // the steps that following and filter let through; null for all
    this.quiz = new Quiz(this);
    this.source = new SourcePanel(this);
    this.loop = new LoopPanel(this);
    this.lanes = new LanesPanel(this);
    this.details = new DetailsPanel(this);
    this.lanes.setTasks(this.tasks.all);
    this._describeRecording();
    this._listen();
  }

  // ---- moving

  go(step) {
    this.step = Math.min(Math.max(step, 0), this.recording.steps - 1);
    this.quiz.ask();
    this.refresh();
    this._remember();
  }

  // One step on (1) or back (-1), among those that are let through.
  move(way) {
    const { visited, step } = this;
    if (!visited) return this.go(step + way);
    const place = way > 0 ? lastAtMost(visited, step) + 1 : lastAtMost(visited, step - 1);
    if (place >= 0 && place < visited.length) this.go(visited[place]);
  }

  // One turn on or back: to its first step, or the first of it that is let through.
  moveTurn(way) {
    const { turnStart } = this.recording;
    const here = lastAtMost(turnStart, this.step);
    if (way > 0 && here + 1 >= turnStart.length) return this.moveToEnd();
    const back = turnStart[here] < this.step && !this.visited ? here : here - 1;
    const target = turnStart[Math.max(way > 0 ? here + 1 : back, 0)];
    if (!this.visited) return this.go(target);
    const near =
      way > 0 ? lastAtMost(this.visited, target - 1) + 1 : lastAtMost(this.visited, turnStart[here] - 1);
    if (near >= 0 && near < this.visited.length) this.go(this.visited[near]);
  }

  moveToStart() {
    this.go(this.visited?.length ? this.visited[0] : 0);
  }

  moveToEnd() {
    this.go(this.visited?.length ? this.visited.at(-1) : this.recording.steps - 1);
  }

  // The address names the step. Browsers allow only so many changes, so it is set when one rests.
  _remember() {
    clearTimeout(this.remembering);
    if (document.documentElement.dataset.layout === "embedded") return;
    this.remembering = setTimeout(
      () => history.replaceState(null, "", `#step=${this.recording.number(this.step)}`),
      150,
    );
  }

  goToAddress() {
    const found = /(?:^#|&)step=(\d+)/.exec(location.hash)?.[1] ?? document.documentElement.dataset.step;
    this.go(found ? this.recording.index(Number(found)) : 0);
  }

  // ---- following and filtering

  // The task that the panels are about: the one that is followed, or the one that runs.
  get chosen() {
    if (this.followed !== null && this.followed >= 0) return this.followed;
    if (this.looked !== undefined && this.looked.step === this.step) return this.looked.task;
    const entry = this.recording.entry(this.step);
    return this.recording.isTask(entry) ? entry : null;
  }

  // Look at a task without leaving the step.
  choose(task) {
    this.looked = { task, step: this.step };
    if (this.followed !== null) this.follow(null);
    this.details.open("task");
    const row = this.lanes.rowOf.get(task);
    if (row !== undefined) this.lanes.rows.reveal(row, 1);
  }

  follow(lane) {
    this.followed = lane;
    const button = byId("unfollow");
    button.hidden = lane === null;
    if (lane !== null)
      button.textContent = `Following ${lane < 0 ? "callbacks" : this.recording.name(lane)} ✕`;
    this._choose();
  }

  setFilter(text) {
    this.filter = text.trim().toLowerCase();
    const { recording, tasks } = this;
    const shown = this.filter
      ? tasks.all.filter((task) => this._matches(task, recording.things.place[task]))
      : tasks.all;
    this.lanes.setTasks(shown);
    this._choose();
  }

  _matches(thing, ...places) {
    if (this.recording.name(thing).toLowerCase().includes(this.filter)) return true;
    return places.some((number) => {
      const place = this.recording.placeOf(number);
      return place !== null && this.recording.files[place.file].name.toLowerCase().includes(this.filter);
    });
  }

  // Find the steps that are let through, and go to the nearest of them.
  _choose() {
    const { recording, followed, filter } = this;
    if (followed === null && !filter) this.visited = null;
    else {
      const { place, begun, finish } = recording;
      this.visited = [];
      for (let step = 0; step < recording.steps; step++) {
        const entry = recording.entry(step);
        if (followed !== null && (followed < 0 ? recording.isTask(entry) : entry !== followed)) continue;
        if (filter && !this._matches(entry, place[begun[step]], finish[step] >= 0 ? place[finish[step]] : -1))
          continue;
        this.visited.push(step);
      }
    }
    const { visited } = this;
    if (!visited?.length) return this.refresh();
    this.go(visited[Math.max(lastAtMost(visited, this.step), 0)]);
  }

  // ---- showing

  refresh() {
    const { step, recording, quiz } = this;
    this.source.show(step);
    this.loop.show(step, quiz.hides);
    this.lanes.show(step, quiz.hides);
    if (quiz.on) quiz.show(step);
    else this.details.show(step);
    const number = recording.number(step);
    const spoken = this.words.plain(this.words.beginning(step));
    byId("number").value = number;
    byId("slider").value = number;
    byId("slider").setAttribute("aria-valuetext", `step ${number}: ${spoken}`);
    byId("position").textContent = this._position();
    byId("headline").replaceChildren(h("span", {}, ...this._headline()));
    for (const [id, off] of [
      ["first", step === 0],
      ["back", step === 0],
      ["back-turn", step === 0],
      ["on", step + 1 >= recording.steps],
      ["on-turn", step + 1 >= recording.steps],
      ["last", step + 1 >= recording.steps],
    ]) {
      byId(id).setAttribute("aria-disabled", String(off));
    }
  }

  _headline() {
    const { words, step, quiz } = this;
    const parts = [...words.beginning(step), ...words.reason(step), "; ", ...words.outcome(step), "."];
    if (quiz.hides) parts.push(" What comes after it is hidden.");
    return capital(sentence(this, parts));
  }

  _position() {
    const { recording, step, visited } = this;
    const of = `of ${(recording.about.dropped + recording.steps).toLocaleString("en")}`;
    const among = visited ? ` · ${visited.length.toLocaleString("en")} shown` : "";
    const began = recording.beginTime(step);
    const ran = duration(recording.endTime(step) - began);
    return `${of} · turn ${recording.turn[step].toLocaleString("en")} · at ${duration(began)} for ${ran}${among}`;
  }

  // Tell a screen reader what is not in the headline.
  say(text) {
    byId("headline").setAttribute("data-said", text);
    byId("said")?.remove();
    byId("headline").append(h("span", { id: "said", class: "unseen" }, ` ${text}`));
  }

  _describeRecording() {
    const { about, steps, turns } = this.recording;
    const { tasks } = this;
    const ended = about.ended === "cut off" ? "was cut off" : about.ended;
    byId("about").textContent =
      `${many(steps, "step")}, ${many(turns, "turn")}, ${many(tasks.all.length, "task")} · ${ended} · Python ${about.python}`;
    byId("title").title = about.program;
    byId("about").title =
      `${about.loop} on ${about.platform}, ${about.started}${about.dropped ? `; ${many(about.dropped, "step")} before these were not kept` : ""}`;
    const slider = byId("slider");
    slider.min = byId("number").min = this.recording.number(0);
    slider.max = byId("number").max = this.recording.number(steps - 1);
    new ResizeObserver(() => this._drawMarks()).observe(byId("marks"));
  }

  // Where on the slider the hints are.
  _drawMarks() {
    const canvas = byId("marks");
    const ratio = window.devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    const paint = canvas.getContext("2d");
    paint.scale(ratio, ratio);
    paint.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--failed");
    for (const hint of this.hints.slice(0, 2000)) {
      if (hint.weight < 1e9) continue;
      const x = 8 + (hint.step / Math.max(this.recording.steps - 1, 1)) * (canvas.clientWidth - 16);
      paint.fillRect(x - 1, 0, 2, 5);
    }
  }

  // ---- the keyboard, the mouse, the address

  _listen() {
    const on = (id, action) => byId(id).addEventListener("click", action);
    on("first", () => this.moveToStart());
    on("back-turn", () => this.moveTurn(-1));
    on("back", () => this.move(-1));
    on("on", () => this.move(1));
    on("on-turn", () => this.moveTurn(1));
    on("last", () => this.moveToEnd());
    on("unfollow", () => this.follow(null));
    on("predict", () => this._predict());
    on("theme", () => this.changeTheme());
    on("help", () => byId("keys").showModal());
    byId("slider").addEventListener("input", (event) => this._slide(Number(event.target.value)));
    byId("number").addEventListener("change", (event) =>
      this.go(this.recording.index(Number(event.target.value))),
    );
    byId("filter").addEventListener("input", (event) => this.setFilter(event.target.value));
    document.addEventListener("keydown", (event) => this._key(event));
    window.addEventListener("hashchange", () => this.goToAddress());
    // What should be in sight may have left it. All else stays as the reader has it.
    const resized = new ResizeObserver(() => {
      this.source.reveal();
      this.lanes.show(this.step, this.quiz.hides);
    });
    for (const id of ["lines", "names"]) resized.observe(byId(id));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this._useColours());
  }

  _slide(number) {
    const step = this.recording.index(number);
    const { visited } = this;
    this.go(visited?.length ? visited[Math.max(lastAtMost(visited, step), 0)] : step);
  }

  _predict() {
    this.quiz.toggle();
    this.refresh();
  }

  changeTheme() {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
    document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
    this._useColours();
  }

  _useColours() {
    this.lanes.useColours();
    this._drawMarks();
  }

  _key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || byId("keys").open) return;
    const target = event.target;
    const typing = target.matches("input:not([type=range]):not([type=checkbox]), select");
    if (event.key === "Escape") this._leave();
    else if (typing) return;
    else if (event.key === "Enter" && !target.closest("button, a, select")) this.details.goToMarked();
    else if (MOVES[event.key]) MOVES[event.key](this, event.shiftKey);
    else if (byId("letters").checked && LETTERS[event.key]) LETTERS[event.key](this);
    else return;
    event.preventDefault();
  }

  _leave() {
    if (this.quiz.on) this._predict();
    if (byId("filter").value) {
      byId("filter").value = "";
      this.setFilter("");
    }
    if (this.followed !== null) this.follow(null);
    document.activeElement?.blur();
  }
}

const MOVES = {
  ArrowRight: (app, shift) => (shift ? app.moveTurn(1) : app.move(1)),
  ArrowLeft: (app, shift) => (shift ? app.moveTurn(-1) : app.move(-1)),
  Home: (app) => app.moveToStart(),
  End: (app) => app.moveToEnd(),
};

const LETTERS = {
  w: (app) => (app.quiz.on ? null : app.details.walkBack()),
  s: (app) => app.details.open("step"),
  t: (app) => app.details.open("task"),
  h: (app) => app.details.open("hints"),
  f: (app) => app.follow(app.followed === null ? (app.chosen ?? -1) : null),
  p: (app) => app._predict(),
  "/": () => byId("filter").focus(),
  "?": () => byId("keys").showModal(),
  "+": (app) => app.lanes.zoom(0.5),
  "=": (app) => app.lanes.zoom(0.5),
  "-": (app) => app.lanes.zoom(2),
  "−": (app) => app.lanes.zoom(2),
  ...Object.fromEntries(
    [1, 2, 3, 4].map((n) => [String(n), (app) => (app.quiz.hides ? app.quiz.takeNumber(n) : null)]),
  ),
};

async function start() {
  const headline = byId("headline");
  if (typeof DecompressionStream === "undefined") {
    headline.textContent =
      "This browser cannot unpack the recording (it has no DecompressionStream). Any of 2023 or later can.";
    return;
  }
  const began = performance.now();
  const element = byId("recording");
  const recording = new Recording(await unpack(element.textContent));
  element.remove();
  if (recording.steps === 0) {
    headline.textContent = "Nothing ran in this recording: it has no steps.";
    return;
  }
  const app = new App(recording);
  // For the console of the browser, and for tests.
  window.study = app;
  app.goToAddress();
  document.documentElement.dataset.openedIn = String(Math.round(performance.now() - began));
}

start().catch((error) => {
  byId("headline").textContent = `The recording could not be shown: ${error.message}`;
  throw error;
});
