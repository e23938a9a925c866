// The tabs that the page opens with. A test checks each document against the schema.

import mySessions from "./documents/my-sessions.graphql";
import refresh from "./documents/refresh.graphql";
import signIn from "./documents/sign-in.graphql";

const json = (value) => JSON.stringify(value, null, 2);

export const tabs = [
  { query: signIn, variables: json({ input: { username: "demo", password: "", deviceName: "GraphiQL" } }) },
  { query: mySessions },
  { query: refresh, variables: json({ input: { refreshToken: "" } }) },
];
