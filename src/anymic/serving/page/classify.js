// The first tab: a recording, its answer, and what the model was given.

import { fileOfBase64, get, post } from "./api.js";
import { gains, legend, spectrogram, timeline, waveform } from "./charts.js";
import { startCodec } from "./codec.js";
import { busy, byId, clearError, element, facts, fileSource, hertz, list, percent, say, seconds, set, showError, signed, table, useFile } from "./dom.js";
import { record } from "./recorder.js";

const TOP = 5;
const BLIND = " (estimated from this recording)";

export function startClassify(state) {
  const current = { file: null, prediction: null, features: null, gains: null, stop: null };
  const codec = startCodec(state, current);
  let running = new AbortController();

  // Labels of which a clip may have several have thresholds of their own.
  const several = () => current.prediction?.labels !== undefined;
  const threshold = () => (several() ? 0 : Number(byId("threshold").value) / 100);

  async function classify() {
    if (!current.file || !state.model) return;
    running.abort();
    running = new AbortController();
    const { signal } = running;
    const common = { file: current.file, model: state.model.name };
    const device = byId("device").value;
    Object.assign(current, { prediction: null, features: null, gains: null });
    clearError();
    codec.reset();
    byId("results").hidden = true;
    byId("classify").setAttribute("aria-busy", "true");
    busy(byId("status"), `Classifying ${current.file.name} …`);
    try {
      const whole = { ...common, device, windows: "true", top: TOP };
      const pictures = post("/v1/page/features", common, signal);
      pictures.catch(() => {}); // reported below, after the answer
      current.prediction = await post("/v1/predict", whole, signal);
      byId("results").hidden = false;
      showAnswer();
      current.features = await pictures;
      showFeatures();
      showAnswer();
      await correct(common, signal);
      say(byId("status"), `${current.file.name} is classified.`);
      byId("results").dataset.done = current.file.name;
    } catch (error) {
      if (error.name === "AbortError") return;
      say(byId("status"), "");
      showError(error);
    } finally {
      if (!signal.aborted) byId("classify").removeAttribute("aria-busy");
    }
  }

  function named(prediction, least) {
    if (prediction.labels) return prediction.labels; // several labels a clip, each with a threshold
    return prediction.probability >= least ? [prediction.label] : [];
  }

  function showAnswer() {
    const { prediction } = current;
    if (!prediction) return;
    const answers = named(prediction, threshold());
    byId("threshold-field").hidden = several();
    const answer = set(byId("answer"), {
      "data-device": prediction.device ?? "",
      "data-device-from": prediction.device_from,
      "data-device-policy": prediction.device_policy,
      "data-windows": prediction.windows,
      "data-sure": answers.length > 0,
    });
    if (!several()) set(answer, { "data-label": prediction.label, "data-probability": prediction.probability });
    answer.classList.toggle("unsure", !answers.length);
    answer.textContent = answers.length ? answers.join(", ") : several() ? "None of the labels" : "Not sure";
    const best = several() ? "" : `${prediction.label} with a probability of ${percent(prediction.probability)}`;
    byId("confidence").textContent = several()
      ? "Several labels are possible; each has its own threshold."
      : answers.length ? `Probability ${percent(prediction.probability)}` : `Most probable: ${best}, below ${percent(threshold())}`;
    const shares = Object.entries(prediction.probabilities).sort((one, other) => other[1] - one[1]).slice(0, TOP);
    byId("labels").replaceChildren(...shares.map(([label, share]) => {
      const fill = element("span", { class: "fill" });
      fill.style.width = `${100 * share}%`;
      return element("li", { "data-label": label, "data-probability": share },
        element("span", { class: "name", text: label }), element("span", { class: "share", text: percent(share) }),
        element("span", { class: "track", "aria-hidden": "true" }, fill));
    }));
    byId("device-line").textContent = deviceText(prediction);
    list(byId("notes"), prediction.notes);
    showTimeline(prediction, shares.map(([label]) => label));
  }

  function deviceText({ device, device_from: source, device_policy: policy, device_probability: share }) {
    const how = {
      profile: "corrected with the gains of its profile",
      blind: "corrected with gains estimated from recordings of it alone",
      identity: "not corrected",
    }[policy];
    const certain = share === null ? "" : `, probability ${percent(share)}`;
    if (device !== null) {
      const from = { stated: "stated", identified: "identified", manifest: "stated" }[source] ?? source;
      return `Device: ${device} (${from}${source === "identified" ? certain : ""}), ${how}.`;
    }
    const nearest = source === "identified" ? ` (not identified; the nearest has${certain.replace(",", " a")})` : "";
    return `Device: unknown${nearest}, ${how}.`;
  }

  function showTimeline(prediction, best) {
    const windows = prediction.each_window.map((one) => {
      const [label, probability] = Object.entries(one.probabilities).reduce((a, b) => (b[1] > a[1] ? b : a));
      return { start: one.start_s - prediction.start_s, label, probability };
    });
    const shown = new Set(windows.map((one) => one.label));
    const order = [...best.filter((one) => shown.has(one)), ...[...shown].filter((one) => !best.includes(one))];
    const duration = Math.max(prediction.duration_s, 0.01);
    timeline(byId("timeline"), windows, { order, duration, threshold: threshold(), length: state.model.clip_s });
    const names = order.slice(0, 6);
    legend(byId("legend"), order.length > 6 ? [...names, "others"] : names);
    byId("timeline-table").replaceChildren(table(["From", "Label", "Probability", ""], windows.map((one) => [
      seconds(one.start), one.label, percent(one.probability), one.probability < threshold() ? "not sure" : ""])));
  }

  function showFeatures() {
    const found = current.features;
    byId("recording-name").textContent = current.file.name;
    const bandwidth = found.bandwidth_hz ? `up to ${hertz(found.bandwidth_hz)} of ${hertz(found.rate_hz / 2)}` : "silence";
    const bandFact = ["Effective bandwidth", bandwidth];
    facts(byId("facts"), [
      ["Duration", seconds(found.duration_s)], ["Rate", `${found.rate_hz} Hz`], ["Channels", found.channels],
      ["Format", found.format], bandFact, ["Level (RMS)", `${signed(found.rms_db)} dB`],
    ]);
    byId("facts").dataset.bandwidthHz = found.bandwidth_hz;
    waveform(byId("waveform"), found.waveform, found.duration_s, found.peak);
    spectrogram(byId("spectrogram"), found.log_mel, found.duration_s, found.bandwidth_hz);
  }

  // What the prediction was corrected with, to play.
  async function correct(common, signal) {
    const { device, device_policy: policy } = current.prediction;
    const known = device !== null && state.model.devices.includes(device);
    byId("correction").hidden = true;
    if (policy === "identity") {
      say(byId("correction-text"), device === null
        ? "The device is unknown, so the recording is not corrected. State a device above to compare."
        : `The model has no gains for ${device}, so the recording is not corrected.`);
      return;
    }
    if (state.model.form === "onnx") {
      say(byId("correction-text"), "The model corrects it, and is a file without gains to show or to play.");
      return;
    }
    busy(byId("correction-text"), "Correcting …");
    let found;
    try {
      found = await post("/v1/page/correct", { ...common, device: known ? device : "" }, signal);
    } catch (error) {
      say(byId("correction-text"), "");
      throw error;
    }
    current.gains = found.gains;
    const name = known ? device : `Unknown device${BLIND}`;
    say(byId("correction-text"), [`${name}, towards ${found.gains.reference.join(" and ")}.`, ...found.notes].join(" "));
    useFile(byId("before"), fileOfBase64(found.before, "before.wav"));
    useFile(byId("after"), fileOfBase64(found.after, "after.wav"));
    byId("loudness").textContent = "Both have the same level (root mean square): " +
      `before ${signed(found.before_db)} dB, after ${signed(found.after_db)} dB.`;
    byId("correction").hidden = false;
    gains(byId("gains"), found.gains);
  }

  function use(file) {
    current.file = file;
    return classify();
  }

  async function toggleRecording() {
    if (current.stop) {
      current.stop();
      return;
    }
    const button = byId("record"), longest = Number(byId("seconds").value);
    clearError();
    try {
      const level = (db) => { byId("level").value = db; };
      let shown = -1;
      const progress = (done) => {
        if (Math.floor(done) > shown) busy(byId("status"), `Recording: ${(shown = Math.floor(done))} of ${longest} s`);
      };
      const { stop, file } = await record(longest, level, progress);
      current.stop = stop;
      button.textContent = "Stop";
      button.classList.add("recording");
      await use(await file.finally(() => {
        current.stop = null;
        button.textContent = "Record";
        button.classList.remove("recording");
      }));
    } catch (error) {
      say(byId("status"), "");
      showError({
        problem: `The microphone cannot be used (${error.message || error.name}).`,
        expected: "A microphone, and permission to use it.",
        fix: "Allow it in the browser's settings for this page, on localhost or over HTTPS.",
      });
    }
  }

  fileSource(byId("drop"), byId("choose"), byId("file"), ([file]) => use(file));
  byId("record").addEventListener("click", toggleRecording);
  byId("device").addEventListener("change", classify);
  byId("threshold").addEventListener("input", () => {
    byId("threshold-value").textContent = `${byId("threshold").value} %`;
    showAnswer();
  });
  let timer;
  window.addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (byId("classify").hidden || byId("results").hidden) return;
      showAnswer();
      if (current.features) showFeatures();
      if (current.gains) gains(byId("gains"), current.gains);
    }, 150);
  });

  return {
    loadCodecs: async () => codec.show((await get("/v1/page/codecs")).codecs),
    modelChanged() {
      const { devices, identifies_devices: identifies } = state.model;
      const first = identifies ? "not stated: identify it" : "not stated";
      byId("device").replaceChildren(element("option", { text: first, value: "" }),
        ...devices.map((one) => element("option", { text: one, value: one })));
      classify();
    },
  };
}
