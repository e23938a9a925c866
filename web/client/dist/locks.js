// One at a time in this browser, whichever tab.
import { random } from "./storage.js";
import { limit, sleep, stopwatch } from "./time.js";
// Longer than anybody has reason to hold it: a request is given up after ten seconds. Who does is frozen, or stopped in
// a debugger. It reads storage anew before it sends anything, so it may be passed over.
const PATIENCE = 15_000;
/** Does the work while no other tab does work of that name. */
export async function exclusively(name, work) {
    const locks = globalThis.navigator?.locks; // only in a secure context, and not in every browser
    if (!locks)
        return leased(name, work);
    const { signal, lift } = limit(PATIENCE);
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
        return signal.aborted ? await locks.request(name, { steal: true }, () => work(true)) : leased(name, work);
    }
    finally {
        lift();
    }
}
/** The same by a lease with an end. It is in IndexedDB, whose transactions no other tab can come between. */
async function leased(name, work) {
    if (!globalThis.indexedDB)
        return work(false); // no browser, so no tabs
    const owner = random();
    let waited = false;
    const time = stopwatch();
    const claim = (held) => {
        const left = held ? held.until - Date.now() : 0;
        // More than was ever asked for: the clock has been put back since.
        return left > 0 && left <= PATIENCE ? held : { owner, until: Date.now() + PATIENCE };
    };
    while ((await changed(name, claim))?.owner !== owner) {
        waited = true;
        if (time() > 2 * PATIENCE)
            throw new Error("Other tabs are in the way.");
        await sleep(30 + 40 * Math.random());
    }
    try {
        return await work(waited);
    }
    finally {
        await changed(name, (held) => (held?.owner === owner ? undefined : held)).catch(() => { });
    }
}
/** What is made of the lease by `change`, in one transaction. */
function changed(name, change) {
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
