// GraphiQL writes documents, variables and history to local storage, and the variables of `login` contain a password.
// This storage ends with the page instead. It also hides what another GraphiQL left on the same origin.

export function memoryStorage(initial) {
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
