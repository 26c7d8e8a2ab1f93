"use strict";
const at = (name) => document.getElementById(name);
const base = location.pathname.endsWith("/") ? location.pathname : location.pathname + "/";

async function look(files) {
  if (!files.length) return;
  at("found").hidden = true;
  at("said").textContent = "Segmenting …";
  const form = new FormData();
  for (const file of files) form.append("files", file);
  try {
    const answer = await fetch(base + "look/", { method: "POST", body: form });
    const content = await answer.json();
    if (!answer.ok) throw new Error(content.detail);
    show(content, files[0].name);
    at("said").textContent = "";
  } catch (error) {
    at("said").textContent = error.message;
  }
}

function show(content, name) {
  const worth = content.quality === null ? "unknown" : content.quality.toFixed(2);
  at("worth").textContent = "Agreement of its views: " + worth + (content.doubted ? " · look at it" : "");
  at("why").textContent = content.look.join("; ");
  at("labels").replaceChildren(...Object.keys(content.label_names).map((label) => {
    const entry = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = content.colours[label];
    const region = content.regions[label];
    const volume = region ? ", " + (region.volume_mm3 / 1000).toFixed(1) + " ml" : "";
    entry.append(swatch, label + volume);
    return entry;
  }));
  at("planes").replaceChildren(...content.planes.map((plane) => {
    const image = new Image();
    image.src = plane.png;
    image.alt = plane.alt;
    image.style.aspectRatio = plane.aspect;
    return image;
  }));
  at("mask").href = content.mask;
  at("mask").download = name.replace(/(\.nii)?\.\w+$/, "") + "_mask" + content.ending;
  at("found").hidden = false;
}

at("files").addEventListener("change", (event) => look(event.target.files));
const drop = at("drop");
for (const kind of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
    if (kind === "drop") look(event.dataTransfer.files);
  });
}
