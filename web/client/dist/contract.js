// What callers see.
/** The service answered, and not with data alone. */
export class GraphQLFailure extends Error {
    errors;
    status;
    retryAfter;
    name = "GraphQLFailure";
    constructor(
    /** Empty where the answer was not GraphQL's. */
    errors, 
    /** Of HTTP. */
    status, 
    /** Seconds to wait, where the service asks for it; else 0. */
    retryAfter = 0) {
        super(errors[0]?.message ?? `The service answered with HTTP ${status}.`);
        this.errors = errors;
        this.status = status;
        this.retryAfter = retryAfter;
    }
}
