// The session of this browser. All tabs share it: one refresh at a time, and one idempotency key for each refresh.
import { receiveToken } from "./access.js";
import { createBackoff } from "./backoff.js";
import { GraphQLFailure } from "./contract.js";
import { withLock } from "./locks.js";
import { randomString } from "./storage.js";
import { connectTabs } from "./tabs.js";
import { sleep, stopwatch } from "./time.js";
import { LOGIN, mutate, REFRESH, REVOKE, REVOKE_COOKIE } from "./transport.js";
// The refusals that end a session. Nothing else does: no network failure, no 5xx, no 429, no 403.
const END_REASONS = {
    RefreshTokenReplayedError: "replayed",
    SessionRevokedError: "revoked",
    RefreshTokenExpiredError: "expired",
    InvalidRefreshTokenError: "invalid",
};
// The longest time that a caller waits for the next attempt.
const MAX_WAIT_MS = 2_000;
// How long this tab waits for an access token from another tab: there may be no other tab ...
const OTHER_TABS_WAIT_MS = 100;
// ... or another tab has just refreshed, and its message is on the way.
const RECENT_REFRESH_WAIT_MS = 2_000;
// A caller may use an access token some time after it gets it. It must remain valid for that time.
const MIN_REMAINING_MS = 30_000;
export function openSession(service, store, name) {
    const listeners = new Set();
    const cooldown = createBackoff();
    let access = null;
    let currentSessionId = null; // of the session that this tab believes to be live
    let lastEndedId = null; // of the last session that this tab saw end: storage may still show it as live
    let pendingRefresh = null;
    let wakeWaiters = () => { };
    let timer;
    const broadcast = connectTabs(name, (message) => {
        if (message.type === "token-request") {
            if (access?.id === message.id && access.isFresh()) {
                broadcast({ type: "token-offer", token: access.share() });
            }
        }
        else if (message.type === "token-offer") {
            const { token, login } = message;
            if (login)
                currentSessionId = token.id;
            const newer = login === false || token.left > (access?.share().left ?? 0);
            if (login || (token.id === currentSessionId && token.token !== access?.token && newer)) {
                adopt(receiveToken(token));
            }
        }
        else {
            if (message.type === "cooldown")
                cooldown.adopt(message.ms, message.failures);
            else
                forget(message.id, message.reason);
            wakeWaiters();
        }
    });
    function adopt(token) {
        access = token;
        cooldown.reset();
        wakeWaiters();
        scheduleRefresh(token.due());
    }
    /** Refresh ahead of expiry while the user may be looking at the page. */
    function scheduleRefresh(ms) {
        if (typeof document === "undefined")
            return;
        clearTimeout(timer);
        timer = setTimeout(refreshIfDue, Math.min(ms + 10, 2 ** 31 - 1));
    }
    function refreshIfDue() {
        if (!currentSessionId || document.visibilityState !== "visible")
            return;
        // A timer may fire early, and always does after its maximum of 24 days.
        if (access?.isFresh())
            scheduleRefresh(access.due());
        else
            getToken().catch(() => { });
    }
    /** Forget the session if it is this tab's current one, and tell the listeners why it ended. */
    function forget(id, reason) {
        lastEndedId = id;
        if (currentSessionId !== id)
            return;
        currentSessionId = access = null;
        for (const listener of [...listeners]) {
            try {
                listener(reason);
            }
            catch (error) {
                setTimeout(() => {
                    throw error; // the browser reports it as the listener's error
                });
            }
        }
    }
    /** The session in storage, or null if it has ended. */
    async function readLive() {
        const stored = await store.read();
        if (stored && !stored.ended && stored.id !== lastEndedId) {
            currentSessionId = stored.id;
            return stored;
        }
        if (currentSessionId)
            forget(currentSessionId, stored?.ended ?? "signed-out");
        return null;
    }
    async function end({ id, version }, reason) {
        await store.write({ id, version, ended: reason });
        broadcast({ type: "session-ended", id, reason });
        forget(id, reason);
    }
    /** Store the issued tokens. The same write removes the old token and its key. */
    async function keepTokens({ tokens, session }, age, login = false) {
        const { accessToken, refreshToken, expiresIn } = tokens;
        const { id } = session;
        const version = randomString();
        await store.write(refreshToken ? { id, version, token: refreshToken } : { id, version });
        currentSessionId = id;
        const token = receiveToken({ id, version, token: accessToken, left: 1000 * expiresIn }, age);
        adopt(token);
        broadcast({ type: "token-offer", token: token.share(), login });
        return accessToken;
    }
    /** The access token of this tab, if it is fresh and not the stale one. */
    const usableToken = (stale) => (access && access.token !== stale && access.isFresh() ? access.token : null);
    async function getToken() {
        const refreshing = refresh(access && !access.isFresh() ? access.token : undefined);
        // While the old token is valid, callers do not wait for the new one, and do not fail without it.
        const left = access?.share().left ?? 0;
        if (left > MIN_REMAINING_MS)
            refreshing.catch(() => { });
        else {
            try {
                return await refreshing;
            }
            catch (error) {
                if (!access || access.share().left <= 0)
                    throw error;
            }
        }
        return access?.token ?? null;
    }
    /** A fresh access token other than the stale one, or null if the user is not signed in. Rejects if none can be had. */
    async function refresh(stale) {
        const usable = usableToken(stale);
        if (usable)
            return usable;
        pendingRefresh ??= refreshUntilDone(stale).finally(() => {
            pendingRefresh = null;
        });
        return pendingRefresh;
    }
    async function refreshUntilDone(stale) {
        for (;;) {
            if (!(await readLive()))
                return null;
            if (cooldown.left() > MAX_WAIT_MS) {
                scheduleRefresh(cooldown.left());
                throw cooldown.error();
            }
            if (cooldown.left())
                await sleep(cooldown.left());
            try {
                const token = await withLock(name, (waited) => refreshOnce(waited, stale));
                if (token !== undefined)
                    return token;
            }
            catch (error) {
                cooldown.fail(error);
                broadcast({ type: "cooldown", ...cooldown.share() });
            }
        }
    }
    /** `refresh` with one request at most. Undefined if the caller must try again, because another tab acted first. */
    async function refreshOnce(waited, stale) {
        let stored = await readLive();
        if (!stored || usableToken(stale))
            return usableToken(stale);
        // Ask the other tabs first. Their last writes arrive during the wait too, since storage may lag behind locks.
        broadcast({ type: "token-request", id: stored.id });
        const refreshedElsewhere = waited || (access && access.version !== stored.version);
        const answer = new Promise((resolve) => {
            wakeWaiters = resolve;
        });
        await Promise.race([sleep(refreshedElsewhere ? RECENT_REFRESH_WAIT_MS : OTHER_TABS_WAIT_MS), answer]);
        stored = await readLive();
        if (!stored || usableToken(stale))
            return usableToken(stale);
        if (cooldown.left())
            return undefined;
        // No waiting from here to the request: a tab that was frozen until now has just read what other tabs stored.
        const { id, version, token, key = randomString() } = stored;
        await store.write({ ...stored, key });
        const age = stopwatch();
        const outcome = await mutate(service, "refreshToken", REFRESH, { refreshToken: token, idempotencyKey: key });
        const latest = await readLive();
        // Another tab took the lock, because this one seemed frozen, and refreshed. Use what it stored.
        if (latest?.version !== version)
            return latest ? undefined : null;
        if (outcome.tokens)
            return keepTokens(outcome, age);
        const reason = END_REASONS[outcome.__typename];
        if (!reason)
            throw new GraphQLFailure([{ message: outcome.message ?? outcome.__typename }], 429, outcome.retryAfter);
        await end({ id, version }, reason);
        return null;
    }
    async function login({ username, password, deviceName }) {
        return withLock(name, async () => {
            const age = stopwatch();
            const input = { username, password, deviceName, ...(service.cookie && { delivery: "COOKIE" }) };
            const outcome = await mutate(service, "login", LOGIN, input);
            const { __typename: code, message = code, retryAfter, session, viewer } = outcome;
            if (!outcome.tokens)
                return { ok: false, code, message, ...(retryAfter && { retryAfter }) };
            await keepTokens(outcome, age, true);
            return { ok: true, session: session, viewer: viewer };
        });
    }
    async function logout() {
        const stored = await readLive();
        if (!stored)
            return;
        await end(stored, "signed-out");
        await withLock(name, async () => {
            if (stored.token)
                await mutate(service, "revokeSession", REVOKE, { refreshToken: stored.token });
            // If another tab has signed in since, the cookie belongs to the new session.
            else if (!(await readLive()))
                await mutate(service, "revokeSession", REVOKE_COOKIE, undefined);
        }).catch(() => { }); // the service cannot be reached, or the session is already gone
    }
    function onEnded(listener) {
        const own = (reason) => listener(reason); // a function of its own, so a listener can be added twice
        listeners.add(own);
        return () => void listeners.delete(own);
    }
    if (typeof document !== "undefined")
        document.addEventListener("visibilitychange", refreshIfDue);
    // Ask the other tabs for a token now, so that a new page has it before its first request.
    readLive().then((stored) => stored && broadcast({ type: "token-request", id: stored.id }), () => { });
    return { getToken, refresh, login, logout, onEnded };
}
