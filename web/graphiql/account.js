// The user who is signed in on the account page is signed in here too. Both pages use the client module, which keeps the
// access token in memory and shares one refresh among all tabs.

import { createClient } from "../client/client.ts";
import { createStore } from "./store.js";

const client = createClient({ url: new URL(".", document.baseURI).href });
const signedIn = createStore(false);

client.onSessionEnded(() => signedIn.set(false));
client.getAccessToken().then(
  (token) => signedIn.set(token !== null),
  () => {},
);

/** `fetch`, with the access token if the user is signed in. */
export async function fetchSignedIn(url, init) {
  const token = await client.getAccessToken().catch(() => null);
  signedIn.set(token !== null);
  return token ? client.fetch(url, init) : fetch(url, init);
}

export const useSignedIn = signedIn.useValue;
