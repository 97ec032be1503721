// The microphone, as a WAV file of 32-bit floats at the rate of the browser.

export function wav(blocks, rate) {
  const count = blocks.reduce((sum, one) => sum + one.length, 0);
  const view = new DataView(new ArrayBuffer(44 + 4 * count));
  const text = (at, value) => [...value].forEach((one, index) => view.setUint8(at + index, one.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + 4 * count, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 3, true); // floats
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 4 * rate, true);
  view.setUint16(32, 4, true);
  view.setUint16(34, 32, true);
  text(36, "data");
  view.setUint32(40, 4 * count, true);
  let at = 44;
  for (const block of blocks) for (const one of block) {
    view.setFloat32(at, one, true);
    at += 4;
  }
  return new File([view], "microphone.wav", { type: "audio/wav" });
}

// Record until `stop` of what is returned is called, or for so many seconds.
export async function record(longest, level, progress) {
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
  });
  const context = new AudioContext();
  await context.audioWorklet.addModule("/page/recorder-worklet.js");
  const source = context.createMediaStreamSource(stream);
  const node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 0 });
  const blocks = [];
  const wanted = Math.round(longest * context.sampleRate);
  let count = 0, stop;
  const finished = new Promise((resolve) => { stop = resolve; });
  node.port.onmessage = ({ data }) => {
    if (count >= wanted) return;
    const block = data.subarray(0, wanted - count);
    blocks.push(block);
    count += block.length;
    const power = block.reduce((sum, one) => sum + one * one, 0) / block.length;
    level(10 * Math.log10(Math.max(power, 1e-6)));
    progress(count / context.sampleRate);
    if (count >= wanted) stop();
  };
  source.connect(node);
  const file = finished.then(async () => {
    node.port.onmessage = null;
    source.disconnect();
    stream.getTracks().forEach((track) => track.stop());
    const rate = context.sampleRate;
    await context.close();
    level(-60);
    return wav(blocks, rate);
  });
  return { stop, file };
}
