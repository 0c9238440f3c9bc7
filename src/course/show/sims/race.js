// The optimizer race: five optimizers from one start on one surface. One ES module, mounted by anywidget
// in a notebook and by sims.js on the site. Numerics first (tested against torch.optim), then the drawing.

export const surfaces = {
  bowl: {
    label: "elongated bowl ½(x² + κy²)",
    value: (x, y, k) => 0.5 * (x * x + k * y * y),
    grad: (x, y, k) => [x, k * y],
    minimum: [0, 0],
    start: [-4, 2],
    box: [-5, 2.5, -2.6, 2.6],
  },
  rosenbrock: {
    label: "Rosenbrock's valley",
    value: (x, y) => (1 - x) ** 2 + 100 * (y - x * x) ** 2,
    grad: (x, y) => [-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)],
    minimum: [1, 1],
    start: [-1.2, 1],
    box: [-2.1, 2.1, -0.9, 2.1],
  },
  beale: {
    label: "Beale's plateau",
    value: (x, y) =>
      (1.5 - x + x * y) ** 2 + (2.25 - x + x * y * y) ** 2 + (2.625 - x + x * y ** 3) ** 2,
    grad: (x, y) => {
      const a = 1.5 - x + x * y;
      const b = 2.25 - x + x * y * y;
      const c = 2.625 - x + x * y ** 3;
      return [
        2 * a * (y - 1) + 2 * b * (y * y - 1) + 2 * c * (y ** 3 - 1),
        2 * a * x + 4 * b * x * y + 6 * c * x * y * y,
      ];
    },
    minimum: [3, 0.5],
    start: [1, 1.5],
    box: [-4.5, 4.5, -2.2, 2.2],
  },
};

// Each maps (gradient component, its memory, settings, step t from 1) to the change of the parameter.
// The forms are torch.optim's.
export const optimizers = {
  SGD: (g, s, h) => -h.lr * g,
  momentum: (g, s, h) => {
    s.v = h.momentum * (s.v ?? 0) + g;
    return -h.lr * s.v;
  },
  Nesterov: (g, s, h) => {
    s.v = h.momentum * (s.v ?? 0) + g;
    return -h.lr * (g + h.momentum * s.v);
  },
  RMSProp: (g, s, h) => {
    s.v = h.alpha * (s.v ?? 0) + (1 - h.alpha) * g * g;
    return (-h.lr * g) / (Math.sqrt(s.v) + h.eps);
  },
  Adam: (g, s, h, t) => {
    s.m = h.beta1 * (s.m ?? 0) + (1 - h.beta1) * g;
    s.v = h.beta2 * (s.v ?? 0) + (1 - h.beta2) * g * g;
    const m = s.m / (1 - h.beta1 ** t);
    const v = s.v / (1 - h.beta2 ** t);
    return (-h.lr * m) / (Math.sqrt(v) + h.eps);
  },
};

const DEFAULTS = { momentum: 0.9, alpha: 0.99, beta1: 0.9, beta2: 0.999, eps: 1e-8, kappa: 100 };

// Positions [x0, y0, x1, y1, …] for steps 0 … steps; shorter when the walk leaves all bounds.
// `noise` is the standard deviation of what is added to each gradient, the same draws for every optimizer.
export function run(optimizer, surface, settings, start, steps) {
  const h = { ...DEFAULTS, ...settings };
  const step = optimizers[optimizer];
  const { grad } = surfaces[surface];
  const normal = h.noise ? gaussian(h.seed ?? 0) : () => 0;
  const path = new Float64Array(2 * (steps + 1));
  let [x, y] = start;
  path[0] = x;
  path[1] = y;
  const sx = {};
  const sy = {};
  for (let t = 1; t <= steps; t++) {
    const [gx, gy] = grad(x, y, h.kappa);
    x += step(gx + (h.noise ?? 0) * normal(), sx, h, t);
    y += step(gy + (h.noise ?? 0) * normal(), sy, h, t);
    if (!(Math.abs(x) < 1e9 && Math.abs(y) < 1e9)) return path.slice(0, 2 * t);
    path[2 * t] = x;
    path[2 * t + 1] = y;
  }
  return path;
}

