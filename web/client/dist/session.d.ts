import { type Credentials, type EndReason, type LoginAnswer } from "./contract.js";
import { type SessionStore } from "./storage.js";
import { type Service } from "./transport.js";
export declare function openSession(service: Service, store: SessionStore, name: string): {
    getToken: () => Promise<string | null>;
    refresh: (stale?: string) => Promise<string | null>;
    login: ({ username, password, deviceName }: Credentials) => Promise<LoginAnswer>;
    logout: () => Promise<void>;
    onEnded: (listener: (reason: EndReason) => void) => () => undefined;
};
