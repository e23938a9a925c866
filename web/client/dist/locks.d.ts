/** Work to be done alone; `waited` if another tab's went before it. */
type Work<T> = (waited: boolean) => Promise<T>;
/** Does the work while no other tab does work of that name. */
export declare function exclusively<T>(name: string, work: Work<T>): Promise<T>;
export {};
