// GraphiQL writes documents, variables and history to local storage, and the variables of `login` have a password in
// them. Here it gets a storage that ends with the page. Nor does it find what another GraphiQL left on this origin.

export function inMemory(initial) {
  const items = new Map(Object.entries(initial));
  return {
    getItem: (key) => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: (key) => void items.delete(key),
    clear: () => items.clear(),
    get length() {
      return items.size;
    },
  };
}
