// Elements, made in one call, and sentences whose parts can be clicked.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "onclick") element.addEventListener("click", value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

export function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

export function byId(id) {
  return document.getElementById(id);
}

// The parts of a sentence as nodes. Tasks, places and steps are buttons that lead there.
export function sentence(app, parts) {
  return parts.map((part) => {
    if (typeof part === "string") return part;
    const text = app.words.plain([part]);
    if ("thing" in part) {
      if (!app.recording.isTask(part.thing)) return h("b", { class: "thing" }, text);
      return link("task", text, () => app.choose(part.thing));
    }
    if ("place" in part) {
      return link("place", text, () => app.source.showPlace(part.place));
    }
    return link("step", text, () => app.go(part.step));
  });
}

// A button that breaks over lines as its sentence does, which the element `button` cannot.
function link(kind, text, act) {
  const element = h("span", { class: `link ${kind}`, role: "button", tabindex: "0", onclick: act }, text);
  element.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  return element;
}

export function capital(nodes) {
  if (typeof nodes[0] === "string" && nodes[0]) nodes[0] = nodes[0][0].toUpperCase() + nodes[0].slice(1);
  return nodes;
}
