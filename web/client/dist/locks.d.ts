/** What to do under the lock. `waited` is true if another tab held the lock first. */
type Work<T> = (waited: boolean) => Promise<T>;
/** Do the work while no other tab does work under this name. */
export declare function withLock<T>(name: string, work: Work<T>): Promise<T>;
export {};
