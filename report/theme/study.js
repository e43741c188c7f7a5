// What the page does with scripts: tables sort and filter, wide parts scroll by keyboard, a wide screen shows the
// contents. Without scripts the page shows the same text.
(() => {
  "use strict";
  const SORTABLE = 4, FILTERABLE = 10; // the fewest rows
  const NUMBER = /^[<+≈]?\s*(-?\d+(?:\.\d+)?)(?:\s*×\s*10\^(-?\d+))?/;

  // A cell's text as one would type it: minus signs, thousands and powers as in a program.
  function textOf(cell) {
    if (!cell) return "";
    const copy = cell.cloneNode(true);
    for (const power of copy.querySelectorAll("sup")) power.prepend("^");
    return copy.textContent.trim().replace(/−/g, "-").replace(/(\d),(?=\d{3})/g, "$1");
  }

  function valueOf(text) {
    const found = text.match(NUMBER);
    return found ? Number(found[1]) * 10 ** Number(found[2] || 0) - (text.startsWith("<") ? 1e-9 : 0) : null;
  }

  // The rows of a table as groups under a heading row, each a list of records: a row, with those that continue it.
  function groupsOf(table) {
    const groups = [{ heading: null, records: [] }];
    for (const row of table.tBodies[0].rows) {
      const { heading, records } = groups[groups.length - 1];
      if (row.cells[0].colSpan > 1) groups.push({ heading: row, records: [] });
      else if (records.length && !textOf(row.cells[0])) records[records.length - 1].push(row);
      else records.push([row]);
    }
    return groups.filter((group) => group.heading || group.records.length);
  }

  // The header cell of each column: those of the lowest row, or those that reach down to it.
  function headsOf(table) {
    const rows = [...table.tHead.rows], grid = rows.map(() => []);
    rows.forEach((row, y) => {
      let x = 0;
      for (const cell of row.cells) {
        while (grid[y][x]) x += 1;
        for (let down = 0; down < cell.rowSpan; down += 1)
          for (let right = 0; right < cell.colSpan; right += 1) grid[y + down][x + right] = cell;
        x += cell.colSpan;
      }
    });
    return grid[grid.length - 1];
  }

  function compare(first, second) {
    const [a, b] = [first, second].map(valueOf);
    if (a !== null && b !== null) return a - b;
    return first.localeCompare(second, "en", { numeric: true });
  }

  // Sorts each group's records by a column; missing values ("–") come last. A direction of 0 is the report's order.
  function sort(table, groups, column, direction) {
    const missing = (text) => text === "" || text === "–";
    for (const { heading, records } of groups) {
      const keyed = records.map((record) => [textOf(record[0].cells[column]), record]);
      if (direction)
        keyed.sort(([a], [b]) => missing(a) - missing(b) || direction * compare(a, b));
      table.tBodies[0].append(...(heading ? [heading] : []), ...keyed.flatMap(([, record]) => record));
    }
  }

  function makeSortable(table, groups) {
    const heads = headsOf(table);
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const next = { null: "ascending", ascending: "descending", descending: null }[head.getAttribute("aria-sort")];
        for (const other of heads) other.removeAttribute("aria-sort");
        if (next) head.setAttribute("aria-sort", next);
        sort(table, groups, column, { ascending: 1, descending: -1 }[next] || 0);
      });
    });
  }

  const plain = (text) => text.toLowerCase().replace(/\s+/g, " ").trim();

  function makeFilterable(table, groups, scroll) {
    const bar = document.createElement("p"), label = document.createElement("label");
    const input = document.createElement("input"), count = document.createElement("span");
    bar.className = "filter";
    input.type = "search";
    count.setAttribute("role", "status");
    label.append("Filter ", input);
    bar.append(label, " ", count);
    scroll.before(bar);
    input.addEventListener("input", () => {
      const wanted = plain(input.value);
      let shown = 0, all = 0;
      for (const { heading, records } of groups) {
        const title = heading ? heading.textContent : "";
        let inGroup = 0;
        for (const record of records) {
          const fits = plain([title, ...record.map((row) => row.textContent)].join(" ")).includes(wanted);
          for (const row of record) row.hidden = !fits;
          inGroup += fits;
        }
        if (heading) heading.hidden = !inGroup;
        shown += inGroup;
        all += records.length;
      }
      count.textContent = wanted ? `${shown} of ${all}` : "";
    });
  }

  for (const table of document.querySelectorAll("main table")) {
    if (!table.tHead || !table.tBodies.length) continue;
    const groups = groupsOf(table);
    const rows = groups.reduce((sum, group) => sum + group.records.length, 0);
    if (rows >= SORTABLE) makeSortable(table, groups);
    if (rows >= FILTERABLE) makeFilterable(table, groups, table.parentElement);
  }

  // What is wider than the screen scrolls by itself, so the keyboard must reach it.
  function makeReachable() {
    for (const part of document.querySelectorAll("main figure, main figure div")) {
      const wide = part.scrollWidth > part.clientWidth && getComputedStyle(part).overflowX === "auto";
      if (wide) part.tabIndex = 0;
      else part.removeAttribute("tabindex");
      if (!wide || part.tagName === "FIGURE" || part.hasAttribute("aria-label")) continue;
      const caption = part.closest("figure").querySelector("figcaption");
      part.setAttribute("role", "region");
      part.setAttribute("aria-label", caption ? caption.textContent.trim().split(/\s+/, 2).join(" ") : "Table");
    }
  }

  const contents = document.querySelector("#contents details"), wide = matchMedia("(min-width: 1160px)");
  const showContents = () => { contents.open = wide.matches; };
  wide.addEventListener("change", showContents);
  showContents();
  addEventListener("resize", makeReachable);
  addEventListener("load", makeReachable);
})();
