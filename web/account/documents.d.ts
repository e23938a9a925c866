// esbuild gives the text of a document.

declare module "*.graphql" {
  const text: string;
  export default text;
}
