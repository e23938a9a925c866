// esbuild imports a document as its text.

declare module "*.graphql" {
  const text: string;
  export default text;
}
