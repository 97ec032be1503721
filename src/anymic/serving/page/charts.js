// Charts as SVG, whose colours are those of the style sheet, and the spectrogram as a canvas.

import { element, hertz, percent, seconds, set, signed } from "./dom.js";

const SPACE = "http://www.w3.org/2000/svg";
const LEFT = 50, RIGHT = 8, TOP = 8, BOTTOM = 22;

export function shape(name, attributes, text) {
  const made = set(document.createElementNS(SPACE, name), attributes);
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawing(width, height, label) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

// Charts are drawn as wide as their place, so that texts keep their size on a phone.
const widthOf = (target) => Math.max(280, Math.round(target.clientWidth) || 640);

function timeAxis(svg, width, height, duration) {
  const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300];
  const step = steps.find((one) => duration / one <= width / 70) ?? 600;
  for (let at = 0; at <= duration + 1e-9; at += step) {
    const x = LEFT + (at / duration) * (width - LEFT - RIGHT);
    svg.append(shape("line", { class: "grid", x1: x, x2: x, y1: TOP, y2: height - BOTTOM }));
    svg.append(shape("text", { x, y: height - 6, "text-anchor": at ? "middle" : "start" },
      `${+at.toFixed(1)} s`));
  }
}

export function waveform(target, { low, high }, duration, peak) {
  const width = widthOf(target), height = 120, middle = (TOP + height - BOTTOM) / 2;
  const label = `Waveform of ${seconds(duration)}, highest amplitude ${peak.toFixed(3)} of full scale.`;
  const svg = drawing(width, height, label);
  timeAxis(svg, width, height, duration);
  const scale = (middle - TOP) / Math.max(peak, 1e-6);
  const x = (at) => LEFT + (at / low.length) * (width - LEFT - RIGHT);
  const upper = high.map((one, at) => `${x(at + 0.5).toFixed(1)},${(middle - Math.max(one * scale, 0.4)).toFixed(1)}`);
  const lower = low.map((one, at) => `${x(at + 0.5).toFixed(1)},${(middle - Math.min(one * scale, -0.4)).toFixed(1)}`);
  svg.append(shape("polygon", { class: "wave", points: [...upper, ...lower.reverse()].join(" ") }));
  for (const [text, y] of [[peak.toFixed(2), TOP + 8], ["0", middle + 4], [`−${peak.toFixed(2)}`, height - BOTTOM]]) {
    svg.append(shape("text", { x: LEFT - 6, y, "text-anchor": "end" }, text));
  }
  target.replaceChildren(svg);
}

// Dark blue to yellow, with lightness that rises evenly (cividis).
const COLOURS = [[0, 34, 78], [40, 67, 109], [87, 93, 109], [125, 124, 120], [165, 156, 116], [210, 193, 100], [254, 232, 56]];

function colour(value) {
  const at = (value / 255) * (COLOURS.length - 1), index = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[index].map((one, channel) => one + (at - index) * (COLOURS[index + 1][channel] - one));
}

export function spectrogram(target, picture, duration, bandwidth) {
  const bytes = Uint8Array.from(atob(picture.data), (one) => one.charCodeAt(0));
  const { bands, columns, hz } = picture;
  const label = `Log-mel spectrogram: ${bands} bands from ${hertz(hz[0])} to ${hertz(hz[bands - 1])} over ` +
    `${seconds(duration)}, ${(picture.highest_db - picture.lowest_db).toFixed(0)} dB from dark to light. ` +
    `The recording holds sound up to ${hertz(bandwidth)}.`;
  const canvas = element("canvas", { width: columns, height: bands, role: "img", "aria-label": label });
  const context = canvas.getContext("2d"), image = context.createImageData(columns, bands);
  const colours = Array.from({ length: 256 }, (_, value) => colour(value));
  for (let band = 0; band < bands; band += 1) {
    for (let column = 0; column < columns; column += 1) {
      const place = 4 * ((bands - 1 - band) * columns + column);
      image.data.set([...colours[bytes[band * columns + column]], 255], place);
    }
  }
  context.putImageData(image, 0, 0);
  const ends = (...texts) => element("div", { class: "ends", "aria-hidden": "true" },
    ...texts.map((text) => element("span", { text })));
  target.replaceChildren(
    ends(hertz(hz[bands - 1]), `${(picture.highest_db - picture.lowest_db).toFixed(0)} dB, dark to light`),
    element("div", { class: "picture" }, canvas),
    ends(hertz(hz[0]), seconds(duration)),
  );
}

