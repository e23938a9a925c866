// The access token of the last sign-in or refresh. It is a variable, so no other page can read it, and a reload drops it.

import { createStore } from "./store.js";

export const accessToken = createStore(null);
