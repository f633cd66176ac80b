"use strict";
// What a comparison says at another R, by the rules of exchange/headline.py and matched.py on the lines that
// exchange/what_if.py made: linear between the points, nothing below the first, a bound beyond `most`.
const whatIf = (() => {
  const SLACK = 1e-6;

  // A key of a curve at FLOPs a query: linear between its points, held at the ends; null where it has none.
  function along(curve, key, flops) {
    const x = curve.flops, y = curve[key], right = x.findIndex(at => at >= flops);
    if (right <= 0) return right === 0 ? y[0] : y[y.length - 1];
    if (y[right] === null) return null;
    const share = (flops - x[right - 1]) / (x[right] - x[right - 1]);
    return (1 - share) * y[right - 1] + share * y[right];
  }

  // The rule, the group and the choices of helpers of a question, each with its training over both sides'.
  function chosen(doc, ask) {
    const charge = doc.charges.find(one => one.verifier === ask.verifier && one.difficulty === ask.difficulty);
    const part = charge.parts.find(one => one.group === ask.group);
    const [small, large] = ask.sunk || !doc.training ? [0, 0] : doc.training;
    const choices = (ask.tuning ? charge.helpers : [0]).map((helpers, i) => ({
      helpers, models: charge.models[i], curve: part.curves[ask.strategy || "compute-optimal"][i],
      flops: part.answer + (large - small - helpers) / ask.queries,
    }));
    return {part, small, large, choices};
  }

  // What is said at so many queries: ask = {queries, group, verifier, difficulty, tuning, sunk, strategy}.
  function read(doc, ask) {
    const {part, small, large, choices} = chosen(doc, ask);
    const one = choices.find(at => at.flops >= at.curve.flops[0] * (1 - SLACK)) || choices[0];
    const found = {
      flops: one.flops, models: one.models, large: part.large, answer: part.answer, curve: one.curve,
      training: [small, large], helpers: one.helpers, problems: part.problems,
    };
    if (one.flops < one.curve.flops[0] * (1 - SLACK)) return {...found, verdict: "cannot pay"};
    const ends = ["low", "high"].map(end => along(one.curve, end, one.flops));
    const verdict = ends[0] === null || (ends[0] <= 0 && ends[1] >= 0) ? "undecided"
      : ends[0] > 0 ? "test-time" : "pretraining";
    if (one.flops > one.curve.most * (1 + SLACK) && verdict !== "test-time") return {...found, verdict: "outside"};
    const accuracy = along(one.curve, "accuracy", one.flops);
    const spent = Math.min(one.flops, one.curve.flops[one.curve.flops.length - 1]);
    return {...found, verdict, accuracy, spent, difference: accuracy - part.large, low: ends[0], high: ends[1]};
  }

  // The least FLOPs at which the small side reaches an accuracy, with the helpers that make its lifetime least;
  // null where none does. And the large model's lifetime, null where it falls short.
  function reach(doc, ask, target) {
    const {part, small, large, choices} = chosen(doc, ask);
    const ways = choices.map(one => ({...one, at: first(one.curve, target)})).filter(one => one.at !== null)
      .map(one => ({flops: one.at, models: one.models, lifetime: small + one.helpers + ask.queries * one.at}))
      .sort((a, b) => a.lifetime - b.lifetime);
    return {
      small: ways[0] || null,
      large: part.large >= target ? {flops: part.answer, lifetime: large + ask.queries * part.answer} : null,
    };
  }

  function first(curve, target) {
    const i = curve.accuracy.findIndex((value, at) => value >= target && curve.flops[at] <= curve.most);
    if (i <= 0) return i === 0 ? curve.flops[0] : null;
    const [x0, x1, y0, y1] = [curve.flops[i - 1], curve.flops[i], curve.accuracy[i - 1], curve.accuracy[i]];
    return x0 + (target - y0) / (y1 - y0) * (x1 - x0);
  }

  return {read, reach};
})();
