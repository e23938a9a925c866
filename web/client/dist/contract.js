// The public types of the client.
/** The service answered with errors, or with something other than GraphQL. */
export class GraphQLFailure extends Error {
    errors;
    status;
    retryAfter;
    name = "GraphQLFailure";
    constructor(
    /** Empty if the response was not GraphQL. */
    errors, 
    /** The HTTP status. */
    status, 
    /** Seconds to wait, if the service asks for it; else 0. */
    retryAfter = 0) {
        super(errors[0]?.message ?? `The service answered with HTTP ${status}.`);
        this.errors = errors;
        this.status = status;
        this.retryAfter = retryAfter;
    }
}
