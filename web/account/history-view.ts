// The history of one session as a timeline: each token is exchanged for the next. If a replay ended the session, a
// second line leaves the first at the token that two parties held.

import { fetchEvents, fetchHistory } from "./api.js";
import { describeUserAgent, deviceKind } from "./devices.js";
import { type Child, focus, h, showMain } from "./dom.js";
import { errorMessage, isSignedOut } from "./errors.js";
import { icon } from "./icons.js";
import { sessionFacts } from "./session-card.js";
import { DEFAULT_REVOCATION_TEXT, REVOCATION_TEXTS } from "./texts.js";
import { buildTimeline, type Replay, type Timeline } from "./timeline.js";
import { ago, toTheSecond } from "./times.js";
import type { IssuedToken, SecurityEvent, SessionHistory } from "./types.js";

interface Callbacks {
  onSignedOut(): void;
  /** Called as soon as the user's name is known. */
  onUsername(username: string): void;
}

export async function showHistory(id: string, callbacks: Callbacks): Promise<void> {
  document.title = "History of a session - Kindred";
  showMain(h("p", { class: "waiting" }, "Loading the history"));
  const isStillShown = () => location.hash === `#session/${id}`;
  try {
    const { viewer, session } = await fetchHistory(id);
    if (!isStillShown()) return;
    callbacks.onUsername(viewer.username);
    if (!session) {
      render(null, [h("p", { class: "muted" }, "There is no such session, or it ended too long ago.")]);
      return;
    }
    const event = session.revocationReason === "REFRESH_TOKEN_REPLAYED" ? await findReplay(session) : null;
    if (isStillShown()) render(session, content(session, buildTimeline(session, event)));
  } catch (error) {
    if (isSignedOut(error)) return callbacks.onSignedOut();
    const retry = h("button", { type: "button", onclick: () => showHistory(id, callbacks) }, "Try again");
    render(null, [h("p", { class: "form-error", role: "alert" }, errorMessage(error)), retry]);
  }
}

/** The event of the second use. Events are newest first, and this one is as old as the session's end. */
async function findReplay(session: SessionHistory): Promise<SecurityEvent | null> {
  let after: string | null = null;
  for (let pages = 0; pages < 10; pages++) {
    const page = await fetchEvents(after, 100);
    for (const { node } of page.edges) {
      if (node.kind === "REFRESH_TOKEN_REPLAYED" && node.session?.id === session.id) return node;
      if (node.occurredAt < session.revokedAt!) return null;
    }
    if (!page.pageInfo.hasNextPage) return null;
    after = page.pageInfo.endCursor;
  }
  return null;
}

function render(session: SessionHistory | null, children: Child[]) {
  const heading = h("h1", { tabindex: -1 }, session ? session.deviceName : "History of a session");
  showMain(
    h(
      "div",
      { class: "history" },
      h("p", {}, h("a", { href: "#", class: "back" }, icon("back"), "All sessions")),
      heading,
      children,
    ),
  );
  focus(heading);
}

function content(session: SessionHistory, { tokens, prunedCount, replay }: Timeline): Child[] {
  return [
    h("p", { class: "lead" }, stateText(session)),
    sessionFacts(session),
    replay && replayNotice(replay),
    h("h2", { id: "timeline" }, "From the sign-in to the end"),
    !tokens.length && h("p", { class: "muted" }, "No tokens of this session are on record."),
    h(
      "ol",
      { class: "timeline", "aria-labelledby": "timeline" },
      prunedCount > 0 && prunedStep(prunedCount, replay),
      tokens.map((token, index) => tokenStep(token, index === tokens.length - 1, replay)),
      replay ? replayStep(replay) : session.revokedAt && endStep(session),
    ),
  ];
}

function stateText(session: SessionHistory): Child[] {
  if (session.state === "ACTIVE") return ["Signed in, and last used ", ago(session.lastUsedAt), "."];
  if (session.state === "EXPIRED") return ["Expired ", ago(session.expiresAt), "."];
  return [revocationText(session), ". It ended ", ago(session.revokedAt!), "."];
}

const revocationText = ({ revocationReason }: SessionHistory) =>
  REVOCATION_TEXTS[revocationReason ?? ""] ?? DEFAULT_REVOCATION_TEXT;

function replayNotice({ event, at, generation, successor }: Replay) {
  return h(
    "section",
    { class: "notice danger", "aria-labelledby": "replay" },
    icon("shield"),
    h(
      "div",
      {},
      h("h2", { id: "replay" }, `Two parties held ${generation ? `token ${generation}` : "one of its tokens"}`),
      h(
        "p",
        {},
        "Each token of a session works once, and is exchanged for the next. This one was used a second time, so there ",
        "were two copies of it. The service cannot tell which copy was yours, so it ended the session for both.",
      ),
      h(
        "dl",
        { class: "parties" },
        successor && party("Used first from", successor, successor.issuedAt),
        event && party("Used again from", event, at),
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

const party = (term: string, source: IssuedToken | SecurityEvent, at: string) =>
  h("div", {}, h("dt", {}, term), h("dd", {}, origin(source), toTheSecond(at)));

function prunedStep(count: number, replay: Replay | null) {
  const text =
    count === 1 ? "The first token is no longer on record." : `The first ${count} tokens are no longer on record.`;
  const isBesideReplay = replay?.generation && replay.generation <= count;
  return h("li", { class: isBesideReplay ? "pruned beside" : "pruned" }, h("div", {}, h("p", {}, text)));
}

function tokenStep(token: IssuedToken, isLast: boolean, replay: Replay | null) {
  const { generation } = token;
  const isHeldByTwo = generation === replay?.generation;
  const isFirstUse = token === replay?.successor;
  const isBesideReplay = replay?.generation && generation > replay.generation;
  const classes = [
    isHeldByTwo && "held",
    isFirstUse && "first-use",
    isBesideReplay && "beside",
    isLast && !replay && "last",
  ];
  const title = generation === 1 ? "Signed in" : isFirstUse ? `Token ${generation - 1} used the first time` : "Renewed";
  return h(
    "li",
    { class: classes.filter(Boolean).join(" ") },
    h(
      "div",
      {},
      h("h3", {}, title, h("span", { class: "number" }, `${isFirstUse ? "for " : ""}token ${generation}`)),
      origin(token),
      h("p", { class: "when" }, toTheSecond(token.issuedAt)),
      isHeldByTwo && h("p", { class: "verdict" }, "Held by two parties"),
    ),
  );
}

function replayStep({ event, at, generation }: Replay) {
  return h(
    "li",
    { class: "second-use" },
    h(
      "div",
      {},
      h("h3", {}, `${generation ? `Token ${generation}` : "A token"} used a second time`),
      event ? origin(event) : h("p", { class: "origin" }, "The address and the device are no longer on record."),
      h("p", { class: "when" }, toTheSecond(at)),
      h("p", { class: "verdict" }, "The session was ended for both"),
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
      h("p", { class: "origin" }, revocationText(session)),
      h("p", { class: "when" }, toTheSecond(session.revokedAt!)),
    ),
  );
}

function origin({ userAgent, ipAddress }: { userAgent: string | null; ipAddress: string | null }) {
  return h(
    "p",
    { class: "origin" },
    icon(deviceKind(userAgent)),
    h("span", {}, describeUserAgent(userAgent)),
    h("span", { class: "address" }, ipAddress ?? "address not recorded"),
  );
}
