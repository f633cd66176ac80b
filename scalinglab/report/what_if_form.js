"use strict";
// The form of the what-if: what is asked is read from it, said in a sentence and a table, and drawn.
(() => {
  const doc = JSON.parse(document.getElementById("what_if-data").textContent);
  const form = document.getElementById("what_if-form"), field = form.elements;
  const [said, goal, table, place] = ["verdict", "goal", "table", "chart"]
    .map(name => document.getElementById(`what_if-${name}`));
  const number = value => value === null || value === undefined ? "–" : !isFinite(value) ? "unlimited"
    : Number(value.toPrecision(4)) >= 1e6 ? value.toExponential(2) : String(Number(value.toPrecision(3)));
  const percent = share => share === undefined ? "–" : (100 * share).toFixed(1) + " %";
  const points = share => (share < 0 ? "−" : "+") + Math.abs(100 * share).toFixed(1);
  const WINS = {
    "test-time": "test-time compute wins", pretraining: "pretraining wins", undecided: "undecided",
  };

  // R, or queries, as the form has it; the other of the two follows.
  function load() {
    const value = Number(field.load.value), byQueries = field.unit && field.unit.value === "queries";
    if (!(value > 0)) return null;
    return byQueries ? {queries: value, r: doc.queries_per_r && value / doc.queries_per_r}
      : {queries: doc.queries_per_r ? value * doc.queries_per_r : Infinity, r: value};
  }

  function asked(queries) {
    return {queries, group: field.group.value, verifier: field.verifier.value, tuning: field.tuning.checked,
      difficulty: field.difficulty ? field.difficulty.checked : false, sunk: field.sunk.checked};
  }

  function where(at) {
    const r = at.r ? `R = ${number(at.r)}` : "";
    return doc.counted && isFinite(at.queries) ? `${r}${r && ", "}${number(at.queries)} queries` : r;
  }

  function sentence(found, at) {
    const sides = `${doc.small} with test-time compute`;
    if (found.verdict === "cannot pay") {
      return `At ${where(at)}: ${sides} cannot pay: training and its cheapest answers cost more than the whole ` +
        `lifetime of ${doc.large}. Pretraining wins.`;
    }
    if (found.verdict === "outside") {
      return `At ${where(at)}: outside what was measured. ${doc.small} may spend ${number(found.flops)} FLOPs a ` +
        `query; up to the dearest that was measured, ${number(found.curve.most)}, it does not decidedly win.`;
    }
    const ends = found.low === null ? "too few problems for an interval"
      : `95 %: ${points(found.low)} to ${points(found.high)}`;
    return `At ${where(at)}: ${sides} ${percent(found.accuracy)}, ${doc.large} ${percent(found.large)}: ` +
      `${points(found.difference)} points (${ends}): ${WINS[found.verdict]}.`;
  }

  function aim(at) {
    const target = Number(field.target.value) / 100;
    if (!(target > 0)) return "";
    const found = whatIf.reach(doc, asked(at.queries), target), told = [];
    const tell = (name, one) => one ? `${name} reaches it for ${number(one.lifetime)} lifetime FLOPs ` +
      `(${number(one.flops)} a query)` : `${name} does not reach it`;
    told.push(tell(doc.small, found.small), tell(doc.large, found.large));
    const both = found.small && found.large;
    const cheaper = both ? `; ${found.small.lifetime < found.large.lifetime ? doc.small : doc.large} is cheaper` : "";
    return `For ${percent(target)}: ${told.join(", ")}${cheaper}, by the means.`;
  }

  function rows(found, at) {
    const [small, large] = found.training, spent = found.spent === undefined ? null : found.spent;
    const total = (training, query) => query === null || !isFinite(at.queries) ? null : training + at.queries * query;
    const body = [
      ["accuracy", percent(found.accuracy), percent(found.large)],
      ["FLOPs a query", number(spent), number(found.answer)],
      ["pretraining FLOPs", number(small), number(large)],
      ["helpers’ training FLOPs", number(found.helpers), "0"],
      ["lifetime FLOPs", number(total(small + found.helpers, spent)), number(total(large, found.answer))],
    ];
    table.tBodies[0].replaceChildren(...body.map(cells => {
      const row = document.createElement("tr");
      cells.forEach((text, i) => {
        const made = document.createElement(i ? "td" : "th");
        made.textContent = text;
        row.append(made);
      });
      return row;
    }));
  }

  function draw(found, at) {
    const lines = ["one arm for all", "compute-optimal"].map((strategy, i) => {
      const {curve, large} = whatIf.read(doc, {...asked(at.queries), strategy});
      const end = curve.flops.findIndex(flops => flops > curve.most * (1 + 1e-9));
      const cut = values => end < 0 ? values : values.slice(0, end);
      const percents = values => cut(values).map(share => 100 * share);
      const band = i && curve.low[0] !== null;
      return {name: strategy, x: cut(curve.flops), y: percents(curve.accuracy),
        low: band ? percents(curve.low.map(low => Math.max(0, large + low))) : null,
        high: band ? percents(curve.high.map(high => Math.min(1, large + high))) : null,
        colour: i ? "#0072b2" : "#a86500", dash: !i};
    });
    whatIfChart(place, {
      lines, point: {name: doc.large, x: found.answer, y: 100 * found.large}, budget: found.flops,
      at: found.accuracy === undefined ? null : 100 * found.accuracy, title: said.textContent,
      axes: ["FLOPs a query", "accuracy (%)"],
    });
  }

  function show() {
    const at = load();
    if (at === null) {
      said.textContent = "Give a number above 0.";
      return;
    }
    const found = whatIf.read(doc, asked(at.queries));
    said.textContent = sentence(found, at);
    said.dataset.verdict = found.verdict.replace(" ", "-");
    goal.textContent = aim(at);
    rows(found, at);
    draw(found, at);
  }

  const scale = () => field.unit && field.unit.value === "queries" ? doc.queries_per_r || 1e9 : 1;
  form.addEventListener("input", event => {
    if (event.target === field.slide) field.load.value = Number((10 ** field.slide.value * scale()).toPrecision(3));
    if (event.target === field.load && field.load.value > 0) field.slide.value = Math.log10(field.load.value / scale());
    if (event.target === field.unit) {
      const factor = field.unit.value === "queries" ? doc.queries_per_r : 1 / doc.queries_per_r;
      field.load.value = Number((field.load.value * factor).toPrecision(4));
    }
    show();
  });
  form.addEventListener("submit", event => event.preventDefault());
  window.addEventListener("resize", show);
  field.load.dispatchEvent(new Event("input", {bubbles: true}));
})();
