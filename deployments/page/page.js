window.lodeline = {
  skew: 0, // seconds that the server's clock is ahead of this one
  age(time) {
    if (time == null) return "\u2013";
    const s = Math.max(0, Date.now() / 1000 + this.skew - time);
    return s < 120 ? s.toFixed(0) + " s" : s < 7200 ? (s / 60).toFixed(0) + " min"
      : s < 172800 ? (s / 3600).toFixed(0) + " h" : (s / 86400).toFixed(0) + " d";
  },
  ages(root) {
    for (const told of root.querySelectorAll("[data-age-of]")) {
      const now = this.age(Number(told.dataset.ageOf));
      if (told.textContent !== now) told.textContent = now;
    }
  },
  link(params) {
    const a = document.createElement("a");
    a.href = "/miner/" + encodeURIComponent(params.value);
    a.textContent = params.value;
    return a;
  },
  ageCell(params) {
    const told = document.createElement("span");
    if (params.value == null) told.textContent = "\u2013";
    else { told.dataset.ageOf = params.value; told.textContent = window.lodeline.age(params.value); }
    return told;
  },
  rows: [],
  api: null,
  only: null,
  search: "",
  miners(fields, rows) {
    this.rows = rows.map((row) => Object.fromEntries(fields.map((name, at) => [name, row[at]])));
    this.api?.setGridOption("rowData", this.rows); // a new grid would forget sorting and scrolling
    this.racks();
  },
  gridReady(api) {
    this.api = api;
    if (this.rows.length) api.setGridOption("rowData", this.rows);
  },
  filter(only, search) {
    this.only = only;
    this.search = search;
    this.api?.onFilterChanged();
  },
  filtering() { return this.only !== null || this.search !== ""; },
  passes(row) {
    if (this.only !== null && row.condition !== this.only) return false;
    return [row.miner_id, row.model, row.site, row.state, row.reason].join(" ").toLowerCase().includes(this.search);
  },
  number(shown) { // what a text like "1,903 TH/s", "4 at 60%" or "0.356 J/MH" amounts to; a dash is less than all
    const found = /(?:^|at )(-?[\d,.]+) ?(J\/MH|[EPTGMk]?)/.exec(shown);
    if (!found) return -1;
    const scale = { E: 1e18, P: 1e15, T: 1e12, G: 1e9, M: 1e6, k: 1e3, "J/MH": 1e6 }[found[2]] ?? 1;
    return Number(found[1].replaceAll(",", "")) * scale;
  },
  by: "ratio",
  colour(row) { // as the key of racks_view.py says
    if (["unreachable", "stale", "no-data"].includes(row.condition)) return "none";
    if (row.condition.startsWith("paused")) return "off";
    const value = this.by === "ratio" ? row.ratio : row.chip_c;
    if (value == null) return "none";
    if (this.by === "ratio") return value < 50 ? "bad" : value < 90 ? "low" : value < 98 ? "near" : "good";
    return value < 70 ? "good" : value < 80 ? "near" : value < 90 ? "low" : "bad";
  },
  racks(by) {
    if (by) this.by = by;
    const map = document.getElementById("rack-map");
    if (!map) return;
    const order = new Intl.Collator("en", { numeric: true }).compare;
    const racks = new Map();
    for (const row of this.rows) {
      const name = [row.site, row.rack].filter(Boolean).join(", ").replaceAll("_", " ") || "no place";
      if (!racks.has(name)) racks.set(name, []);
      racks.get(name).push(row);
    }
    const names = [...racks.keys()].sort(order);
    const ids = JSON.stringify(names.map((name) => [name, ...racks.get(name).map((row) => row.miner_id)]));
    if (map.dataset.ids !== ids) { // another set of miners: build it anew
      map.dataset.ids = ids;
      map.replaceChildren(...names.map((name) => this.rack(name, racks.get(name), order)));
      const first = map.querySelector("a");
      if (first) first.tabIndex = 0;
      map.onkeydown = (event) => this.walk(map, event);
    }
    const rows = new Map(this.rows.map((row) => [row.miner_id, row]));
    for (const cell of map.querySelectorAll("a")) {
      const row = rows.get(cell.dataset.miner);
      const known = this.by === "ratio" ? (row.ratio == null ? "\u2013" : row.ratio + "% of expected") : row.chip;
      const said = row.miner_id + ", " + row.state + ", " + known + (row.reason ? ", " + row.reason : "");
      const kind = "cell cell-" + this.colour(row);
      if (cell.className !== kind) cell.className = kind;
      if (cell.title !== said) { cell.title = said; cell.setAttribute("aria-label", said); }
    }
  },
  rack(name, rows, order) {
    const made = document.createElement("div");
    made.className = "rack";
    made.setAttribute("role", "group");
    made.setAttribute("aria-label", name);
    const label = document.createElement("p");
    label.className = "note";
    label.textContent = name;
    const cells = document.createElement("div");
    cells.className = "cells";
    const placed = rows.sort((a, b) => order(a.location + " " + a.miner_id, b.location + " " + b.miner_id));
    for (const row of placed) {
      const cell = document.createElement("a");
      cell.href = "/miner/" + encodeURIComponent(row.miner_id);
      cell.dataset.miner = row.miner_id;
      cell.tabIndex = -1;
      cells.append(cell);
    }
    made.append(label, cells);
    return made;
  },
  walk(map, event) { // arrows go from cell to cell, up and down to the nearest of the next line
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
    if (!step || !event.target.dataset.miner) return;
    event.preventDefault();
    const cells = [...map.querySelectorAll("a")];
    let next = cells[cells.indexOf(event.target) + step[0]];
    if (step[1]) {
      const from = event.target.getBoundingClientRect();
      const away = (cell) => {
        const to = cell.getBoundingClientRect();
        return Math.abs(to.left - from.left) + 4 * Math.abs(to.top - from.top);
      };
      const beyond = cells.filter((cell) => (cell.getBoundingClientRect().top - from.top) * step[1] > 4);
      next = beyond.sort((a, b) => away(a) - away(b))[0];
    }
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  },
  compare(a, b) { return window.lodeline.number(a) - window.lodeline.number(b); },
};
setInterval(() => window.lodeline.ages(document), 1000);
