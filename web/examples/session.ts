import { createClient } from "@kindred/client"; // or from "https://auth.example.org/assets/kindred-client.js"

const kindred = createClient({ url: "https://auth.example.org" });
kindred.onSessionEnded((reason) => {
  location.assign(`/sign-in?reason=${reason}`); // signed-out, replayed, revoked, expired or invalid
});

const answer = await kindred.login({ username: "alice", password: "correct horse battery staple" });
if (!answer.ok) throw new Error(answer.message); // answer.code and answer.retryAfter are set too

const { viewer } = await kindred.graphql<{ viewer: { username: string } }>("{ viewer { username } }");
const orders = await kindred.fetch("/api/orders"); // sends the access token, and refreshes it in time
console.log(viewer.username, await orders.json());

await kindred.logout();
