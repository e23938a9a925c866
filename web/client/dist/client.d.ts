import type { Client, Options } from "./contract.js";
export * from "./contract.js";
export declare function createClient(options?: Options): Client;
