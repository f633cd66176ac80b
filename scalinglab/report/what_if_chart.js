"use strict";
// One chart of lines with bands, a point and a budget: by plotly where the page brings it, else as a small SVG.
// shown = {lines: [{name, x, y, low, high, colour, dash}], point: {name, x, y}, budget, at, title, axes: [x, y]}
const whatIfChart = (() => {
  const NS = "http://www.w3.org/2000/svg", EDGE = {left: 46, right: 12, top: 34, bottom: 40}, LETTER = 6.3;

  // Names are text, and plotly reads tags in them.
  const plain = text => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");

  function plotly(place, shown) {
    const bands = shown.lines.filter(line => line.low).flatMap(line => [
      {x: line.x, y: line.low, line: {width: 0}, hoverinfo: "skip", showlegend: false, mode: "lines"},
      {x: line.x, y: line.high, line: {width: 0}, hoverinfo: "skip", showlegend: false, mode: "lines",
        fill: "tonexty", fillcolor: line.colour + "26"},
    ]);
    const lines = shown.lines.map(line => ({x: line.x, y: line.y, name: plain(line.name), mode: "lines",
      line: {color: line.colour, dash: line.dash ? "dash" : "solid"}}));
    const marks = [{name: plain(shown.point.name), x: [shown.point.x], y: [shown.point.y], mode: "markers",
      marker: {symbol: "diamond", size: 11, color: "#1a1a1a"}}];
    if (shown.at !== null) marks.push({name: "here", x: [shown.budget], y: [shown.at], mode: "markers",
      marker: {size: 12, color: "#b3261e"}});
    const axis = {automargin: true, gridcolor: "#e3e3e3"};
    Plotly.react(place, [...bands, ...lines, ...marks].map(one => ({...one, hovertemplate: "%{x:.3g}: %{y:.1f} %"})), {
      margin: {l: 50, r: 10, t: 10, b: 45}, legend: {orientation: "h", y: -0.25}, hovermode: "closest",
      xaxis: {...axis, type: "log", title: {text: shown.axes[0]}, exponentformat: "e"},
      yaxis: {...axis, title: {text: shown.axes[1]}},
      shapes: shown.budget > 0 ? [{type: "line", x0: shown.budget, x1: shown.budget, yref: "paper", y0: 0, y1: 1,
        line: {color: "#b3261e", width: 1, dash: "dot"}}] : [],
    }, {responsive: true, displaylogo: false, modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]]});
  }

  function element(name, attributes, text) {
    const made = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function ticks(low, high) {
    const step = [1, 2, 5, 10, 20, 25].find(one => (high - low) / one <= 6) || 50, found = [];
    for (let at = Math.ceil(low / step) * step; at <= high; at += step) found.push(at);
    return found;
  }

  function svg(place, shown) {
    const width = place.clientWidth || 600, height = place.clientHeight || 300;
    const xs = [...shown.lines.flatMap(line => line.x), shown.point.x].map(Math.log10);
    const ys = [...shown.lines.flatMap(line => [...line.y, ...(line.low || []), ...(line.high || [])]), shown.point.y];
    const [x0, x1] = [Math.min(...xs) - 0.1, Math.max(...xs) + 0.1];
    const [y0, y1] = [Math.max(0, Math.min(...ys) - 2), Math.min(100, Math.max(...ys) + 2)];
    const x = value => EDGE.left + (Math.log10(value) - x0) / (x1 - x0) * (width - EDGE.left - EDGE.right);
    const y = value => height - EDGE.bottom - (value - y0) / (y1 - y0) * (height - EDGE.top - EDGE.bottom);
    const path = (a, b) => a.map((at, i) => `${x(at).toFixed(1)},${y(b[i]).toFixed(1)}`);
    const root = element("svg", {viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": shown.title});
    const add = (...given) => root.append(element(...given));
    const label = (text, at) => add("text", {"font-size": 12, fill: "#1a1a1a", ...at}, text);
    for (const at of ticks(y0, y1)) {
      add("path", {d: `M${EDGE.left},${y(at)}H${width - EDGE.right}`, stroke: "#e3e3e3"});
      label(at, {x: EDGE.left - 5, y: y(at) + 4, "text-anchor": "end"});
    }
    const every = Math.ceil((x1 - x0) * 60 / (width - EDGE.left - EDGE.right));
    for (let at = Math.ceil(x0); at <= x1; at += every) {
      label(`1e${at}`, {x: x(10 ** at), y: height - EDGE.bottom + 16, "text-anchor": "middle"});
    }
    label(shown.axes[0], {x: (width + EDGE.left) / 2, y: height - 6, "text-anchor": "middle"});
    label(shown.axes[1], {x: 4, y: 12});
    for (const line of shown.lines) {
      if (line.low) add("polygon", {points: [...path(line.x, line.high), ...path(line.x, line.low).reverse()].join(" "),
        fill: line.colour, opacity: 0.15});
      add("polyline", {points: path(line.x, line.y).join(" "), fill: "none", stroke: line.colour, "stroke-width": 2,
        "stroke-dasharray": line.dash ? "6 4" : "none"});
    }
    let left = EDGE.left;
    for (const one of [...shown.lines, {name: shown.point.name, colour: "#1a1a1a"}]) {
      const most = Math.max(4, Math.floor((width - left - 20) / LETTER));
      const name = one.name.length > most ? one.name.slice(0, most - 1) + "…" : one.name;
      add("rect", {x: left, y: 19, width: 12, height: 4, fill: one.colour});
      label(name, {x: left + 16, y: 25});
      left += 28 + LETTER * name.length;
    }
    add("path", {d: "m-6,0 6,-6 6,6 -6,6z", fill: "#1a1a1a",
      transform: `translate(${x(shown.point.x)},${y(shown.point.y)})`});
    const here = Math.log10(shown.budget);
    if (here >= x0 && here <= x1) {
      add("path", {d: `M${x(shown.budget)},${EDGE.top}V${height - EDGE.bottom}`, stroke: "#b3261e",
        "stroke-dasharray": "2 3"});
      if (shown.at !== null) add("circle", {cx: x(shown.budget), cy: y(shown.at), r: 6, fill: "#b3261e"});
    }
    place.replaceChildren(root);
  }

  return (place, shown) => typeof Plotly === "undefined" ? svg(place, shown) : plotly(place, shown);
})();
