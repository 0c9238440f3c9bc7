// The optimizer race: five update rules from one start, down one of three surfaces.
// One ES module for three places: anywidget mounts it in JupyterLab and Colab, sims.js on the site.
// The numerics come first and stand alone: float64, compared with torch.optim by tests/test_sims.py.

export const BUDGET = 3000; // steps that every optimizer is followed for
export const NEAR = 0.1; // arrived: this close to the minimum, and never farther again
const LOST = 1e6; // diverged: this far from the minimum

const DEFAULT_HYPER = { momentum: 0.9, alpha: 0.99, beta1: 0.9, beta2: 0.999, eps: 1e-8 };

// step(s, gx, gy, lr, h) moves s.x and s.y; s also holds two buffers (m, v) and the step's number t.
// The formulas are torch.optim's, term by term.
export const optimizers = {
  SGD: {
    letter: "S",
    dash: [],
    step(s, gx, gy, lr) {
      s.x -= lr * gx;
      s.y -= lr * gy;
    },
  },
  momentum: {
    letter: "M",
    dash: [9, 5],
    step(s, gx, gy, lr, h) {
      s.mx = h.momentum * s.mx + gx;
      s.my = h.momentum * s.my + gy;
      s.x -= lr * s.mx;
      s.y -= lr * s.my;
    },
  },
  Nesterov: {
    letter: "N",
    dash: [9, 4, 2, 4],
    step(s, gx, gy, lr, h) {
      s.mx = h.momentum * s.mx + gx;
      s.my = h.momentum * s.my + gy;
      s.x -= lr * (gx + h.momentum * s.mx);
      s.y -= lr * (gy + h.momentum * s.my);
    },
  },
  RMSProp: {
    letter: "R",
    dash: [2, 4],
    step(s, gx, gy, lr, h) {
      s.vx = h.alpha * s.vx + (1 - h.alpha) * gx * gx;
      s.vy = h.alpha * s.vy + (1 - h.alpha) * gy * gy;
      s.x -= (lr * gx) / (Math.sqrt(s.vx) + h.eps);
      s.y -= (lr * gy) / (Math.sqrt(s.vy) + h.eps);
    },
  },
  Adam: {
    letter: "A",
    dash: [14, 4],
    step(s, gx, gy, lr, h) {
      s.mx = h.beta1 * s.mx + (1 - h.beta1) * gx;
      s.my = h.beta1 * s.my + (1 - h.beta1) * gy;
      s.vx = h.beta2 * s.vx + (1 - h.beta2) * gx * gx;
      s.vy = h.beta2 * s.vy + (1 - h.beta2) * gy * gy;
      const size = lr / (1 - h.beta1 ** s.t);
      const root = Math.sqrt(1 - h.beta2 ** s.t);
      s.x -= (size * s.mx) / (Math.sqrt(s.vx) / root + h.eps);
      s.y -= (size * s.my) / (Math.sqrt(s.vy) / root + h.eps);
    },
  },
};

