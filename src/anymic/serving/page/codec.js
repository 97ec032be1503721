// The recording through a codec of the codec table: to play, and classified.

import { fileOfBase64, post } from "./api.js";
import { busy, byId, clearError, element, percent, say, set, showError, table, useFile } from "./dom.js";

export function startCodec(state, current) {
  let codecs = [];
  let run = 0;

  const chosen = () => codecs.find((one) => one.codec === byId("codec").value);
  const kbps = () => chosen().kbps[Number(byId("kbps").value)];

  function showBitrate() {
    const text = `${kbps()} kbps`;
    byId("kbps-value").textContent = text;
    byId("kbps").setAttribute("aria-valuetext", text);
  }

  function showBitrates() {
    const slider = byId("kbps"), last = chosen().kbps.length - 1;
    slider.max = last;
    slider.value = Math.min(1, last);
    slider.disabled = last === 0;
    showBitrate();
  }

  async function encode() {
    if (!current.file || !current.prediction) return;
    const own = ++run, codec = chosen(), wanted = kbps();
    const before = current.prediction, file = current.file;
    const button = byId("encode");
    clearError();
    button.disabled = true;
    byId("codec-result").hidden = true;
    busy(byId("codec-text"), `Encoding as ${codec.codec}, ${wanted} kbps …`);
    try {
      const values = { file, model: state.model.name, codec: codec.codec, kbps: wanted };
      const found = await post("/v1/page/codec", values);
      const decoded = fileOfBase64(found.wav, `${codec.codec}-${wanted}.wav`);
      const device = byId("device").value;
      const after = await post("/v1/predict", { file: decoded, model: state.model.name, device, top: 2 });
      if (own === run) show(found, decoded, before, after);
    } catch (error) {
      say(byId("codec-text"), "");
      showError(error);
    } finally {
      button.disabled = false;
    }
  }

  function show(found, decoded, before, after) {
    useFile(byId("coded"), decoded);
    const rate = `encoded at ${found.encoded_rate_hz} Hz`;
    const measured = `${found.measured_kbps.toFixed(1)} kbps measured, ${found.bytes} bytes, ${rate}`;
    say(byId("codec-text"), [`${measured}.`, ...found.notes.filter((one) => one.startsWith("the first"))].join(" "));
    byId("coded-name").textContent = `${found.codec} at ${found.kbps} kbps`;
    const row = (name, one) => [name, one.labels ? one.labels.join(", ") || "none" : one.label,
      one.labels ? "" : percent(one.probability)];
    byId("codec-table").replaceChildren(
      table(["", "Label", "Probability"], [row("As recorded", before), row("Through the codec", after)]));
    if (!after.labels) {
      set(byId("codec-result"), { "data-label": after.label, "data-probability": after.probability,
        "data-kbps": found.measured_kbps });
    }
    byId("codec-result").hidden = false;
  }

  byId("codec").addEventListener("change", showBitrates);
  byId("kbps").addEventListener("input", showBitrate);
  byId("encode").addEventListener("click", encode);

  return {
    reset() {
      run += 1;
      byId("codec-result").hidden = true;
      say(byId("codec-text"), "");
    },
    show(every) {
      codecs = every.filter((one) => one.available && one.kbps.length);
      const missing = every.filter((one) => !one.available);
      byId("codec").replaceChildren(
        ...codecs.map((one) => element("option", { value: one.codec, text: `${one.codec}: ${one.title}` })),
        ...missing.map((one) => element("option", { disabled: "", text: `${one.codec} (not installed)` })),
      );
      if (codecs.some((one) => one.codec === "mp3")) byId("codec").value = "mp3";
      if (codecs.length) showBitrates();
      else byId("codec-card").hidden = true;
    },
  };
}
