// Whoever is signed in on the account page is signed in here: the client of that page, which keeps the access token in
// memory and shares one refresh with all tabs.

import { useSyncExternalStore } from "react";
import { createClient } from "../client/client.ts";

const client = createClient({ url: new URL(".", document.baseURI).href });
let signedIn = false;
const listeners = new Set();

function set(next) {
  signedIn = next;
  for (const listener of listeners) listener();
}

function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

client.onSessionEnded(() => set(false));

/** As `fetch`, with the access token where somebody is signed in. */
export async function fetchSignedIn(address, init) {
  const token = await client.getAccessToken().catch(() => null);
  set(token !== null);
  return token ? client.fetch(address, init) : fetch(address, init);
}

client.getAccessToken().then((token) => set(token !== null), () => {});

export const useSignedIn = () => useSyncExternalStore(subscribe, () => signedIn);
