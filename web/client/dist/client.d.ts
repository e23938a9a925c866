import { type Client, type Options } from "./contract.js";
export * from "./contract.js";
export declare function createClient(options?: Options): Client;
