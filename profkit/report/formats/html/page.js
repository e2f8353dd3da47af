// Sorts, searches, expands and draws what the page holds. Every number is already text: Python formats it.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MOST = 400; // rows that one operator expands to
  const FIRST = 100; // rows drawn at once; more as one scrolls
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children); // strings go in as text
    return made;
  };

  // --- pictures ---
  const PAPER = { "--ink": "#000", "--line": "#bbb", "--wash": "#f4f4f4" }; // while printing the screen's scheme still holds
  const onScreen = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const themed = (layout, colour) => {
    const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), tickcolor: colour("--line") };
    const dressed = { ...layout, font: { ...layout.font, color: colour("--ink"), family: "system-ui, sans-serif" } };
    for (const key of ["xaxis", "yaxis"]) if (layout[key]) dressed[key] = { ...layout[key], ...axis };
    dressed.hoverlabel = { ...layout.hoverlabel, bgcolor: colour("--wash"), font: { color: colour("--ink") } };
    if (layout.updatemenus) {
      dressed.updatemenus = layout.updatemenus.map((menu) => ({
        ...menu, bgcolor: colour("--wash"), bordercolor: colour("--line"), font: { color: colour("--ink") },
      }));
    }
    return dressed;
  };
  const plots = [...document.querySelectorAll("[data-plot]")];
  const draw = (place, palette) => {
    const colour = palette ? (name) => palette[name] : onScreen;
    const { data: traces, layout } = data.pictures[Number(place.dataset.plot)];
    const dressed = traces.map((trace) => (trace.error_x ? { ...trace, error_x: { ...trace.error_x, color: colour("--ink") } } : trace));
    return Plotly.react(place, dressed, themed(layout, colour), { responsive: true, displayModeBar: false });
  };
  if (window.Plotly) {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        seen.unobserve(entry.target);
        draw(entry.target);
      }
    }, { rootMargin: "400px" });
    for (const place of plots) {
      place.style.height = `${data.pictures[Number(place.dataset.plot)].layout.height}px`;
      seen.observe(place);
    }
    const redraw = () => plots.filter((place) => place.data).forEach((place) => draw(place));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    addEventListener("beforeprint", () => plots.forEach((place) => draw(place, PAPER)));
    addEventListener("afterprint", redraw);
  }

  // --- downloads ---
  const save = (name, url) => {
    const link = element("a", { href: url, download: name });
    document.body.append(link);
    link.click();
    link.remove();
  };
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.download) {
      const name = button.dataset.download;
      const packed = Uint8Array.from(atob(data.downloads[name]), (letter) => letter.charCodeAt(0));
      const text = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      const url = URL.createObjectURL(await new Response(text).blob());
      save(name, url);
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    }
    if (button.dataset.save) {
      const place = plots[Number(button.dataset.picture)];
      if (!place.data) await draw(place);
      const format = button.dataset.save;
      const { width, height } = place.getBoundingClientRect();
      const url = await Plotly.toImage(place, { format, width, height, scale: format === "png" ? 2 : 1 });
      save(`${place.dataset.name.replace(/[^\w.-]+/g, "-")}.${format}`, url);
    }
  });

  // --- grids: sort, search, choose, expand ---
  const cellOf = (field, text, share, tone) => {
    const cell = element("td", { className: field.words ? (field.coloured ? "" : "name") : "number" });
    if (field.coloured && tone) cell.classList.add(tone);
    if (field.bar && share > 0) {
      cell.append(element("span", { className: "bar", style: `width:${Math.min(1, share) * 4}em`, ariaHidden: "true" }));
    }
    cell.append(text);
    return cell;
  };
  const unpack = ({ texts, at }) => (at ? at.map((place) => texts[place]) : texts);
  const unpackView = ({ columns, verdicts, names }) => {
    const texts = columns.map(unpack);
    return {
      texts, numbers: columns.map((column) => column.numbers ?? null), size: texts[0].length,
      verdicts: verdicts && unpack(verdicts), names: names && unpack(names),
    };
  };
  const makeGrid = (figure) => {
    const { fields, views: packed, verdicts: words, tree: packedTree } = data.grids[Number(figure.dataset.grid)];
    const views = Object.fromEntries(Object.entries(packed).map(([name, view]) => [name, unpackView(view)]));
    const treeNames = packedTree ? unpack(packedTree.names) : [];
    const treeParents = packedTree ? packedTree.parents : [];
    const treeTexts = packedTree ? packedTree.columns.map((column) => column && unpack(column)) : [];
    const names = Object.keys(views);
    const state = { view: names[0], sort: null, ascending: false, words: "", verdict: "", rows: [], drawn: 0 };
    const children = new Map();
    const byName = new Map();
    const add = (map, key, at) => (map.has(key) ? map.get(key).push(at) : map.set(key, [at]));
    treeNames.forEach((name, at) => {
      add(children, treeParents[at], at);
      add(byName, name, at);
    });

    const search = element("input", { type: "search", placeholder: "search …", ariaLabel: "Search" });
    const verdicts = Object.keys(words);
    const tools = element("div", { className: "tools" }, search);
    const chooser = (label, options, onchange) => {
      const select = element("select", { ariaLabel: label, onchange: () => onchange(select.value) });
      select.append(...options.map(([value, text]) => element("option", { value, textContent: text })));
      const box = element("label", {}, `${label} `, select);
      tools.append(box);
      return box;
    };
    let verdictBox = null;
    if (names.length > 1) chooser("by", names.map((name) => [name, name]), (value) => { state.view = value; fill(); });
    if (verdicts.length > 1) {
      verdictBox = chooser("verdict", [["", "all"], ...verdicts.map((v) => [v, words[v][0]])], (value) => { state.verdict = value; fill(); });
    }
    const count = element("span", { className: "note", role: "status" });
    tools.append(count);

    const head = element("tr");
    fields.forEach((field, place) => {
      const cell = element("th", { scope: "col", className: field.words ? "" : "number" });
      cell.setAttribute("aria-sort", "none");
      const sort = () => { // one way, the other way, then the order in which it came
        const begin = field.words;
        if (state.sort !== place) Object.assign(state, { sort: place, ascending: begin });
        else if (state.ascending === begin) state.ascending = !begin;
        else state.sort = null;
        for (const other of head.children) other.setAttribute("aria-sort", "none");
        if (state.sort !== null) cell.setAttribute("aria-sort", state.ascending ? "ascending" : "descending");
        fill();
      };
      cell.append(element("button", { type: "button", textContent: field.title, onclick: sort }));
      head.append(cell);
    });
    const body = element("tbody");
    const more = element("button", { type: "button", onclick: () => drawRows() });
    const scroll = element("div", { className: "scroll", tabIndex: 0 },
      element("table", {}, element("thead", {}, head), body));
    figure.querySelector("figcaption").after(tools, scroll, more);

    const treeRows = (name) => {
      const rows = [];
      const add = (at, depth) => {
        const cells = fields.map((field, place) => cellOf(field, treeTexts[place]?.[at] ?? ""));
        cells[0].style.paddingLeft = `${1.2 + depth}rem`;
        rows.push(element("tr", { className: "tree" }, ...cells));
        for (const below of children.get(at) ?? []) if (rows.length < MOST) add(below, depth + 1);
      };
      for (const at of byName.get(name) ?? []) {
        if (rows.length >= MOST) break;
        const path = [];
        for (let above = treeParents[at]; above >= 0; above = treeParents[above]) path.unshift(treeNames[above]);
        if (path.length) {
          const cell = element("td", { colSpan: fields.length, className: "dim", textContent: `in ${path.join(" › ")}` });
          rows.push(element("tr", { className: "tree" }, cell));
        }
        add(at, 0);
      }
      if (rows.length >= MOST) {
        const cell = element("td", { colSpan: fields.length, className: "dim", textContent: "… and more calls" });
        rows.push(element("tr", { className: "tree" }, cell));
      }
      return rows;
    };
    const rowOf = (row) => {
      const view = views[state.view];
      const tone = words[view.verdicts?.[row]]?.[1];
      const cells = fields.map((field, place) => cellOf(field, view.texts[place][row], view.numbers[place]?.[row], tone));
      const made = element("tr", {}, ...cells);
      const name = view.names?.[row];
      if (state.view === names[0] && byName.has(name)) {
        let opened = null;
        const toggle = element("button", { type: "button", className: "open", textContent: "▸", ariaLabel: "Show the calls" });
        toggle.setAttribute("aria-expanded", "false");
        toggle.onclick = () => {
          if (opened) opened.forEach((below) => below.remove());
          else made.after(...treeRows(name));
          opened = opened ? null : treeRowsAfter(made);
          toggle.textContent = opened ? "▾" : "▸";
          toggle.setAttribute("aria-expanded", String(Boolean(opened)));
        };
        made.firstChild.prepend(toggle);
      }
      return made;
    };
    const treeRowsAfter = (row) => {
      const found = [];
      for (let next = row.nextElementSibling; next?.classList.contains("tree"); next = next.nextElementSibling) found.push(next);
      return found;
    };
    const drawRows = () => {
      const next = state.rows.slice(state.drawn, state.drawn + FIRST);
      body.append(...next.map(rowOf));
      state.drawn += next.length;
      const left = state.rows.length - state.drawn;
      more.hidden = left <= 0;
      more.textContent = `${left} more rows`;
    };
    const fill = () => {
      const view = views[state.view];
      const asked = state.words.toLowerCase().split(/\s+/).filter(Boolean);
      const searched = fields.map((field, place) => place).filter((place) => fields[place].words && !fields[place].coloured);
      if (verdictBox) verdictBox.hidden = !view.verdicts;
      state.rows = [...Array(view.size).keys()].filter((row) => {
        if (view.verdicts && state.verdict && view.verdicts[row] !== state.verdict) return false;
        const text = searched.map((place) => view.texts[place][row]).join(" ").toLowerCase();
        return asked.every((word) => text.includes(word));
      });
      if (state.sort !== null) {
        const keys = view.numbers[state.sort] ?? view.texts[state.sort];
        const way = state.ascending ? 1 : -1;
        const absent = (key) => key === null || key === "";
        state.rows.sort((one, other) => {
          const [a, b] = [keys[one], keys[other]];
          if (absent(a) || absent(b)) return absent(a) - absent(b);
          return way * (typeof a === "string" ? a.localeCompare(b) : a - b);
        });
      }
      body.replaceChildren();
      state.drawn = 0;
      count.textContent = `${state.rows.length} rows`;
      drawRows();
    };
    search.oninput = () => { state.words = search.value; fill(); };
    new IntersectionObserver((entries) => {
      if (entries[0].isIntersecting && !more.hidden) drawRows();
    }, { rootMargin: "600px" }).observe(more);
    addEventListener("beforeprint", () => { while (state.drawn < Math.min(state.rows.length, 500)) drawRows(); });
    fill();
  };
  document.querySelectorAll("[data-grid]").forEach(makeGrid);
})();
