// Helpers for elements. All texts from outside become text nodes, never markup.

export const byId = (id) => document.getElementById(id);

export function element(name, { text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  set(made, attributes);
  made.append(...children);
  return made;
}

export function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, value);
  return target;
}

export const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
export const seconds = (value) => `${value.toFixed(value < 10 ? 2 : 1)} s`;
export const signed = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(1)}`;
export const hertz = (value) =>
  value >= 1000 ? `${+(value / 1000).toFixed(1)} kHz` : `${Math.round(value)} Hz`;

export function table(heads, rows) {
  const head = element("tr", {}, ...heads.map((text) => element("th", { text, scope: "col" })));
  const body = rows.map((cells) =>
    element("tr", {}, ...cells.map((text, at) =>
      at ? element("td", { text }) : element("th", { text, scope: "row" }))));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...body));
}

export function facts(target, pairs) {
  target.replaceChildren(...pairs.map(([name, value]) =>
    element("div", {}, element("dt", { text: name }), element("dd", { text: value }))));
}

export const list = (target, texts) =>
  target.replaceChildren(...texts.map((text) => element("li", { text })));

// Messages of the library may begin with a small letter; a path stays as it is.
const sentence = (text) => {
  const whole = /^[a-z]+[ ,]/.test(text) ? text[0].toUpperCase() + text.slice(1) : text;
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
};

export function showError(error) {
  if (error.name === "AbortError") return;
  const target = byId("error");
  const parts = [["Expected", error.expected], ["Fix", error.fix]].filter(([, text]) => text);
  target.replaceChildren(
    element("p", { class: "problem", text: sentence(error.problem ?? error.message) }),
    element("dl", {}, ...parts.flatMap(([name, text]) =>
      [element("dt", { text: name }), element("dd", { class: name.toLowerCase(), text: sentence(text) })])),
  );
  if (error.status === 401) {
    byId("token-form").hidden = false;
    byId("token").focus();
  }
  target.scrollIntoView({ block: "nearest" });
}

export const clearError = () => byId("error").replaceChildren();

// A text while something is computed, with a sign that turns.
export function busy(target, text) {
  target.classList.add("busy");
  target.textContent = text;
}

export function say(target, text) {
  target.classList.remove("busy");
  target.textContent = text;
}

// A button with a hidden input, and an area to drop files on.
export function fileSource(area, button, input, chosen) {
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    if (input.files.length) chosen([...input.files]);
    input.value = "";
  });
  const over = (event) => {
    event.preventDefault();
    area.classList.add("over");
  };
  area.addEventListener("dragenter", over);
  area.addEventListener("dragover", over);
  area.addEventListener("dragleave", () => area.classList.remove("over"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    area.classList.remove("over");
    if (event.dataTransfer.files.length) chosen([...event.dataTransfer.files]);
  });
}

const urls = new Map();

// Let a player or a link use a file; the address of its last file is released.
export function useFile(target, file) {
  URL.revokeObjectURL(urls.get(target));
  urls.set(target, URL.createObjectURL(file));
  target[target.tagName === "A" ? "href" : "src"] = urls.get(target);
}
