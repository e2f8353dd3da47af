// Sorts, searches, expands and saves what the page holds. Every number is already text: Python formats it.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const MOST = 400; // rows that one operator expands to
  const FITS = 36; // letters of a name that stays on one line on a wide screen
  const FIRST = 100; // rows drawn at once; more as one scrolls
  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children); // strings go in as text
    return made;
  };

  // --- tables that scroll say so ---
  const hints = [...document.querySelectorAll(".scroll")].map((box) => ({ box, hint: null }));
  const hint = ({ box, hint: known }, entry) => {
    const needed = box.scrollWidth > box.clientWidth + 1;
    if (needed && !known) {
      entry.hint = element("p", { className: "more", textContent: "scrolls sideways →", ariaHidden: "true" });
      box.before(entry.hint);
    }
    entry.hint?.classList.toggle("needed", needed);
  };
  const hintAll = () => hints.forEach((entry) => hint(entry, entry));
  addEventListener("resize", hintAll);

  // --- pictures: the one in view as a file of its own, in the colours in view ---
  const picture = (figure) => {
    const shown = [...figure.querySelectorAll("svg.pk")].find((svg) => svg.getClientRects().length > 0);
    const copy = shown.cloneNode(true);
    const size = shown.viewBox.baseVal;
    const look = getComputedStyle(document.documentElement);
    const rules = [...document.styleSheets[0].cssRules].filter((rule) => rule.selectorText?.includes(".pk")).map((rule) => rule.cssText);
    const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
    style.textContent = rules.join("\n").replace(/var\((--[\w-]+)\)/g, (_, name) => look.getPropertyValue(name).trim());
    copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copy.style.background = look.getPropertyValue("--paper").trim();
    copy.prepend(style);
    return { text: new XMLSerializer().serializeToString(copy), width: size.width, height: size.height };
  };
  const drawn = async ({ text, width, height }) => {
    const image = new Image();
    image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = element("canvas", { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise((done) => canvas.toBlob(done, "image/png"));
  };

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
      const figure = button.closest("figure");
      const format = button.dataset.save;
      const made = picture(figure);
      const blob = format === "png" ? await drawn(made) : new Blob([made.text], { type: "image/svg+xml" });
      const url = URL.createObjectURL(blob);
      save(`${figure.dataset.name.replace(/[^\w.-]+/g, "-")}.${format}`, url);
      setTimeout(() => URL.revokeObjectURL(url), 10_000);
    }
  });

  // --- grids: sort, search, choose, expand ---
  const cellOf = (field, text, share, tone) => {
    const cell = element("td", { className: field.words ? (field.coloured ? "" : "name") : "number" });
    if (field.coloured && tone) cell.classList.add(tone);
    if (field.words && field.coloured) cell.classList.add("pinned");
    if (field.words && text.length <= FITS) cell.classList.add("fit");
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
    figure.classList.toggle("expands", Boolean(packedTree));
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
      const cell = element("th", { scope: "col", className: field.words ? (field.coloured ? "pinned" : "") : "number" });
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
    const title = figure.querySelector("figcaption").textContent;
    const scroll = element("div", { className: "scroll", tabIndex: 0, role: "group", ariaLabel: title },
      element("table", {}, element("thead", {}, head), body));
    figure.querySelector("figcaption").after(tools, scroll, more);
    hints.push({ box: scroll, hint: null });

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
        const toggle = element("button", { type: "button", className: "open", textContent: "▸", ariaLabel: `Show the calls of ${name}` });
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
      hintAll();
    };
    search.oninput = () => { state.words = search.value; fill(); };
    new IntersectionObserver((entries) => {
      if (entries[0].isIntersecting && !more.hidden) drawRows();
    }, { rootMargin: "600px" }).observe(more);
    addEventListener("beforeprint", () => { while (state.drawn < Math.min(state.rows.length, 500)) drawRows(); });
    fill();
  };
  document.querySelectorAll("[data-grid]").forEach(makeGrid);
  hintAll();
})();
