"use strict";

// How many samples have a label quality below 0.00, 0.01, ..., 1.00.
const below = JSON.parse(document.getElementById("below").textContent);
const slider = document.getElementById("threshold");
const cells = document.querySelectorAll("td.below");
const samples = document.querySelectorAll(".sample");
const groups = document.querySelectorAll(".group");

function setText(id, text) {
  const element = document.getElementById(id);
  if (element) element.textContent = text;
}

function setHidden(id, isHidden) {
  const element = document.getElementById(id);
  if (element) element.hidden = isHidden;
}

function showBelow() {
  const threshold = Number(slider.value);
  const text = (threshold / 100).toFixed(2);
  slider.setAttribute("aria-valuetext", text);
  setText("threshold-value", text);
  document.querySelectorAll(".threshold").forEach((element) => {
    element.textContent = text;
  });
  setText("num-below", below.total[threshold].toLocaleString("en"));
  cells.forEach((cell, place) => {
    const count = below.classes[place][threshold];
    cell.textContent = count.toLocaleString("en");
  });
  let numShown = 0;
  samples.forEach((sample) => {
    sample.hidden = Number(sample.dataset.bin) >= threshold;
    numShown += sample.hidden ? 0 : 1;
  });
  groups.forEach((group) => {
    group.hidden = !group.querySelector(".sample:not([hidden])");
  });
  setText("num-shown-below", numShown.toLocaleString("en"));
  setHidden("nothing-below", numShown > 0);
}

// Without this script the page shows all of its samples, and no slider.
document.querySelectorAll("th.below, td.below").forEach((cell) => {
  cell.hidden = false;
});
setHidden("threshold-bar", false);
setHidden("threshold-note", false);
document.getElementById("threshold-bar").addEventListener("submit", (event) => {
  event.preventDefault();
});
slider.addEventListener("input", showBelow);
showBelow();
