"use strict";
const { Niivue, NVImage } = niivue;
const byId = (id) => document.getElementById(id);
const cases = JSON.parse(byId("content").textContent);
const figures = [...document.querySelectorAll("#panels figure")];
const buttons = [...document.querySelectorAll("#cases button")];
const PLANES = { x: 2, y: 1, z: 0 };
const drawn = Boolean(document.createElement("canvas").getContext("webgl2")); // else slices, one plane
const state = { place: 0, view: 0, masks: true, opening: 0 };
const entry = () => cases[state.place];

function bytes(id) {
  return Uint8Array.from(atob(byId(id).textContent), (sign) => sign.charCodeAt(0)).buffer;
}

function colourTable(places) {
  const rgb = places.map(([, colour]) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)));
  const channel = (index) => [0, ...rgb.map((one) => one[index])];
  const names = places.map(([name]) => name);
  return { R: channel(0), G: channel(1), B: channel(2), A: [0, ...rgb.map(() => 255)], I: [0, ...rgb.map((_, i) => i + 1)], labels: ["", ...names] };
}

/* A panel by NiiVue: linked planes and 3D. */
class Planes {
  constructor(canvas) {
    this.nv = new Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [0.35, 0.75, 1, 0.7],
      crosshairWidth: 0.35, crosshairWidthUnit: "percent", isRadiologicalConvention: true,
      dragAndDropEnabled: false, multiplanarShowRender: 1, multiplanarLayout: 2, viewModeHotKey: "", clipPlaneHotKey: "",
      cycleClipPlaneHotKey: "", logLevel: "error", loadingText: "",
    });
    this.nv.onLocationChange = (found) => tell(found.mm);
    this.nv.onIntensityChange = (volume) => windowed(volume.cal_min, volume.cal_max);
    this.ready = this.nv.attachToCanvas(canvas);
  }
  async show(scan, mask, at) {
    await this.ready;
    this.nv.volumes = [];
    this.nv.addVolume(scan);
    this.nv.addVolume(mask);
    this.nv.scene.crosshairPos = this.nv.mm2frac(at);
    this.draw();
  }
  draw() {
    const [scan, mask] = this.nv.volumes, zoom = Number(byId("zoom").value);
    if (!mask) return;
    [scan.cal_min, scan.cal_max] = [Number(byId("black").value), Number(byId("white").value)];
    this.nv.setAtlasOutline(byId("outline").checked ? 1 : 0);
    this.nv.setOpacity(1, state.masks ? Number(byId("opacity").value) : 0); // updates all volumes
    this.nv.opts.isOrientationTextVisible = !entry().picture; // a photograph has no left of a patient
    this.nv.setSliceType(entry().flat ? PLANES[entry().flat] : Number(byId("planes").value));
    const at = this.nv.frac2mm(this.nv.scene.crosshairPos);
    this.nv.scene.pan2Dxyzmm = [...[0, 1, 2].map((axis) => (1 - zoom) * at[axis]), zoom];
    this.nv.setScale(zoom);
  }
  nameAt(mm) {
    const mask = this.nv.volumes[1];
    return mask ? mask.getValue(...mask.mm2vox([mm[0], mm[1], mm[2]])) : 0;
  }
}

/* A panel without WebGL2: slices of one plane. */
class Slices {
  constructor(canvas) { this.canvas = canvas; }
  show(scan, mask) { [this.scan, this.mask] = [scan, mask]; this.draw(); }
  draw() {
    if (!this.scan) return;
    const chosen = Number(byId("planes").value), plane = entry().flat ? PLANES[entry().flat] : chosen % 3;
    const fixed = 2 - plane, [across, down] = [0, 1, 2].filter((axis) => axis !== fixed);
    const dims = this.scan.hdr.dims.slice(1, 4), mm = this.scan.hdr.pixDims.slice(1, 4), step = [1, dims[0], dims[0] * dims[1]];
    const slider = byId("slice"), [black, white] = [Number(byId("black").value), Number(byId("white").value)];
    slider.max = dims[fixed] - 1;
    const { scl_slope: slope, scl_inter: inter } = this.scan.hdr, veil = state.masks ? Number(byId("opacity").value) : 0;
    const picture = new ImageData(dims[across], dims[down]);
    for (let row = 0; row < dims[down]; row++) for (let column = 0; column < dims[across]; column++) {
      const place = Number(slider.value) * step[fixed] + (dims[down] - 1 - row) * step[down]
        + (across === 0 ? dims[0] - 1 - column : column) * step[across];
      const grey = 255 * (this.scan.img[place] * slope + inter - black) / (white - black), label = this.mask.img[place];
      const colour = ["R", "G", "B"].map((name) => this.mask.table[name][label]), share = label ? veil : 0;
      picture.data.set([...colour.map((value) => (1 - share) * grey + share * value), 255], 4 * (row * dims[across] + column));
    }
    [this.canvas.width, this.canvas.height] = [dims[across], dims[down]];
    this.canvas.style.aspectRatio = (dims[across] * mm[across]) / (dims[down] * mm[down]);
    this.canvas.getContext("2d").putImageData(picture, 0, 0);
  }
}

const screens = [];
const shown = () => screens.slice(0, entry().views[state.view].panels.length);
const redraw = () => shown().forEach((screen) => screen.draw());

