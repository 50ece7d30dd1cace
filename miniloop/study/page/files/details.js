// The panel beside the lanes: why, this step, the task, the hints.

import { byId, capital, h, sentence } from "./dom.js";
import { RUNNING, STATES } from "./tasks.js";
import { chainOfCauses } from "./why.js";
import { duration, many } from "./words.js";

const MOST_EVENTS = 200;

export class DetailsPanel {
  constructor(app) {
    this.app = app;
    this.pane = byId("pane");
    this.tab = "why";
    this.marked = 0; // which link of the chain of causes
    this.links = [];
    for (const button of document.querySelectorAll("[data-tab]")) {
      button.addEventListener("click", () => this.open(button.dataset.tab));
    }
    byId("tabs")
      .querySelector('[data-tab="hints"]')
      .append(" ", h("span", { class: "count" }, String(app.hints.length)));
  }

  open(tab) {
    this.tab = tab;
    this.show(this.app.step);
  }

  show(step) {
    this.marked = 0;
    for (const button of document.querySelectorAll("[data-tab]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tab === this.tab));
    }
    byId("details-title").textContent = {
      why: "Why it ran",
      step: "This step",
      task: "The task",
      hints: "Hints",
    }[this.tab];
    const draw = { why: this._why, step: this._step, task: this._task, hints: this._hints }[this.tab];
    this.pane.replaceChildren(...draw.call(this, step));
    this.pane.scrollTop = 0;
    this.pane.dataset.shows = this.tab;
  }

  _why(step) {
    const { app } = this;
    const { links, leftOut } = chainOfCauses(app.recording, app.words, step);
    this.links = links;
    const items = links.map((link, i) => {
      const classes = `link-of-chain ${link.root ? "root" : ""} ${i === 0 ? "marked" : ""}`;
      return h(
        "li",
        { class: classes, "aria-current": i === 0 ? "true" : null },
        ...capital(sentence(app, link.parts)),
        ".",
      );
    });
    if (leftOut)
      items.splice(
        -1,
        0,
        h("li", { class: "left-out" }, `${many(leftOut, "cause")} further back are left out here.`),
      );
    return [h("ol", { class: "chain" }, ...items)];
  }

  // Mark the next cause, and show its line. Past the root it begins anew.
  walkBack() {
    if (this.tab !== "why") {
      this.open("why");
      return;
    }
    this.marked = (this.marked + 1) % this.links.length;
    const items = this.pane.querySelectorAll(".link-of-chain");
    items.forEach((item, i) => {
      item.classList.toggle("marked", i === this.marked);
      if (i === this.marked) item.setAttribute("aria-current", "true");
      else item.removeAttribute("aria-current");
    });
    items[this.marked].scrollIntoView({ block: "nearest" });
    const link = this.links[this.marked];
    if (link.place >= 0) this.app.source.showPlace(link.place);
    this.app.say(items[this.marked].textContent);
  }

  goToMarked() {
    if (this.tab === "why" && this.marked > 0) this.app.go(this.links[this.marked].step);
  }

  _step(step) {
    const { app } = this;
    const { recording, words } = app;
    const { K, kind } = recording;
    const before = [];
    const within = [];
    for (let e = recording.from[step]; e <= recording.end[step]; e++) {
      const list = e < recording.begun[step] ? before : within;
      if (list.length > MOST_EVENTS) continue;
      const parts =
        kind[e] === K.begun && e === recording.begun[step] ? words.beginning(step) : words.event(e);
      list.push(h("li", {}, ...capital(sentence(app, parts)), "."));
    }
    const cut = (list) =>
      list.length > MOST_EVENTS ? [...list.slice(0, MOST_EVENTS), h("li", {}, "And more.")] : list;
    const took = recording.endTime(step) - recording.beginTime(step);
    return [
      ...(before.length ? [h("h3", {}, "Before it"), h("ol", { class: "events" }, ...cut(before))] : []),
      h("h3", {}, `In this step, ${duration(took)}`),
      h("ol", { class: "events" }, ...cut(within)),
    ];
  }

  _task(step) {
    const { app } = this;
    const { recording, tasks, words } = app;
    const task = app.chosen;
    if (task === null) return [h("p", {}, "A callback runs in this step. Choose a task in the list.")];
    const event = recording.end[step];
    const facts = [];
    const fact = (name, ...nodes) => facts.push(h("dt", {}, name), h("dd", {}, ...nodes));
    fact(
      "state",
      ...sentence(app, words.state(task, event)),
      ...sentence(app, tasks.ended[task] >= 0 && tasks.ended[task] <= event ? words.exception(task) : []),
    );
    const start = this._start(task);
    const place = recording.placeOf(start);
    if (place?.function) fact("coroutine", `${place.function}, `, ...sentence(app, words.at(start, "")));
    const parent = recording.things.parent[task];
    const made = this._created(task);
    fact(
      "created",
      ...sentence(
        app,
        parent >= 0 ? ["by ", { thing: parent }, ...words.at(made)] : ["at the start", ...words.at(made)],
      ),
    );
    const { steps, time } = this._work(task, event);
    fact("ran", `${many(steps, "step")}, ${duration(time)} in all`);
    const children = tasks.children.get(task) ?? [];
    if (children.length) {
      const named = children.slice(0, 6).flatMap((child, i) => [i ? ", " : "", { thing: child }]);
      if (children.length > 6) named.push(` and ${many(children.length - 6, "more", "more")}`);
      fact("made", ...sentence(app, named));
    }
    const waiters = tasks.waitersOf(task, event);
    const waiting = waiters.slice(0, 6).flatMap((waiter, i) => [i ? ", " : "", { thing: waiter }]);
    fact("waited for by", ...(waiters.length ? sentence(app, waiting) : ["nobody at this step"]));
    const chain = tasks.chain(task, event);
    const links = chain.map((link, i) => {
      if (link.ring)
        return h("li", {}, ...sentence(app, ["which is ", { thing: link.thing }, " again: a ring"]));
      const at = i + 1 < chain.length ? words.at(link.place) : [];
      return h("li", {}, ...(i ? ["waits for "] : []), ...sentence(app, [{ thing: link.thing }, ...at]));
    });
    return [
      h("h3", {}, recording.name(task)),
      h("dl", { class: "facts" }, ...facts),
      ...(chain.length > 1 ? [h("h3", {}, "What it waits for"), h("ol", { class: "awaits" }, ...links)] : []),
    ];
  }

  // The place at which a task started: the first line of its coroutine.
  _start(task) {
    const { tasks, recording } = this.app;
    for (let i = tasks.first[task]; i < tasks.first[task + 1]; i++) {
      if (tasks.states[i] === RUNNING) return recording.place[tasks.events[i]];
    }
    return -1;
  }

  _created(task) {
    const { recording } = this.app;
    const { K, kind, thing, place } = recording;
    const born = recording.things.born[task];
    for (let e = Math.max(born - 1, 0); e < Math.min(born + 3, recording.count); e++) {
      if (kind[e] === K.created && thing[e] === task) return place[e];
    }
    return recording.things.place[task];
  }

  // How often a task had run up to an event, and for how long.
  _work(task, event) {
    const { tasks, recording } = this.app;
    let [steps, time] = [0, 0];
    for (let i = tasks.first[task]; i < tasks.first[task + 1] && tasks.events[i] <= event; i++) {
      if (tasks.states[i] !== RUNNING) continue;
      const step = recording.stepOf(tasks.events[i]);
      steps++;
      time += recording.endTime(step) - recording.beginTime(step);
    }
    return { steps, time };
  }

  _hints() {
    const { app } = this;
    if (!app.hints.length)
      return [h("p", {}, "Nothing stands out: no step over 100 ms, no exception unseen, no late timer.")];
    const items = app.hints.slice(0, MOST_EVENTS).map((hint) =>
      h(
        "li",
        {},
        h(
          "button",
          {
            type: "button",
            class: `hint ${hint.weight < 1e9 ? "" : "grave"}`,
            onclick: () => app.go(hint.step),
          },
          hint.kind,
        ),
        " ",
        ...sentence(app, hint.parts),
        ".",
      ),
    );
    const more = app.hints.length - items.length;
    return [
      h("ul", { class: "hints" }, ...items, more > 0 ? h("li", {}, `And ${many(more, "other")}.`) : null),
    ];
  }
}

export const stateNames = STATES;
