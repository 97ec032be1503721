// Passes the samples of the microphone to the page, mixed to one channel.
class Recorder extends AudioWorkletProcessor {
  process([channels]) {
    if (channels.length) {
      const mixed = channels[0].slice();
      for (const other of channels.slice(1)) other.forEach((one, at) => { mixed[at] += one; });
      if (channels.length > 1) mixed.forEach((one, at) => { mixed[at] = one / channels.length; });
      this.port.postMessage(mixed, [mixed.buffer]);
    }
    return true;
  }
}
registerProcessor("recorder", Recorder);
