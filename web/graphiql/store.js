// One value that React components can subscribe to.

import { useSyncExternalStore } from "react";

export function createStore(value) {
  const listeners = new Set();
  const get = () => value;
  const subscribe = (listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    get,
    set(next) {
      value = next;
      for (const listener of listeners) listener();
    },
    /** The value, for a component that renders again when it changes. */
    useValue: () => useSyncExternalStore(subscribe, get),
  };
}
