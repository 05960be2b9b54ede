// The picture: what is shown where, and what a pointer or a key does in it.
const NAMES = { visible: "Visible", thermal: "Thermal", fused: "Fused" };
// Okabe and Ito's palette, as in recorded videos.
const COLOURS = { person: "#e69f00", vehicle: "#56b4e9", car: "#56b4e9", truck: "#56b4e9", bus: "#56b4e9", cycle: "#009e73", bicycle: "#009e73" };
export const colourOf = (label) => COLOURS[label] ?? "#f0e442";
export const nameOf = (object) => object.label + (object.track === null ? "" : ` #${object.track}`);
const clamp = (value) => Math.min(1, Math.max(0, value));

export class Stage {
  mode = "fused"; first = "visible"; second = "fused"; share = 0.5; tool = "measure"; boxes = true;
  point = null; marks = [];
  #bitmaps = {}; #header = null; #cursor = [0.5, 0.5]; #corner = null; #drag = null; #panes = []; #keys = false;

  // on: {measure(point), area(area), spot(point), share(value), escape()}
  constructor(canvas, on) {
    this.canvas = canvas; this.on = on; this.context = canvas.getContext("2d");
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", (event) => this.#up(event));
    canvas.addEventListener("pointercancel", () => { this.#drag = null; this.draw(); });
    canvas.addEventListener("keydown", (event) => this.#key(event));
    canvas.addEventListener("blur", () => { this.#keys = false; this.draw(); });
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
  }

  get layers() {
    if (this.mode === "fused") return ["fused"];
    return this.mode === "side" ? ["visible", "thermal", "fused"] : [...new Set([this.first, this.second])];
  }

  get stacked() { return this.canvas.parentElement.clientWidth < 640; }

  get width() { // pixels of one picture on this screen
    const ratio = Math.min(devicePixelRatio || 1, 2);
    const wide = this.canvas.clientWidth * ratio;
    return Math.round(Math.max(64, this.mode === "side" && !this.stacked ? wide / 3 : wide));
  }

  async show(header, parts) {
    const bitmaps = {};
    for (const [layer, blob] of Object.entries(parts)) bitmaps[layer] = await createImageBitmap(blob);
    for (const old of Object.values(this.#bitmaps)) old.close();
    this.#bitmaps = bitmaps; this.#header = header;
    this.canvas.dataset.frame = header.frame;
    this.draw();
  }

  draw() {
    const [columns, rows] = this.#header?.size ?? [4, 3];
    const ratio = Math.min(devicePixelRatio || 1, 2), gap = 2 * ratio;
    const side = this.mode === "side", stacked = side && this.stacked, place = this.canvas.parentElement.clientWidth;
    // All of the picture is in view, with the controls above it.
    const room = Math.max(240, innerHeight - 180) * (side ? 3 : 1) * columns / rows;
    const shown = stacked ? place : Math.min(place, room), wide = shown * ratio;
    this.canvas.style.width = `${shown}px`;
    const each = side && !stacked ? (wide - 2 * gap) / 3 : wide, high = each * rows / columns;
    const size = [Math.round(wide), Math.round(stacked ? 3 * high + 2 * gap : high)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) [this.canvas.width, this.canvas.height] = size;
    this.context.clearRect(0, 0, ...size);
    const layers = side ? ["visible", "thermal", "fused"] : [null];
    this.#panes = layers.map((layer, index) => ({
      layer, x: stacked ? 0 : index * (each + gap), y: stacked ? index * (high + gap) : 0, w: each, h: high }));
    for (const pane of this.#panes) this.#pane(pane, ratio);
  }

  #pane(pane, ratio) {
    const g = this.context;
    if (pane.layer) this.#picture(pane.layer, pane);
    else if (this.mode === "fused") this.#picture("fused", pane);
    else if (this.mode === "overlay") {
      this.#picture(this.first, pane);
      g.globalAlpha = this.share; this.#picture(this.second, pane); g.globalAlpha = 1;
    } else {
      this.#picture(this.second, pane);
      g.save(); g.beginPath(); g.rect(pane.x, pane.y, pane.w * this.share, pane.h); g.clip();
      this.#picture(this.first, pane); g.restore();
      const x = pane.x + pane.w * this.share;
      g.fillStyle = "#fff"; g.fillRect(x - ratio, pane.y, 2 * ratio, pane.h);
    }
    this.#captions(pane, ratio);
    if (this.boxes) this.#objects(pane, ratio);
    for (const mark of this.marks) this.#outline(mark.area, pane, "#ff5ea8", 2.5 * ratio, [6 * ratio, 4 * ratio], 4 * ratio);
    const drawn = this.#drag?.area ?? (this.#corner && area(this.#corner, this.#cursor));
    if (drawn) this.#outline(drawn, pane, "#ff5ea8", 2 * ratio, []);
    if (this.point) this.#cross(this.point, pane, ratio, "#fff");
    if (this.#keys) this.#cross(this.#cursor, pane, ratio, "#6cc0f0");
  }

  #picture(layer, pane) {
    const bitmap = this.#bitmaps[layer];
    if (bitmap) { this.context.drawImage(bitmap, pane.x, pane.y, pane.w, pane.h); return; }
    this.context.fillStyle = "#0b0e12"; this.context.fillRect(pane.x, pane.y, pane.w, pane.h);
    if (this.#header) this.#text(`${NAMES[layer]}: no picture`, pane.x + pane.w / 2, pane.y + pane.h / 2, "center", 1);
  }

  #captions(pane, ratio) {
    if (!this.#header || this.mode === "fused") return;
    const top = pane.y + 20 * ratio, left = pane.x + 8 * ratio;
    if (pane.layer) this.#text(NAMES[pane.layer], left, top, "left", ratio);
    else {
      this.#text(NAMES[this.first], left, top, "left", ratio);
      this.#text(NAMES[this.second], pane.x + pane.w - 8 * ratio, top, "right", ratio);
    }
  }

  #text(text, x, y, align, ratio) {
    const g = this.context;
    g.font = `600 ${13 * ratio}px system-ui, sans-serif`; g.textAlign = align;
    g.lineWidth = 3 * ratio; g.strokeStyle = "#000b"; g.lineJoin = "round"; g.strokeText(text, x, y);
    g.fillStyle = "#fff"; g.fillText(text, x, y);
  }

  // Boxes are always drawn; a caption without room is left out, those of high scores come first.
  #objects(pane, ratio) {
    const ordered = [...this.#header?.objects ?? []].sort((one, other) => other.score - one.score), taken = [];
    for (const object of ordered) this.#outline(object.area, pane, colourOf(object.label), 2 * ratio, []);
    for (const object of ordered) this.#caption(object, pane, ratio, taken);
  }

  #caption(object, pane, ratio, taken) {
    const g = this.context, [left, top, , high] = object.area, small = pane.w < 480 * ratio;
    const short = object.track === null ? object.label : `#${object.track}`;
    const heat = object.celsius === null ? "" : ` ${object.celsius.toFixed(1)} °C`;
    const text = small ? short : nameOf(object) + heat;
    g.font = `600 ${(small ? 10 : 12) * ratio}px system-ui, sans-serif`; g.textAlign = "left";
    const width = g.measureText(text).width + 8 * ratio, height = (small ? 14 : 17) * ratio;
    const x = Math.min(pane.x + left * pane.w, pane.x + pane.w - width);
    const places = [pane.y + top * pane.h - height, pane.y + (top + high) * pane.h];
    const free = (y) => y >= pane.y && y + height <= pane.y + pane.h
      && !taken.some(([ox, oy, ow, oh]) => x < ox + ow && ox < x + width && y < oy + oh && oy < y + height);
    const y = places.find(free);
    if (y === undefined) return;
    taken.push([x, y, width, height]);
    g.fillStyle = colourOf(object.label); g.fillRect(x, y, width, height);
    g.fillStyle = "#000"; g.fillText(text, x + 4 * ratio, y + height * 0.73);
  }

  #outline([left, top, width, height], pane, colour, line, dash, beyond = 0) {
    const g = this.context, edge = line / 2, inside = (value, low, size) => Math.min(low + size - edge, Math.max(low + edge, value));
    const [x, right] = [left * pane.w - beyond, (left + width) * pane.w + beyond].map((value) => inside(pane.x + value, pane.x, pane.w));
    const [y, bottom] = [top * pane.h - beyond, (top + height) * pane.h + beyond].map((value) => inside(pane.y + value, pane.y, pane.h));
    g.setLineDash(dash); g.lineWidth = line; g.strokeStyle = colour;
    g.strokeRect(x, y, right - x, bottom - y); g.setLineDash([]);
  }

  #cross([px, py], pane, ratio, colour) {
    const g = this.context, x = pane.x + px * pane.w, y = pane.y + py * pane.h, reach = 11 * ratio, hole = 3 * ratio;
    g.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      g.moveTo(x + dx * hole, y + dy * hole); g.lineTo(x + dx * reach, y + dy * reach);
    }
    g.lineWidth = 4 * ratio; g.strokeStyle = "#000a"; g.stroke();
    g.lineWidth = 2 * ratio; g.strokeStyle = colour; g.stroke();
  }

