// Elements, made by calls: the page's policy allows no markup from strings to run, and none is made here.

export type Child = Node | string | null | undefined | false | Child[];
type Props = Record<string, string | number | boolean | null | undefined | ((event: any) => void)>;

/** An element with attributes, listeners (`onclick` and so on) and children. False and null are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]) {
  return fill(document.createElement(tag), props, children);
}

const SVG = "http://www.w3.org/2000/svg";

export function s(tag: string, props: Props = {}, ...children: Child[]) {
  return fill(document.createElementNS(SVG, tag) as SVGElement, props, children);
}

function fill<E extends Element>(element: E, props: Props, children: Child[]): E {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...flat(children));
  return element;
}

export const flat = (children: Child[]): (Node | string)[] =>
  children.flatMap((child) => (Array.isArray(child) ? flat(child) : child ? [child] : []));

export const byId = (id: string) => document.getElementById(id) as HTMLElement;

/** Puts the view into the page's main part. */
export function show(...children: Child[]) {
  byId("main").replaceChildren(...flat(children));
}

let empties: ReturnType<typeof setTimeout>;

/** Says something to who does not see the page; and, with `seen`, to who does. */
export function announce(text: string, { seen = true } = {}) {
  const live = byId("live");
  clearTimeout(empties);
  live.textContent = "";
  live.className = seen ? "toast" : "unseen";
  // In a turn of its own, or the same sentence twice would be said once.
  setTimeout(() => (live.textContent = text), 50);
  empties = setTimeout(() => {
    live.textContent = "";
    live.className = "unseen";
  }, 8_000);
}

/** Moves the focus to what cannot usually have it, such as a heading. */
export function focus(element: HTMLElement | null | undefined) {
  if (!element) return;
  if (element.tabIndex < 0) element.setAttribute("tabindex", "-1");
  element.focus();
}

let ids = 0;
/** An id that nothing else on the page has. */
export const fresh = (word: string) => `${word}-${++ids}`;
