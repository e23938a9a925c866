/** Whether the access token was refused: by HTTP, or in a GraphQL answer, whose status may be 200. */
export const isRefused = (status, errors) =>
  status === 401 || (errors ?? []).some?.((error) => error.extensions?.code === "UNAUTHENTICATED");