  #at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * this.canvas.width / box.width;
    const y = (event.clientY - box.top) * this.canvas.height / box.height;
    const pane = this.#drag?.pane ?? this.#panes.find((one) => x <= one.x + one.w && y <= one.y + one.h) ?? this.#panes.at(-1);
    return { pane, point: [clamp((x - pane.x) / pane.w), clamp((y - pane.y) / pane.h)] };
  }

  #down(event) {
    if (event.button !== 0 || !this.#header) return;
    const { pane, point } = this.#at(event);
    const near = Math.abs(point[0] - this.share) * this.canvas.clientWidth < 14;
    this.#drag = { pane, from: point, area: null, wiping: this.mode === "wipe" && near };
    if (this.tool === "mark" || this.#drag.wiping) { this.canvas.setPointerCapture(event.pointerId); event.preventDefault(); this.canvas.focus(); this.#keys = false; }
  }

  #move(event) {
    if (!this.#drag) return;
    const { point } = this.#at(event);
    if (this.#drag.wiping) this.on.share(point[0]);
    else if (this.tool === "mark") {
      const drawn = area(this.#drag.from, point);
      this.#drag.area = drawn[2] > 0.01 && drawn[3] > 0.01 ? drawn : null;
    }
    this.draw();
  }

  #up(event) {
    const drag = this.#drag, { point } = this.#at(event);
    this.#drag = null;
    if (!drag || drag.wiping) return;
    if (drag.area) this.on.area(drag.area);
    else this.#use(point);
    this.draw();
  }

  #use(point) {
    this.#cursor = point;
    if (this.tool === "mark") this.on.spot(point); else this.on.measure(point);
  }

  #key(event) {
    const step = event.shiftKey ? 0.1 : 0.02;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    if (moves[event.key]) this.#cursor = this.#cursor.map((value, axis) => clamp(value + moves[event.key][axis]));
    else if (event.key === "Enter") { this.#corner = null; this.#use(this.#cursor); }
    else if (event.key === " " && this.tool === "mark") {
      const drawn = this.#corner && area(this.#corner, this.#cursor);
      if (drawn && drawn[2] > 0 && drawn[3] > 0) { this.on.area(drawn); this.#corner = null; } else this.#corner = this.#cursor;
    } else if (event.key === "Escape") { this.#corner = null; this.on.escape(); } else return;
    event.preventDefault();
    this.#keys = true;
    this.draw();
  }
}

function area([ax, ay], [bx, by]) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.abs(ax - bx), Math.abs(ay - by)];
}
