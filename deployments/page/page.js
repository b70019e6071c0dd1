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
  number(shown) { // what a text like "1,903 TH/s", "4 at 60 %" or "0.356 J/MH" amounts to; a dash is less than all
    const found = /(?:^|at )(-?[\d,.]+) ?(J\/MH|[EPTGMk]?)/.exec(shown);
    if (!found) return -1;
    const scale = { E: 1e18, P: 1e15, T: 1e12, G: 1e9, M: 1e6, k: 1e3, "J/MH": 1e6 }[found[2]] ?? 1;
    return Number(found[1].replaceAll(",", "")) * scale;
  },
  compare(a, b) { return window.lodeline.number(a) - window.lodeline.number(b); },
};
setInterval(() => window.lodeline.ages(document), 1000);