function gaussian(seed) {
  let a = (seed + 1) * 0x9e3779b9;
  const uniform = () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

export const BUDGET = 3000;
const RATES = Array.from({ length: 41 }, (_, i) => 10 ** (-4 + i / 10));

// The first step from which the walk stays within 0.1 of the minimum; Infinity when it does not arrive.
export function finish(path, surface, steps = BUDGET) {
  const [mx, my] = surfaces[surface].minimum;
  const n = path.length / 2;
  if (n < steps + 1) return Infinity;
  let t = n;
  while (t > 0 && Math.hypot(path[2 * t - 2] - mx, path[2 * t - 1] - my) <= 0.1) t--;
  return t === n ? Infinity : t;
}

const NAMES = Object.keys(optimizers);
const LOOKS = {
  SGD: { light: "#0072B2", dark: "#6CC0F0", dash: [], mark: "circle" },
  momentum: { light: "#C04E00", dark: "#FF9F5C", dash: [7, 4], mark: "square" },
  Nesterov: { light: "#007A5A", dark: "#3CD6AC", dash: [2, 3], mark: "triangle" },
  RMSProp: { light: "#AA3377", dark: "#F59ACD", dash: [9, 3, 2, 3], mark: "diamond" },
  Adam: { light: "#7A5F00", dark: "#F2CC3A", dash: [12, 3], mark: "cross" },
};

const CSS = `
.cs-race{--ink:#1c1f23;--soft:#545b63;--line:#c9ced4;--card:#fff;--accent:#0b5cad;--on:#fff;
 color:var(--ink);font:14px/1.45 system-ui,sans-serif;border:1px solid var(--line);border-radius:8px;
 padding:12px;background:var(--card);box-sizing:border-box;max-width:880px}
.cs-race.dark{--ink:#eceff1;--soft:#b4bcc4;--line:#4a5158;--card:#17191c;--accent:#8cc4ff;--on:#10131a}
.cs-race *{box-sizing:border-box}
.cs-race .cs-row{display:flex;flex-wrap:wrap;gap:8px 14px;align-items:end;margin:0 0 10px}
.cs-race label{display:flex;flex-direction:column;gap:2px;font-size:12.5px;color:var(--soft);min-width:0}
.cs-race select,.cs-race input[type=number]{font:inherit;font-size:14px;color:var(--ink);background:var(--card);
 border:1px solid var(--soft);border-radius:5px;padding:4px 6px;min-height:30px;max-width:100%}
.cs-race input[type=number]{width:5.6em}
.cs-race input[type=range]{width:150px;min-height:30px;accent-color:var(--accent)}
.cs-race button{font:inherit;color:var(--accent);background:transparent;border:1px solid var(--accent);
 border-radius:5px;padding:4px 12px;min-height:32px;cursor:pointer}
.cs-race button.main{background:var(--accent);color:var(--on);font-weight:600}
.cs-race :focus-visible{outline:3px solid var(--accent);outline-offset:2px}
.cs-race canvas.field{display:block;width:100%;aspect-ratio:16/9;border-radius:5px;cursor:crosshair;touch-action:manipulation}
.cs-race .status{min-height:2.9em;margin:8px 0;color:var(--ink)}
.cs-race table{width:100%;border-collapse:collapse;margin:0;font-variant-numeric:tabular-nums;display:table}
.cs-race th,.cs-race td{text-align:left;padding:3px 6px;border:0;border-bottom:1px solid var(--line);color:var(--ink);background:transparent}
.cs-race th{font-weight:600;color:var(--soft);font-size:12.5px}
.cs-race td canvas{display:block}
.cs-race td.strip{width:34%}
.cs-race td.strip canvas{width:100%;height:14px}
.cs-race b{font-weight:600;color:var(--ink)}
.cs-race [hidden]{display:none!important}
.cs-race .note{font-size:12.5px;color:var(--soft);margin:6px 0 0}
@media(max-width:520px){.cs-race{padding:8px}.cs-race canvas.field{aspect-ratio:4/3}.cs-race input[type=range]{width:110px}}
`;

const TEMPLATE = `
<div class="cs-row">
 <label>surface<select data-k="surface"></select></label>
 <label data-for="bowl"><span>condition number κ = <b></b></span><input type="range" data-k="kappa" min="1" max="200" step="1"></label>
 <label>start x<input type="number" data-k="start_x" step="0.1"></label>
 <label>start y<input type="number" data-k="start_y" step="0.1"></label>
 <label>learning rates<select data-k="common"><option value="">each at its own best</option><option value="1">all at a common one</option></select></label>
 <label data-for="common"><span>rate = <b></b></span><input type="range" data-k="lr" min="-4" max="0" step="0.1"></label>
 <label><span>gradient noise = <b></b></span><input type="range" data-k="noise" min="0" max="5" step="0.1"></label>
</div>
<div class="cs-row">
 <label>your bet: first to arrive<select data-k="bet"><option value="">no bet yet</option></select></label>
 <button class="main" data-do="race">Race!</button><button data-do="pause">Pause</button><button data-do="step">Step</button>
 <button data-do="restart">Restart</button>
 <label><span>speed × <b></b></span><input type="range" data-k="speed" min="0.2" max="5" step="0.1"></label>
</div>
<canvas class="field" role="img"></canvas>
<p class="status" role="status" aria-live="polite"></p>
<table><thead><tr><th scope="col">optimizer</th><th scope="col">rate</th><th scope="col">arrives at step</th>
<th scope="col">arrival over rates 0.0001 … 1</th></tr></thead><tbody></tbody></table>
<p class="note">Arrived means: within 0.1 of the minimum (★) and never away again within ${BUDGET.toLocaleString("en")} steps. Click
the picture to choose another start. In the strips, darker is sooner, empty is never; the line marks the rate in use.
<button data-do="beale">Try Beale from (−1, 1.5)</button> <button data-do="noise">New noise</button> <button data-do="copy" hidden>Copy link</button></p>`;

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "cs-race";
  root.innerHTML = `<style>${CSS}</style>${TEMPLATE}`;
  el.append(root);
  const $ = (q) => root.querySelector(q);
  const field = $("canvas.field");
  const body = $("tbody");
  const controls = Object.fromEntries(
    [...root.querySelectorAll("[data-k]")].map((c) => [c.dataset.k, c]),
  );
  for (const [k, s] of Object.entries(surfaces)) controls.surface.add(new Option(s.label, k));
  for (const n of NAMES) controls.bet.add(new Option(n, n));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  // An address may name a surface that there is not.
  const get = (k) => {
    const v = model.get(k);
    return k === "surface" && !(v in surfaces) ? "bowl" : v;
  };

  let racers = [];
  let t = 0;
  let end = 1;
  let playing = false;
  let seen = true;
  let frame = 0;
  let last = 0;
  let ground = null;
  let told = "";

  function start() {
    const s = surfaces[get("surface")];
    return [get("start_x") ?? s.start[0], get("start_y") ?? s.start[1]];
  }

  function settings(lr) {
    return { lr, kappa: get("kappa"), noise: get("noise"), seed: get("seed") };
  }

  // Everything is computed before the race; playing it back only draws.
  function compute() {
    const surface = get("surface");
    racers = NAMES.map((name) => {
      const walk = (lr) => run(name, surface, settings(lr), start(), BUDGET);
      const times = RATES.map((lr) => finish(walk(lr), surface));
      const best = times.indexOf(Math.min(...times));
      // Nobody arrives: a small rate that at least stays in the picture.
      const lr = get("common") ? get("lr") : RATES[times[best] === Infinity ? 10 : best];
      const path = walk(lr);
      return { name, lr, path, times, arrives: finish(path, surface) };
    });
    const arrived = racers.map((r) => r.arrives).filter(Number.isFinite);
    end = arrived.length ? Math.min(BUDGET, Math.ceil(Math.max(...arrived) * 1.1) + 5) : 600;
    ground = null;
    rewind();
    table();
  }

  function rewind() {
    t = 0;
    playing = false;
    told = "";
    say(get("bet") ? `Your bet is on ${get("bet")}.` : "Bet first: who is first to arrive?");
    draw();
  }

  const dark = () => {
    const theme = document.documentElement.dataset.theme;
    const jupyter = document.body.dataset.jpThemeLight;
    if (theme) return theme === "dark";
    if (jupyter) return jupyter === "false";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const colour = (name) => LOOKS[name][dark() ? "dark" : "light"];

  function fit(canvas) {
    const scale = Math.min(2, devicePixelRatio || 1);
    const w = Math.round(canvas.clientWidth * scale);
    const h = Math.round(canvas.clientHeight * scale);
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
      return [scale, true];
    }
    return [scale, false];
  }

  // Bands of log value, drawn once for a surface, a size and a theme.
  function paintGround(w, h, box) {
    const { value, minimum } = surfaces[get("surface")];
    const k = get("kappa");
    const gw = Math.ceil(w / 2);
    const gh = Math.ceil(h / 2);
    const canvas = new OffscreenCanvas(gw, gh);
    const context = canvas.getContext("2d");
    const image = context.createImageData(gw, gh);
    const low = Math.log(value(...minimum, k) + 0.02);
    const night = dark();
    const band = (i, j) => {
      const x = box[0] + ((i + 0.5) / gw) * (box[1] - box[0]);
      const y = box[3] - ((j + 0.5) / gh) * (box[3] - box[2]);
      return Math.floor((Math.log(value(x, y, k) + 0.02) - low) * 1.4);
    };
    let row = Array.from({ length: gw }, (_, i) => band(i, 0));
    for (let j = 0; j < gh; j++) {
      const next = Array.from({ length: gw }, (_, i) => band(i, j + 1));
      for (let i = 0; i < gw; i++) {
        const edge = row[i] !== next[i] || row[i] !== (row[i + 1] ?? row[i]);
        const depth = Math.min(1, row[i] / 16);
        const tone = night ? 30 + 34 * depth : 250 - 52 * depth;
        const p = 4 * (j * gw + i);
        const shade = edge ? (night ? 22 : -26) : 0;
        image.data[p] = tone + shade;
        image.data[p + 1] = tone + shade + 2;
        image.data[p + 2] = tone + shade + 6;
        image.data[p + 3] = 255;
      }
      row = next;
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  // The surface's box, widened to the field's shape.
  function view(w, h) {
    const b = surfaces[get("surface")].box;
    const [sx, sy] = start();
    const pad = 0.3;
    return [
      Math.min(b[0], sx - pad),
      Math.max(b[1], sx + pad),
      Math.min(b[2], sy - pad),
      Math.max(b[3], sy + pad),
    ];
  }

  function draw() {
    root.classList.toggle("dark", dark());
    const [scale, resized] = fit(field);
    const w = field.width;
    const h = field.height;
    if (!w || !h) return;
    const box = view(w, h);
    if (resized || !ground) ground = paintGround(w, h, box);
    const c = field.getContext("2d");
    c.drawImage(ground, 0, 0, w, h);
    const px = (x) => ((x - box[0]) / (box[1] - box[0])) * w;
    const py = (y) => ((box[3] - y) / (box[3] - box[2])) * h;
    const ink = dark() ? "#fff" : "#111";
    star(c, px(surfaces[get("surface")].minimum[0]), py(surfaces[get("surface")].minimum[1]), 8 * scale, ink);
    const now = Math.floor(t);
    const heads = [];
    for (const r of racers) {
      const n = Math.min(now, r.path.length / 2 - 1);
      const stride = Math.max(1, Math.ceil(n / 500));
      c.beginPath();
      c.moveTo(px(r.path[0]), py(r.path[1]));
      for (let i = stride; i <= n; i += stride) c.lineTo(px(r.path[2 * i]), py(r.path[2 * i + 1]));
      c.lineTo(px(r.path[2 * n]), py(r.path[2 * n + 1]));
      c.setLineDash(LOOKS[r.name].dash.map((d) => d * scale));
      c.lineWidth = 1.8 * scale;
      c.strokeStyle = colour(r.name);
      c.stroke();
      heads.push([r, px(r.path[2 * n]), py(r.path[2 * n + 1])]);
    }
    c.setLineDash([]);
    c.font = `600 ${12 * scale}px system-ui, sans-serif`;
    const taken = [];
    for (const [r, x, y] of heads) {
      mark(c, LOOKS[r.name].mark, x, y, 5 * scale, colour(r.name), ink);
      if (now === 0) continue;
      const left = x > w * 0.8;
      let ty = Math.min(h - 4 * scale, Math.max(12 * scale, y + 4 * scale));
      while (taken.some((o) => Math.abs(o[0] - x) < 70 * scale && Math.abs(o[1] - ty) < 13 * scale)) ty -= 13 * scale;
      taken.push([x, ty]);
      c.textAlign = left ? "right" : "left";
      c.lineWidth = 3 * scale;
      c.strokeStyle = dark() ? "#17191c" : "#fff";
      const tx = Math.min(w - 4 * scale, Math.max(4 * scale, x + (left ? -9 : 9) * scale));
      c.strokeText(r.name, tx, ty);
      c.fillStyle = colour(r.name);
      c.fillText(r.name, tx, ty);
    }
    c.textAlign = "left";
    c.fillStyle = ink;
    c.font = `${12 * scale}px system-ui, sans-serif`;
    c.fillText(`step ${now.toLocaleString("en")}`, 8 * scale, 16 * scale);
    frames++;
    root.dataset.frames = frames;
    root.dataset.step = now;
  }
  let frames = 0;

  function star(c, x, y, r, fill) {
    c.beginPath();
    for (let i = 0; i < 10; i++) {
      const a = (i * Math.PI) / 5 - Math.PI / 2;
      const q = i % 2 ? r * 0.42 : r;
      c.lineTo(x + q * Math.cos(a), y + q * Math.sin(a));
    }
    c.closePath();
    c.fillStyle = fill;
    c.fill();
  }

  function mark(c, kind, x, y, r, fill, edge) {
    c.beginPath();
    if (kind === "circle") c.arc(x, y, r, 0, 2 * Math.PI);
    else if (kind === "square") c.rect(x - r, y - r, 2 * r, 2 * r);
    else if (kind === "cross") {
      for (const [u, v] of [[-1, -0.4], [-0.4, -0.4], [-0.4, -1], [0.4, -1], [0.4, -0.4], [1, -0.4], [1, 0.4], [0.4, 0.4], [0.4, 1], [-0.4, 1], [-0.4, 0.4], [-1, 0.4]])
        c.lineTo(x + 1.2 * r * u, y + 1.2 * r * v);
    } else {
      const turn = kind === "diamond" ? 4 : 3;
      for (let i = 0; i < turn; i++) {
        const a = (i * 2 * Math.PI) / turn - Math.PI / 2;
        c.lineTo(x + 1.35 * r * Math.cos(a), y + 1.35 * r * Math.sin(a));
      }
    }
    c.closePath();
    c.fillStyle = fill;
    c.fill();
    c.lineWidth = 1;
    c.strokeStyle = edge;
    c.stroke();
  }

  const rate = (lr) => (lr >= 0.01 ? lr.toPrecision(2) : lr.toExponential(1));
  const outcome = (r) =>
    Number.isFinite(r.arrives)
      ? r.arrives.toLocaleString("en")
      : r.path.length / 2 < BUDGET + 1
        ? "diverges"
        : `not in ${BUDGET.toLocaleString("en")}`;

  function table() {
    body.replaceChildren(
      ...racers.map((r) => {
        const tr = document.createElement("tr");
        tr.innerHTML = `<td><canvas width="120" height="28" style="width:60px;height:14px" aria-hidden="true"></canvas>${r.name}</td>
<td>${rate(r.lr)}</td><td class="when"></td><td class="strip"><canvas aria-hidden="true"></canvas></td>`;
        const key = tr.querySelector("canvas").getContext("2d");
        key.strokeStyle = colour(r.name);
        key.lineWidth = 4;
        key.setLineDash(LOOKS[r.name].dash.map((d) => 2 * d));
        key.moveTo(0, 14);
        key.lineTo(96, 14);
        key.stroke();
        key.setLineDash([]);
        mark(key, LOOKS[r.name].mark, 104, 14, 8, colour(r.name), dark() ? "#fff" : "#111");
        return tr;
      }),
    );
    racers.forEach((r, i) => {
      const canvas = body.rows[i].querySelector(".strip canvas");
      canvas.width = 246;
      canvas.height = 14;
      const c = canvas.getContext("2d");
      r.times.forEach((time, k) => {
        if (!Number.isFinite(time)) return;
        c.globalAlpha = 1 - 0.85 * Math.min(1, Math.log(Math.max(time, 5) / 5) / Math.log(BUDGET / 5));
        c.fillStyle = colour(r.name);
        c.fillRect(k * 6, 0, 6, 14);
      });
      c.globalAlpha = 1;
      c.fillStyle = dark() ? "#fff" : "#111";
      c.fillRect(((Math.log10(r.lr) + 4) / 4) * 240 + 2, 0, 2, 14);
    });
    results();
  }

  function results() {
    racers.forEach((r, i) => {
      const cell = body.rows[i].querySelector(".when");
      cell.textContent = t >= Math.min(r.arrives, end) ? outcome(r) : "…";
    });
  }

  function say(text) {
    if (text !== told) $(".status").textContent = text;
    told = text;
  }

  function verdict() {
    const order = racers.filter((r) => Number.isFinite(r.arrives)).sort((a, b) => a.arrives - b.arrives);
    const lost = racers.filter((r) => !Number.isFinite(r.arrives)).map((r) => r.name);
    const bet = get("bet");
    let text = order.length
      ? `${order[0].name} is first, at step ${order[0].arrives.toLocaleString("en")}.`
      : "Nobody arrives.";
    if (bet && order.length) text += bet === order[0].name ? " You bet right." : ` Your bet was ${bet}.`;
    if (lost.length && order.length) text += ` Not arrived: ${lost.join(", ")}.`;
    say(text);
  }

  function tick(now) {
    frame = 0;
    if (!playing || !seen) return;
    // A tab that was hidden must not jump ahead.
    const dt = Math.min(0.05, (now - last) / 1000);
    last = now;
    t = Math.min(end, t + dt * get("speed") * Math.max(12, end / 7));
    if (t >= end) {
      playing = false;
      verdict();
    }
    draw();
    results();
    wake();
  }

  function wake() {
    if (playing && seen && !frame) frame = requestAnimationFrame(tick);
  }

  const actions = {
    race() {
      if (t >= end) t = 0;
      if (calm.matches) {
        t = end;
        verdict();
        draw();
        results();
        return;
      }
      playing = true;
      last = performance.now();
      say("They are off.");
      wake();
    },
    pause() {
      playing = false;
      say(`Paused at step ${Math.floor(t)}.`);
    },
    step() {
      playing = false;
      t = Math.min(end, Math.floor(t) + 1);
      if (t >= end) verdict();
      else say(`Step ${t}.`);
      draw();
      results();
    },
    restart() {
      rewind();
      results();
    },
    beale: () => set({ surface: "beale", start_x: -1, start_y: 1.5 }),
    noise: () => set({ seed: (get("seed") + 1) % 1000, noise: get("noise") || 1 }),
    async copy() {
      await navigator.clipboard?.writeText(model.link()).catch(() => {});
      say("The address of this setting is in the address bar and, where the browser allows it, copied.");
    },
  };

  function set(changes) {
    for (const [k, v] of Object.entries(changes)) model.set(k, v);
    model.save_changes();
  }

  function show() {
    const [x, y] = start();
    controls.surface.value = get("surface");
    controls.kappa.value = get("kappa");
    controls.start_x.value = Number(x.toFixed(2));
    controls.start_y.value = Number(y.toFixed(2));
    controls.common.value = get("common") ? "1" : "";
    controls.lr.value = Math.log10(get("lr"));
    controls.noise.value = get("noise");
    controls.bet.value = get("bet");
    controls.speed.value = get("speed");
    const out = (k, text) => (controls[k].closest("label").querySelector("b").textContent = text);
    out("kappa", get("kappa"));
    out("lr", rate(get("lr")));
    out("noise", get("noise"));
    out("speed", get("speed"));
    controls.lr.setAttribute("aria-valuetext", rate(get("lr")));
    root.querySelector("[data-for=bowl]").hidden = get("surface") !== "bowl";
    root.querySelector("[data-for=common]").hidden = !get("common");
    field.setAttribute(
      "aria-label",
      `Paths of five optimizers on ${surfaces[get("surface")].label}, from (${x.toFixed(1)}, ${y.toFixed(1)})`,
    );
  }

  const read = {
    surface: (c) => ({ surface: c.value, start_x: null, start_y: null }),
    kappa: (c) => ({ kappa: Number(c.value) }),
    start_x: (c) => ({ start_x: Number(c.value), start_y: start()[1] }),
    start_y: (c) => ({ start_x: start()[0], start_y: Number(c.value) }),
    common: (c) => ({ common: c.value === "1" }),
    lr: (c) => ({ lr: 10 ** Number(c.value) }),
    noise: (c) => ({ noise: Number(c.value) }),
    bet: (c) => ({ bet: c.value }),
    speed: (c) => ({ speed: Number(c.value) }),
  };
  for (const [k, c] of Object.entries(controls))
    c.addEventListener(c.type === "range" ? "input" : "change", () => set(read[k](c)));
  root.addEventListener("click", (e) => actions[e.target.dataset?.do]?.());
  field.addEventListener("click", (e) => {
    const r = field.getBoundingClientRect();
    const box = view(field.width, field.height);
    set({
      start_x: Number((box[0] + ((e.clientX - r.left) / r.width) * (box[1] - box[0])).toFixed(1)),
      start_y: Number((box[3] - ((e.clientY - r.top) / r.height) * (box[3] - box[2])).toFixed(1)),
    });
  });
  root.querySelector("[data-do=copy]").hidden = !model.link;

  let queued = false;
  const changed = () => {
    if (queued) return;
    queued = true;
    queueMicrotask(() => {
      queued = false;
      show();
      compute();
    });
  };
  const shown = () => {
    show();
    if (!playing && t === 0) rewind();
  };
  const heavy = ["surface", "kappa", "start_x", "start_y", "common", "lr", "noise", "seed"];
  for (const k of heavy) model.on(`change:${k}`, changed);
  for (const k of ["bet", "speed"]) model.on(`change:${k}`, shown);

  const sight = new IntersectionObserver((entries) => {
    seen = entries.at(-1).isIntersecting;
    last = performance.now();
    wake();
  });
  sight.observe(root);
  const size = new ResizeObserver(() => draw());
  size.observe(field);
  const theme = new MutationObserver(() => {
    ground = null;
    draw();
    table();
  });
  for (const node of [document.documentElement, document.body])
    theme.observe(node, { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light"] });

  show();
  compute();
  return () => {
    playing = false;
    cancelAnimationFrame(frame);
    sight.disconnect();
    size.disconnect();
    theme.disconnect();
    for (const k of heavy) model.off(`change:${k}`, changed);
    for (const k of ["bet", "speed"]) model.off(`change:${k}`, shown);
  };
}

export default { render };
