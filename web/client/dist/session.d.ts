import { type Credentials, type EndReason, type LoginAnswer } from "./contract.js";
import { type Vault } from "./storage.js";
import { type Service } from "./transport.js";
export type Session = ReturnType<typeof openSession>;
export declare function openSession(service: Service, vault: Vault, name: string): {
    getToken: () => Promise<string | null>;
    refresh: (stale?: string) => Promise<string | null>;
    login: (who: Credentials) => Promise<LoginAnswer>;
    logout: () => Promise<void>;
    onEnded: (listener: (reason: EndReason) => void) => () => undefined;
};
