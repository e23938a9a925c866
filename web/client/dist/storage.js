// What a session leaves in storage: never an access token.
/** All of it is one item, so a new token comes and its predecessor's key goes in one write. */
export function vault(storage, name) {
    return {
        async read() {
            try {
                const stored = JSON.parse((await storage.getItem(name)) ?? "null");
                return typeof stored?.id === "string" ? stored : null;
            }
            catch (error) {
                if (error instanceof SyntaxError)
                    return null; // not ours
                throw error;
            }
        },
        write: async (stored) => storage.setItem(name, JSON.stringify(stored)),
    };
}
/** A storage that ends with the page. */
export function memory() {
    const items = new Map();
    return {
        getItem: (name) => items.get(name) ?? null,
        setItem: (name, value) => void items.set(name, value),
        removeItem: (name) => void items.delete(name),
    };
}
/** 256 bits that nobody can guess, as 43 characters. */
export function random() {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    return btoa(String.fromCharCode(...bytes)).replace(/\W/g, (sign) => ({ "+": "-", "/": "_" })[sign] ?? "");
}