// view: what is drawn, [left, right, bottom, top]; k is the bowl's condition number.
export const surfaces = {
  bowl: {
    label: "Elongated bowl",
    minimum: [0, 0],
    starts: [[-4, 2]],
    view: [-5, 3, -2.6, 2.6],
    f: (x, y, k) => 0.5 * (x * x + k * y * y),
    grad(x, y, k, g) {
      g[0] = x;
      g[1] = k * y;
    },
  },
  rosenbrock: {
    label: "Rosenbrock",
    minimum: [1, 1],
    starts: [[-1.2, 1]],
    view: [-2.4, 2.4, -0.8, 2.4],
    f: (x, y) => (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    grad(x, y, k, g) {
      const b = y - x * x;
      g[0] = -2 * (1 - x) - 400 * x * b;
      g[1] = 200 * b;
    },
  },
  beale: {
    label: "Beale",
    minimum: [3, 0.5],
    starts: [
      [1, 1.5],
      [-1, 1.5],
    ],
    view: [-4.6, 4.6, -2.1, 3.3],
    f: (x, y) =>
      (1.5 - x + x * y) ** 2 + (2.25 - x + x * y * y) ** 2 + (2.625 - x + x * y ** 3) ** 2,
    grad(x, y, k, g) {
      const a = 1.5 - x + x * y;
      const b = 2.25 - x + x * y * y;
      const c = 2.625 - x + x * y * y * y;
      g[0] = 2 * a * (y - 1) + 2 * b * (y * y - 1) + 2 * c * (y * y * y - 1);
      g[1] = 2 * a * x + 4 * b * x * y + 6 * c * x * y * y;
    },
  },
};

// Normal numbers from a seed (mulberry32, Box-Muller): one pair a step, the same for every optimizer,
// as if all of them saw the same mini-batches.
export function noiseOf(seed, steps = BUDGET) {
  let a = seed >>> 0;
  const uniform = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let z = Math.imul(a ^ (a >>> 15), a | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
  const out = new Float64Array(2 * steps);
  for (let i = 0; i < out.length; i += 2) {
    const r = Math.sqrt(-2 * Math.log(1 - uniform()));
    const turn = 2 * Math.PI * uniform();
    out[i] = r * Math.cos(turn);
    out[i + 1] = r * Math.sin(turn);
  }
  return out;
}

let drawn = { seed: null };
function draws(seed) {
  if (drawn.seed !== seed) drawn = { seed, values: noiseOf(seed) };
  return drawn.values;
}

// Positions [x0, y0, x1, y1, …] for steps 0 … steps; shorter when the walk is lost.
// settings: lr, and optionally kappa, the hyperparameters, noise (the standard deviation of what is
// added to each gradient component) and its seed.
export function run(optimizer, surface, settings, start, steps = BUDGET) {
  const h = { ...DEFAULT_HYPER, kappa: 100, noise: 0, seed: 0, ...settings };
  const { step } = optimizers[optimizer];
  const { grad, minimum } = surfaces[surface];
  const normal = h.noise ? (steps > BUDGET ? noiseOf(h.seed, steps) : draws(h.seed)) : null;
  const s = { x: start[0], y: start[1], mx: 0, my: 0, vx: 0, vy: 0, t: 0 };
  const g = new Float64Array(2);
  const path = new Float64Array(2 * (steps + 1));
  path[0] = s.x;
  path[1] = s.y;
  for (let t = 1; t <= steps; t++) {
    grad(s.x, s.y, h.kappa, g);
    if (normal) {
      g[0] += h.noise * normal[2 * t - 2];
      g[1] += h.noise * normal[2 * t - 1];
    }
    s.t = t;
    step(s, g[0], g[1], h.lr, h);
    if (!(Math.abs(s.x - minimum[0]) < LOST && Math.abs(s.y - minimum[1]) < LOST)) return path.slice(0, 2 * t);
    path[2 * t] = s.x;
    path[2 * t + 1] = s.y;
  }
  return path;
}

// The first step from which the walk stays within NEAR of the minimum; Infinity when it does not arrive.
export function finish(path, surface, steps = BUDGET) {
  const [mx, my] = surfaces[surface].minimum;
  const n = path.length / 2;
  if (n < steps + 1) return Infinity;
  let t = n;
  while (t > 0 && Math.hypot(path[2 * t - 2] - mx, path[2 * t - 1] - my) <= NEAR) t--;
  return t === n ? Infinity : t;
}

// The rates that are tried to find each optimizer's best: 25 a decade, 1e-4 to 4.
export const RATES = Array.from({ length: 116 }, (_, i) => 10 ** (-4 + i / 25));

// Try every rate: its finish, and the rate with the earliest (or else the one that ends nearest).
export function sweep(optimizer, surface, settings, start) {
  const [mx, my] = surfaces[surface].minimum;
  let best = { score: Infinity, lr: RATES[0] };
  const finishes = RATES.map((lr) => {
    const path = run(optimizer, surface, { ...settings, lr }, start);
    const n = path.length / 2 - 1;
    const time = finish(path, surface);
    const far = n === BUDGET ? Math.hypot(path[2 * n] - mx, path[2 * n + 1] - my) : Infinity;
    const score = time < Infinity ? time : BUDGET + 1 + far;
    if (score < best.score) best = { lr, score };
    return time;
  });
  return { best: best.lr, finishes };
}

// ---------------------------------------------------------------------------------------------

const NAMES = Object.keys(optimizers);
const STEPS_A_SECOND = 30; // at speed 1
const LIGHT = ["#0072b2", "#c24f00", "#007a5a", "#aa3377", "#7d6100"];
const DARK = ["#56b4e9", "#f59255", "#35c99f", "#e78ac3", "#e3bb3a"];

// A setting that most bets lose: at this rate the minimum is reached by one of the five.
const TRY = { surface: "beale", start_x: -1, start_y: 1.5, common: true, lr: 0.03, noise: 0 };

const DEFAULTS = {
  surface: "bowl",
  kappa: 100,
  start_x: null,
  start_y: null,
  common: false,
  lr: 0.01,
  speed: 1,
  noise: 0,
  seed: 0,
  bet: "",
};

// What came from an address or from Python, brought into range.
function clean(raw) {
  const number = (key, low, high) => {
    const v = raw[key];
    return typeof v === "number" && Number.isFinite(v) ? Math.min(high, Math.max(low, v)) : DEFAULTS[key];
  };
  const s = {
    surface: Object.hasOwn(surfaces, raw.surface) ? raw.surface : DEFAULTS.surface,
    kappa: number("kappa", 1, 200),
    start_x: number("start_x", -100, 100),
    start_y: number("start_y", -100, 100),
    common: raw.common === true,
    lr: number("lr", 1e-6, 10),
    speed: number("speed", 0.1, 20),
    noise: number("noise", 0, 5),
    seed: Math.round(number("seed", 0, 1e6)),
    bet: Object.hasOwn(optimizers, raw.bet) ? raw.bet : "",
  };
  const own = s.start_x !== null && s.start_y !== null;
  s.start = own ? [s.start_x, s.start_y] : surfaces[s.surface].starts[0];
  return s;
}

const short = (v) => String(Number(v.toPrecision(3)));
const point = ([x, y]) => `(${short(x)}, ${short(y)})`.replaceAll("-", "−");
const count = (n) => n.toLocaleString("en");

function h(tag, props = {}, ...children) {
  const e = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (key.startsWith("on")) e.addEventListener(key.slice(2), value);
    else if (value !== false && value !== null) e.setAttribute(key, value === true ? "" : value);
  }
  e.append(...children);
  return e;
}

// The letter on its colour and the line's dash: what stands for an optimizer everywhere.
function sign(name) {
  const { letter, dash } = optimizers[name];
  const i = NAMES.indexOf(name);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [k, v] of [["viewBox", "0 0 30 12"], ["width", "20"], ["height", "8"], ["aria-hidden", "true"]]) svg.setAttribute(k, v);
  for (const [k, v] of [["d", "M0 6H30"], ["stroke", `var(--c${i})`], ["stroke-width", "3"], ["stroke-dasharray", dash.join(" ")]]) line.setAttribute(k, v);
  svg.append(line);
  return [h("span", { class: "cs-badge", style: `background:var(--c${i})`, "aria-hidden": "true" }, letter), svg];
}

