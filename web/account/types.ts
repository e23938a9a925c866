// The service's answers, as far as the page asks for them.

export interface Viewer {
  username: string;
}

export interface Session {
  id: string;
  isCurrent: boolean;
  state: "ACTIVE" | "EXPIRED" | "REVOKED";
  deviceName: string;
  userAgent: string | null;
  ipAddress: string | null;
  createdAt: string;
  lastUsedAt: string;
  expiresAt: string;
  revokedAt: string | null;
  revocationReason: string | null;
}

export interface IssuedToken {
  generation: number;
  issuedAt: string;
  rotatedAt: string | null;
  ipAddress: string | null;
  userAgent: string | null;
}

export interface SessionHistory extends Session {
  lineage: IssuedToken[];
}

export interface SecurityEvent {
  id: string;
  kind: string;
  occurredAt: string;
  ipAddress: string | null;
  userAgent: string | null;
  /** For a replay: the generation of the token that was used twice. */
  generation: number | null;
  session: { id: string; deviceName: string } | null;
}

export interface Page<T> {
  edges: { node: T }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

/** The result of a mutation. `message` and `retryAfter` are set if it was refused. */
export interface Outcome {
  __typename: string;
  message?: string;
  retryAfter?: number;
}
