// The timeline of a session: which token was issued when and to whom, and which token two parties held.

import type { IssuedToken, SecurityEvent, SessionHistory } from "./types.js";

export interface Timeline {
  /** Oldest first. */
  tokens: IssuedToken[];
  /** The number of earlier tokens that are no longer on record. */
  prunedCount: number;
  replay: Replay | null;
}

/** The second use of a token. */
export interface Replay {
  /** The event of the second use. Null if it is no longer on record. */
  event: SecurityEvent | null;
  at: string;
  /** The generation of the token that two parties held. */
  generation: number | null;
  /** The token that the first use obtained. Null if it is no longer on record. */
  successor: IssuedToken | null;
}

export function buildTimeline(session: SessionHistory, event: SecurityEvent | null): Timeline {
  const tokens = [...session.lineage].reverse();
  const prunedCount = (tokens[0]?.generation ?? 1) - 1;
  if (session.revocationReason !== "REFRESH_TOKEN_REPLAYED") return { tokens, prunedCount, replay: null };
  const generation = event?.generation ?? null;
  const successor = generation ? tokens.find((token) => token.generation === generation + 1) : null;
  const at = event?.occurredAt ?? session.revokedAt!;
  return { tokens, prunedCount, replay: { event, at, generation, successor: successor ?? null } };
}