const CSS = `
.cs-race { container-type: inline-size; color: var(--ink); font-size: 0.95rem; line-height: 1.4; text-align: left; }
.cs-race { --ink: #1d1d1f; --soft: #595959; --line: #c8ccd0; --fill: #fff; --raised: #f4f5f7; --accent: #1b6b93; --on: #fff;
  ${LIGHT.map((c, i) => `--c${i}: ${c};`).join(" ")} }
.cs-race[data-mode=dark] { --ink: #ececec; --soft: #b4b8bd; --line: #4b5157; --fill: #15181b; --raised: #23272b; --accent: #6cc3e8; --on: #10171c;
  ${DARK.map((c, i) => `--c${i}: ${c};`).join(" ")} }
.cs-race * { box-sizing: border-box; }
.cs-race .cs-box { border: 1px solid var(--line); border-radius: 0.6rem; padding: 0.9rem; display: grid; gap: 0.7rem; background: var(--fill); }
.cs-race .cs-grid { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 0.5rem 1.1rem; align-items: end; }
.cs-race label.field { display: grid; gap: 0.15rem; min-width: 0; }
.cs-race .field > span { display: flex; justify-content: space-between; gap: 0.4rem; color: var(--soft); font-size: 0.85rem; white-space: nowrap; }
.cs-race .field b { font-weight: 600; color: var(--ink); font-variant-numeric: tabular-nums; }
.cs-race select, .cs-race input[type=number], .cs-race button { font: inherit; color: var(--ink); background: var(--raised);
  border: 1px solid var(--line); border-radius: 0.4rem; padding: 0.25rem 0.5rem; min-height: 2.1rem; min-width: 0; max-width: 100%; margin: 0; }
.cs-race select, .cs-race input { width: 100%; }
.cs-race input[type=range] { accent-color: var(--accent); margin: 0; height: 2.1rem; background: transparent; }
.cs-race :disabled { opacity: 0.45; }
.cs-race button { cursor: pointer; padding: 0.25rem 0.8rem; }
.cs-race button:hover { border-color: var(--accent); }
.cs-race button.main { background: var(--accent); color: var(--on); border-color: var(--accent); font-weight: 600; min-width: 6.2rem; }
.cs-race button.cs-link { border: 0; background: none; padding: 0; min-height: 0; color: var(--accent); text-decoration: underline; text-align: left; }
.cs-race .cs-try { margin: 0; color: var(--soft); font-size: 0.9rem; }
.cs-race :focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.cs-race .cs-row { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: center; }
.cs-race .cs-grid.cs-two { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.cs-race fieldset { border: 0; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: 0.35rem; align-items: center; min-width: 0; }
.cs-race legend { float: left; padding: 0; margin: 0 0.2rem 0 0; font-size: 1rem; font-weight: 600; width: auto; }
.cs-race .cs-bet { position: relative; display: inline-flex; align-items: center; gap: 0.35rem; border: 1px solid var(--line); border-radius: 2rem;
  padding: 0.15rem 0.6rem 0.15rem 0.3rem; margin: 0; cursor: pointer; font-size: 0.9rem; }
.cs-race .cs-bet input { position: absolute; opacity: 0; width: 1px; height: 1px; }
.cs-race .cs-bet:has(:checked) { border-color: var(--ink); box-shadow: inset 0 0 0 1px var(--ink); font-weight: 600; }
.cs-race .cs-bet:has(:focus-visible) { outline: 2px solid var(--accent); outline-offset: 2px; }
.cs-race .cs-bet svg { display: none; }
.cs-race .cs-badge { display: inline-grid; place-items: center; width: 1.35rem; height: 1.35rem; border-radius: 50%; color: var(--on);
  font-size: 0.78rem; font-weight: 700; flex: none; }
.cs-race .cs-stage { position: relative; aspect-ratio: 1.72; border-radius: 0.4rem; overflow: hidden; cursor: crosshair; touch-action: manipulation; }
.cs-race .cs-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cs-race .cs-stage .cs-count { position: absolute; top: 0.4rem; right: 0.4rem; padding: 0.1rem 0.5rem; border-radius: 0.3rem; background: var(--fill);
  color: var(--ink); font-variant-numeric: tabular-nums; pointer-events: none; }
.cs-race .status { margin: 0; line-height: 1.4; min-height: 2.8em; }
.cs-race .cs-pair { display: grid; grid-template-columns: minmax(0, 1.4fr) minmax(0, 1fr); gap: 1rem; }
.cs-race table { border-collapse: collapse; width: 100%; margin: 0; font-size: 0.84rem; table-layout: fixed; border: 0; display: table; background: none; }
.cs-race caption { caption-side: bottom; text-align: left; color: var(--soft); font-size: 0.8rem; padding: 0.3rem 0 0; min-height: 4.7em; }
.cs-race tr { background: none; }
.cs-race th, .cs-race td { padding: 0.22rem 0.2rem; border: 0; border-bottom: 1px solid var(--line); text-align: right; font-weight: 400; color: var(--ink);
  font-variant-numeric: tabular-nums; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; background: none; }
.cs-race thead th { color: var(--soft); font-size: 0.78rem; }
.cs-race th:first-child { text-align: left; width: 39%; }
.cs-race th:nth-child(2) { width: 11.5%; }
.cs-race th:nth-child(3) { width: 19%; }
.cs-race th:nth-child(4) { width: 17%; }
.cs-race .cs-who { display: flex; align-items: center; gap: 0.3rem; }
.cs-race .cs-who svg { flex: none; }
.cs-race tr[data-place="1"] th, .cs-race tr[data-place="1"] .place, .cs-race tr[data-place="1"] .when { font-weight: 700; }
.cs-race .strip { position: relative; min-height: 11.5rem; }
.cs-race .strip canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.cs-race .strip p { position: absolute; inset: 0; display: grid; place-items: center; text-align: center; margin: 0; padding: 1rem; color: var(--soft); font-size: 0.85rem;
  border: 1px dashed var(--line); border-radius: 0.4rem; }
.cs-race [hidden] { display: none !important; }
@container (max-width: 560px) {
  .cs-race .cs-box { padding: 0.6rem; }
  .cs-race .cs-grid { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0.5rem 0.7rem; }
  .cs-race .cs-pair { grid-template-columns: minmax(0, 1fr); }
  .cs-race .cs-stage { aspect-ratio: 1.3; }
  .cs-race legend { width: 100%; }
}
`;

