// What a session keeps in storage: never an access token.
/** One item holds everything, so one write stores the new token and removes the key of the old one. */
export function sessionStore(storage, name) {
    return {
        async read() {
            try {
                const stored = JSON.parse((await storage.getItem(name)) ?? "null");
                return typeof stored?.id === "string" ? stored : null;
            }
            catch (error) {
                if (error instanceof SyntaxError)
                    return null; // another program wrote this item
                throw error;
            }
        },
        write: async (stored) => storage.setItem(name, JSON.stringify(stored)),
    };
}
/** A storage that ends with the page. */
export function memoryStorage() {
    const items = new Map();
    return {
        getItem: (name) => items.get(name) ?? null,
        setItem: (name, value) => void items.set(name, value),
        removeItem: (name) => void items.delete(name),
    };
}
/** 256 bits from the platform's secure generator, as 43 characters of base64url. */
export function randomString() {
    const bytes = crypto.getRandomValues(new Uint8Array(32));
    return btoa(String.fromCharCode(...bytes)).replace(/\W/g, (sign) => ({ "+": "-", "/": "_" })[sign] ?? "");
}
