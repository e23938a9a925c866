// The GraphiQL page: GraphiQL as it comes, with our first tabs, a fetcher that remembers the access token, and a
// storage that keeps nothing.

import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createRoot } from "react-dom/client";
import { useSignedIn } from "./account.js";
import { bearer, useBearer } from "./bearer.js";
import { fetcher } from "./fetcher.js";
import "./page.css";
import { inMemory } from "./storage.js";
import { tabs } from "./tabs.js";

function Brand() {
  const token = useBearer();
  const signedIn = useSignedIn();
  return (
    <div className="kindred-brand">
      {token ? (
        <>
          <span className="kindred-bearer" title="Kept in this page's memory only; reloading forgets it">
            Access token: sent
          </span>
          <button type="button" onClick={() => bearer.forget()}>
            Forget it
          </button>
        </>
      ) : (
        <span className="kindred-bearer" title={signedIn ? "Who signed in on the account page is asking" : undefined}>
          Access token: {signedIn ? "of the account page" : "none"}
        </span>
      )}
      <strong>Kindred</strong>
    </div>
  );
}

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    // For the first tab GraphiQL takes the variables from its storage, not from the tab.
    storage={inMemory({ "graphiql:variables": tabs[0].variables })}
    shouldPersistHeaders={false}
    defaultTabs={tabs}
    defaultQuery=""
    defaultEditorToolsVisibility="variables"
  >
    <GraphiQL.Logo>
      <Brand />
    </GraphiQL.Logo>
  </GraphiQL>,
);