function render({ model, el }) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const darkPage = matchMedia("(prefers-color-scheme: dark)");
  let s = clean({});
  let race = null; // for the present setting: { lanes: [{ name, lr, path, place }], end }
  let sweeps = null;
  let clock = 0; // steps done, with a fraction
  let playing = false;
  let asked = false; // a race without a bet was asked for once
  let visible = false;
  let frame = 0;
  let last = null;
  let later = 0;
  let said = "";

  const put = (values) => {
    for (const [key, value] of Object.entries(values)) model.set(key, value);
    model.save_changes();
  };

  // --- what stands on the page
  const field = (text, input, shown) => h("label", { class: "field" }, h("span", {}, text, ...(shown ? [shown] : [])), input);
  const slider = (key, low, high, step, to = (v) => v) =>
    h("input", { "data-k": key, type: "range", min: low, max: high, step, oninput: (e) => put({ [key]: to(Number(e.target.value)) }) });

  const surface = h(
    "select",
    { "data-k": "surface", onchange: (e) => put({ surface: e.target.value, start_x: null, start_y: null }) },
    ...Object.entries(surfaces).map(([key, v]) => h("option", { value: key }, v.label)),
  );
  const starts = h("select", {
    "data-k": "start",
    onchange: (e) => {
      const [x, y] = JSON.parse(e.target.value);
      put({ start_x: x, start_y: y });
    },
  });
  const rates = h(
    "select",
    { "data-k": "common", onchange: (e) => put({ common: e.target.value === "common" }) },
    h("option", { value: "best" }, "each its best"),
    h("option", { value: "common" }, "the same for all"),
  );
  const kappa = slider("kappa", 1, 200, 1);
  const kappaShown = h("b");
  const lr = slider("lr", -4, 0.6, 0.04, (v) => Number((10 ** v).toPrecision(3)));
  const lrShown = h("b");
  const noise = slider("noise", 0, 5, 0.1);
  const noiseShown = h("b");
  const seed = h("input", { "data-k": "seed", type: "number", min: 0, max: 1000000, step: 1, onchange: (e) => put({ seed: Math.round(Number(e.target.value)) || 0 }) });
  const speed = slider("speed", -1, 1.3, 0.1, (v) => Number((10 ** v).toPrecision(2)));
  const speedShown = h("b");

  const group = `bet-${Math.random().toString(36).slice(2)}`;
  const bets = NAMES.map((name) => h("input", { type: "radio", name: group, value: name, onchange: () => put({ bet: name }) }));
  const betting = h(
    "fieldset",
    {},
    h("legend", {}, "Who wins?"),
    ...NAMES.map((name, i) => h("label", { class: "cs-bet" }, bets[i], ...sign(name), name)),
  );

  const ground = h("canvas", { "aria-hidden": "true" });
  const trails = h("canvas", { "aria-hidden": "true" });
  const front = h("canvas", { class: "field", tabindex: "0", role: "application", onkeydown: onKey, onclick: onClick });
  const counter = h("div", { class: "cs-count", "aria-hidden": "true" });
  const stage = h("div", { class: "cs-stage" }, ground, trails, front, counter);

  const play = h("button", { type: "button", class: "main", onclick: onPlay }, "Race!");
  const step = h("button", { type: "button", onclick: () => bettor() && advance(Math.floor(clock) + 1) }, "Step");
  const toEnd = h("button", { type: "button", onclick: () => bettor() && advance(Infinity) }, "To the end");
  const restart = h("button", { type: "button", onclick: () => rewind() }, "Restart");
  const copy = h("button", { type: "button", onclick: onCopy }, "Copy link");
  copy.hidden = typeof model.link !== "function"; // an address means something on the site only
  const attempt = h("button", { type: "button", class: "cs-link", onclick: () => put(TRY) }, `${surfaces[TRY.surface].label} from ${point([TRY.start_x, TRY.start_y])}, ${TRY.lr} for all`);
  const status = h("p", { class: "status", role: "status", "aria-live": "polite" });

  const cells = NAMES.map((name) => ({
    row: h("tr", {}, h("th", { scope: "row" }, h("span", { class: "cs-who" }, ...sign(name), name))),
    td: ["place", "rate", "when", "away"].map((name) => h("td", { class: name })),
  }));
  cells.forEach(({ row, td }) => row.append(...td));
  const caption = h("caption");
  const heads = ["Optimizer", "Place", "Rate", "Steps", "Away"].map((t) => h("th", { scope: "col" }, t));
  const table = h("table", {}, caption, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...cells.map((c) => c.row)));
  const stripCanvas = h("canvas", { role: "img", "aria-label": "Steps to arrive over the learning rate, one line per optimizer" });
  const stripWait = h("p", {}, "After the race: the steps that every other rate would have taken.");
  const strip = h("div", { class: "strip" }, stripCanvas, stripWait);

  const root = h(
    "div",
    { class: "cs-race", role: "group", "aria-label": "Optimizer race", "data-lm-suppress-shortcuts": "true" },
    h("style", {}, CSS),
    h(
      "div",
      { class: "cs-box" },
      h(
        "div",
        { class: "cs-grid" },
        field("Surface", surface),
        field("Start", starts),
        field("Learning rates", rates),
        field("Condition number", kappa, kappaShown),
        field("Gradient noise", noise, noiseShown),
        field("Rate for all", lr, lrShown),
      ),
      betting,
      stage,
      h("div", { class: "cs-row" }, play, step, toEnd, restart, copy),
      status,
      h("div", { class: "cs-pair" }, table, strip),
      h("div", { class: "cs-grid cs-two" }, field("Speed", speed, speedShown), field("Seed of the noise", seed)),
      h("p", { class: "cs-try" }, "Try: ", attempt, ". Only one of them arrives. Which?"),
    ),
  );

  // --- the setting
  function refresh() {
    const old = s;
    s = clean(Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, model.get(key)])));
    surface.value = s.surface;
    const own = surfaces[s.surface].starts;
    const all = own.some((p) => p[0] === s.start[0] && p[1] === s.start[1]) ? own : [...own, s.start];
    starts.replaceChildren(...all.map((p) => h("option", { value: JSON.stringify(p) }, point(p))));
    starts.value = JSON.stringify(s.start);
    rates.value = s.common ? "common" : "best";
    kappa.value = s.kappa;
    kappa.disabled = s.surface !== "bowl";
    kappaShown.textContent = s.surface === "bowl" ? short(s.kappa) : "–";
    lr.value = Math.log10(s.lr);
    lr.disabled = !s.common;
    lrShown.textContent = s.common ? short(s.lr) : "–";
    noise.value = s.noise;
    noiseShown.textContent = s.noise ? `σ = ${short(s.noise)}` : "none";
    seed.value = s.seed;
    seed.disabled = !s.noise;
    speed.value = Math.log10(s.speed);
    speedShown.textContent = `${short(STEPS_A_SECOND * s.speed)} steps/s`;
    for (const input of bets) input.checked = input.value === s.bet;
    front.setAttribute(
      "aria-label",
      `${surfaces[s.surface].label}, start ${point(s.start)}. Arrow keys move the start, with Shift in larger steps.`,
    );
    const same = (key) => JSON.stringify(old[key]) === JSON.stringify(s[key]);
    if (!race || !["surface", "kappa", "start", "common", "noise", "seed"].every(same) || (s.common && !same("lr"))) {
      if (!["surface", "kappa", "start", "noise", "seed"].every(same)) sweeps = null;
      race = null;
      if (!["surface", "kappa"].every(same)) drawGround();
      rewind(`${surfaces[s.surface].label}, start ${point(s.start)}. Bet, then race.`);
      clearTimeout(later);
      later = setTimeout(() => visible && prepare() && paint(), 150); // not while a slider moves
    }
  }

  const settings = () => ({ kappa: s.kappa, noise: s.noise, seed: s.seed });

  function sweepAll() {
    sweeps ??= NAMES.map((name) => sweep(name, s.surface, settings(), s.start));
    return sweeps;
  }

  function prepare() {
    if (race) return race;
    const lanes = NAMES.map((name, i) => {
      const lr = s.common ? s.lr : sweepAll()[i].best;
      const path = run(name, s.surface, { ...settings(), lr }, s.start);
      const n = path.length / 2 - 1;
      return { lr, path, n, finish: finish(path, s.surface), lost: n < BUDGET ? n : Infinity };
    });
    const arrived = lanes.map((l) => l.finish).filter((f) => f < Infinity);
    for (const lane of lanes) lane.place = 1 + arrived.filter((f) => f < lane.finish).length;
    // A while after the last one that arrives there is nothing more to see.
    const end = arrived.length ? Math.min(BUDGET, Math.max(60, Math.ceil(1.15 * Math.max(...arrived)))) : 600;
    race = { lanes, end };
    return race;
  }

  // --- running
  function rewind(words = "") {
    playing = false;
    clock = 0;
    drawTrails(0);
    say(words);
    paint();
  }

  function bettor() {
    if (s.bet || asked || clock) return true;
    asked = true;
    say("Bet first: who wins? Or press again to race without a bet.");
    bets[0].focus();
    return false;
  }

  function onPlay() {
    if (playing) {
      playing = false;
      paint();
      return;
    }
    if (!bettor()) return;
    if (done()) rewind();
    prepare();
    if (still.matches) {
      advance(Infinity);
      return;
    }
    playing = true;
    last = null;
    say("They are off.");
    paint();
    wake();
  }

  const done = () => race !== null && clock >= race.end;

  function advance(to) {
    const { lanes, end } = prepare();
    const before = Math.floor(clock);
    clock = Math.min(to, end);
    if (clock < end && !playing) say(`Step ${count(Math.floor(clock))}.`);
    const come = lanes.flatMap((l, i) => (l.finish > before && l.finish <= clock ? [i] : []));
    if (come.length) say(`${come.map((i) => NAMES[i]).join(", ")}: there at step ${count(lanes[come[0]].finish)}.`);
    if (clock >= end) {
      playing = false;
      say(verdict());
    }
    drawTrails(Math.floor(clock));
    paint();
  }

  function verdict() {
    const { lanes } = race;
    const first = lanes.flatMap((l, i) => (l.place === 1 && l.finish < Infinity ? [i] : []));
    if (!first.length) return `Nobody arrives within ${count(BUDGET)} steps.`;
    let words = `${first.map((i) => NAMES[i]).join(" and ")} ${first.length > 1 ? "are" : "is"} first, at step ${count(lanes[first[0]].finish)}.`;
    if (s.bet) {
      const mine = lanes[NAMES.indexOf(s.bet)];
      if (mine.finish === Infinity) words += ` Your bet was ${s.bet}, which does not arrive.`;
      else if (mine.place === 1) words += " You bet right.";
      else words += ` Your bet was ${s.bet}: place ${mine.place}, step ${count(mine.finish)}.`;
    }
    return words;
  }

  function wake() {
    if (!frame && playing && visible && !document.hidden) frame = requestAnimationFrame(tick);
  }

  function tick(now) {
    frame = 0;
    if (!playing || !visible || document.hidden) {
      last = null;
      return;
    }
    const passed = last === null ? 0 : Math.min(now - last, 100);
    last = now;
    advance(clock + (passed / 1000) * STEPS_A_SECOND * s.speed);
    wake();
  }

  function say(words) {
    if (words === said) return;
    said = words;
    status.textContent = words;
  }

  function onKey(e) {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[e.key];
    if (!way) return;
    e.preventDefault();
    e.stopPropagation();
    const size = e.shiftKey ? 0.5 : 0.1;
    move(s.start[0] + size * way[0], s.start[1] + size * way[1]);
  }

  function onClick(e) {
    const box = front.getBoundingClientRect();
    const [x0, x1, y0, y1] = surfaces[s.surface].view;
    move(x0 + ((e.clientX - box.left) / box.width) * (x1 - x0), y1 - ((e.clientY - box.top) / box.height) * (y1 - y0));
  }

  function move(x, y) {
    const [x0, x1, y0, y1] = surfaces[s.surface].view;
    const within = (v, a, b) => Number(Math.min(b, Math.max(a, v)).toFixed(2));
    put({ start_x: within(x, x0, x1), start_y: within(y, y0, y1) });
  }

  async function onCopy() {
    const link = model.link();
    try {
      await navigator.clipboard.writeText(link);
      say("Link copied: it opens this very setting.");
    } catch {
      say(`Copy this link: ${link}`);
    }
  }

  // --- drawing
  let width = 0;
  let height = 0;
  let lengths = NAMES.map(() => 0); // of each trail so far, in pixels: where its dash goes on
  let trailed = 0;
  let stripDrawn = null; // the race whose strip is on the canvas

  const variable = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  let ink = {};

  function fit(canvas) {
    const ratio = Math.min(2, devicePixelRatio || 1);
    const box = canvas.getBoundingClientRect();
    canvas.width = Math.max(1, Math.round(box.width * ratio));
    canvas.height = Math.max(1, Math.round(box.height * ratio));
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    return box;
  }

  function resize() {
    root.dataset.mode = isDark() ? "dark" : "light";
    ink = { colours: NAMES.map((_, i) => variable(`--c${i}`)), on: variable("--on"), text: variable("--ink"), soft: variable("--soft"), line: variable("--line"), fill: variable("--fill") };
    const box = fit(ground);
    fit(trails);
    fit(front);
    fit(stripCanvas);
    stripDrawn = null;
    ({ width, height } = box);
    if (!width) return;
    drawGround();
    drawTrails(0);
    drawTrails(Math.floor(clock));
    paint();
  }

  function isDark() {
    const { documentElement: html, body } = document;
    if (["light", "dark"].includes(html.dataset.theme)) return html.dataset.theme === "dark"; // the site
    if (body.dataset.jpThemeLight) return body.dataset.jpThemeLight === "false"; // JupyterLab
    if (html.getAttribute("theme")) return html.getAttribute("theme") === "dark"; // Colab
    return darkPage.matches;
  }

  const px = (x) => {
    const [x0, x1] = surfaces[s.surface].view;
    return Math.min(1e5, Math.max(-1e5, ((x - x0) / (x1 - x0)) * width));
  };
  const py = (y) => {
    const [, , y0, y1] = surfaces[s.surface].view;
    return Math.min(1e5, Math.max(-1e5, ((y1 - y) / (y1 - y0)) * height));
  };

  // Contour lines of f, each at three times the one inside it, by marching squares.
  function drawGround() {
    if (!width) return;
    const c = ground.getContext("2d");
    const { f, view: [x0, x1, y0, y1] } = surfaces[s.surface];
    const nx = 300;
    const ny = Math.round((nx * height) / width);
    const levels = Array.from({ length: 14 }, (_, i) => 0.06 * 3 ** i);
    const z = [];
    for (let j = 0; j <= ny; j++) {
      for (let i = 0; i <= nx; i++) z.push(f(x0 + ((x1 - x0) * i) / nx, y1 - ((y1 - y0) * j) / ny, s.kappa));
    }
    const dark = root.dataset.mode === "dark";
    const shade = new ImageData(nx + 1, ny + 1);
    z.forEach((v, i) => {
      const deep = Math.max(0, Math.min(1, 1 - Math.log(v / 0.06 + 1) / Math.log(3) / 10));
      const [r, g, b] = dark ? [24 + 16 * deep, 28 + 34 * deep, 33 + 48 * deep] : [247 - 40 * deep, 249 - 22 * deep, 251 - 8 * deep];
      shade.data.set([r, g, b, 255], 4 * i);
    });
    const small = document.createElement("canvas");
    small.width = nx + 1;
    small.height = ny + 1;
    small.getContext("2d").putImageData(shade, 0, 0);
    c.drawImage(small, 0.5, 0.5, nx, ny, 0, 0, width, height);
    c.strokeStyle = dark ? "rgba(190,215,235,.28)" : "rgba(40,70,100,.25)";
    c.lineWidth = 1;
    const dx = width / nx;
    const dy = height / ny;
    c.beginPath();
    for (let j = 0; j < ny; j++) {
      for (let i = 0; i < nx; i++) {
        const k = j * (nx + 1) + i;
        const corners = [z[k], z[k + 1], z[k + nx + 2], z[k + nx + 1]];
        const low = Math.min(...corners);
        const high = Math.max(...corners);
        for (const level of levels) {
          if (level <= low || level > high) continue;
          const [a, b, d, e] = corners;
          const on = (p, q) => (level - p) / (q - p);
          const hits = [];
          if (a < level !== b < level) hits.push([i + on(a, b), j]);
          if (b < level !== d < level) hits.push([i + 1, j + on(b, d)]);
          if (e < level !== d < level) hits.push([i + on(e, d), j + 1]);
          if (a < level !== e < level) hits.push([i, j + on(a, e)]);
          for (let n = 0; n + 1 < hits.length; n += 2) {
            c.moveTo(hits[n][0] * dx, hits[n][1] * dy);
            c.lineTo(hits[n + 1][0] * dx, hits[n + 1][1] * dy);
          }
        }
      }
    }
    c.stroke();
    // The finish: within NEAR of the minimum.
    const [mx, my] = surfaces[s.surface].minimum;
    c.strokeStyle = ink.text;
    c.fillStyle = ink.text;
    c.lineWidth = 1.5;
    c.beginPath();
    c.ellipse(px(mx), py(my), (NEAR / (x1 - x0)) * width, (NEAR / (y1 - y0)) * height, 0, 0, 7);
    c.stroke();
    c.font = "12px system-ui, sans-serif";
    c.textAlign = "center";
    c.fillText("minimum", px(mx), py(my) + (NEAR / (y1 - y0)) * height + 26);
  }

  // Add to the trails what was walked since; 0 clears.
  function drawTrails(to) {
    const c = trails.getContext("2d");
    if (to < trailed || to === 0) {
      c.clearRect(0, 0, width, height);
      lengths = NAMES.map(() => 0);
      trailed = 0;
    }
    if (!race || !width) return;
    c.lineWidth = 2;
    c.lineJoin = "round";
    race.lanes.forEach((lane, i) => {
      const end = Math.min(to, lane.n);
      if (trailed >= end) return;
      c.strokeStyle = ink.colours[i];
      c.setLineDash(optimizers[NAMES[i]].dash);
      c.lineDashOffset = lengths[i];
      c.beginPath();
      let [x, y] = [px(lane.path[2 * trailed]), py(lane.path[2 * trailed + 1])];
      c.moveTo(x, y);
      for (let t = trailed + 1; t <= end; t++) {
        const [u, v] = [px(lane.path[2 * t]), py(lane.path[2 * t + 1])];
        c.lineTo(u, v);
        lengths[i] += Math.hypot(u - x, v - y);
        [x, y] = [u, v];
      }
      c.stroke();
    });
    trailed = to;
  }

  function badge(c, i, x, y, r) {
    c.fillStyle = ink.colours[i];
    c.strokeStyle = ink.fill;
    c.lineWidth = 1.5;
    c.setLineDash([]);
    c.beginPath();
    c.arc(x, y, r, 0, 7);
    c.fill();
    c.stroke();
    c.fillStyle = ink.on;
    c.font = `700 ${Math.round(1.25 * r)}px system-ui, sans-serif`;
    c.textAlign = "center";
    c.textBaseline = "middle";
    c.fillText(optimizers[NAMES[i]].letter, x, y + 0.5);
  }

  const text = (node, value) => node.textContent !== value && (node.textContent = value);

  function paint() {
    const t = Math.floor(clock);
    const over = done();
    root.dataset.step = t;
    for (const input of bets) input.disabled = clock > 0 && !over; // the bet stands until the race is over
    text(counter, `step ${count(t)}`);
    text(play, playing ? "Pause" : "Race!");
    paintFront();
    // Changing text costs a layout: while the race runs, ten times a second are enough.
    if (playing && frames % 6) return;
    cells.forEach(({ row, td: [place, rate, steps, far] }, i) => {
      const lane = race?.lanes[i];
      const there = lane && clock > 0 && lane.finish <= clock;
      const lost = lane && clock > 0 && lane.lost <= (over ? BUDGET : clock);
      row.dataset.place = there ? lane.place : "";
      text(place, there ? String(lane.place) : "–");
      text(rate, lane ? short(lane.lr) : "…");
      text(steps, there ? count(lane.finish) : lost ? "diverged" : over ? `> ${count(BUDGET)}` : "–");
      const [mx, my] = surfaces[s.surface].minimum;
      const n = lane ? Math.min(t, lane.n) : 0;
      const d = lane ? Math.hypot(lane.path[2 * n] - mx, lane.path[2 * n + 1] - my) : Math.hypot(s.start[0] - mx, s.start[1] - my);
      text(far, lost ? "∞" : d < 100 ? d.toFixed(2) : d.toPrecision(2));
    });
    text(
      caption,
      `Steps: until within ${NEAR} of the minimum for good, of at most ${count(BUDGET)}. Away: the distance from it. ` +
        (s.common ? "Rate: the same for all." : `Rate: the best of ${RATES.length} that were tried from this start.`),
    );
    stripWait.hidden = over;
    stripCanvas.style.visibility = over ? "visible" : "hidden";
    if (over) drawStrip();
    else stripDrawn = null;
  }

  let frames = 0;
  function paintFront() {
    root.dataset.frames = ++frames;
    if (!width) return;
    const c = front.getContext("2d");
    c.clearRect(0, 0, width, height);
    const [sx, sy] = [px(s.start[0]), py(s.start[1])];
    c.setLineDash([]);
    c.strokeStyle = ink.text;
    c.lineWidth = 2;
    c.beginPath();
    c.arc(sx, sy, 6, 0, 7);
    c.stroke();
    if (!clock || !race) {
      c.fillStyle = ink.text;
      c.font = "12px system-ui, sans-serif";
      c.textAlign = sx > width - 60 ? "right" : "left";
      c.textBaseline = "middle";
      c.fillText("start", sx + (sx > width - 60 ? -11 : 11), sy);
      return;
    }
    const t = Math.floor(clock);
    const order = NAMES.map((_, i) => i).sort((a, b) => (NAMES[a] === s.bet) - (NAMES[b] === s.bet));
    for (const i of order) {
      const lane = race.lanes[i];
      const n = Math.min(t, lane.n);
      const m = Math.min(n + 1, lane.n);
      const part = n < t ? 0 : clock - t;
      const x = px(lane.path[2 * n] + part * (lane.path[2 * m] - lane.path[2 * n]));
      const y = py(lane.path[2 * n + 1] + part * (lane.path[2 * m + 1] - lane.path[2 * n + 1]));
      const r = 9;
      const inside = [Math.min(width - r, Math.max(r, x)), Math.min(height - r, Math.max(r, y))];
      const out = x < 0 || y < 0 || x > width || y > height;
      c.globalAlpha = out ? 0.55 : 1; // beyond the picture: waits at its edge
      badge(c, i, ...inside, r);
      c.globalAlpha = 1;
    }
  }

  // Steps to arrive over the rate: how wide each optimizer's good range is.
  function drawStrip() {
    if (stripDrawn === race) return;
    stripDrawn = race;
    const c = stripCanvas.getContext("2d");
    const { width: w, height: t } = stripCanvas.getBoundingClientRect();
    c.clearRect(0, 0, w, t);
    const box = [34, 20, w - 8, t - 32];
    const X = (v) => box[0] + ((Math.log10(v) + 4) / 4.6) * (box[2] - box[0]);
    const Y = (v) => box[3] - ((Math.log10(Math.max(10, v)) - 1) / Math.log10(BUDGET / 10)) * (box[3] - box[1]);
    c.font = "11px system-ui, sans-serif";
    c.fillStyle = ink.soft;
    c.strokeStyle = ink.line;
    c.lineWidth = 1;
    c.setLineDash([]);
    c.textBaseline = "middle";
    for (const v of [10, 100, 1000]) {
      c.textAlign = "right";
      c.fillText(String(v), box[0] - 5, Y(v));
      c.beginPath();
      c.moveTo(box[0], Y(v));
      c.lineTo(box[2], Y(v));
      c.stroke();
    }
    c.textAlign = "center";
    for (const v of [0.001, 0.01, 0.1, 1]) c.fillText(String(v), X(v), box[3] + 11);
    c.fillText("learning rate", (box[0] + box[2]) / 2, t - 7);
    c.textAlign = "left";
    c.fillText("steps to arrive", 0, 7);
    const all = sweepAll();
    all.forEach(({ finishes }, i) => {
      c.strokeStyle = ink.colours[i];
      c.lineWidth = 2;
      c.setLineDash(optimizers[NAMES[i]].dash);
      c.beginPath();
      finishes.forEach((v, k) => {
        if (v === Infinity) return;
        const fresh = k === 0 || finishes[k - 1] === Infinity;
        if (fresh) c.moveTo(X(RATES[k]) - 1, Y(v));
        c.lineTo(X(RATES[k]), Y(v));
      });
      c.stroke();
    });
    race.lanes.forEach((lane, i) => {
      if (lane.finish < Infinity) badge(c, i, Math.min(X(lane.lr), w - 8), Y(lane.finish), 8);
    });
  }

  // --- life
  let queued = false;
  const onChange = () => {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      refresh();
    });
  };
  const keys = Object.keys(DEFAULTS);
  for (const key of keys) model.on(`change:${key}`, onChange);

  const onHidden = () => {
    last = null;
    wake();
  };
  document.addEventListener("visibilitychange", onHidden);
  const seen = new IntersectionObserver((entries) => {
    visible = entries.at(-1).isIntersecting;
    last = null;
    if (visible && !race) {
      prepare();
      paint();
    }
    wake();
  });
  const sized = new ResizeObserver(resize);
  const themed = new MutationObserver(resize);
  themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme", "theme"] });
  themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light"] });
  darkPage.addEventListener("change", resize);

  el.append(root);
  resize();
  refresh();
  seen.observe(stage);
  sized.observe(stage);

  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(later);
    playing = false;
    seen.disconnect();
    sized.disconnect();
    themed.disconnect();
    darkPage.removeEventListener("change", resize);
    document.removeEventListener("visibilitychange", onHidden);
    for (const key of keys) model.off(`change:${key}`, onChange);
    root.remove();
  };
}

export default { render };
