/** Whether the access token was refused: by HTTP 401, or in a GraphQL response, whose status may be 200. */
export function isRefused(status: number | undefined, errors: unknown): boolean {
  if (status === 401) return true;
  return Array.isArray(errors) && errors.some((error) => error?.extensions?.code === "UNAUTHENTICATED");
}
