"use strict";
const content = JSON.parse(document.getElementById("content").textContent);
const slider = document.getElementById("slice"), veil = document.getElementById("veil");
const canvases = [...document.querySelectorAll("#stack canvas")];
let hidden = false;

function loaded(sheet) {
  return new Promise((resolve, reject) => {
    sheet.image = new Image();
    sheet.image.onload = resolve;
    sheet.image.onerror = reject;
    sheet.image.src = sheet.png;
  });
}

function cell(context, sheet, place, scale) {
  const x = (place % sheet.columns) * sheet.width, y = Math.floor(place / sheet.columns) * sheet.height;
  context.drawImage(sheet.image, x, y, sheet.width, sheet.height, 0, 0, scale * sheet.width, scale * sheet.height);
}

function draw() {
  const place = Number(slider.value);
  content.panels.forEach((panel, index) => {
    const context = canvases[index].getContext("2d");
    context.imageSmoothingEnabled = false;
    context.globalAlpha = 1;
    context.clearRect(0, 0, content.width, content.height);
    if (panel.scan) cell(context, content.scans[panel.scan], place, content.stride);
    // What differs is thin and has to be seen.
    context.globalAlpha = hidden ? 0 : Math.min(1, Number(veil.value) * (panel.difference ? 2 : 1));
    cell(context, panel, place, 1);
  });
  document.getElementById("where").textContent = `slice ${place + 1} of ${content.slices}`;
}

function turn(by) {
  slider.value = Math.min(content.slices - 1, Math.max(0, Number(slider.value) + by));
  draw();
}

const keys = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6 };
document.addEventListener("keydown", (event) => {
  if (event.target === veil || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in keys) { event.preventDefault(); turn(keys[event.key]); }
  if (event.key === "m" || event.key === "M") { hidden = !hidden; draw(); }
});
document.getElementById("stack").addEventListener("wheel", (event) => {
  event.preventDefault();
  turn(Math.sign(event.deltaY));
}, { passive: false });
slider.addEventListener("input", draw);
veil.addEventListener("input", draw);

slider.value = content.first;
canvases.forEach((canvas) => { canvas.width = content.width; canvas.height = content.height; });
Promise.all([...Object.values(content.scans), ...content.panels].map(loaded)).then(draw);
