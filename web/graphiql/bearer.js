// The access token of the last sign-in or refresh, in a variable: no other page, and not this one reloaded, can read it.

import { useSyncExternalStore } from "react";

let token = null;
const listeners = new Set();

function set(next) {
  token = next;
  for (const listener of listeners) listener();
}

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const bearer = {
  get: () => token,
  remember: set,
  forget: () => set(null),
};

export const useBearer = () => useSyncExternalStore(subscribe, bearer.get);
