// The page: models, tabs, token, and what both tabs share.

import { get, useToken } from "./api.js";
import { startClassify } from "./classify.js";
import { byId, clearError, element, showError } from "./dom.js";
import { startProfile } from "./profile.js";

const state = { models: [], model: null };
const classify = startClassify(state);
const profile = startProfile(state);

const tabs = [...document.querySelectorAll("[role=tab]")];

function select(tab, focus) {
  for (const one of tabs) {
    const chosen = one === tab;
    one.setAttribute("aria-selected", String(chosen));
    one.tabIndex = chosen ? 0 : -1;
    byId(one.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  clearError();
}

tabs.forEach((tab, at) => {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const target = { Home: tabs[0], End: tabs.at(-1) }[event.key] ??
      (step && tabs[(at + step + tabs.length) % tabs.length]);
    if (!target) return;
    event.preventDefault();
    select(target, true);
  });
});

function useModel() {
  state.model = state.models.find((one) => one.name === byId("model").value);
  classify.modelChanged();
  profile.modelChanged();
}

async function load() {
  try {
    state.models = (await get("/v1/models")).models;
    byId("model").replaceChildren(...state.models.map((one) => element("option", { text: one.name, value: one.name })));
    useModel();
    await classify.loadCodecs();
    document.body.dataset.ready = "true";
  } catch (error) {
    showError(error);
  }
}

byId("model").addEventListener("change", useModel);
byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  useToken(byId("token").value);
  byId("token-form").hidden = true;
  clearError();
  load();
});
// A file that misses its area must not replace the page.
for (const kind of ["dragover", "drop"]) document.addEventListener(kind, (event) => event.preventDefault());
load();
