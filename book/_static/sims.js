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

// Only what the simulation has, and only of the same kind: an address is anybody's text.
function fromAddress(name, given) {
  const hash = location.hash.slice(1);
  if (!hash.startsWith(`${name}:`)) return {};
  const fits = ([key, value]) =>
    Object.hasOwn(given, key) && (given[key] === null || value === null || typeof value === typeof given[key]);
  try {
    const asked = JSON.parse(decodeURIComponent(hash.slice(name.length + 1)));
    return Object.fromEntries(Object.entries(asked).filter(fits));
  } catch {
    return {};
  }
}

async function mount(div) {
  const name = div.dataset.sim;
  const el = document.createElement("div");
  const still = [...div.childNodes];
  try {
    const given = JSON.parse(div.dataset.state);
    const sim = (await import(new URL(`sims/${name}.js`, import.meta.url).href)).default;
    const model = new Model(name, { ...given, ...fromAddress(name, given) });
    div.append(el);
    await sim.render({ model, el });
    for (const node of still) node.remove();
    div.dataset.mounted = "";
    // A link to another setting, opened on the page that is read already.
    addEventListener("hashchange", () => {
      for (const [key, value] of Object.entries(fromAddress(name, given))) model.set(key, value);
    });
  } catch (error) {
    el.remove();
    console.error(`the simulation ${name} could not start`, error);
  }
}

// A shared setting leads to its simulation, wherever on the page that is.
function show() {
  const name = location.hash.slice(1).split(":")[0];
  document.querySelector(`.course-sim[data-sim="${CSS.escape(name)}"]`)?.scrollIntoView();
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
addEventListener("hashchange", show);
show();
