// The GraphiQL page: GraphiQL with Kindred's first tabs, a fetcher that adds the access token, and a storage in memory.

import { GraphiQL } from "graphiql";
import "graphiql/style.css";
import { createRoot } from "react-dom/client";
import { accessToken } from "./access-token.js";
import { useSignedIn } from "./account.js";
import { fetcher } from "./fetcher.js";
import "./page.css";
import { memoryStorage } from "./memory-storage.js";
import { tabs } from "./tabs.js";

function Brand() {
  const token = accessToken.useValue();
  const signedIn = useSignedIn();
  return (
    <div className="kindred-brand">
      {token ? (
        <>
          <span className="kindred-token" title="Kept in this page's memory only. A reload forgets it.">
            Access token: sent
          </span>
          <button type="button" onClick={() => accessToken.set(null)}>
            Forget it
          </button>
        </>
      ) : (
        <span
          className="kindred-token"
          title={signedIn ? "Requests are sent as the user who is signed in on the account page." : undefined}
        >
          Access token: {signedIn ? "from the account page" : "none"}
        </span>
      )}
      <strong>Kindred</strong>
    </div>
  );
}

createRoot(document.getElementById("graphiql")).render(
  <GraphiQL
    fetcher={fetcher}
    // GraphiQL takes the variables of the first tab from its storage, not from the tab.
    storage={memoryStorage({ "graphiql:variables": tabs[0].variables })}
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
