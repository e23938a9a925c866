// Functions that create elements. No markup is made from strings, so a session's name cannot inject any (XSS).

export type Child = Node | string | null | undefined | false | Child[];
// biome-ignore lint/suspicious/noExplicitAny: each listener declares the event that it expects
type Props = Record<string, string | number | boolean | null | undefined | ((event: any) => void)>;

/** An element with attributes, listeners (such as `onclick`) and children. False, null and undefined are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function svg(tag: string, props: Props = {}, ...children: Child[]) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag) as SVGElement, props, children);
}

function fill<E extends Element>(element: E, props: Props, children: Child[]): E {
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...flatten(children));
  return element;
}

const flatten = (children: Child[]): (Node | string)[] =>
  children.flatMap((child) => (Array.isArray(child) ? flatten(child) : child ? [child] : []));

export const byId = (id: string) => document.getElementById(id) as HTMLElement;

/** Replace the content of the page's main part. */
export function showMain(...children: Child[]) {
  byId("main").replaceChildren(...flatten(children));
}

const ANNOUNCEMENT_MS = 8_000;
let announcementTimer: ReturnType<typeof setTimeout>;

/** Say something to users of screen readers and, if `visible`, to everyone. */
export function announce(text: string, { visible = true } = {}) {
  const live = byId("live");
  clearTimeout(announcementTimer);
  live.textContent = "";
  live.className = visible ? "toast" : "visually-hidden";
  // Only a later change is read out if the text is the same as before.
  setTimeout(() => {
    live.textContent = text;
  }, 50);
  announcementTimer = setTimeout(() => {
    live.textContent = "";
    live.className = "visually-hidden";
  }, ANNOUNCEMENT_MS);
}

/** Move the focus, also to an element that usually cannot have it, such as a heading. */
export function focus(element: HTMLElement | null | undefined) {
  if (!element) return;
  if (element.tabIndex < 0) element.setAttribute("tabindex", "-1");
  element.focus();
}

let lastId = 0;

/** An ID that no other element of the page has. */
export const uniqueId = (prefix: string) => `${prefix}-${++lastId}`;