function tell(mm) {
  const names = entry().views[state.view].panels.map(([title, , kind], index) => {
    const place = screens[index].nameAt(mm);
    return `${title}: ${place ? entry().palettes[kind][place - 1][0] : "nothing"}`;
  });
  byId("where").textContent = `${[0, 1, 2].map((axis) => mm[axis].toFixed(0)).join(", ")} mm · ${names.join(" · ")}`;
}

function windowed(black, white) {
  [byId("black").value, byId("white").value] = [black, white];
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.textContent = text;
  return made;
}

function describe() {
  const one = entry(), number = (value, digits) => (value === null ? "–" : value.toFixed(digits));
  const volume = (ml) => (ml === null ? "–" : ml === 0 ? "0" : ml < 100 ? ml.toPrecision(3) : ml.toFixed(0));
  byId("case").textContent = one.case;
  byId("about").textContent = [
    one.channel, one.quality === null ? "" : `quality ${one.quality.toFixed(2)}`, one.estimate, one.why || (one.look ? "among the least trusted" : ""),
  ].filter(Boolean).join(" · ");
  byId("reduced").textContent = one.reduced;
  byId("scores").replaceChildren(...one.scores.map((score) => {
    const row = document.createElement("tr");
    row.append(element("td", score.region));
    for (const text of [number(score.agreement, 2), number(score.dice, 3), volume(score.volume_ml), volume(score.reference_ml)]) row.append(element("td", text));
    return row;
  }));
  byId("views").replaceChildren(...one.views.map((view, index) => {
    const button = element("button", view.title, { type: "button", onclick: () => open(state.place, index) });
    button.setAttribute("aria-pressed", index === state.view);
    return button;
  }));
  byId("views").hidden = one.views.length < 2;
  byId("planes").disabled = Boolean(one.flat);
  const kinds = one.views[state.view].panels.map(([, , kind]) => kind), entries = new Map();
  for (const kind of kinds) for (const [name, colour] of one.palettes[kind]) entries.set(name, colour);
  byId("legend").replaceChildren(...[...entries].map(([name, colour]) => {
    const item = document.createElement("li"), swatch = element("span", "", { className: "swatch" });
    swatch.style.background = colour;
    item.append(swatch, name);
    return item;
  }));
  buttons.forEach((button, index) => button.setAttribute("aria-current", index === state.place));
}

async function open(place, view = 0) {
  const opening = ++state.opening, other = place !== state.place || opening === 1;
  Object.assign(state, { place, view: Math.min(view, cases[place].views.length - 1) });
  describe();
  const panels = entry().views[state.view].panels, [least, greatest, black, white] = entry().windows[panels[0][1]] ?? [0, 1, 0, 1];
  for (const id of ["black", "white"]) Object.assign(byId(id), { min: least, max: greatest, step: (greatest - least) / 200 || 1 });
  windowed(black, white);
  if (other) byId("zoom").value = 1;
  figures.forEach((figure, index) => { figure.hidden = index >= panels.length; });
  for (const [index, [title, scanKind, maskKind]] of panels.entries()) {
    figures[index].querySelector("figcaption").textContent = title;
    screens[index] ??= new (drawn ? Planes : Slices)(figures[index].querySelector("canvas"));
    const scan = await NVImage.new(bytes(`${place}-${scanKind}`), "scan.nii.gz", "gray", 1, null, black, white);
    const mask = await NVImage.new(bytes(`${place}-${maskKind}`), "mask.nii.gz", "gray", 1);
    mask.table = colourTable(entry().palettes[maskKind]);
    mask.setColormapLabel(mask.table);
    if (opening !== state.opening) return; // another case was chosen meanwhile
    if (!drawn && index === 0) Object.assign(byId("slice"), { max: 1e6, value: entry().first });
    await screens[index].show(scan, mask, entry().centre);
  }
  if (drawn) shown().forEach((one) => one.nv.broadcastTo(shown().filter((two) => two !== one).map((two) => two.nv), { "2d": true, "3d": true }));
  if (drawn) tell(entry().centre);
  document.body.dataset.shown = `${state.place}-${state.view}`;
}

function turn(by) {
  const place = (state.place + by + cases.length) % cases.length;
  open(place, state.view);
  buttons[place]?.scrollIntoView({ block: "nearest" });
}

function named() {
  const name = new URLSearchParams(location.hash.slice(1)).get("case");
  return Math.max(0, cases.findIndex((one) => one.case === name));
}

buttons.forEach((button, index) => button.addEventListener("click", () => open(index, state.view)));
for (const id of ["opacity", "black", "white", "zoom", "outline", "planes", "slice"]) byId(id).addEventListener("input", redraw);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
  const list = event.target.closest("#cases") && { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const by = list || { n: 1, p: -1 }[event.key.toLowerCase()];
  if (by) { event.preventDefault(); turn(by); if (list) buttons[state.place].focus(); }
  if (event.key.toLowerCase() === "m") { state.masks = !state.masks; redraw(); }
  const view = Number(event.key) - 1;
  if (view >= 0 && view < entry().views.length) open(state.place, view);
});
window.addEventListener("hashchange", () => open(named(), state.view));
document.body.classList.toggle("plain", !drawn);
if (!drawn) new Niivue({ logLevel: "error" }); // reading a file is not worth a word in the console
open(named());
