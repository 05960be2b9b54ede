// The page: what the stream tells goes into it, what the operator does goes out.
import { Link } from "./link.js";
import { Stage, colourOf, nameOf } from "./stage.js";

const $ = (id) => document.getElementById(id);
const KEYS = {
  measure: "Click, or focus the picture and use the arrow keys (with Shift: faster) and Enter, to measure. Escape removes the point.",
  mark: "Draw a box, or click an object or a hot region. By keys: arrows, Space for two corners of a box, Enter for what lies at the cross.",
};

function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  Object.assign(element, attributes);
  return element;
}

// Lists are made anew only when they have changed: focus and screen readers stay where they are.
const drawn = {};
function refill(name, state, fill) {
  const key = JSON.stringify(state);
  if (drawn[name] === key) return;
  drawn[name] = key;
  fill();
}

let toastTimer = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $("toast").hidden = true; }, 9000);
}

const stage = new Stage($("stage"), {
  measure: (point) => measure(point),
  area: (area) => link.send({ kind: "mark", area }),
  spot: (point) => link.send({ kind: "mark", point }),
  share: (value) => { stage.share = value; $("share").value = Math.round(100 * value); },
  escape: () => measure(null),
});

function measure(point) {
  stage.point = point;
  link.send({ kind: "probe", point });
  $("unprobe").hidden = point === null;
  if (point === null) showReading(null);
  stage.draw();
}

let wished = "";
function wish() {
  const hidden = document.visibilityState === "hidden";
  const message = { kind: "show", layers: hidden ? [] : stage.layers, width: Math.min(8192, stage.width) };
  if (JSON.stringify(message) === wished) return;
  wished = JSON.stringify(message);
  link.send(message);
}

let busy = Promise.resolve();
const link = new Link({
  open: () => { wished = ""; wish(); if (stage.point) measure(stage.point); },
  state: (name, words) => {
    const lost = name === "lost";
    $("link").className = `state ${name}`;
    $("link").textContent = lost ? "not connected" : words;
    // While it tries again the page keeps saying what happened.
    if (lost) { $("notice").textContent = words; $("notice").hidden = false; $("stage").classList.add("stale"); $("record").disabled = true; }
  },
  message: (message) => {
    if (message.kind === "problem") {
      toast(message.text);
      delete drawn.settings; // a control shows again what is in force, not what was refused
    }
    else if (message.kind === "status") showStatus(message);
  },
  picture: (header, parts) => {
    busy = busy.then(() => stage.show(header, parts)).catch(() => {}).then(() => {
      link.send({ kind: "drawn", frame: header.number });
      showObjects(header.objects);
      if (stage.point) showReading(header.reading);
    });
  },
});

function showReading(reading) {
  const place = $("reading");
  place.replaceChildren();
  if (!stage.point) { place.textContent = "Click into the picture to measure."; return; }
  const [value, note] = !reading ? ["…", ""]
    : reading.celsius !== undefined ? [`${reading.celsius.toFixed(1)} °C`, ""]
    : reading.counts !== undefined ? [`${reading.counts} counts`, "Raw value: the camera's unit is not known. Set thermal.unit, thermal.scale and thermal.offset for degrees."]
    : reading.brightness !== undefined ? [`${(100 * reading.brightness).toFixed(0)} %`, "Thermal brightness within the scene, no temperature: set thermal.unit, thermal.scale and thermal.offset for degrees."]
    : ["–", "The thermal camera does not see this point."];
  place.append(make("b", value), note);
}

const sized = (area) => `${Math.round(100 * area[2])} × ${Math.round(100 * area[3])} % of the picture`;

function showObjects(objects) {
  const listed = objects.map((object) => [nameOf(object), object.label, object.celsius === null ? "" : `${object.celsius.toFixed(0)} °C`]);
  refill("objects", [listed, !$("marking").hidden], () => {
    const rows = objects.slice(0, 12).map((object, index) => {
      const row = make("li"), dot = make("i");
      dot.style.background = colourOf(object.label);
      row.append(dot, make("span", listed[index][0]), make("output", listed[index][2]));
      if (!$("marking").hidden) {
        const [left, top, width, height] = object.area;
        const point = [Math.min(1, Math.max(0, left + width / 2)), Math.min(1, Math.max(0, top + height / 2))];
        const button = make("button", "Mark", { type: "button", ariaLabel: `Mark ${listed[index][0]}` });
        button.onclick = () => link.send({ kind: "mark", point });
        row.append(button);
      }
      return row;
    });
    if (objects.length > 12) rows.push(make("li", `and ${objects.length - 12} more`, { className: "soft" }));
    $("objects").replaceChildren(...(rows.length ? rows : [make("li", "None in view", { className: "soft" })]));
  });
}

function showStatus(status) {
  $("link").className = "state live";
  $("link").textContent = "live";
  $("notice").hidden = true;
  $("stage").classList.remove("stale");
  const rate = status.rates.fused ?? 0;
  $("facts").textContent = `${status.model} on ${status.device} · ${rate.toFixed(1)} pictures/s`;
  refill("health", status.health, () => showHealth(status.health));
  showMarks(status.marks);
  $("text-card").hidden = status.text === null;
  if (status.text !== null) $("text-state").textContent = status.text ? `In force: “${status.text}”` : "No text is in force.";
  refill("settings", status.settings, () => showSettings(status.settings));
  showStream(status);
  showRecording(status.recording);
}

function showHealth(lines) {
  const rows = lines.map((line) => {
    const row = make("li");
    row.append(make("b", line.words), make("p", line.remedy));
    return row;
  });
  if (!rows.length) {
    rows.push(make("li", "", { className: "well" }));
    rows[0].append(make("b", "All is well"));
  }
  $("health").replaceChildren(...rows);
}

