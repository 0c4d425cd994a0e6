"use strict";
(function () {
  const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function colours(layout) {
    const found = { "font.color": ink("--ink"), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)" };
    found["legend.bgcolor"] = "rgba(0,0,0,0)";
    found["modebar.bgcolor"] = "rgba(0,0,0,0)";
    found["modebar.color"] = ink("--dim");
    found["modebar.activecolor"] = ink("--accent");
    found["hoverlabel.bgcolor"] = ink("--paper");
    found["hoverlabel.font.color"] = ink("--ink");
    for (const axis of Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key))) {
      found[axis + ".gridcolor"] = ink("--line");
      found[axis + ".zerolinecolor"] = ink("--line");
      found[axis + ".linecolor"] = ink("--line");
    }
    return found;
  }

  const plots = Array.from(document.querySelectorAll("[data-figure]"));

  async function show(place) {
    const figure = JSON.parse(document.getElementById(place.dataset.figure).textContent);
    const drawing = place.classList.contains("drawing");
    figure.layout.font = { family: getComputedStyle(document.body).fontFamily, size: 12.5 };
    const removed = ["lasso2d", "select2d", "autoScale2d", "sendChartToCloud", "sendDataToCloud"];
    const options = { responsive: !drawing, displaylogo: false, staticPlot: drawing, plotlyServerURL: "", modeBarButtonsToRemove: removed };
    await Plotly.newPlot(place, figure.data, figure.layout, options);
    await Plotly.relayout(place, colours(figure.layout));
  }

  async function showAll() {
    for (const place of plots) await show(place);
    document.documentElement.dataset.ready = "yes";
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((place) => Plotly.relayout(place, colours(place.layout))));

  function table() {
    const source = document.getElementById("trials-data");
    if (!source) return;
    const data = JSON.parse(source.textContent);
    const find = (id) => document.getElementById("trials-" + id);
    const head = find("table").tHead, body = find("table").tBodies[0];
    const size = 50, last = data.columns.length - 1;
    let sorted = -1, down = false, page = 0, wide = last - data.lead <= 6;
    let rows = data.rows;
    const numeric = data.columns.map((_, index) => data.rows.every((row) => row[index] === null || typeof row[index] === "number"));
    const visible = () => data.columns.map((_, index) => index).filter((index) => wide || index < data.lead || index === last);

    function text(value) {
      if (value === null || value === undefined) return "";
      if (typeof value !== "number") return String(value);
      if (Number.isInteger(value)) return value.toLocaleString("en-US");
      return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(5))) : value.toExponential(3);
    }

    function compare(a, b) {
      const x = a[sorted], y = b[sorted];
      if (x === null || y === null) return (x === null) - (y === null);
      const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
      return down ? -order : order;
    }

    function arrange() {
      const words = find("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
      rows = data.rows.filter((row) => {
        const line = row.map(text).join(" ").toLowerCase();
        return words.every((word) => line.includes(word));
      });
      if (sorted >= 0) rows = rows.slice().sort(compare);
      page = 0;
      fill();
    }

    function cell(row, kind, content, index) {
      const made = row.appendChild(document.createElement(kind));
      made.textContent = content;
      if (numeric[index]) made.className = "right";
      return made;
    }

    function fill() {
      const shown = visible();
      head.replaceChildren();
      const top = head.insertRow();
      for (const index of shown) {
        const mark = index === sorted ? (down ? " ↓" : " ↑") : "";
        cell(top, "th", data.columns[index] + mark, index).onclick = () => {
          down = sorted === index ? !down : false;
          sorted = index;
          arrange();
        };
      }
      body.replaceChildren();
      for (const row of rows.slice(page * size, (page + 1) * size)) {
        const line = body.insertRow();
        for (const index of shown) cell(line, "td", text(row[index]), index).title = index === last ? text(row[index]) : "";
      }
      const first = rows.length ? page * size + 1 : 0, end = Math.min(rows.length, (page + 1) * size);
      find("count").textContent = first + " to " + end + " of " + rows.length.toLocaleString("en-US");
      find("back").disabled = page === 0;
      find("next").disabled = end >= rows.length;
    }

    find("wide").checked = wide;
    find("wide").onchange = () => { wide = find("wide").checked; fill(); };
    find("filter").oninput = arrange;
    find("back").onclick = () => { page -= 1; fill(); };
    find("next").onclick = () => { page += 1; fill(); };
    fill();
  }

  table();
  showAll();
})();
