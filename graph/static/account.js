var Y=e=>new Promise(t=>setTimeout(t,e));function A(){let[e,t]=[performance.now(),Date.now()];return()=>Math.max(performance.now()-e,Date.now()-t)}function J(e){let t=new AbortController,n=setTimeout(()=>t.abort(),e);return{signal:t.signal,cancel:()=>clearTimeout(n)}}function ue(e,t=A()){let n=e.left*(.75+.15*Math.random());return{...e,isFresh:()=>t()<n,share:()=>({...e,left:e.left-t()}),due:()=>n-t()}}var Wt=250,Gt=6e4;function Be(){let e=A(),t=0,n=0,o;return{left:()=>Math.max(0,t-e()),error:()=>o,share:()=>({ms:t-e(),failures:n}),fail(i){o=i;let s=1e3*(i?.retryAfter??0),d=Math.min(Gt,Wt*2**n++);t=s+d*(1+Math.random()),e=A()},adopt(i,s){o=new Error("The service cannot be reached. Try again later."),n=s,t=i,e=A()},reset(){t=n=0}}}var I=class extends Error{constructor(n,o,i=0){super(n[0]?.message??`The service answered with HTTP ${o}.`);this.errors=n;this.status=o;this.retryAfter=i}errors;status;retryAfter;name="GraphQLFailure"};function je(e,t){return{async read(){try{let n=JSON.parse(await e.getItem(t)??"null");return typeof n?.id=="string"?n:null}catch(n){if(n instanceof SyntaxError)return null;throw n}},write:async n=>e.setItem(t,JSON.stringify(n))}}function Ve(){let e=new Map;return{getItem:t=>e.get(t)??null,setItem:(t,n)=>{e.set(t,n)},removeItem:t=>{e.delete(t)}}}function $(){let e=crypto.getRandomValues(new Uint8Array(32));return btoa(String.fromCharCode(...e)).replace(/\W/g,t=>({"+":"-","/":"_"})[t]??"")}var Z=15e3;async function ee(e,t){let n=globalThis.navigator?.locks;if(!n)return Ke(e,t);let{signal:o,cancel:i}=J(Z),s=!1,d=a=>(s=!0,t(a));try{let a=await n.request(e,{ifAvailable:!0},async l=>l&&[await d(!1)]);return a?a[0]:await n.request(e,{signal:o},()=>d(!0))}catch(a){if(s)throw a;return o.aborted?await n.request(e,{steal:!0},()=>t(!0)):Ke(e,t)}finally{i()}}async function Ke(e,t){if(!globalThis.indexedDB)return t(!1);let n=$(),o=!1,i=A(),s=d=>{let a=d?d.until-Date.now():0;return a>0&&a<=Z?d:{owner:n,until:Date.now()+Z}};for(;(await Ye(e,s))?.owner!==n;){if(o=!0,i()>2*Z)throw new Error("Other tabs hold the lock. Try again later.");await Y(30+40*Math.random())}try{return await t(o)}finally{await Ye(e,d=>d?.owner===n?void 0:d).catch(()=>{})}}function Ye(e,t){return new Promise((n,o)=>{let i=indexedDB.open("kindred");i.onupgradeneeded=()=>i.result.createObjectStore("leases"),i.onerror=()=>o(i.error),i.onsuccess=()=>{let s=i.result,d=s.transaction("leases","readwrite"),a=d.objectStore("leases"),l=a.get(e),u;l.onsuccess=()=>{u=t(l.result),a.put(u,e)},d.oncomplete=()=>{s.close(),n(u)},d.onabort=()=>{s.close(),o(d.error)}}})}function We(e,t){if(typeof BroadcastChannel>"u"||typeof document>"u")return()=>{};let n=new BroadcastChannel(e);return n.onmessage=({data:o})=>t(o),o=>n.postMessage(o)}var Xt=1e4;function me(e,t,n){let o={accept:"application/json","content-type":"application/json"};return{method:"POST",headers:e.cookie?{...o,"kindred-delivery":"cookie"}:o,credentials:e.cookie?"include":"omit",body:JSON.stringify({query:t,variables:n})}}async function pe(e){let t=await e.json().catch(()=>null);if(t?.data&&!t.errors)return t.data;let n=Array.isArray(t?.errors)?t.errors:[];throw new I(n,e.status,Number(e.headers.get("retry-after"))||0)}async function W(e,t,n,o){let{signal:i,cancel:s}=J(Xt);try{let d=await fetch(`${e.url}graphql`,{...me(e,n,{input:o}),signal:i}),a=(await pe(d))[t];if(typeof a?.__typename!="string")throw new I([],d.status);return a}finally{s()}}var Ge="tokens{accessToken refreshToken expiresIn}session{id deviceName}",Xe="...on UserError{message}...on TooManyAttemptsError{retryAfter}",Qe=`mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${Ge}viewer{id username}}${Xe}}}`,Je=`mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${Ge}}${Xe}}}`,Ze="mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}",et="mutation{revokeSession{__typename}}";var Qt={RefreshTokenReplayedError:"replayed",SessionRevokedError:"revoked",RefreshTokenExpiredError:"expired",InvalidRefreshTokenError:"invalid"},Jt=2e3,Zt=100,en=2e3,tn=3e4;function tt(e,t,n){let o=new Set,i=Be(),s=null,d=null,a=null,l=null,u=()=>{},f,v=We(n,c=>{if(c.type==="token-request")s?.id===c.id&&s.isFresh()&&v({type:"token-offer",token:s.share()});else if(c.type==="token-offer"){let{token:p,login:h}=c;h&&(d=p.id);let C=h===!1||p.left>(s?.share().left??0);(h||p.id===d&&p.token!==s?.token&&C)&&m(ue(p))}else c.type==="cooldown"?i.adopt(c.ms,c.failures):k(c.id,c.reason),u()});function m(c){s=c,i.reset(),u(),g(c.due())}function g(c){typeof document>"u"||(clearTimeout(f),f=setTimeout(y,Math.min(c+10,2**31-1)))}function y(){!d||document.visibilityState!=="visible"||(s?.isFresh()?g(s.due()):Fe().catch(()=>{}))}function k(c,p){if(a=c,d===c){d=s=null;for(let h of[...o])try{h(p)}catch(C){setTimeout(()=>{throw C})}}}async function R(){let c=await t.read();return c&&!c.ended&&c.id!==a?(d=c.id,c):(d&&k(d,c?.ended??"signed-out"),null)}async function De({id:c,version:p},h){await t.write({id:c,version:p,ended:h}),v({type:"session-ended",id:c,reason:h}),k(c,h)}async function $e({tokens:c,session:p},h,C=!1){let{accessToken:B,refreshToken:P,expiresIn:D}=c,{id:L}=p,_=$();await t.write(P?{id:L,version:_,token:P}:{id:L,version:_}),d=L;let j=ue({id:L,version:_,token:B,left:1e3*D},h);return m(j),v({type:"token-offer",token:j.share(),login:C}),B}let K=c=>s&&s.token!==c&&s.isFresh()?s.token:null;async function Fe(){let c=Ue(s&&!s.isFresh()?s.token:void 0);if((s?.share().left??0)>tn)c.catch(()=>{});else try{return await c}catch(h){if(!s||s.share().left<=0)throw h}return s?.token??null}async function Ue(c){let p=K(c);return p||(l??=zt(c).finally(()=>{l=null}),l)}async function zt(c){for(;;){if(!await R())return null;if(i.left()>Jt)throw g(i.left()),i.error();i.left()&&await Y(i.left());try{let p=await ee(n,h=>Bt(h,c));if(p!==void 0)return p}catch(p){i.fail(p),v({type:"cooldown",...i.share()})}}}async function Bt(c,p){let h=await R();if(!h||K(p))return K(p);v({type:"token-request",id:h.id});let C=c||s&&s.version!==h.version,B=new Promise(Yt=>{u=Yt});if(await Promise.race([Y(C?en:Zt),B]),h=await R(),!h||K(p))return K(p);if(i.left())return;let{id:P,version:D,token:L,key:_=$()}=h;await t.write({...h,key:_});let j=A(),N=await W(e,"refreshToken",Je,{refreshToken:L,idempotencyKey:_}),qe=await R();if(qe?.version!==D)return qe?void 0:null;if(N.tokens)return $e(N,j);let ze=Qt[N.__typename];if(!ze)throw new I([{message:N.message??N.__typename}],429,N.retryAfter);return await De({id:P,version:D},ze),null}async function jt({username:c,password:p,deviceName:h}){return ee(n,async()=>{let C=A(),B={username:c,password:p,deviceName:h,...e.cookie&&{delivery:"COOKIE"}},P=await W(e,"login",Qe,B),{__typename:D,message:L=D,retryAfter:_,session:j,viewer:N}=P;return P.tokens?(await $e(P,C,!0),{ok:!0,session:j,viewer:N}):{ok:!1,code:D,message:L,..._&&{retryAfter:_}}})}async function Vt(){let c=await R();c&&(await De(c,"signed-out"),await ee(n,async()=>{c.token?await W(e,"revokeSession",Ze,{refreshToken:c.token}):await R()||await W(e,"revokeSession",et,void 0)}).catch(()=>{}))}function Kt(c){let p=h=>c(h);return o.add(p),()=>{o.delete(p)}}return typeof document<"u"&&document.addEventListener("visibilitychange",y),R().then(c=>c&&v({type:"token-request",id:c.id}),()=>{}),{getToken:Fe,refresh:Ue,login:jt,logout:Vt,onEnded:Kt}}function ot(e={}){let t=typeof document<"u",n=nn(e.url),o=(e.delivery??(t?"cookie":"body"))==="cookie",i=e.storage??(o?rn():null),s=`kindred ${n}${i?"":$()}`,d={url:n,cookie:o},a=tt(d,je(i??Ve(),s),s),l=new Set([n,...t?[location.href]:[],...e.sendTo??[]].map(nt));async function u(f,v){let m=new Request(f,v);if(!l.has(nt(m.url))||m.headers.has("authorization"))return fetch(m);let g=await a.getToken();if(!g)return fetch(m);let y=v?.body instanceof ReadableStream?null:m.clone(),k=await fetch(rt(m,g));if(!await on(m,k))return k;let R=await a.refresh(g);return R&&y?fetch(rt(y,R)):k}return{login:a.login,logout:a.logout,fetch:u,graphql:async(f,v)=>pe(await u(`${n}graphql`,me(d,f,v))),getAccessToken:f=>f?a.refresh(f):a.getToken(),onSessionEnded:a.onEnded}}var nt=e=>new URL(e).origin;function nn(e){let[t]=/^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url)??[],n=e??t??globalThis.location?.origin;if(!n)throw new TypeError("createClient needs the service's `url`.");return new URL(n.replace(/\/*$/,"/"),globalThis.location?.href).href}function rn(){try{return globalThis.localStorage??null}catch{return null}}function rt(e,t){return e.headers.set("authorization",`Bearer ${t}`),e}async function on(e,t){if(t.status===401)return!0;if(e.method!=="POST"||!/json/.test(t.headers.get("content-type")??""))return!1;let n=await t.clone().json().catch(()=>null);return Array.isArray(n?.errors)&&n.errors.some(o=>o?.extensions?.code==="UNAUTHENTICATED")}var it=`mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) {
    __typename
    ... on ChangePasswordSuccess {
      revokedCount
    }
    ... on UserError {
      message
    }
    ... on TooManyAttemptsError {
      retryAfter
    }
  }
}
`;var st=`mutation CheckPassword($input: CheckPasswordInput!) {
  checkPassword(input: $input) {
    strength
    weakness
  }
}
`;var at=`query Account($first: Int!) {
  viewer {
    username
  }
  sessions(first: $first) {
    edges {
      node {
        ...SessionFields
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
  ended: sessions(first: 100, state: REVOKED) {
    edges {
      node {
        ...SessionFields
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
  securityEvents(first: 10) {
    edges {
      node {
        ...EventFields
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}

fragment SessionFields on Session {
  id
  isCurrent
  state
  deviceName
  userAgent
  ipAddress
  createdAt
  lastUsedAt
  expiresAt
  revokedAt
  revocationReason
}

fragment EventFields on SecurityEvent {
  id
  kind
  occurredAt
  ipAddress
  userAgent
  generation
  session {
    id
    deviceName
  }
}
`;var dt=`mutation RenameSession($input: RenameSessionInput!) {
  renameSession(input: $input) {
    __typename
    ... on RenameSessionSuccess {
      session {
        ...SessionFields
      }
    }
    ... on UserError {
      message
    }
  }
}

fragment SessionFields on Session {
  id
  isCurrent
  state
  deviceName
  userAgent
  ipAddress
  createdAt
  lastUsedAt
  expiresAt
  revokedAt
  revocationReason
}
`;var ct=`mutation RevokeOtherSessions {
  revokeOtherSessions {
    revokedCount
  }
}
`;var lt=`mutation RevokeSession($input: RevokeSessionInput!) {
  revokeSession(input: $input) {
    __typename
    ... on UserError {
      message
    }
  }
}
`;var ut=`query SecurityEvents($first: Int!, $after: String) {
  securityEvents(first: $first, after: $after) {
    edges {
      node {
        ...EventFields
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}

fragment EventFields on SecurityEvent {
  id
  kind
  occurredAt
  ipAddress
  userAgent
  generation
  session {
    id
    deviceName
  }
}
`;var mt=`query SessionHistory($id: ID!) {
  viewer {
    username
  }
  session(id: $id) {
    ...SessionFields
    lineage {
      generation
      issuedAt
      rotatedAt
      ipAddress
      userAgent
    }
  }
}

fragment SessionFields on Session {
  id
  isCurrent
  state
  deviceName
  userAgent
  ipAddress
  createdAt
  lastUsedAt
  expiresAt
  revokedAt
  revocationReason
}
`;var pt=`query Sessions($after: String) {
  sessions(first: 20, after: $after) {
    edges {
      node {
        ...SessionFields
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}

fragment SessionFields on Session {
  id
  isCurrent
  state
  deviceName
  userAgent
  ipAddress
  createdAt
  lastUsedAt
  expiresAt
  revokedAt
  revocationReason
}
`;var b=ot({url:new URL(".",location.href).href,delivery:"cookie"}),fe=e=>b.graphql(at,{first:e});async function ft(e){let{sessions:t}=await b.graphql(pt,{after:e});return t}async function te(e,t=20){return(await b.graphql(ut,{after:e,first:t})).securityEvents}var gt=e=>b.graphql(mt,{id:e});async function ht(e,t){let n={input:{id:e,deviceName:t}};return(await b.graphql(dt,n)).renameSession}async function vt(e){return(await b.graphql(lt,{input:{id:e}})).revokeSession}async function yt(){return(await b.graphql(ct)).revokeOtherSessions.revokedCount}async function wt(e,t){let n={input:{currentPassword:e,newPassword:t}};return(await b.graphql(it,n)).changePassword}async function bt(e){let t={input:{newPassword:e}};return(await b.graphql(st,t)).checkPassword}function r(e,t={},...n){return Et(document.createElement(e),t,n)}function ge(e,t={},...n){return Et(document.createElementNS("http://www.w3.org/2000/svg",e),t,n)}function Et(e,t,n){for(let[o,i]of Object.entries(t))typeof i=="function"?e.addEventListener(o.slice(2),i):i!==!1&&i!==null&&i!==void 0&&e.setAttribute(o,i===!0?"":String(i));return e.append(...he(n)),e}var he=e=>e.flatMap(t=>Array.isArray(t)?he(t):t?[t]:[]),x=e=>document.getElementById(e);function O(...e){x("main").replaceChildren(...he(e))}var gn=8e3,St;function E(e,{visible:t=!0}={}){let n=x("live");clearTimeout(St),n.textContent="",n.className=t?"toast":"visually-hidden",setTimeout(()=>{n.textContent=e},50),St=setTimeout(()=>{n.textContent="",n.className="visually-hidden"},gn)}function S(e){e&&(e.tabIndex<0&&e.setAttribute("tabindex","-1"),e.focus())}var hn=0,F=e=>`${e}-${++hn}`;var kt={"signed-out":null,replayed:{title:"This session was ended for your safety",text:"Its token was used twice, so another person may have a copy. Sign in to see what happened. Change your password if you do not recognise it.",danger:!0},revoked:{title:"This session was ended",text:"You ended it on another device, the password was changed, or an administrator ended it. Sign in to continue.",danger:!1},expired:{title:"This session has expired",text:"It was not used for a long time, or it reached its time limit. Sign in to continue.",danger:!1},invalid:{title:"You are signed out",text:"The service does not know this browser's session any more. Sign in to continue.",danger:!1}},ne={REVOKED_BY_USER:"You signed out or ended it",REFRESH_TOKEN_REPLAYED:"Its token was used twice",PASSWORD_CHANGED:"The password was changed",USER_DISABLED:"The account was disabled",SESSION_LIMIT:"There were too many sessions",REVOKED_BY_OPERATOR:"An administrator ended it"},re="It was ended",xt={LOGIN_SUCCEEDED:{text:"Signed in",icon:"tick",tone:"good"},LOGIN_FAILED:{text:"Attempt to sign in with a wrong password",icon:"cross",tone:"danger"},LOGIN_THROTTLED:{text:"Too many wrong passwords, so further attempts had to wait",icon:"clock",tone:"danger"},REFRESH_TOKEN_REPLAYED:{text:"A token was used twice, so its session was ended",icon:"shield",tone:"danger"},SESSION_REVOKED:{text:"A session was ended",icon:"exit",tone:"neutral"},PASSWORD_CHANGED:{text:"The password was changed",icon:"key",tone:"neutral"},USER_DISABLED:{text:"The account was disabled",icon:"cross",tone:"danger"}},ve="The service cannot be reached. Nothing is lost. Try again in a moment.";var U=e=>e instanceof I&&e.errors.some(({extensions:t})=>t?.code==="UNAUTHENTICATED");function M(e){if(!(e instanceof I))return ve;let t=e.errors[0]?.extensions?.code;return t==="BAD_USER_INPUT"?e.message:t&&t!=="UNAVAILABLE"?`The service refused this. ${e.message}`:ve}function q(e,t){U(e)?t():E(M(e))}var ye={phone:"Phone",tablet:"Tablet",desktop:"Computer",program:"Program"};function oe(e){return!e||!/^(Mozilla|Opera)\//.test(e)?"program":/iPad|Tablet|Android(?!.*Mobile)/.test(e)?"tablet":/iPhone|Mobile/.test(e)?"phone":"desktop"}var vn=[[/Edg(e|A|iOS)?\//,"Edge"],[/OPR\/|Opera/,"Opera"],[/SamsungBrowser/,"Samsung Internet"],[/Firefox|FxiOS/,"Firefox"],[/HeadlessChrome/,"HeadlessChrome"],[/Chrome|CriOS/,"Chrome"],[/Safari/,"Safari"]],yn=[[/iPhone|iPad/,"iOS"],[/Android/,"Android"],[/Windows/,"Windows"],[/CrOS/,"Chrome OS"],[/Mac OS X/,"macOS"],[/Linux/,"Linux"]];function ie(e){if(!e)return"Unknown device";let t=i=>i.find(([s])=>s.test(e))?.[1],n=t(vn)??/^[\w.-]{1,40}/.exec(e)?.[0]??"Unknown program",o=t(yn);return o?`${n} on ${o}`:n}var wn={desktop:["M3 5h18v11H3z","M9 20h6","M12 16v4"],phone:["M7 2.5h10v19H7z","M11 18.5h2"],tablet:["M4.5 3h15v18h-15z","M11 18h2"],program:["M3 4.5h18v15H3z","M7 9l3 3-3 3","M13 15h4"],pencil:["M4 20l1-4L16 5l3 3L8 19z","M14 7l3 3"],shield:["M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z","M12 8v4.5","M12 16v.01"],tick:["M5 12.5l4.5 4.5L19 7.5"],exit:["M14 4H5v16h9","M10 12h10","M17 9l3 3-3 3"],key:["M8 11a4 4 0 1 0 0 .01z","M12 11h9v3","M17 11v3"],cross:["M6 6l12 12","M18 6L6 18"],clock:["M12 3a9 9 0 1 0 .01 0z","M12 7v5l3.5 2"],back:["M19 12H5","M11 6l-6 6 6 6"],cloud:["M4 4l16 16","M7 18h10","M7 18a4 4 0 0 1-.5-8 6 6 0 0 1 1-2","M11 5.5a6 6 0 0 1 6.5 5 3.8 3.8 0 0 1 2 6"]};function w(e){let t=wn[e].map(n=>ge("path",{d:n}));return ge("svg",{class:"icon",viewBox:"0 0 24 24","aria-hidden":"true",focusable:"false"},...t)}function se({list:e,noun:t,...n}){let o=r("button",{type:"button",class:"secondary wide",onclick:d},"Show more"),i;function s({edges:a,pageInfo:l}){let u=a.map(({node:f})=>n.renderItem(f));return e.append(...u),i=l.endCursor,o.hidden=!l.hasNextPage,u[0]}async function d(){o.disabled=!0;try{let a=s(await n.fetchPage(i));n.onAppended?.(),E(`${e.children.length} ${t} are shown.`,{visible:!1}),S(a?.querySelector(n.focusSelector))}catch(a){q(a,n.onSignedOut)}finally{o.disabled=!1}}return s(n.firstPage),o}var G=navigator.language.startsWith("en")?navigator.language:"en-GB",bn=new Intl.RelativeTimeFormat(G,{numeric:"auto"}),Sn=new Intl.DateTimeFormat(G,{dateStyle:"full",timeStyle:"long"}),En=new Intl.DateTimeFormat(G,{dateStyle:"medium",timeStyle:"short"}),kn=new Intl.DateTimeFormat(G,{month:"short",day:"numeric",hour:"numeric",minute:"2-digit"}),xn=new Intl.DateTimeFormat(G,{dateStyle:"medium",timeStyle:"medium"}),Tn=[["year",31557600],["month",2629800],["week",604800],["day",86400],["hour",3600],["minute",60]];function we(e,t=Date.now()){let n=(Date.parse(e)-t)/1e3;for(let[o,i]of Tn)if(Math.abs(n)>=i)return bn.format(Math.trunc(n/i),o);return n>0?"in a moment":"just now"}function T(e){let t=Sn.format(new Date(e));return r("time",{datetime:e,title:t,class:"ago",tabindex:0},Tt(e))}function X(e){let t=new Date(e),n=t.getFullYear()===new Date().getFullYear()?kn:En;return r("time",{datetime:e,title:we(e)},n.format(t))}var Q=e=>r("time",{datetime:e,title:we(e)},xn.format(new Date(e))),Tt=e=>we(e,Math.max(Date.now(),Date.parse(e))),An=15e3;function At(){setInterval(()=>{for(let e of document.querySelectorAll("time.ago")){let t=Tt(e.dateTime);e.textContent!==t&&(e.textContent=t)}},An)}function be(e){return e<60?e===1?"1 second":`${e} seconds`:`${Math.floor(e/60)} min ${String(e%60).padStart(2,"0")} s`}function Se(e,t){let n=r("ol",{class:"rows card","aria-labelledby":"events"}),o=se({list:n,firstPage:e,fetchPage:te,renderItem:Rn,noun:"events",focusSelector:"time",onSignedOut:t});return n.hidden=!n.children.length,r("section",{"aria-labelledby":"events"},r("h2",{id:"events"},"Recent activity"),n,n.hidden&&r("p",{class:"muted"},"There is no activity yet."),o)}function Rn({kind:e,occurredAt:t,ipAddress:n,userAgent:o,session:i}){let{text:s,icon:d,tone:a}=xt[e]??{text:e,icon:"clock",tone:"neutral"},l=[o&&ie(o),n].filter(Boolean).join(", ");return r("li",{class:a},w(d),r("div",{},r("p",{},s,i&&[": ",r("a",{href:`#session/${i.id}`},i.deviceName)]),r("p",{},T(t),l&&` from ${l}`)))}function ae({title:e,text:t,confirmLabel:n}){return new Promise(o=>{let[i,s]=[F("title"),F("text")],d=l=>()=>a.close(l?"yes":""),a=r("dialog",{"aria-labelledby":i,"aria-describedby":s},r("h2",{id:i},e),r("p",{id:s},...t),r("div",{class:"buttons"},r("button",{type:"button",class:"secondary",autofocus:!0,onclick:d(!1)},"Cancel"),r("button",{type:"button",class:"danger",onclick:d(!0)},n)));a.addEventListener("click",l=>l.target===a&&a.close("")),a.addEventListener("close",()=>{a.remove(),o(a.returnValue==="yes")}),document.body.append(a),a.showModal()})}var Rt="This session no longer exists.";function Ee(e,t){let{isCurrent:n,userAgent:o}=e,i=oe(o),s=r("li",{class:n?"card session current":"card session","data-id":e.id},r("span",{class:"kind",title:ye[i]},w(i),r("span",{class:"visually-hidden"},ye[i])),r("div",{},In(e,t,d=>{let a=Ee(d,t);s.replaceWith(a),a.querySelector(".small")?.focus()}),n&&r("p",{class:"badge"},"This device"),r("p",{class:"used"},"Last used ",T(e.lastUsedAt))),n?Cn():_n(e,t),r("div",{class:"foot"},ke(e),r("a",{href:`#session/${e.id}`},On(e))));return s}function In(e,t,n){let{deviceName:o}=e,i=r("button",{type:"button",class:"small",title:"Rename","aria-label":`Rename ${o}`,onclick:d},w("pencil")),s=r("div",{class:"name"},r("h3",{tabindex:-1},o),i);function d(){let a=r("input",{type:"text",value:o,maxlength:100,"aria-label":"Name of this session",autocomplete:"off",onkeydown:g=>g.key==="Escape"&&v()}),l=r("button",{class:"small",title:"Save","aria-label":"Save the name"},w("tick")),u=r("button",{type:"button",class:"small",title:"Cancel","aria-label":"Keep the old name",onclick:v},w("cross")),f=r("form",{class:"name",novalidate:!0,onsubmit:m},a,l,u);s.replaceWith(f),a.select(),a.focus();function v(){f.replaceWith(s),i.focus()}async function m(g){g.preventDefault();let y=a.value.trim();if(y===o)return v();if(!y)return E("Enter a name.");l.disabled=!0;try{let k=await ht(e.id,y);if(!k.session)return E(k.message??Rt);n(k.session),E(`The name is now ${k.session.deviceName}.`)}catch(k){q(k,t.onSignedOut)}finally{l.disabled=!1}}}return s}function Cn(){let e=r("button",{type:"button",class:"secondary end","aria-label":"Sign out of this device"},"Sign out");return e.addEventListener("click",()=>{e.disabled=!0,b.logout()}),e}function _n({id:e,deviceName:t},{onRevoked:n,onSignedOut:o}){let i=`End the session of ${t}`,s=r("button",{type:"button",class:"secondary end","aria-label":i,onclick:d},"End");async function d(){if(await ae({title:"End this session?",text:[r("strong",{},t)," will be signed out at once, and has to sign in again."],confirmLabel:"End session"})){s.disabled=!0;try{let{__typename:l,message:u}=await vt(e);E(l==="RevokeSessionSuccess"?`The session of ${t} has ended.`:u??Rt),n(s.closest("li"))}catch(l){q(l,o),s.disabled=!1}}}return s}var On=e=>["History",r("span",{class:"visually-hidden"},` of ${e.deviceName}, signed in `,X(e.createdAt))];function ke(e){let t=[["Address",e.ipAddress??"not recorded"],["Signed in",X(e.createdAt)],e.revokedAt?["Ended",X(e.revokedAt)]:["Ends",X(e.expiresAt)]];return r("dl",{},t.map(([n,o])=>r("div",{},r("dt",{},n),r("dd",{},o))))}function It(e,t){let n=[...e.lineage].reverse(),o=(n[0]?.generation??1)-1;if(e.revocationReason!=="REFRESH_TOKEN_REPLAYED")return{tokens:n,prunedCount:o,replay:null};let i=t?.generation??null,s=i?n.find(a=>a.generation===i+1):null,d=t?.occurredAt??e.revokedAt;return{tokens:n,prunedCount:o,replay:{event:t,at:d,generation:i,successor:s??null}}}async function Te(e,t){document.title="History of a session - Kindred",O(r("p",{class:"waiting"},"Loading the history"));let n=()=>location.hash===`#session/${e}`;try{let{viewer:o,session:i}=await gt(e);if(!n())return;if(t.onUsername(o.username),!i){xe(null,[r("p",{class:"muted"},"There is no such session, or it ended too long ago.")]);return}let s=i.revocationReason==="REFRESH_TOKEN_REPLAYED"?await Mn(i):null;n()&&xe(i,Pn(i,It(i,s)))}catch(o){if(U(o))return t.onSignedOut();let i=r("button",{type:"button",onclick:()=>Te(e,t)},"Try again");xe(null,[r("p",{class:"form-error",role:"alert"},M(o)),i])}}async function Mn(e){let t=null;for(let n=0;n<10;n++){let o=await te(t,100);for(let{node:i}of o.edges){if(i.kind==="REFRESH_TOKEN_REPLAYED"&&i.session?.id===e.id)return i;if(i.occurredAt<e.revokedAt)return null}if(!o.pageInfo.hasNextPage)return null;t=o.pageInfo.endCursor}return null}function xe(e,t){let n=r("h1",{tabindex:-1},e?e.deviceName:"History of a session");O(r("div",{class:"history"},r("p",{},r("a",{href:"#",class:"back"},w("back"),"All sessions")),n,t)),S(n)}function Pn(e,{tokens:t,prunedCount:n,replay:o}){return[r("p",{class:"lead"},Ln(e)),ke(e),o&&Nn(o),r("h2",{id:"timeline"},"From the sign-in to the end"),!t.length&&r("p",{class:"muted"},"No tokens of this session are on record."),r("ol",{class:"timeline","aria-labelledby":"timeline"},n>0&&Hn(n,o),t.map((i,s)=>Dn(i,s===t.length-1,o)),o?$n(o):e.revokedAt&&Fn(e))]}function Ln(e){return e.state==="ACTIVE"?["Signed in, and last used ",T(e.lastUsedAt),"."]:e.state==="EXPIRED"?["Expired ",T(e.expiresAt),"."]:[_t(e),". It ended ",T(e.revokedAt),"."]}var _t=({revocationReason:e})=>ne[e??""]??re;function Nn({event:e,at:t,generation:n,successor:o}){return r("section",{class:"notice danger","aria-labelledby":"replay"},w("shield"),r("div",{},r("h2",{id:"replay"},`Two parties held ${n?`token ${n}`:"one of its tokens"}`),r("p",{},"Each token of a session works once, and is exchanged for the next. This one was used a second time, so there ","were two copies of it. The service cannot tell which copy was yours, so it ended the session for both."),r("dl",{class:"parties"},o&&Ct("Used first from",o,o.issuedAt),e&&Ct("Used again from",e,t)),r("p",{},"If one of the two is not you, change your password. A device restored from a backup, or a copied browser ","profile, can look the same."),r("p",{class:"buttons"},r("a",{class:"button",href:"#password"},"Change password"))))}var Ct=(e,t,n)=>r("div",{},r("dt",{},e),r("dd",{},Ae(t),Q(n)));function Hn(e,t){let n=e===1?"The first token is no longer on record.":`The first ${e} tokens are no longer on record.`,o=t?.generation&&t.generation<=e;return r("li",{class:o?"pruned beside":"pruned"},r("div",{},r("p",{},n)))}function Dn(e,t,n){let{generation:o}=e,i=o===n?.generation,s=e===n?.successor,d=n?.generation&&o>n.generation,a=[i&&"held",s&&"first-use",d&&"beside",t&&!n&&"last"],l=o===1?"Signed in":s?`Token ${o-1} used the first time`:"Renewed";return r("li",{class:a.filter(Boolean).join(" ")},r("div",{},r("h3",{},l,r("span",{class:"number"},`${s?"for ":""}token ${o}`)),Ae(e),r("p",{class:"when"},Q(e.issuedAt)),i&&r("p",{class:"verdict"},"Held by two parties")))}function $n({event:e,at:t,generation:n}){return r("li",{class:"second-use"},r("div",{},r("h3",{},`${n?`Token ${n}`:"A token"} used a second time`),e?Ae(e):r("p",{class:"origin"},"The address and the device are no longer on record."),r("p",{class:"when"},Q(t)),r("p",{class:"verdict"},"The session was ended for both")))}function Fn(e){return r("li",{class:"ended"},r("div",{},r("h3",{},"Ended"),r("p",{class:"origin"},_t(e)),r("p",{class:"when"},Q(e.revokedAt))))}function Ae({userAgent:e,ipAddress:t}){return r("p",{class:"origin"},w(oe(e)),r("span",{},ie(e)),r("span",{class:"address"},t??"address not recorded"))}function V(e,t,...n){let o=F("field"),i=F("label"),s=F("error"),d=r("input",{id:o,type:"text","aria-describedby":s,...t}),a=r("p",{class:"field-error",id:s});return{element:r("div",{},r("label",{for:o,id:i},e),r("div",{class:"input"},d,t.type==="password"&&Un(d,i)),...n,a),input:d,setError(u){a.textContent=u,u?d.setAttribute("aria-invalid","true"):d.removeAttribute("aria-invalid")}}}function Un(e,t){let n=r("button",{type:"button",class:"show","aria-describedby":t},"Show");return n.addEventListener("click",()=>{let o=e.type==="text";e.type=o?"password":"text",n.textContent=o?"Show":"Hide"}),n}function de(e,t,n,o){let i=Date.now()+1e3*o;n.textContent=`Too many attempts. Try again in ${be(o)}.`,e.disabled=!0;function s(){let d=Math.ceil((i-Date.now())/1e3);if(d>0&&e.isConnected){e.textContent=`Wait ${be(d)}`,setTimeout(s,250);return}e.disabled=!1,e.textContent=t,n.textContent=""}s()}var Ot=["Very weak","Weak","Good enough","Strong","Very strong"],qn=350,zn=1e3,Bn=3,Mt="Change password";function Pt(e,{onSignedOut:t,onChanged:n}){let o=Vn(Number(document.body.dataset.passwordMinLength)||8),i=V("Current password",{type:"password",autocomplete:"current-password",name:"current"}),s=V("New password",{type:"password",autocomplete:"new-password",name:"new"},o.element),d=r("p",{class:"form-error",role:"alert"}),a=r("button",{},Mt);s.input.addEventListener("input",()=>{s.setError(""),o.rate(s.input.value)}),i.input.addEventListener("input",()=>i.setError(""));function l(m){let g={InvalidCredentialsError:i,WeakPasswordError:s}[m.__typename];g?(g.setError(m.message??""),g.input.focus()):m.revokedCount!==void 0?(f.reset(),o.rate(""),E(`The password is changed.${jn(m.revokedCount)}`),n()):d.textContent=m.message??m.__typename}async function u(m){if(m.preventDefault(),a.disabled)return;d.textContent="";let g=[i,s].find(({input:y})=>!y.value);if(g)return g.setError("Fill in this field."),g.input.focus();a.disabled=!0;try{let y=await wt(i.input.value,s.input.value);if(y.retryAfter)return de(a,Mt,d,y.retryAfter);l(y)}catch(y){if(U(y))return t();d.textContent=M(y)}a.disabled=!1}let f=r("form",{class:"card",novalidate:!0,onsubmit:u,"aria-labelledby":"password"},r("input",{type:"text",autocomplete:"username",value:e,hidden:!0,readonly:!0}),i.element,s.element,d,a,r("p",{class:"muted"},"A new password ends all your other sessions.")),v=r("h2",{id:"password",tabindex:-1},"Change password");return r("section",{"aria-labelledby":"password"},v,f)}function jn(e){return e===0?"":e===1?" One other session has ended.":` ${e} other sessions have ended.`}function Vn(e){let t=r("div",{class:"bars","aria-hidden":"true"},Ot.map(()=>r("span"))),n=r("p",{class:"strength",role:"status"}),o=r("div",{class:"meter"},t,n),i,s=0;function d(u,f){o.dataset.strength=u===null?"":String(u),n.textContent!==f&&(n.textContent=f)}function a(u){let f=++s;if(clearTimeout(i),!u)return d(null,`At least ${e} characters, and hard to guess.`);if([...u.normalize("NFC")].length<e)return d(0,`At least ${e} characters.`);i=setTimeout(()=>l(u,f),qn)}async function l(u,f){for(let v=Bn;v&&f===s;v--)try{let{strength:m,weakness:g}=await bt(u);f===s&&d(m,g??`${Ot[m]}.`);return}catch{await new Promise(m=>setTimeout(m,zn))}f===s&&d(null,"The strength of the password cannot be checked now.")}return a(""),{element:o,rate:a}}var Kn=14*864e5,Lt="kindred seen replays",Yn=50;function Re(e){let t=Nt();return e.edges.map(({node:n})=>n).filter(({id:n,revocationReason:o,revokedAt:i})=>o==="REFRESH_TOKEN_REPLAYED"&&Date.now()-Date.parse(i)<Kn&&!t.includes(n)).map(Wn)}function Wn({id:e,deviceName:t,revokedAt:n}){let o=`replayed-${e}`,i=r("section",{class:"notice danger","aria-labelledby":o},w("shield"),r("div",{},r("h2",{id:o},"A session was ended for your safety"),r("p",{},["The token of ",r("strong",{},t)," was used twice, ",T(n),". "],"Another person may have a copy of it."),r("p",{class:"buttons"},r("a",{class:"button",href:`#session/${e}`},"See what happened"),r("button",{type:"button",class:"secondary",onclick:s},"Dismiss"))));function s(){Gn(e),i.remove(),S(document.querySelector("main h1")),E("The warning is dismissed. The session stays in the list of recently ended sessions.")}return i}function Nt(){try{let e=JSON.parse(localStorage.getItem(Lt)??"[]");return Array.isArray(e)?e:[]}catch{return[]}}function Gn(e){try{localStorage.setItem(Lt,JSON.stringify([...Nt(),e].slice(-Yn)))}catch{}}function Dt(e,{onSignedOut:t,onChanged:n}){let o=r("h2",{id:"live-sessions",tabindex:-1},"Signed in now"),i=r("ul",{class:"cards","aria-labelledby":"live-sessions"}),s=r("button",{type:"button",class:"secondary",onclick:f},"End all others"),d=r("p",{class:"muted"},"You are not signed in anywhere else."),a=se({list:i,firstPage:e,fetchPage:ft,renderItem:m=>Ee(m,{onRevoked:u,onSignedOut:t}),noun:"sessions",focusSelector:"h3",onAppended:l,onSignedOut:t});function l(){s.hidden=i.children.length<2&&a.hidden,d.hidden=!s.hidden}function u(m){let g=m.nextElementSibling??m.previousElementSibling;m.remove(),l(),S(g?.querySelector("h3")??o),n()}async function f(){if(await ae({title:"End all other sessions?",text:["Every device except this one will be signed out at once."],confirmLabel:"End all others"})){s.disabled=!0;try{let g=await yt();E(g===1?"One other session has ended.":`${g} other sessions have ended.`);for(let y of[...i.children])y.classList.contains("current")||y.remove();a.hidden=!0,l(),S(o),n()}catch(g){q(g,t)}finally{s.disabled=!1}}}l();let v=r("div",{class:"section-head"},o,s);return r("section",{"aria-labelledby":"live-sessions"},v,i,d,a)}var ce=5;function Ie(e){let t=e.edges.map(({node:i})=>i).sort((i,s)=>i.revokedAt<s.revokedAt?1:-1);if(!t.length)return null;let n=r("ul",{class:"rows card","aria-labelledby":"ended-sessions"}),o=r("button",{type:"button",class:"secondary wide"},"Show more");return o.hidden=t.length<=ce,o.addEventListener("click",()=>{n.append(...t.slice(ce).map(Ht)),o.hidden=!0,S(n.children[ce]?.querySelector("a"))}),n.append(...t.slice(0,ce).map(Ht)),r("section",{"aria-labelledby":"ended-sessions"},r("h2",{id:"ended-sessions"},"Recently ended"),n,o)}function Ht(e){let t=e.revocationReason==="REFRESH_TOKEN_REPLAYED",n=ne[e.revocationReason??""]??re;return r("li",{class:t?"danger":""},w(t?"shield":"exit"),r("div",{},r("a",{href:`#session/${e.id}`},e.deviceName),r("p",{},n,", ",T(e.revokedAt??e.lastUsedAt))))}var Ce="Sign in",le="";function _e(e,t){document.title="Sign in - Kindred",x("user").replaceChildren();let n=Xn(),o=V("Password",{name:"password",type:"password",autocomplete:"current-password"}),i=r("p",{class:"form-error",role:"alert"}),s=r("button",{},Ce);async function d(a){if(a.preventDefault(),s.disabled)return;i.textContent="";let l=[n,o].find(({input:u})=>!u.value);if(l)return i.textContent="Enter your username and your password.",l.input.focus();le=n.input.value,s.disabled=!0,s.textContent="Signing in";try{let u=await b.login({username:le,password:o.input.value});if(u.ok)return e();if(u.retryAfter)return de(s,Ce,i,u.retryAfter);i.textContent=u.message,o.input.select(),o.input.focus()}catch(u){i.textContent=M(u)}s.disabled=!1,s.textContent=Ce}O(r("div",{class:"narrow"},t&&Qn(t),r("form",{class:"card sign-in",novalidate:!0,onsubmit:d,"aria-labelledby":"sign-in"},r("h1",{id:"sign-in"},"Sign in"),r("p",{class:"lead"},"See where you are signed in, and end the sessions that you do not recognise."),n.element,o.element,i,s))),t==="signed-out"?S(x("sign-in")):(le?o:n).input.focus()}var Xn=()=>V("Username",{name:"username",autocomplete:"username",autocapitalize:"none",spellcheck:"false",maxlength:128,value:le});function Qn(e){let t=kt[e];return t?r("section",{class:t.danger?"notice danger":"notice","aria-labelledby":"end-reason"},w(t.danger?"shield":"clock"),r("div",{},r("h2",{id:"end-reason"},t.title),r("p",{},t.text))):null}var Ne=/^#session\/([\w-]+)$/,Jn=6e4,Zn=5e3,er=8e3,z=!1,Ft=0,H=e=>{!z&&!e||(z=!1,document.querySelector("dialog")?.close(),_e(Me,e??"invalid"))};function Me(){z=!0,He({moveFocus:!0})}async function He({moveFocus:e=!1}={}){let t=Ne.exec(location.hash)?.[1];Pe(),t?await Te(t,{onSignedOut:H,onUsername:Pe}):await Ut(e)}async function Ut(e){document.title="Your account - Kindred",document.querySelector(".account, .failure")||O(rr());try{let t=await fe(20);if(!z||Ne.test(location.hash))return;if(Ft=Date.now(),!t.viewer)return H();if(Pe(t.viewer.username),O(tr(t)),location.hash==="#password")return S(x("password"));e&&S(document.querySelector("h1"))}catch(t){if(U(t))return H();qt(t)}}function tr({viewer:e,sessions:t,ended:n,securityEvents:o}){let i=async()=>{await Ut(!1),S(x("password"))};return r("div",{class:"account"},r("h1",{tabindex:-1},"Your account"),r("div",{id:"warnings"},Re(n)),r("div",{class:"columns"},r("div",{},Dt(t,{onSignedOut:H,onChanged:nr}),r("div",{id:"ended"},Ie(n))),r("div",{},r("div",{id:"activity"},Se(o,H)),Pt(e.username,{onSignedOut:H,onChanged:i}))))}async function nr(){let e=await fe(1).catch(()=>null);if(!e?.viewer||!document.querySelector(".account"))return;let t=Ie(e.ended);x("warnings").replaceChildren(...Re(e.ended)),x("ended").replaceChildren(...t?[t]:[]),x("activity").replaceChildren(Se(e.securityEvents,H))}function Pe(e){let t=x("user");if(t.childElementCount&&(!e||t.dataset.username===e))return;e&&(t.dataset.username=e);let n=r("button",{type:"button",class:"secondary"},"Sign out");n.addEventListener("click",()=>{n.disabled=!0,b.logout()}),t.replaceChildren(r("span",{class:"username"},e??""),n)}var Oe=()=>r("div",{class:"card placeholder"}),rr=()=>r("div",{class:"account","aria-busy":"true"},r("h1",{tabindex:-1},"Your account"),r("p",{class:"visually-hidden"},"Loading your sessions"),r("div",{class:"columns"},r("div",{},r("section",{},r("div",{class:"section-head"},r("h2",{},"Signed in now")),r("div",{class:"cards"},Oe(),Oe()))),r("div",{},r("div",{id:"activity"},r("section",{},r("h2",{},"Recent activity"),Oe()))))),$t;function qt(e){if(clearTimeout($t),$t=setTimeout(()=>document.querySelector(".failure")&&void Le(),Zn),document.querySelector(".failure"))return;let t=r("button",{type:"button"},"Try again");t.addEventListener("click",async()=>{t.disabled=!0,t.textContent="Trying",await Le(er),t.disabled=!1,t.textContent="Try again"}),O(r("div",{class:"narrow failure",role:"alert"},w("cloud"),r("h1",{},"Your account cannot be shown"),r("p",{class:"lead"},M(e)),t)),t.focus()}async function Le(e=0){let t=Date.now()+e;for(;;)try{if(await b.getAccessToken())return Me();!z&&!document.querySelector(".sign-in")&&_e(Me);return}catch(n){if(Date.now()>=t)return qt(n);await new Promise(o=>setTimeout(o,500))}}document.querySelector(".skip")?.addEventListener("click",e=>{e.preventDefault(),S(x("main"))});b.onSessionEnded(H);addEventListener("hashchange",()=>z&&void He({moveFocus:!0}));document.addEventListener("visibilitychange",()=>{let e=document.activeElement===document.body||document.activeElement?.tagName==="H1",t=Date.now()-Ft>Jn,n=document.visibilityState==="visible";z&&n&&t&&e&&!Ne.test(location.hash)&&He()});At();Le();
