"use strict";
// Draws the figures of a report. Everything it needs is in the page: the data as JSON, Plotly.js compressed.
(async () => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const plots = [...document.querySelectorAll("[data-figure]")];
  const drawn = new Set();

  async function loadPlotly() {
    const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), (char) => char.charCodeAt(0));
    const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(unpacked).text();
    document.head.append(script);
  }

  // Plotly reads some HTML in its texts; names and configs must stay text.
  const escaped = (given) => String(given).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

  function wrapped(line, width) {
    const lines = [];
    let rest = line;
    while (rest.length > width) {
      const space = rest.lastIndexOf(" ", width);
      const cut = space > width / 3 ? space : width;
      lines.push(rest.slice(0, cut));
      rest = "   " + rest.slice(cut).trimStart();
    }
    return [...lines, rest];
  }

  function hoverOf(number) {
    const network = data.networks[number];
    const width = innerWidth < 600 ? 30 : 48;
    const config = network.config.flatMap((line) => wrapped(line, width));
    const lines = network.lines.flatMap((line) => wrapped(line, width));
    return [...lines.map((line) => `<b>${escaped(line)}</b>`), ...config.map(escaped)].join("<br>");
  }

  const role = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // "@ink" becomes the theme's colour, but only where a colour is expected: a platform may well be called "@ink".
  function painted(value, key = "") {
    if (Array.isArray(value)) return value.map((entry) => painted(entry, key));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v, k)]));
    const expected = key.endsWith("color") || key === "colorscale";
    return expected && typeof value === "string" && value.startsWith("@") ? role(value.slice(1)) : value;
  }

  function template() {
    const [ink, muted, line, card] = ["ink", "muted", "line", "card"].map(role);
    const axis = {
      gridcolor: line, zerolinecolor: line, linecolor: muted, ticks: "outside", ticklen: 4, tickcolor: line, automargin: true,
      title: { font: { size: 13, color: muted }, standoff: 10 }, tickfont: { size: 12, color: muted }, showline: false, zeroline: false,
    };
    const hover = { bgcolor: card, bordercolor: muted, align: "left", font: { family: role("mono"), size: 12, color: ink }, namelength: -1 };
    return { layout: {
      font: { family: role("sans"), size: 13, color: ink }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: axis, yaxis: axis, hoverlabel: hover, hovermode: "closest", hoverdistance: 30,
      legend: { orientation: "h", x: 0, y: 0, yref: "container", yanchor: "bottom", font: { size: 12, color: ink }, itemsizing: "constant" },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: role("accent") },
      coloraxis: { colorbar: { outlinewidth: 0, thickness: 10, tickfont: { color: muted, size: 11 } } },
      margin: { l: 10, r: 12, t: 26, b: 76 }, dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    } };
  }

  // Platforms that the reader has switched off, by number.
  const off = new Set();

  function traces(figure) {
    return figure.data.map((given) => {
      const trace = painted(given);
      if (trace.meta && off.has(String(trace.meta.platform))) trace.visible = false;
      if (!trace.customdata) return trace;
      trace.text = trace.customdata.map(hoverOf);
      trace.hovertemplate = "%{text}<extra></extra>";
      return trace;
    });
  }

  function draw(plot) {
    const figure = data.figures[plot.dataset.figure];
    const layout = { ...painted(figure.layout), template: template() };
    if (layout.showlegend === false) layout.margin = { b: 50 };
    const config = { displaylogo: false, responsive: true, modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]] };
    plot.classList.remove("waiting");
    drawn.add(plot);
    return Plotly.react(plot, traces(figure), layout, config);
  }

  function filter(box) {
    box.addEventListener("change", () => {
      if (box.checked) off.delete(box.value);
      else off.add(box.value);
      for (const part of document.querySelectorAll("[data-p]")) {
        part.classList.toggle("off", part.dataset.p.split(" ").some((platform) => off.has(platform)));
      }
      document.querySelectorAll("[data-chooser]").forEach(rechoose);
      drawn.forEach(draw);
    });
  }

  // What is switched off cannot be chosen; where it was, the first that can be is.
  function rechoose(select) {
    for (const option of select.options) {
      option.disabled = option.hidden = document.getElementById(option.value).classList.contains("off");
    }
    if (!select.selectedOptions.length || select.selectedOptions[0].disabled) {
      select.value = [...select.options].find((option) => !option.disabled)?.value ?? "";
      select.dispatchEvent(new Event("change"));
    }
  }

  function chooseOne(select) {
    const show = () => {
      for (const option of select.options) document.getElementById(option.value).hidden = option.value !== select.value;
    };
    select.addEventListener("change", show);
    show();
  }

  function download(button) {
    const text = JSON.stringify(JSON.parse(document.getElementById(button.dataset.source).textContent), null, 1);
    save(text, button.dataset.download, "application/json");
  }

  function save(text, name, type) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  // Where a page is not trusted with the clipboard, a selected text can be copied all the same.
  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
    } catch (error) {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  }

  function button(label, act, says = "") {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    if (says) made.setAttribute("aria-label", says);
    made.addEventListener("click", () => act(made));
    return made;
  }

  async function copied(made, text) {
    await copy(text);
    const label = made.textContent;
    made.textContent = "Copied";
    setTimeout(() => { made.textContent = label; }, 1500);
  }

  // A number as it was found, not as it is shown.
  const valueOf = (cell) => cell.dataset.value ?? (cell.querySelector(".command") ?? cell).textContent.trim();
  const missing = (value) => value === "" || value === "\u2013";

  function rowsOf(table) {
    const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim());
    const rows = [...table.tBodies[0].rows].map((row) => [...row.cells].map(valueOf).map((value) => missing(value) ? "" : value));
    return [heads, ...rows];
  }

  const quoted = (value) => /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  const csvOf = (table) => rowsOf(table).map((row) => row.map(quoted).join(",") + "\r\n").join("");
  const tabbed = (table) => rowsOf(table).map((row) => row.map((value) => value.replace(/\s+/g, " ")).join("\t")).join("\n");

  // Numbers by size, words by the alphabet, what is missing always last.
  function sort(table, column, down) {
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row.cells[column]), row]);
    const known = rows.filter(([value]) => !missing(value));
    const numbers = known.every(([value]) => !isNaN(value));
    const order = ([a], [b]) => (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true })) * (down ? -1 : 1);
    const sorted = [...known.sort(order), ...rows.filter(([value]) => missing(value))];
    table.tBodies[0].append(...sorted.map(([, row]) => row));
    [...table.tHead.rows[0].cells].forEach((head, index) => {
      if (index === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    });
  }

  function equip(table) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const label = head.textContent.trim();
      const act = () => sort(table, column, head.getAttribute("aria-sort") === "ascending");
      head.replaceChildren(button(label, act, `Sort by ${label}`));
    });
    const tools = document.createElement("div");
    tools.className = "tools";
    const name = `${table.dataset.name.replace(/[^\w-]+/g, "-")}.csv`;
    tools.append(button("Copy", (made) => copied(made, tabbed(table))), button("CSV", () => save(csvOf(table), name, "text/csv"), "Download as CSV"));
    table.parentElement.before(tools);
    for (const command of table.querySelectorAll(".command")) {
      command.after(button("Copy", (made) => copied(made, command.textContent), "Copy the command"));
    }
  }

  document.querySelectorAll("table.data").forEach(equip);
  document.querySelectorAll("[data-chooser]").forEach(chooseOne);
  document.querySelectorAll("[data-filter]").forEach(filter);
  document.querySelectorAll("[data-download]").forEach((button) => button.addEventListener("click", () => download(button)));
  for (const plot of plots) {
    plot.classList.add("waiting");
    plot.textContent = "Drawing\u2026";
  }
  try {
    await loadPlotly();
  } catch (error) {
    for (const plot of plots) plot.textContent = "This browser cannot unpack the drawing library; the table below holds the same.";
    return;
  }
  for (const plot of plots) plot.textContent = "";
  // A figure is drawn when it comes near: a page of many figures opens at once.
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (entry.isIntersecting && !drawn.has(entry.target)) draw(entry.target);
    }
  }, { rootMargin: "400px" });
  plots.forEach((plot) => near.observe(plot));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawn.forEach(draw));
  addEventListener("beforeprint", () => plots.filter((plot) => !drawn.has(plot)).forEach(draw));
  document.documentElement.dataset.ready = "yes";
})();