// One bar for each window: its colour is its label, its height the label's probability.
export function timeline(target, windows, { order, length, duration, threshold }) {
  const width = widthOf(target), height = 170, inner = height - TOP - BOTTOM;
  const sure = windows.filter((one) => one.probability >= threshold).length;
  const svg = drawing(width, height,
    `Answers of ${windows.length} windows over ${seconds(duration)}; ${sure} reach the threshold of ${percent(threshold)}. The table below has them all.`);
  timeAxis(svg, width, height, duration);
  const y = (share) => TOP + (1 - share) * inner;
  for (const share of [0, 0.5, 1]) {
    svg.append(shape("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }));
    svg.append(shape("text", { x: LEFT - 6, y: y(share) + 4, "text-anchor": "end" }, `${100 * share} %`));
  }
  windows.forEach((one, at) => {
    const next = windows[at + 1]?.start ?? Math.min(one.start + length, duration);
    const left = LEFT + (one.start / duration) * (width - LEFT - RIGHT);
    const right = LEFT + (Math.max(next, one.start) / duration) * (width - LEFT - RIGHT);
    const bar = shape("rect", {
      class: `s${Math.min(order.indexOf(one.label), 6)}`, x: left, y: y(one.probability),
      width: Math.max(right - left - 1.5, 1), height: one.probability * inner,
      opacity: one.probability >= threshold ? 1 : 0.4,
    });
    bar.append(shape("title", {}, `${seconds(one.start)}: ${one.label}, ${percent(one.probability)}`));
    svg.append(bar);
  });
  svg.append(shape("line", { class: "limit", x1: LEFT, x2: width - RIGHT, y1: y(threshold), y2: y(threshold) }));
  target.replaceChildren(svg);
}

export function legend(target, names) {
  target.replaceChildren(...names.map((text, at) => {
    const mark = shape("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" });
    mark.append(shape("rect", { class: `s${Math.min(at, 6)}`, width: 10, height: 10, rx: 2 }));
    const item = element("li", { class: "chart" });
    item.append(mark, text);
    return item;
  }));
}

// Gains over frequency, which is logarithmic, with the spread over recordings as a band.
export function gains(target, { device, reference, hz, gain_db: db, spread_db: spread }) {
  const width = widthOf(target), height = 220;
  const first = Math.log(hz[0]), last = Math.log(hz.at(-1));
  const ends = [-1, 1].map((sign) => Math.max(...db.map((one, at) => sign * one + Math.min(spread[at], 12))));
  const step = [2, 5, 10, 20].find((one) => ends[0] + ends[1] <= 7 * one) ?? 40;
  const [low, high] = [-Math.max(1, Math.ceil(ends[0] / step)) * step, Math.max(1, Math.ceil(ends[1] / step)) * step];
  const x = (one) => LEFT + ((Math.log(one) - first) / (last - first)) * (width - LEFT - RIGHT);
  const y = (one) => TOP + ((high - Math.max(low, Math.min(high, one))) / (high - low)) * (height - TOP - BOTTOM);
  const lowest = Math.min(...db), highest = Math.max(...db);
  const named = [125, 1000, 4000, 8000].filter((one) => one < hz.at(-1)).map((one) => {
    const near = hz.findIndex((other) => other >= one);
    return `${signed(db[near])} dB at ${hertz(one)}`;
  });
  const svg = drawing(width, height, `Gains of ${device} towards ${reference.join(" and ")}: ` +
    `${signed(lowest)} to ${signed(highest)} dB; ${named.join(", ")}.`);
  for (const one of [20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000]) {
    if (one < hz[0] * 0.99 || one > hz.at(-1)) continue;
    svg.append(shape("line", { class: "grid", x1: x(one), x2: x(one), y1: TOP, y2: height - BOTTOM }));
    if (width > 420 || `${one}`.startsWith("1")) {
      svg.append(shape("text", { x: x(one), y: height - 6, "text-anchor": x(one) > width - 30 ? "end" : "middle" }, hertz(one)));
    }
  }
  for (let one = low; one <= high; one += step) {
    svg.append(shape("line", { class: one ? "grid" : "zero", x1: LEFT, x2: width - RIGHT, y1: y(one), y2: y(one) }));
    svg.append(shape("text", { x: LEFT - 6, y: y(one) + 4, "text-anchor": "end" }, `${one ? signed(one).replace(".0", "") : 0} dB`));
  }
  const points = (values) => values.map((one, at) => `${x(hz[at]).toFixed(1)},${y(one).toFixed(1)}`);
  const upper = points(db.map((one, at) => one + spread[at])), lower = points(db.map((one, at) => one - spread[at]));
  svg.append(shape("polygon", { class: "band", points: [...upper, ...lower.reverse()].join(" ") }));
  svg.append(shape("polyline", { class: "line", points: points(db).join(" ") }));
  target.replaceChildren(svg);
}
