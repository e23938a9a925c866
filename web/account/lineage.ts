// What a session's lineage tells: who obtained which token when, and which token two parties held.

import type { IssuedToken, SecurityEvent, SessionHistory } from "./types.js";

export interface Story {
  /** Oldest first. */
  tokens: IssuedToken[];
  /** How many tokens before the first are no longer on record. */
  forgotten: number;
  replay: Replay | null;
}

/** A token was used a second time. */
export interface Replay {
  /** Who used it then. Null where it is no longer on record. */
  event: SecurityEvent | null;
  at: string;
  /** The generation of the token that two parties held. */
  generation: number | null;
  /** What its first use obtained. Null where it is no longer on record. */
  successor: IssuedToken | null;
}

export function story(session: SessionHistory, event: SecurityEvent | null): Story {
  const tokens = [...session.lineage].reverse();
  const forgotten = (tokens[0]?.generation ?? 1) - 1;
  if (session.revocationReason !== "REFRESH_TOKEN_REPLAYED") return { tokens, forgotten, replay: null };
  const generation = event?.generation ?? null;
  const successor = generation ? tokens.find((token) => token.generation === generation + 1) : null;
  const at = event?.occurredAt ?? session.revokedAt!;
  return { tokens, forgotten, replay: { event, at, generation, successor: successor ?? null } };
}
