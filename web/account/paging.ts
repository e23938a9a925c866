// Lists that are loaded page by page.

import { announce, focus, h } from "./dom.js";
import { reportError } from "./errors.js";
import type { Page } from "./types.js";

interface Paging<T> {
  list: HTMLElement;
  firstPage: Page<T>;
  fetchPage(after: string | null): Promise<Page<T>>;
  renderItem(item: T): HTMLElement;
  /** What the items are called, in the plural. */
  noun: string;
  /** Selects the element of the first new item that gets the focus. */
  focusSelector: string;
  /** Called after each further page. */
  onAppended?(): void;
  onSignedOut(): void;
}

/** Fill a list with its first page. Returns the button that appends the next page. */
export function fillByPages<T>({ list, noun, ...paging }: Paging<T>): HTMLButtonElement {
  const button = h("button", { type: "button", class: "secondary wide", onclick: showMore }, "Show more");
  let endCursor: string | null;

  function append({ edges, pageInfo }: Page<T>) {
    const items = edges.map(({ node }) => paging.renderItem(node));
    list.append(...items);
    endCursor = pageInfo.endCursor;
    button.hidden = !pageInfo.hasNextPage;
    return items[0];
  }

  async function showMore() {
    button.disabled = true;
    try {
      const firstNew = append(await paging.fetchPage(endCursor));
      paging.onAppended?.();
      announce(`${list.children.length} ${noun} are shown.`, { visible: false });
      focus(firstNew?.querySelector<HTMLElement>(paging.focusSelector));
    } catch (error) {
      reportError(error, paging.onSignedOut);
    } finally {
      button.disabled = false;
    }
  }

  append(paging.firstPage);
  return button;
}
