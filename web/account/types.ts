// What the page asks the service for, as it is answered.

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
  /** Of a replay: which token came again. */
  generation: number | null;
  session: { id: string; deviceName: string } | null;
}

export interface Page<T> {
  edges: { node: T }[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

/** The refusal of a mutation, or nothing of the kind. */
export interface Outcome {
  __typename: string;
  message?: string;
  retryAfter?: number;
}
