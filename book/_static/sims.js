// Mounts the simulations of a page without a kernel: the same ES modules that anywidget mounts in a
// notebook. A setting in the page's address (#race:{…}) replaces the one in the page.

class Model {
  constructor(name, state) {
    this.name = name;
    this.state = state;
    this.listeners = {};
  }
  get(key) {
    return this.state[key];
  }
  set(key, value) {
    if (Object.is(this.state[key], value)) return;
    this.state[key] = value;
    for (const f of [...(this.listeners[`change:${key}`] ?? [])]) f();
  }
  on(event, f) {
    (this.listeners[event] ??= []).push(f);
  }
  off(event, f) {
    this.listeners[event] = (this.listeners[event] ?? []).filter((g) => g !== f);
  }
  // A slider saves many times a second, and browsers limit how often an address may change.
  save_changes() {
    clearTimeout(this.later);
    this.later = setTimeout(() => history.replaceState(history.state, "", this.link()), 200);
  }
  link() {
    const state = encodeURIComponent(JSON.stringify(this.state));
    return `${location.href.split("#")[0]}#${this.name}:${state}`;
  }
}

function fromAddress(name) {
  const hash = location.hash.slice(1);
  if (!hash.startsWith(`${name}:`)) return {};
  try {
    return JSON.parse(decodeURIComponent(hash.slice(name.length + 1)));
  } catch {
    return {};
  }
}

async function mount(div) {
  const name = div.dataset.sim;
  const given = JSON.parse(div.dataset.state);
  const state = { ...given };
  // Only what the simulation has, and only of the same kind: an address is anybody's text.
  for (const [k, v] of Object.entries(fromAddress(name)))
    if (k in given && (given[k] === null || v === null || typeof v === typeof given[k])) state[k] = v;
  try {
    const sim = (await import(new URL(`sims/${name}.js`, import.meta.url).href)).default;
    const el = document.createElement("div");
    const still = [...div.childNodes];
    div.append(el);
    await sim.render({ model: new Model(name, state), el });
    for (const node of still) node.remove();
    div.dataset.mounted = "";
  } catch (error) {
    console.error(`the simulation ${name} could not start`, error);
  }
}

const sight = new IntersectionObserver(
  (entries) => {
    for (const e of entries)
      if (e.isIntersecting) {
        sight.unobserve(e.target);
        mount(e.target);
      }
  },
  { rootMargin: "200px" },
);
for (const div of document.querySelectorAll(".course-sim[data-sim]")) sight.observe(div);
