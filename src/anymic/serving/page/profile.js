// The second tab: a device profile from takes of two devices.

import { post } from "./api.js";
import { gains } from "./charts.js";
import { busy, byId, clearError, facts, fileSource, hertz, list, percent, say, showError, signed, table, useFile } from "./dom.js";

const stem = (name) => name.replace(/\.[^.]*$/, "");

export function startProfile(state) {
  const files = { takes: [], reference: [] };
  let profile = null; // the file
  let shown = null; // the gains

  function showFiles() {
    const names = Object.fromEntries(Object.entries(files).map(([kind, all]) => [kind, new Set(all.map((one) => stem(one.name)))]));
    for (const kind of ["takes", "reference"]) {
      const other = names[kind === "takes" ? "reference" : "takes"];
      const matched = [...names[kind]].filter((one) => other.has(one)).length;
      const count = files[kind].length;
      byId(`${kind}-list`).textContent = count
        ? `${count} chosen${other.size ? `, ${matched} with a counterpart` : ""}: ${files[kind].slice(0, 4).map((one) => one.name).join(", ")}${count > 4 ? " …" : ""}`
        : "none chosen";
    }
  }

  async function estimate(event) {
    event.preventDefault();
    clearError();
    const device = byId("profile-device").value.trim();
    const button = byId("estimate");
    byId("profile-results").hidden = true;
    button.disabled = true;
    busy(byId("profile-status"), "Estimating …");
    try {
      const found = await post("/v1/page/profile", { model: state.model.name, device, ...files });
      say(byId("profile-status"), "The profile is ready.");
      show(found, device);
    } catch (error) {
      say(byId("profile-status"), "");
      showError(error);
    } finally {
      button.disabled = false;
    }
  }

  function show(found, device) {
    const { expected } = found;
    profile = new File([JSON.stringify(found.profile, null, 1)], "profile.json", { type: "application/json" });
    useFile(byId("download"), profile);
    facts(byId("profile-facts"), [
      ["Device", device], ["Towards", expected.reference], ["Takes", expected.recordings],
      ["Gains", `${signed(expected.lowest_db)} to ${signed(expected.highest_db)} dB`],
      ["Spread over takes", `${expected.spread_db.toFixed(1)} dB`],
      ["Difference without gains", `${expected.before_db.toFixed(1)} dB`],
      ["Difference with gains", `${expected.after_db.toFixed(1)} dB`],
    ]);
    const uncertain = expected.uncertain_hz.map(([low, high]) => `${hertz(low)} to ${hertz(high)}`);
    list(byId("profile-notes"), [
      ...found.notes,
      ...(uncertain.length ? [`uncertain by more than 2 dB: ${uncertain.join(", ")}`] : []),
      ...found.failures.map((one) => `${one.path}: ${one.reason}`),
    ]);
    byId("lags").replaceChildren(table(["Take", "Lag"], found.takes.map((take) => {
      const lag = found.lags_s[take];
      const who = found.lags_of[take] === "device" ? device : "the reference";
      return [take, lag === undefined ? "none" : `${who} is ${(1000 * lag).toFixed(0)} ms late, shifted`];
    })));
    byId("try-table").replaceChildren();
    say(byId("try-status"), "");
    byId("profile-results").hidden = false;
    shown = found.gains;
    gains(byId("profile-gains"), shown);
  }

  async function tryIt([file]) {
    clearError();
    busy(byId("try-status"), `Classifying ${file.name} …`);
    byId("try-table").replaceChildren();
    try {
      const found = await post("/v1/page/try", { model: state.model.name, file, profile });
      const row = (name, one) => [name, ...one.top.slice(0, 3).map((each) => `${each.label} ${percent(each.probability)}`)];
      byId("try-table").replaceChildren(table(["", "First", "Second", "Third"],
        [row("Without the profile", found.without), row("With the profile", found.with)]));
      byId("try-table").dataset.with = found.with.top[0].probability;
      byId("try-table").dataset.without = found.without.top[0].probability;
      say(byId("try-status"), `${file.name} is classified.`);
    } catch (error) {
      say(byId("try-status"), "");
      showError(error);
    }
  }

  for (const kind of ["takes", "reference"]) {
    fileSource(byId(`drop-${kind}`), byId(`choose-${kind}`), byId(kind), (chosen) => {
      files[kind] = chosen;
      showFiles();
    });
  }
  fileSource(byId("drop-try"), byId("choose-try"), byId("try"), tryIt);
  byId("profile-form").addEventListener("submit", estimate);
  window.addEventListener("resize", () => {
    if (shown && !byId("profile").hidden) gains(byId("profile-gains"), shown);
  });

  return {
    modelChanged() {
      byId("reference-name").textContent = state.model.devices.length
        ? `The reference is the device that the model corrects towards. The model has gains for ${state.model.devices.join(", ")}.`
        : "The reference is the device that recorded the model's training clips.";
      byId("profile-results").hidden = true;
      profile = shown = null;
    },
  };
}