function showMarks(marks) {
  $("marking").hidden = $("marks-card").hidden = marks === null;
  if (marks === null && stage.tool === "mark") choose("tool", "measure");
  stage.marks = marks ?? [];
  refill("marks", stage.marks.map((mark) => [mark.mark, mark.track]), () => {
    const rows = stage.marks.map((mark) => {
      const row = make("li"), button = make("button", "Take back", { type: "button" });
      button.onclick = () => link.send({ kind: "unmark", mark: mark.mark });
      row.append(make("span", mark.track === null ? sized(mark.area) : `follows object #${mark.track}`), button);
      return row;
    });
    $("marks").replaceChildren(...(rows.length ? rows : [make("li", "Nothing is marked. Choose Mark above the picture.", { className: "soft" })]));
    $("unmark").hidden = !rows.length;
  });
  stage.draw();
}

function showSettings(settings) {
  const focused = document.activeElement?.id;
  $("settings").replaceChildren(...settings.map(showSetting));
  if (focused?.startsWith("set-")) $(focused)?.focus();
}

// options.gain -> Gain, mask.source -> Mask source
function inWords(name) {
  const words = name.replace(/^(options|adapt)\./, "").replaceAll(/[._]/g, " ");
  return words[0].toUpperCase() + words.slice(1);
}

function showSetting(setting) {
  const id = `set-${setting.name}`, box = make("div", "", { className: "setting" });
  const label = make("label", inWords(setting.name), { htmlFor: id, title: setting.name });
  const note = make("small", `${setting.description} `, { id: `${id}-note` });
  note.append(make("code", setting.name));
  const change = (value) => link.send({ kind: "change", name: setting.name, value });
  const row = make("div", "", { className: "row" });
  let input;
  if (setting.choices.length) {
    input = make("select");
    input.append(...setting.choices.map((choice) => make("option", choice, { value: choice, selected: choice === setting.value })));
    input.onchange = () => change(input.value);
    row.append(input);
  } else if (typeof setting.value === "boolean") {
    input = make("input", "", { type: "checkbox", checked: setting.value });
    input.onchange = () => change(input.checked);
    row.append(input, label);
  } else if (typeof setting.value === "number" && setting.low !== null && setting.high !== null) {
    const step = (setting.high - setting.low) / 100, output = make("output", String(setting.value));
    input = make("input", "", { type: "range", min: setting.low, max: setting.high, step, value: setting.value });
    input.oninput = () => { output.textContent = Number(input.value).toFixed(2); };
    input.onchange = () => change(Number(input.value));
    row.append(input, output);
  } else {
    input = make("input", "", { type: typeof setting.value === "number" ? "number" : "text", value: setting.value });
    input.onchange = () => change(typeof setting.value === "number" ? Number(input.value) : input.value);
    row.append(input);
  }
  input.id = id;
  input.setAttribute("aria-describedby", note.id);
  if (!row.contains(label)) box.append(label);
  box.append(row, note);
  return box;
}

function showStream(status) {
  const hertz = (value) => `${(value ?? 0).toFixed(1)} Hz`;
  const drops = Object.entries(status.drops).map(([cause, count]) => `${count} ${cause.replaceAll("_", " ")}`);
  const facts = [
    ["Visible", hertz(status.rates.visible)], ["Thermal", hertz(status.rates.thermal)], ["Fused", hertz(status.rates.fused)],
    ["Per picture", status.latency_ms === null ? "–" : `${status.latency_ms.toFixed(0)} ms`],
    ["Dropped", drops.join(", ") || "none"], ["Pages open", String(status.viewers)],
  ];
  $("stream").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
}

function showRecording(recording) {
  const button = $("record");
  button.disabled = false;
  button.setAttribute("aria-pressed", String(recording.on));
  button.querySelector("span").textContent = recording.on ? "Stop recording" : "Record";
  $("recording-card").hidden = !recording.file && !recording.problem;
  const missed = recording.left_out ? `, ${recording.left_out} left out as the disk is slow` : "";
  const state = recording.problem ? `Ended: ${recording.problem}` : recording.on ? "Recording" : "Recorded";
  $("recording").textContent = `${state}: ${recording.frames} pictures${missed}, in ${recording.file} on the robot.`;
}

function choose(name, value) {
  document.querySelector(`input[name=${name}][value=${value}]`).checked = true;
  apply();
}

function apply() {
  const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
  stage.mode = chosen("mode");
  stage.tool = chosen("tool");
  stage.boxes = $("boxes").checked;
  [stage.first, stage.second] = [$("first").value, $("second").value];
  const wiping = stage.mode === "wipe";
  $("mix").hidden = !wiping && stage.mode !== "overlay";
  $("first-label").textContent = wiping ? "Left" : "Below";
  $("second-label").textContent = wiping ? "Right" : "Above";
  $("share-label").textContent = wiping ? "Position" : "Strength";
  $("stage").classList.toggle("marking", stage.tool === "mark");
  $("keys").textContent = KEYS[stage.tool];
  stage.draw();
  wish();
}

for (const input of document.querySelectorAll("input[name=mode], input[name=tool], #boxes, #first, #second")) input.onchange = apply;
$("share").oninput = () => { stage.share = $("share").value / 100; stage.draw(); };
$("unprobe").onclick = () => { measure(null); $("stage").focus(); };
$("unmark").onclick = () => { link.send({ kind: "unmark" }); $("stage").focus(); };
$("record").onclick = () => link.send({ kind: "record", on: $("record").getAttribute("aria-pressed") !== "true" });
$("describe").onsubmit = (event) => { event.preventDefault(); link.send({ kind: "text", text: $("text").value }); };
document.addEventListener("visibilitychange", wish);
addEventListener("resize", () => { stage.draw(); wish(); });
apply();
