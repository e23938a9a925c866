/** Does the work while no other tab does work of that name. */
export declare function exclusively<T>(name: string, work: () => Promise<T>): Promise<T>;
