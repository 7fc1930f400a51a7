"use strict";

// Labels to check: answers are kept by the browser, estimate how many labels
// are wrong, and are saved as a CSV file.
(() => {
  const section = document.getElementById("check");
  const questions = [...section.querySelectorAll(".question")];
  const ids = new Set(questions.map((question) => question.dataset.id));
  const { numSamples, fingerprint } = section.dataset;
  const [sizes, answersBefore, wrongBefore] = JSON.parse(section.dataset.layers);
  const place = `keras_curvenet checked labels ${fingerprint}`;

  // All that was answered, in order, [sample id, answer, right label]: what
  // was said last of a sample counts, and undoing takes the last away.
  let said = [];
  let ofOtherPages = [];

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(place)) || [];
      said = kept.filter(([id]) => ids.has(id));
      ofOtherPages = kept.filter(([id]) => !ids.has(id));
    } catch (error) {
      document.getElementById("check-not-kept").hidden = false;
    }
  }

  function keep() {
    try {
      localStorage.setItem(place, JSON.stringify([...ofOtherPages, ...said]));
    } catch (error) {
      document.getElementById("check-not-kept").hidden = false;
    }
  }

  function answers() {
    return new Map(said.map(([id, answer, label]) => [id, { answer, label }]));
  }

  // Lower end of Wilson's interval, by one over the number of answers.
  function lowerEnd(share, left) {
    const square = 1.959964 ** 2 * left;
    const variance = share * (1 - share) * square + square ** 2 / 4;
    const lower = Math.max(share + square / 2 - Math.sqrt(variance), 0);
    return lower / (1 + square);
  }

  // As `stratified_share` of share_of_wrong.py.
  function stratifiedShare(numWrong, numAnswers) {
    const layers = sizes.map((_, layer) => ({
      layer, size: 0, wrong: numWrong[layer], answers: numAnswers[layer],
    })).filter((one) => one.answers > 0);
    if (!layers.length) return null;
    sizes.forEach((size, layer) => {
      const distance = (one) => Math.abs(one.layer - layer);
      layers.reduce((a, b) => (distance(b) < distance(a) ? b : a)).size += size;
    });
    const sum = (term) => layers.reduce((total, one) => total + term(one), 0);
    const total = sum((one) => one.size);
    const share = sum((one) => one.size * one.wrong / one.answers) / total;
    const left = sum(({ size, wrong, answers }) => {
      const part = (size / total) ** 2 * (1 - answers / size) / answers;
      if (share === 0 || share === 1) return part;
      const rate = (wrong + 0.5 * share) / (answers + 0.5);
      return part * rate * (1 - rate) / (share * (1 - share));
    });
    return [share, lowerEnd(share, left), 1 - lowerEnd(1 - share, left)];
  }

  function estimate(given) {
    const numWrong = [...wrongBefore];
    const numAnswers = [...answersBefore];
    questions.forEach(({ dataset }) => {
      const one = given.get(dataset.id);
      if (!one || one.answer === "can't tell") return;
      numAnswers[dataset.layer] += 1;
      if (one.answer === "wrong") numWrong[dataset.layer] += 1;
    });
    return stratifiedShare(numWrong, numAnswers);
  }

  function percent(share) {
    return `${(100 * share).toFixed(1)} %`;
  }

  function show() {
    const given = answers();
    questions.forEach((question) => {
      const one = given.get(question.dataset.id);
      question.classList.toggle("answered", Boolean(one));
      question.querySelectorAll("button").forEach((button) => {
        const isGiven = Boolean(one) && one.answer === button.value;
        button.setAttribute("aria-pressed", String(isGiven));
      });
      const select = question.querySelector("select");
      if (select) select.value = one ? one.label : "";
    });
    document.getElementById("check-progress").value = given.size;
    document.getElementById("check-count").textContent = given.size;
    document.getElementById("check-undo").disabled = !said.length;
    document.getElementById("check-save").disabled = !given.size;
    const shares = estimate(given);
    document.getElementById("check-estimate").textContent = shares
      ? `${percent(shares[0])} of all labels are wrong `
        + `(95 % interval: ${percent(shares[1])} to ${percent(shares[2])})`
      : "no estimate yet";
  }

  function goTo(question) {
    question.focus({ preventScroll: true });
    question.scrollIntoView({ block: "center" });
  }

  function say(question, answer, label) {
    said.push([question.dataset.id, answer, label]);
    keep();
    show();
  }

  // Says it, and goes on to the next that has no answer.
  function sayAndGoOn(question, answer) {
    say(question, answer, "");
    const given = answers();
    const here = questions.indexOf(question);
    const next = [...questions.slice(here + 1), ...questions.slice(0, here)]
      .find(({ dataset }) => !given.has(dataset.id));
    if (next) goTo(next);
    else document.getElementById("check-save").focus();
  }

  function undo() {
    if (!said.length) return;
    const [id] = said.pop();
    keep();
    show();
    goTo(questions.find(({ dataset }) => dataset.id === id));
  }

  function csv() {
    const rows = [
      "sample_id,given_label,answer,right_label,num_samples,fingerprint",
    ];
    const given = answers();
    questions.forEach(({ dataset }) => {
      const one = given.get(dataset.id);
      if (!one) return;
      rows.push([
        dataset.id, dataset.label, one.answer, one.label, numSamples, fingerprint,
      ].join(","));
    });
    return rows.map((row) => `${row}\r\n`).join("");
  }

  function save() {
    const file = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    const link = document.createElement("a");
    link.href = file;
    link.download = "checked_labels.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(file), 60000);
  }

  const keys = { r: "right", w: "wrong", c: "can't tell" };

  questions.forEach((question) => {
    question.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (button) sayAndGoOn(question, button.value);
    });
    question.addEventListener("change", ({ target }) => {
      say(question, "wrong", target.value);
    });
    question.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.target.closest("select")) return;
      const key = event.key.toLowerCase();
      if (key === "u") undo();
      else if (key in keys) sayAndGoOn(question, keys[key]);
      else return;
      event.preventDefault();
    });
  });
  document.getElementById("check-undo").addEventListener("click", undo);
  document.getElementById("check-save").addEventListener("click", save);
  load();
  show();
  section.hidden = false;
})();
