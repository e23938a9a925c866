// A lock that all tabs of one browser share.
import { randomString } from "./storage.js";
import { sleep, stopwatch, timeout } from "./time.js";
// Longer than a working tab holds the lock, since a request is aborted after ten seconds. A tab that holds it longer is
// frozen, or stopped in a debugger. It reads storage again before it sends a request, so other tabs may take the lock.
const LOCK_TIMEOUT_MS = 15_000;
/** Do the work while no other tab does work under this name. */
export async function withLock(name, work) {
    const locks = globalThis.navigator?.locks; // missing in insecure contexts and in some browsers
    if (!locks)
        return withLease(name, work);
    const { signal, cancel } = timeout(LOCK_TIMEOUT_MS);
    let granted = false;
    const grant = (waited) => {
        granted = true;
        return work(waited);
    };
    try {
        const done = await locks.request(name, { ifAvailable: true }, async (lock) => lock && [await grant(false)]);
        return done ? done[0] : await locks.request(name, { signal }, () => grant(true));
    }
    catch (error) {
        if (granted)
            throw error;
        return signal.aborted ? await locks.request(name, { steal: true }, () => work(true)) : withLease(name, work);
    }
    finally {
        cancel();
    }
}
/** The same lock as a lease that expires. IndexedDB holds it, because its transactions are atomic across tabs. */
async function withLease(name, work) {
    if (!globalThis.indexedDB)
        return work(false); // not a browser, so there are no tabs
    const owner = randomString();
    let waited = false;
    const elapsed = stopwatch();
    const acquire = (held) => {
        const left = held ? held.until - Date.now() : 0;
        // A lease that lasts longer than the timeout was written before the clock was set back.
        return left > 0 && left <= LOCK_TIMEOUT_MS ? held : { owner, until: Date.now() + LOCK_TIMEOUT_MS };
    };
    while ((await updateLease(name, acquire))?.owner !== owner) {
        waited = true;
        if (elapsed() > 2 * LOCK_TIMEOUT_MS)
            throw new Error("Other tabs hold the lock. Try again later.");
        await sleep(30 + 40 * Math.random());
    }
    try {
        return await work(waited);
    }
    finally {
        await updateLease(name, (held) => (held?.owner === owner ? undefined : held)).catch(() => { });
    }
}
/** Replace the lease by what `change` returns, in one transaction. Returns the new lease. */
function updateLease(name, change) {
    return new Promise((resolve, reject) => {
        const opening = indexedDB.open("kindred");
        opening.onupgradeneeded = () => opening.result.createObjectStore("leases");
        opening.onerror = () => reject(opening.error);
        opening.onsuccess = () => {
            const db = opening.result;
            const transaction = db.transaction("leases", "readwrite");
            const leases = transaction.objectStore("leases");
            const reading = leases.get(name);
            let lease;
            reading.onsuccess = () => {
                lease = change(reading.result);
                leases.put(lease, name);
            };
            transaction.oncomplete = () => {
                db.close();
                resolve(lease);
            };
            transaction.onabort = () => {
                db.close();
                reject(transaction.error);
            };
        };
    });
}
