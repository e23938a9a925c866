// One session's history as a picture: a line of tokens, each exchanged for the next; and where it was ended by a
// replay, a second line that leaves the first at the token that two parties held.

import { history, isSignedOut, moreEvents, why } from "./api.js";
import { describe, kindOf } from "./devices.js";
import { type Child, focus, h, show } from "./dom.js";
import { icon } from "./icons.js";
import { story, type Replay, type Story } from "./lineage.js";
import { facts } from "./session-card.js";
import { ago, toTheSecond } from "./times.js";
import type { IssuedToken, SecurityEvent, SessionHistory } from "./types.js";
import { ENDED } from "./words.js";

interface Doings {
  signedOut(): void;
  /** Whose it is has become known. */
  named(username: string): void;
}

export async function historyView(id: string, { signedOut, named }: Doings): Promise<void> {
  document.title = "History of a session - Kindred";
  show(h("p", { class: "waiting" }, "Loading the history"));
  try {
    const { viewer, session } = await history(id);
    if (location.hash !== `#session/${id}`) return;
    named(viewer.username);
    if (!session) return put(null, [h("p", { class: "plain" }, "There is no such session, or it ended too long ago.")]);
    const replayed = session.revocationReason === "REFRESH_TOKEN_REPLAYED";
    const event = replayed ? await replayOf(session) : null;
    if (location.hash === `#session/${id}`) put(session, picture(session, story(session, event)));
  } catch (error) {
    if (isSignedOut(error)) return signedOut();
    const again = h("button", { type: "button", class: "main" }, "Try again");
    again.addEventListener("click", () => historyView(id, { signedOut, named }));
    put(null, [h("p", { class: "problem", role: "alert" }, why(error)), again]);
  }
}

/** The event that tells who came second. Events are newest first, and it is as old as the session's end. */
async function replayOf(session: SessionHistory): Promise<SecurityEvent | null> {
  let after: string | null = null;
  for (let pages = 0; pages < 10; pages++) {
    const page = await moreEvents(after, 100);
    for (const { node } of page.edges) {
      if (node.kind === "REFRESH_TOKEN_REPLAYED" && node.session?.id === session.id) return node;
      if (node.occurredAt < session.revokedAt!) return null;
    }
    if (!page.pageInfo.hasNextPage) return null;
    after = page.pageInfo.endCursor;
  }
  return null;
}

function put(session: SessionHistory | null, content: Child[]) {
  const heading = h("h1", { tabindex: -1 }, session ? session.deviceName : "History of a session");
  show(
    h(
      "div",
      { class: "history" },
      h("p", {}, h("a", { href: "#", class: "back" }, icon("back"), "All sessions")),
      heading,
      content,
    ),
  );
  focus(heading);
}

function picture(session: SessionHistory, { tokens, forgotten, replay }: Story): Child[] {
  return [
    h("p", { class: "lead" }, stateOf(session)),
    facts(session),
    replay && explanation(replay),
    h("h2", { id: "line" }, "From the sign-in to the end"),
    !tokens.length && h("p", { class: "plain" }, "No tokens of this session are on record."),
    h(
      "ol",
      { class: "line", "aria-labelledby": "line" },
      forgotten > 0 &&
        h(
          "li",
          { class: replay?.generation && replay.generation <= forgotten ? "forgotten beside" : "forgotten" },
          h("div", {}, h("p", {}, earlier(forgotten))),
        ),
      tokens.map((token, index) => step(token, index === tokens.length - 1, replay)),
      replay ? lastStep(replay) : session.revokedAt && endStep(session),
    ),
  ];
}

function stateOf(session: SessionHistory): Child[] {
  if (session.state === "ACTIVE") return ["Signed in, and last used ", ago(session.lastUsedAt), "."];
  if (session.state === "EXPIRED") return ["Expired ", ago(session.expiresAt), "."];
  return [ENDED[session.revocationReason ?? ""] ?? "It was ended", ". It ended ", ago(session.revokedAt!), "."];
}

function explanation({ event, at, generation, successor }: Replay) {
  return h(
    "section",
    { class: "notice grave", "aria-labelledby": "meaning" },
    icon("shield"),
    h(
      "div",
      {},
      h("h2", { id: "meaning" }, `Two parties held ${generation ? `token ${generation}` : "one of its tokens"}`),
      h(
        "p",
        {},
        "A session goes from token to token, and each works once. One was used a second time, so there were two ",
        "copies of it, and nobody can tell from here which was yours. The session was ended for both.",
      ),
      h(
        "dl",
        { class: "parties" },
        successor && use("Used first from", successor, successor.issuedAt),
        event && use("Used again from", event, at),
      ),
      h(
        "p",
        {},
        "If one of the two is not you, change your password. A device restored from a backup, or a copied browser ",
        "profile, can look the same.",
      ),
      h("p", { class: "buttons" }, h("a", { class: "button", href: "#password" }, "Change password")),
    ),
  );
}

const use = (term: string, party: IssuedToken | SecurityEvent, at: string) =>
  h("div", {}, h("dt", {}, term), h("dd", {}, from(party), toTheSecond(at)));

const earlier = (count: number) =>
  count === 1 ? "The first token is no longer on record." : `The first ${count} tokens are no longer on record.`;

function step(token: IssuedToken, last: boolean, replay: Replay | null) {
  const number = token.generation;
  const held = number === replay?.generation;
  const first = token === replay?.successor;
  const beside = replay?.generation && number > replay.generation;
  const classes = [held && "held", first && "first", beside && "beside", last && !replay && "last"];
  const title = number === 1 ? "Signed in" : first ? `Token ${number - 1} used the first time` : "Renewed";
  return h(
    "li",
    { class: classes.filter(Boolean).join(" ") },
    h(
      "div",
      {},
      h("h3", {}, title, h("span", { class: "number" }, `${first ? "for " : ""}token ${number}`)),
      from(token),
      h("p", { class: "when" }, toTheSecond(token.issuedAt)),
      held && h("p", { class: "mark" }, "Held by two parties"),
    ),
  );
}

function lastStep({ event, at, generation }: Replay) {
  return h(
    "li",
    { class: "second" },
    h(
      "div",
      {},
      h("h3", {}, `${generation ? `Token ${generation}` : "A token"} used a second time`),
      event ? from(event) : h("p", { class: "from" }, "From where is no longer on record."),
      h("p", { class: "when" }, toTheSecond(at)),
      h("p", { class: "mark" }, "The session was ended for both"),
    ),
  );
}

function endStep(session: SessionHistory) {
  return h(
    "li",
    { class: "ended" },
    h(
      "div",
      {},
      h("h3", {}, "Ended"),
      h("p", { class: "from" }, ENDED[session.revocationReason ?? ""] ?? "It was ended"),
      h("p", { class: "when" }, toTheSecond(session.revokedAt!)),
    ),
  );
}

function from({ userAgent, ipAddress }: { userAgent: string | null; ipAddress: string | null }) {
  return h(
    "p",
    { class: "from" },
    icon(kindOf(userAgent)),
    h("span", {}, describe(userAgent)),
    h("span", { class: "address" }, ipAddress ?? "address not recorded"),
  );
}
