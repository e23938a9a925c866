// The session of this browser: one refresh at a time, shared by all tabs, and never under a second name.
import { received } from "./access.js";
import { backoff } from "./backoff.js";
import { GraphQLFailure } from "./contract.js";
import { exclusively } from "./locks.js";
import { random } from "./storage.js";
import { tabs } from "./tabs.js";
import { sleep, stopwatch } from "./time.js";
import { call, LOGIN, REFRESH, REVOKE, REVOKE_COOKIE } from "./transport.js";
// The refusals that end a session. Nothing else does: no failure of the network, no 5xx, no 429, no 403.
const ENDS = {
    RefreshTokenReplayedError: "replayed",
    SessionRevokedError: "revoked",
    RefreshTokenExpiredError: "expired",
    InvalidRefreshTokenError: "invalid",
};
// Milliseconds. How long a caller waits for the next attempt, and this tab for the answer of others: they may not be
// there; or one of them has just refreshed, and its answer is on the way.
const SHORT = 2_000;
const ANY_OTHERS = 100;
const JUST_REFRESHED = 2_000;
// What an access token must still be good for, to be given to whom may use it a while later.
const ENOUGH = 30_000;
export function openSession(service, vault, name) {
    const listeners = new Set();
    const rest = backoff();
    let access = null;
    let known = null; // the ID of the session that this tab takes to be alive
    let over = null; // of the last that it has seen end: what another tab stored may arrive late
    let flight = null;
    let arrived = () => { };
    let timer;
    const tell = tabs(name, (message) => {
        if ("ask" in message) {
            if (access?.id === message.ask && access.fresh())
                tell({ have: access.now() });
        }
        else if ("have" in message) {
            const { have, login } = message;
            if (login)
                known = have.id;
            const better = login === false || have.left > (access?.now().left ?? 0);
            if (login || (have.id === known && have.token !== access?.token && better))
                adopt(received(have));
        }
        else {
            if ("rest" in message)
                rest.rest(message.rest, message.failures);
            else
                finish(message.ended, message.reason);
            arrived();
        }
    });
    function adopt(next) {
        access = next;
        rest.reset();
        arrived();
        schedule(next.due());
    }
    /** Refreshes ahead of expiry, where somebody may be looking. */
    function schedule(ms) {
        if (typeof document === "undefined")
            return;
        clearTimeout(timer);
        timer = setTimeout(wake, Math.min(ms + 10, 2 ** 31 - 1));
    }
    function wake() {
        if (!known || document.visibilityState !== "visible")
            return;
        if (access?.fresh())
            schedule(access.due()); // a timer may come early, and has to where 24 days are too few
        else
            getToken().catch(() => { });
    }
    /** Forgets the session, if this tab knows of it, and says why. */
    function finish(id, reason) {
        over = id;
        if (known !== id)
            return;
        known = access = null;
        for (const listener of [...listeners]) {
            try {
                listener(reason);
            }
            catch (error) {
                setTimeout(() => {
                    throw error; // the listener's fault, reported as such
                });
            }
        }
    }
    /** The session in storage, if it is alive. */
    async function current() {
        const stored = await vault.read();
        if (stored && !stored.ended && stored.id !== over) {
            known = stored.id;
            return stored;
        }
        if (known)
            finish(known, stored?.ended ?? "signed-out");
        return null;
    }
    async function end({ id, mark }, reason) {
        await vault.write({ id, mark, ended: reason });
        tell({ ended: id, reason });
        finish(id, reason);
    }
    /** Stores what was issued. The key goes with the old token, in the same write. */
    async function keep({ tokens, session }, age, login = false) {
        const { accessToken, refreshToken, expiresIn } = tokens;
        const { id } = session;
        const mark = random();
        await vault.write(refreshToken ? { id, mark, token: refreshToken } : { id, mark });
        known = id;
        adopt(received({ id, mark, token: accessToken, left: 1000 * expiresIn }, age));
        tell({ have: access.now(), login });
        return accessToken;
    }
    /** What this tab has, or was just given by another, if it is better than the stale one. */
    const better = (stale) => (access && access.token !== stale && access.fresh() ? access.token : null);
    async function getToken() {
        const refreshing = refresh(access && !access.fresh() ? access.token : undefined);
        // While the old one lasts nobody waits for the new one, nor fails because there is none.
        const left = access?.now().left ?? 0;
        if (left > ENOUGH)
            refreshing.catch(() => { });
        else {
            try {
                return await refreshing;
            }
            catch (error) {
                if (!access || access.now().left <= 0)
                    throw error;
            }
        }
        return access?.token ?? null;
    }
    /** A better access token than that; null where nobody is signed in. Rejects where none can be had just now. */
    async function refresh(stale) {
        return better(stale) ?? (flight ??= attempts(stale).finally(() => (flight = null)));
    }
    async function attempts(stale) {
        for (;;) {
            if (!(await current()))
                return null;
            if (rest.left() > SHORT) {
                schedule(rest.left());
                throw rest.failure();
            }
            if (rest.left())
                await sleep(rest.left());
            try {
                const token = await exclusively(name, (waited) => attempt(waited, stale));
                if (token !== undefined)
                    return token;
            }
            catch (error) {
                rest.fail(error);
                tell(rest.now());
            }
        }
    }
    /** As `refresh`, by one request at most; undefined where another tab's has come, or failed, meanwhile. */
    async function attempt(waited, stale) {
        let stored = await current();
        if (!stored || better(stale))
            return better(stale);
        // The others are asked first. Meanwhile what they wrote last gets here too: storage does not keep up with locks.
        tell({ ask: stored.id });
        const patience = waited || (access && access.mark !== stored.mark) ? JUST_REFRESHED : ANY_OTHERS;
        await Promise.race([sleep(patience), new Promise((resolve) => (arrived = resolve))]);
        stored = await current();
        if (!stored || better(stale))
            return better(stale);
        if (rest.left())
            return undefined;
        // From here on to the request nothing waits: who was frozen meanwhile has read what others did.
        const { id, mark, token, key = random() } = stored;
        await vault.write({ ...stored, key });
        const age = stopwatch();
        const input = token ? { refreshToken: token, idempotencyKey: key } : { idempotencyKey: key };
        const outcome = await call(service, "refreshToken", REFRESH, input);
        const now = await current();
        // Somebody was faster, who took this tab for frozen. What they stored holds.
        if (now?.mark !== mark)
            return now ? undefined : null;
        if (outcome.tokens)
            return keep(outcome, age);
        const reason = ENDS[outcome.__typename];
        if (!reason)
            throw new GraphQLFailure([{ message: outcome.message ?? outcome.__typename }], 429, outcome.retryAfter);
        await end({ id, mark }, reason);
        return null;
    }
    async function login(who) {
        return exclusively(name, async () => {
            const age = stopwatch();
            const { username, password, deviceName } = who;
            const input = { username, password, deviceName, ...(service.cookie && { delivery: "COOKIE" }) };
            const outcome = await call(service, "login", LOGIN, input);
            const { __typename: code, message = code, retryAfter, session, viewer } = outcome;
            if (!outcome.tokens)
                return { ok: false, code, message, ...(retryAfter && { retryAfter }) };
            await keep(outcome, age, true);
            return { ok: true, session: session, viewer: viewer };
        });
    }
    async function logout() {
        const stored = await current();
        if (!stored)
            return;
        await end(stored, "signed-out");
        await exclusively(name, async () => {
            if (stored.token)
                await call(service, "revokeSession", REVOKE, { refreshToken: stored.token });
            // Unless somebody signed in meanwhile, whose cookie it is then.
            else if (!(await current()))
                await call(service, "revokeSession", REVOKE_COOKIE, undefined);
        }).catch(() => { }); // out of reach, or no longer there
    }
    function onEnded(listener) {
        const own = (reason) => listener(reason); // so that the same may be given twice
        listeners.add(own);
        return () => void listeners.delete(own);
    }
    if (typeof document !== "undefined")
        document.addEventListener("visibilitychange", wake);
    // Whoever opens a page has a token from the others by the time that it is needed.
    current().then((stored) => stored && tell({ ask: stored.id }), () => { });
    return { getToken, refresh, login, logout, onEnded };
}
