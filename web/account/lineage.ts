// What a session's lineage tells: who obtained which token when, and which token two parties held.

import { party } from "./devices.js";
import type { IssuedToken, SecurityEvent, SessionHistory } from "./types.js";

export interface Story {
  /** Oldest first. */
  tokens: IssuedToken[];
  /** Tokens that are no longer kept, before the first. */
  forgotten: number;
  replay: Replay | null;
}

export interface Replay {
  event: SecurityEvent | null;
  at: string;
  /** The token that two parties held, as far as it can be told. */
  held: IssuedToken | null;
  /** Who used it first: they obtained its successor. */
  successor: IssuedToken | null;
  /**
   * Whether that is known, because who came second had obtained that very token and not its successor. Else the
   * token was a copy, in the hands of somebody who never obtained one: this one or an earlier.
   */
  certain: boolean;
}

export function story(session: SessionHistory, event: SecurityEvent | null): Story {
  const tokens = [...session.lineage].reverse();
  const forgotten = (tokens[0]?.generation ?? 1) - 1;
  if (session.revocationReason !== "REFRESH_TOKEN_REPLAYED") return { tokens, forgotten, replay: null };
  // The newest token is nobody's second: whoever presents it rotates it. So the one held twice is before it.
  const used = tokens.slice(0, -1);
  const second = event && party(event);
  const own = used.map(party).lastIndexOf(second ?? "");
  // They presented their newest; where somebody else obtained its successor, two parties are told apart.
  const certain = own >= 0 && party(tokens[own + 1]!) !== second;
  const index = certain ? own : used.length - 1;
  return {
    tokens,
    forgotten,
    replay: {
      event,
      at: event?.occurredAt ?? session.revokedAt!,
      held: used[index] ?? null,
      successor: tokens[index + 1] ?? null,
      certain,
    },
  };
}
