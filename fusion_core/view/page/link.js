// The connection: it says what it is about, and comes back by itself.
const SLOWEST_MS = 5000, WRONG_TOKEN = 4401, FULL = 1013;

export class Link {
  #socket = null;
  #wait = 250;
  #ended = false;

  // on: {state(name, words), message(object), picture(header, parts), open()}
  constructor(on) { this.on = on; this.#open(); }

  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #open() {
    this.on.state("trying", "connecting");
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.#socket = new WebSocket(`${scheme}://${location.host}/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.send({ kind: "hello", token: location.hash.slice(1) });
      this.on.open();
    };
    socket.onmessage = (event) => {
      this.#wait = 250;
      this.#ended = false;
      if (typeof event.data !== "string") { this.#unpack(event.data); return; }
      const message = JSON.parse(event.data);
      if (message.kind === "end") this.#ended = true;
      else this.on.message(message);
    };
    socket.onclose = (event) => {
      if (event.code === WRONG_TOKEN) {
        this.on.state("lost", "Not admitted: open the page by the address that was printed, with its token.");
        return;
      }
      const words = event.code === FULL ? `Too many pages: ${event.reason}.`
        : this.#ended ? "The stream has ended. This page goes on with the next one."
        : "Connection lost. Trying again by itself; check that the stream runs and the network is there.";
      this.on.state("lost", words);
      setTimeout(() => this.#open(), this.#wait);
      this.#wait = Math.min(2 * this.#wait, SLOWEST_MS);
    };
  }

  #unpack(data) {
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
    let offset = 4 + length;
    const parts = {};
    for (const [layer, size] of header.layers) {
      parts[layer] = new Blob([new Uint8Array(data, offset, size)], { type: "image/jpeg" });
      offset += size;
    }
    this.on.picture(header, parts);
  }
}
