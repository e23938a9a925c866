var W=e=>new Promise(t=>setTimeout(t,e));function O(){let[e,t]=[performance.now(),Date.now()];return()=>Math.max(performance.now()-e,Date.now()-t)}function ne(e){let t=new AbortController,r=setTimeout(()=>t.abort(),e);return{signal:t.signal,lift:()=>clearTimeout(r)}}function pe(e,t=O()){let r=e.left*(.75+.15*Math.random());return{...e,fresh:()=>t()<r,now:()=>({...e,left:e.left-t()}),due:()=>r-t()}}var qt=250,Ft=6e4;function $e(){let e=O(),t=0,r=0,o;return{left:()=>Math.max(0,t-e()),failure:()=>o,now:()=>({rest:t-e(),failures:r}),fail(i){o=i;let s=1e3*(i?.retryAfter??0),a=Math.min(Ft,qt*2**r++);t=s+a*(1+Math.random()),e=O()},rest(i,s){o=new Error("The service cannot be reached just now."),r=s,t=i,e=O()},reset(){t=r=0}}}var P=class extends Error{constructor(r,o,i=0){super(r[0]?.message??`The service answered with HTTP ${o}.`);this.errors=r;this.status=o;this.retryAfter=i}errors;status;retryAfter;name="GraphQLFailure"};function qe(e,t){return{async read(){try{let r=JSON.parse(await e.getItem(t)??"null");return typeof r?.id=="string"?r:null}catch(r){if(r instanceof SyntaxError)return null;throw r}},write:async r=>e.setItem(t,JSON.stringify(r))}}function Fe(){let e=new Map;return{getItem:t=>e.get(t)??null,setItem:(t,r)=>{e.set(t,r)},removeItem:t=>{e.delete(t)}}}function K(){let e=crypto.getRandomValues(new Uint8Array(32));return btoa(String.fromCharCode(...e)).replace(/\W/g,t=>({"+":"-","/":"_"})[t]??"")}var re=15e3;async function oe(e,t){let r=globalThis.navigator?.locks;if(!r)return Ue(e,t);let{signal:o,lift:i}=ne(re),s=!1,a=d=>(s=!0,t(d));try{let d=await r.request(e,{ifAvailable:!0},async l=>l&&[await a(!1)]);return d?d[0]:await r.request(e,{signal:o},()=>a(!0))}catch(d){if(s)throw d;return o.aborted?await r.request(e,{steal:!0},()=>t(!0)):Ue(e,t)}finally{i()}}async function Ue(e,t){if(!globalThis.indexedDB)return t(!1);let r=K(),o=!1,i=O(),s=a=>{let d=a?a.until-Date.now():0;return d>0&&d<=re?a:{owner:r,until:Date.now()+re}};for(;(await je(e,s))?.owner!==r;){if(o=!0,i()>2*re)throw new Error("Other tabs are in the way.");await W(30+40*Math.random())}try{return await t(o)}finally{await je(e,a=>a?.owner===r?void 0:a).catch(()=>{})}}function je(e,t){return new Promise((r,o)=>{let i=indexedDB.open("kindred");i.onupgradeneeded=()=>i.result.createObjectStore("leases"),i.onerror=()=>o(i.error),i.onsuccess=()=>{let s=i.result,a=s.transaction("leases","readwrite"),d=a.objectStore("leases"),l=d.get(e),m;l.onsuccess=()=>{m=t(l.result),d.put(m,e)},a.oncomplete=()=>{s.close(),r(m)},a.onabort=()=>{s.close(),o(a.error)}}})}function ze(e,t){if(typeof BroadcastChannel>"u"||typeof document>"u")return()=>{};let r=new BroadcastChannel(e);return r.onmessage=({data:o})=>t(o),o=>r.postMessage(o)}var Ut=1e4;function fe(e,t,r){let o={accept:"application/json","content-type":"application/json"};return{method:"POST",headers:e.cookie?{...o,"kindred-delivery":"cookie"}:o,credentials:e.cookie?"include":"omit",body:JSON.stringify({query:t,variables:r})}}async function ge(e){let t=await e.json().catch(()=>null);if(t?.data&&!t.errors)return t.data;let r=Array.isArray(t?.errors)?t.errors:[];throw new P(r,e.status,Number(e.headers.get("retry-after"))||0)}async function Q(e,t,r,o){let{signal:i,lift:s}=ne(Ut);try{let a=await fetch(`${e.url}graphql`,{...fe(e,r,{input:o}),signal:i}),d=(await ge(a))[t];if(typeof d?.__typename!="string")throw new P([],a.status);return d}finally{s()}}var Ke="tokens{accessToken refreshToken expiresIn}session{id deviceName}",Ve="...on UserError{message}...on TooManyAttemptsError{retryAfter}",Ge=`mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${Ke}viewer{id username}}${Ve}}}`,Be=`mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${Ke}}${Ve}}}`,Ye="mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}",We="mutation{revokeSession{__typename}}";var jt={RefreshTokenReplayedError:"replayed",SessionRevokedError:"revoked",RefreshTokenExpiredError:"expired",InvalidRefreshTokenError:"invalid"},zt=2e3,Kt=100,Vt=2e3,Gt=3e4;function Qe(e,t,r){let o=new Set,i=$e(),s=null,a=null,d=null,l=null,m=()=>{},f,y=ze(r,c=>{if("ask"in c)s?.id===c.ask&&s.fresh()&&y({have:s.now()});else if("have"in c){let{have:h,login:v}=c;v&&(a=h.id);let M=v===!1||h.left>(s?.now().left??0);(v||h.id===a&&h.token!==s?.token&&M)&&g(pe(h))}else"rest"in c?i.rest(c.rest,c.failures):p(c.ended,c.reason),m()});function g(c){s=c,i.reset(),m(),u(c.due())}function u(c){typeof document>"u"||(clearTimeout(f),f=setTimeout(A,Math.min(c+10,2**31-1)))}function A(){!a||document.visibilityState!=="visible"||(s?.fresh()?u(s.due()):_().catch(()=>{}))}function p(c,h){if(d=c,a===c){a=s=null;for(let v of[...o])try{v(h)}catch(M){setTimeout(()=>{throw M})}}}async function w(){let c=await t.read();return c&&!c.ended&&c.id!==d?(a=c.id,c):(a&&p(a,c?.ended??"signed-out"),null)}async function L({id:c,mark:h},v){await t.write({id:c,mark:h,ended:v}),y({ended:c,reason:v}),p(c,v)}async function V({tokens:c,session:h},v,M=!1){let{accessToken:G,refreshToken:j,expiresIn:$}=c,{id:C}=h,z=K();return await t.write(j?{id:C,mark:z,token:j}:{id:C,mark:z}),a=C,g(pe({id:C,mark:z,token:G,left:1e3*$},v)),y({have:s.now(),login:M}),G}let N=c=>s&&s.token!==c&&s.fresh()?s.token:null;async function _(){let c=Y(s&&!s.fresh()?s.token:void 0);if((s?.now().left??0)>Gt)c.catch(()=>{});else try{return await c}catch(v){if(!s||s.now().left<=0)throw v}return s?.token??null}async function Y(c){return N(c)??(l??=Nt(c).finally(()=>l=null))}async function Nt(c){for(;;){if(!await w())return null;if(i.left()>zt)throw u(i.left()),i.failure();i.left()&&await W(i.left());try{let h=await oe(r,v=>_t(v,c));if(h!==void 0)return h}catch(h){i.fail(h),y(i.now())}}}async function _t(c,h){let v=await w();if(!v||N(h))return N(h);y({ask:v.id});let M=c||s&&s.mark!==v.mark?Vt:Kt;if(await Promise.race([W(M),new Promise($t=>m=$t)]),v=await w(),!v||N(h))return N(h);if(i.left())return;let{id:G,mark:j,token:$,key:C=K()}=v;await t.write({...v,key:C});let z=O(),q=await Q(e,"refreshToken",Be,$?{refreshToken:$,idempotencyKey:C}:{idempotencyKey:C}),te=await w();if(te?.mark!==j)return te?void 0:null;if(q.tokens)return V(q,z);let He=jt[q.__typename];if(!He)throw new P([{message:q.message??q.__typename}],429,q.retryAfter);return await L({id:G,mark:j},He),null}async function Mt(c){return oe(r,async()=>{let h=O(),{username:v,password:M,deviceName:G}=c,j={username:v,password:M,deviceName:G,...e.cookie&&{delivery:"COOKIE"}},$=await Q(e,"login",Ge,j),{__typename:C,message:z=C,retryAfter:me,session:q,viewer:te}=$;return $.tokens?(await V($,h,!0),{ok:!0,session:q,viewer:te}):{ok:!1,code:C,message:z,...me&&{retryAfter:me}}})}async function Dt(){let c=await w();c&&(await L(c,"signed-out"),await oe(r,async()=>{c.token?await Q(e,"revokeSession",Ye,{refreshToken:c.token}):await w()||await Q(e,"revokeSession",We,void 0)}).catch(()=>{}))}function Ht(c){let h=v=>c(v);return o.add(h),()=>{o.delete(h)}}return typeof document<"u"&&document.addEventListener("visibilitychange",A),w().then(c=>c&&y({ask:c.id}),()=>{}),{getToken:_,refresh:Y,login:Mt,logout:Dt,onEnded:Ht}}function Ze(e={}){let t=typeof document<"u",r=Bt(e.url),o=(e.delivery??(t?"cookie":"body"))==="cookie",i=e.storage??(o?Yt():null),s=`kindred ${r}${i?"":K()}`,a={url:r,cookie:o},d=Qe(a,qe(i??Fe(),s),s),l=new Set([r,...t?[location.href]:[],...e.sendTo??[]].map(Je));async function m(f,y){let g=new Request(f,y);if(!l.has(Je(g.url))||g.headers.has("authorization"))return fetch(g);let u=await d.getToken();if(!u)return fetch(g);let A=y?.body instanceof ReadableStream?null:g.clone(),p=await fetch(Xe(g,u));if(!await Wt(g,p))return p;let w=await d.refresh(u);return w&&A?fetch(Xe(A,w)):p}return{login:d.login,logout:d.logout,fetch:m,graphql:async(f,y)=>ge(await m(`${r}graphql`,fe(a,f,y))),getAccessToken:f=>f?d.refresh(f):d.getToken(),onSessionEnded:d.onEnded}}var Je=e=>new URL(e).origin;function Bt(e){let[t]=/^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url)??[],r=e??t??globalThis.location?.origin;if(!r)throw new TypeError("createClient needs the service's `url`.");return new URL(r.replace(/\/*$/,"/"),globalThis.location?.href).href}function Yt(){try{return globalThis.localStorage??null}catch{return null}}function Xe(e,t){return e.headers.set("authorization",`Bearer ${t}`),e}async function Wt(e,t){if(t.status===401)return!0;if(e.method!=="POST"||!/json/.test(t.headers.get("content-type")??""))return!1;let r=await t.clone().json().catch(()=>null);return Array.isArray(r?.errors)&&r.errors.some(o=>o?.extensions?.code==="UNAUTHENTICATED")}var et=`mutation ChangePassword($input: ChangePasswordInput!) {
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
`;var tt=`mutation CheckPassword($input: CheckPasswordInput!) {
  checkPassword(input: $input) {
    strength
    weakness
  }
}
`;var nt=`mutation End($input: RevokeSessionInput!) {
  revokeSession(input: $input) {
    __typename
    ... on UserError {
      message
    }
  }
}
`;var rt=`mutation EndOthers {
  revokeOtherSessions {
    revokedCount
  }
}
`;var ot=`query Events($first: Int!, $after: String) {
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
`;var it=`query History($id: ID!) {
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
`;var st=`query Account($first: Int!) {
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
`;var at=`mutation Rename($input: RenameSessionInput!) {
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
`;var dt=`query Sessions($after: String) {
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
`;var ct={"signed-out":null,replayed:{title:"This session was ended for your safety",text:"Its token was used twice, so somebody else may have had a copy. Sign in to see what happened, and change your password if you do not recognise it.",grave:!0},revoked:{title:"This session was ended",text:"You ended it from another device, the password was changed, or an administrator ended it. Sign in to continue.",grave:!1},expired:{title:"This session has expired",text:"It was not used for a long time, or had reached its limit. Sign in to continue.",grave:!1},invalid:{title:"You are signed out",text:"This browser's session is no longer known here. Sign in to continue.",grave:!1}},J={REVOKED_BY_USER:"You signed out or ended it",REFRESH_TOKEN_REPLAYED:"Its token was used twice",PASSWORD_CHANGED:"The password was changed",USER_DISABLED:"The account was disabled",SESSION_LIMIT:"There were too many sessions",REVOKED_BY_OPERATOR:"An administrator ended it"},lt={LOGIN_SUCCEEDED:{text:"Signed in",icon:"tick",tone:"good"},LOGIN_FAILED:{text:"Somebody gave a wrong password",icon:"cross",tone:"grave"},LOGIN_THROTTLED:{text:"Too many wrong passwords, so further tries had to wait",icon:"clock",tone:"grave"},REFRESH_TOKEN_REPLAYED:{text:"A token was used twice, so its session was ended",icon:"shield",tone:"grave"},SESSION_REVOKED:{text:"A session was ended",icon:"door",tone:"plain"},PASSWORD_CHANGED:{text:"The password was changed",icon:"key",tone:"plain"},USER_DISABLED:{text:"The account was disabled",icon:"cross",tone:"grave"}},he="The service cannot be reached just now. Nothing is lost; try again in a moment.";var k=Ze({url:new URL(".",location.href).href,delivery:"cookie"}),ve=e=>k.graphql(st,{first:e}),ut=async e=>(await k.graphql(dt,{after:e})).sessions,ie=async(e,t=20)=>(await k.graphql(ot,{after:e,first:t})).securityEvents,mt=e=>k.graphql(it,{id:e}),pt=async(e,t)=>(await k.graphql(at,{input:{id:e,deviceName:t}})).renameSession,ft=async e=>(await k.graphql(nt,{input:{id:e}})).revokeSession,gt=async()=>(await k.graphql(rt)).revokeOtherSessions.revokedCount,ht=async(e,t)=>(await k.graphql(et,{input:{currentPassword:e,newPassword:t}})).changePassword,vt=async e=>(await k.graphql(tt,{input:{newPassword:e}})).checkPassword,R=e=>e instanceof P&&e.errors.some(t=>t.extensions?.code==="UNAUTHENTICATED");function S(e){if(!(e instanceof P))return he;let t=e.errors[0]?.extensions?.code;return t==="BAD_USER_INPUT"?e.message:t&&t!=="UNAVAILABLE"?`The service refused this. ${e.message}`:he}function n(e,t={},...r){return yt(document.createElement(e),t,r)}var sn="http://www.w3.org/2000/svg";function we(e,t={},...r){return yt(document.createElementNS(sn,e),t,r)}function yt(e,t,r){for(let[o,i]of Object.entries(t))typeof i=="function"?e.addEventListener(o.slice(2),i):i!==!1&&i!==null&&i!==void 0&&e.setAttribute(o,i===!0?"":String(i));return e.append(...ye(r)),e}var ye=e=>e.flatMap(t=>Array.isArray(t)?ye(t):t?[t]:[]),T=e=>document.getElementById(e);function D(...e){T("main").replaceChildren(...ye(e))}var wt;function x(e,{seen:t=!0}={}){let r=T("live");clearTimeout(wt),r.textContent="",r.className=t?"toast":"unseen",setTimeout(()=>r.textContent=e,50),wt=setTimeout(()=>{r.textContent="",r.className="unseen"},8e3)}function E(e){e&&(e.tabIndex<0&&e.setAttribute("tabindex","-1"),e.focus())}var an=0,H=e=>`${e}-${++an}`;var be={phone:"Phone",tablet:"Tablet",desktop:"Computer",program:"Program"};function se(e){return!e||!/^(Mozilla|Opera)\//.test(e)?"program":/iPad|Tablet|Android(?!.*Mobile)/.test(e)?"tablet":/iPhone|Mobile/.test(e)?"phone":"desktop"}var dn=[[/Edg(e|A|iOS)?\//,"Edge"],[/OPR\/|Opera/,"Opera"],[/SamsungBrowser/,"Samsung Internet"],[/Firefox|FxiOS/,"Firefox"],[/HeadlessChrome/,"HeadlessChrome"],[/Chrome|CriOS/,"Chrome"],[/Safari/,"Safari"]],cn=[[/iPhone|iPad/,"iOS"],[/Android/,"Android"],[/Windows/,"Windows"],[/CrOS/,"Chrome OS"],[/Mac OS X/,"macOS"],[/Linux/,"Linux"]];function ae(e){if(!e)return"Unknown device";let t=i=>i.find(([s])=>s.test(e))?.[1],r=t(dn)??/^[\w.-]{1,40}/.exec(e)?.[0]??"Unknown program",o=t(cn);return o?`${r} on ${o}`:r}var ln={desktop:["M3 5h18v11H3z","M9 20h6","M12 16v4"],phone:["M7 2.5h10v19H7z","M11 18.5h2"],tablet:["M4.5 3h15v18h-15z","M11 18h2"],program:["M3 4.5h18v15H3z","M7 9l3 3-3 3","M13 15h4"],pencil:["M4 20l1-4L16 5l3 3L8 19z","M14 7l3 3"],shield:["M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z","M12 8v4.5","M12 16v.01"],tick:["M5 12.5l4.5 4.5L19 7.5"],door:["M14 4H5v16h9","M10 12h10","M17 9l3 3-3 3"],key:["M8 11a4 4 0 1 0 0 .01z","M12 11h9v3","M17 11v3"],cross:["M6 6l12 12","M18 6L6 18"],clock:["M12 3a9 9 0 1 0 .01 0z","M12 7v5l3.5 2"],back:["M19 12H5","M11 6l-6 6 6 6"],cloud:["M4 4l16 16","M7 18h10","M7 18a4 4 0 0 1-.5-8 6 6 0 0 1 1-2","M11 5.5a6 6 0 0 1 6.5 5 3.8 3.8 0 0 1 2 6"]};function b(e){let t=ln[e].map(r=>we("path",{d:r}));return we("svg",{class:"icon",viewBox:"0 0 24 24","aria-hidden":"true",focusable:"false"},...t)}var X=navigator.language.startsWith("en")?navigator.language:"en-GB",un=new Intl.RelativeTimeFormat(X,{numeric:"auto"}),mn=new Intl.DateTimeFormat(X,{dateStyle:"full",timeStyle:"long"}),pn=new Intl.DateTimeFormat(X,{dateStyle:"medium",timeStyle:"short"}),fn=new Intl.DateTimeFormat(X,{month:"short",day:"numeric",hour:"numeric",minute:"2-digit"}),gn=new Intl.DateTimeFormat(X,{dateStyle:"medium",timeStyle:"medium"}),hn=[["year",31557600],["month",2629800],["week",604800],["day",86400],["hour",3600],["minute",60]];function ke(e,t=Date.now()){let r=(Date.parse(e)-t)/1e3;for(let[o,i]of hn)if(Math.abs(r)>=i)return un.format(Math.trunc(r/i),o);return r>0?"in a moment":"just now"}function I(e){let t=mn.format(new Date(e));return n("time",{datetime:e,title:t,class:"ago",tabindex:0},bt(e))}function Z(e){let t=new Date(e),r=t.getFullYear()===new Date().getFullYear()?fn:pn;return n("time",{datetime:e,title:ke(e)},r.format(t))}var ee=e=>n("time",{datetime:e,title:ke(e)},gn.format(new Date(e))),bt=e=>ke(e,Math.max(Date.now(),Date.parse(e)));function kt(){setInterval(()=>{for(let e of document.querySelectorAll("time.ago")){let t=bt(e.dateTime);e.textContent!==t&&(e.textContent=t)}},15e3)}function xe(e){return e<60?e===1?"1 second":`${e} seconds`:`${Math.floor(e/60)} min ${String(e%60).padStart(2,"0")} s`}function Ee(e,t){let r=n("ol",{class:"lines card","aria-labelledby":"events"}),o=n("button",{type:"button",class:"quiet wide",onclick:a},"Show more"),{endCursor:i}=e.pageInfo;function s(d){let l=d.edges.map(({node:m})=>vn(m));return r.append(...l),i=d.pageInfo.endCursor,o.hidden=!d.pageInfo.hasNextPage,l}async function a(){o.disabled=!0;try{let[d]=s(await ie(i));x(`${r.children.length} events are shown.`,{seen:!1}),E(d?.querySelector("time"))}catch(d){R(d)?t():x(S(d))}finally{o.disabled=!1}}return s(e),r.hidden=!r.children.length,n("section",{"aria-labelledby":"events"},n("h2",{id:"events"},"Recent activity"),r,r.hidden&&n("p",{class:"plain"},"Nothing has happened yet."),o)}function vn({kind:e,occurredAt:t,ipAddress:r,userAgent:o,session:i}){let{text:s,icon:a,tone:d}=lt[e]??{text:e,icon:"clock",tone:"plain"},l=[o&&ae(o),r].filter(Boolean).join(", ");return n("li",{class:d},b(a),n("div",{},n("p",{},s,i&&[": ",n("a",{href:`#session/${i.id}`},i.deviceName)]),n("p",{},I(t),l&&` from ${l}`)))}function xt(e,t){let r=[...e.lineage].reverse(),o=(r[0]?.generation??1)-1;if(e.revocationReason!=="REFRESH_TOKEN_REPLAYED")return{tokens:r,forgotten:o,replay:null};let i=t?.generation??null,s=i?r.find(d=>d.generation===i+1):null,a=t?.occurredAt??e.revokedAt;return{tokens:r,forgotten:o,replay:{event:t,at:a,generation:i,successor:s??null}}}function de({title:e,text:t,act:r}){return new Promise(o=>{let[i,s]=[H("title"),H("text")],a=l=>()=>d.close(l?"yes":""),d=n("dialog",{"aria-labelledby":i,"aria-describedby":s},n("h2",{id:i},e),n("p",{id:s},...t),n("div",{class:"buttons"},n("button",{type:"button",class:"quiet",autofocus:!0,onclick:a(!1)},"Cancel"),n("button",{type:"button",class:"grave",onclick:a(!0)},r)));d.addEventListener("click",l=>l.target===d&&d.close("")),d.addEventListener("close",()=>{d.remove(),o(d.returnValue==="yes")}),document.body.append(d),d.showModal()})}function Se(e,t){let r=n("h3",{tabindex:-1},e.deviceName),o=n("button",{type:"button",class:"small",title:"Rename","aria-label":`Rename ${e.deviceName}`,onclick:l},b("pencil")),i=n("div",{class:"name"},r,o),s=n("button",{type:"button",class:"quiet end","aria-label":e.isCurrent?"Sign out of this device":`End the session of ${e.deviceName}`,onclick:e.isCurrent?f:m},e.isCurrent?"Sign out":"End"),a=se(e.userAgent),d=n("li",{class:e.isCurrent?"card session current":"card session","data-id":e.id},n("span",{class:"kind",title:be[a]},b(a),n("span",{class:"unseen"},be[a])),n("div",{class:"about"},i,e.isCurrent&&n("p",{class:"badge"},"This device"),n("p",{class:"used"},"Last used ",I(e.lastUsedAt))),s,n("div",{class:"foot"},Te(e),n("a",{href:`#session/${e.id}`},wn(e))));function l(){let g=n("input",{type:"text",value:e.deviceName,maxlength:100,"aria-label":"Name of this session",autocomplete:"off",onkeydown:V=>V.key==="Escape"&&w()}),u=n("button",{class:"small",title:"Save","aria-label":"Save the name"},b("tick")),A=n("button",{type:"button",class:"small",title:"Cancel","aria-label":"Keep the old name",onclick:w},b("cross")),p=n("form",{class:"name",novalidate:!0,onsubmit:L},g,u,A);i.replaceWith(p),g.select(),g.focus();function w(){p.replaceWith(i),o.focus()}async function L(V){V.preventDefault();let N=g.value.trim();if(N===e.deviceName)return w();if(!N)return x("A name has at least one character.");u.disabled=!0;try{let _=await pt(e.id,N);if(!_.session)return x(_.message??"That session is not there any more.");let Y=Se(_.session,t);d.replaceWith(Y),Y.querySelector(".small")?.focus(),x(`The name is now ${_.session.deviceName}.`)}catch(_){y(_)}finally{u.disabled=!1}}}async function m(){if(await de({title:"End this session?",text:[n("strong",{},e.deviceName)," will be signed out at once, and has to sign in again."],act:"End session"})){s.disabled=!0;try{let u=await ft(e.id);x(u.__typename==="RevokeSessionSuccess"?`The session of ${e.deviceName} has ended.`:u.message??"That session is not there any more."),t.gone(d)}catch(u){y(u),s.disabled=!1}}}function f(){s.disabled=!0,k.logout()}function y(g){R(g)?t.signedOut():x(S(g))}return d}var wn=e=>["History",n("span",{class:"unseen"},` of ${e.deviceName}, signed in `,Z(e.createdAt))];function Te(e){let t=[["Address",e.ipAddress??"not recorded"],["Signed in",Z(e.createdAt)],e.revokedAt?["Ended",Z(e.revokedAt)]:["Ends",Z(e.expiresAt)]];return n("dl",{},t.map(([r,o])=>n("div",{},n("dt",{},r),n("dd",{},o))))}async function Re(e,{signedOut:t,named:r}){document.title="History of a session - Kindred",D(n("p",{class:"waiting"},"Loading the history"));try{let{viewer:o,session:i}=await mt(e);if(location.hash!==`#session/${e}`)return;if(r(o.username),!i)return Ae(null,[n("p",{class:"plain"},"There is no such session, or it ended too long ago.")]);let a=i.revocationReason==="REFRESH_TOKEN_REPLAYED"?await yn(i):null;location.hash===`#session/${e}`&&Ae(i,bn(i,xt(i,a)))}catch(o){if(R(o))return t();let i=n("button",{type:"button",class:"main"},"Try again");i.addEventListener("click",()=>Re(e,{signedOut:t,named:r})),Ae(null,[n("p",{class:"problem",role:"alert"},S(o)),i])}}async function yn(e){let t=null;for(let r=0;r<10;r++){let o=await ie(t,100);for(let{node:i}of o.edges){if(i.kind==="REFRESH_TOKEN_REPLAYED"&&i.session?.id===e.id)return i;if(i.occurredAt<e.revokedAt)return null}if(!o.pageInfo.hasNextPage)return null;t=o.pageInfo.endCursor}return null}function Ae(e,t){let r=n("h1",{tabindex:-1},e?e.deviceName:"History of a session");D(n("div",{class:"history"},n("p",{},n("a",{href:"#",class:"back"},b("back"),"All sessions")),r,t)),E(r)}function bn(e,{tokens:t,forgotten:r,replay:o}){return[n("p",{class:"lead"},kn(e)),Te(e),o&&xn(o),n("h2",{id:"line"},"From the sign-in to the end"),!t.length&&n("p",{class:"plain"},"No tokens of this session are on record."),n("ol",{class:"line","aria-labelledby":"line"},r>0&&n("li",{class:o?.generation&&o.generation<=r?"forgotten beside":"forgotten"},n("div",{},n("p",{},En(r)))),t.map((i,s)=>Sn(i,s===t.length-1,o)),o?Tn(o):e.revokedAt&&An(e))]}function kn(e){return e.state==="ACTIVE"?["Signed in, and last used ",I(e.lastUsedAt),"."]:e.state==="EXPIRED"?["Expired ",I(e.expiresAt),"."]:[J[e.revocationReason??""]??"It was ended",". It ended ",I(e.revokedAt),"."]}function xn({event:e,at:t,generation:r,successor:o}){return n("section",{class:"notice grave","aria-labelledby":"meaning"},b("shield"),n("div",{},n("h2",{id:"meaning"},`Two parties held ${r?`token ${r}`:"one of its tokens"}`),n("p",{},"A session goes from token to token, and each works once. One was used a second time, so there were two ","copies of it, and nobody can tell from here which was yours. The session was ended for both."),n("dl",{class:"parties"},o&&Et("Used first from",o,o.issuedAt),e&&Et("Used again from",e,t)),n("p",{},"If one of the two is not you, change your password. A device restored from a backup, or a copied browser ","profile, can look the same."),n("p",{class:"buttons"},n("a",{class:"button",href:"#password"},"Change password"))))}var Et=(e,t,r)=>n("div",{},n("dt",{},e),n("dd",{},Ce(t),ee(r))),En=e=>e===1?"The first token is no longer on record.":`The first ${e} tokens are no longer on record.`;function Sn(e,t,r){let o=e.generation,i=o===r?.generation,s=e===r?.successor,a=r?.generation&&o>r.generation,d=[i&&"held",s&&"first",a&&"beside",t&&!r&&"last"],l=o===1?"Signed in":s?`Token ${o-1} used the first time`:"Renewed";return n("li",{class:d.filter(Boolean).join(" ")},n("div",{},n("h3",{},l,n("span",{class:"number"},`${s?"for ":""}token ${o}`)),Ce(e),n("p",{class:"when"},ee(e.issuedAt)),i&&n("p",{class:"mark"},"Held by two parties")))}function Tn({event:e,at:t,generation:r}){return n("li",{class:"second"},n("div",{},n("h3",{},`${r?`Token ${r}`:"A token"} used a second time`),e?Ce(e):n("p",{class:"from"},"From where is no longer on record."),n("p",{class:"when"},ee(t)),n("p",{class:"mark"},"The session was ended for both")))}function An(e){return n("li",{class:"ended"},n("div",{},n("h3",{},"Ended"),n("p",{class:"from"},J[e.revocationReason??""]??"It was ended"),n("p",{class:"when"},ee(e.revokedAt))))}function Ce({userAgent:e,ipAddress:t}){return n("p",{class:"from"},b(se(e)),n("span",{},ae(e)),n("span",{class:"address"},t??"address not recorded"))}function B(e,t,...r){let[o,i,s]=[H("field"),H("label"),H("hint")],a=n("input",{id:o,type:"text","aria-describedby":s,...t}),d=n("p",{class:"complaint",id:s});return{box:n("div",{class:"field"},n("label",{for:o,id:i},e),n("div",{class:"input"},a,t.type==="password"&&Rn(a,i)),...r,d),input:a,complain(m){d.textContent=m,m?a.setAttribute("aria-invalid","true"):a.removeAttribute("aria-invalid")}}}function Rn(e,t){let r=n("button",{type:"button",class:"show","aria-describedby":t},"Show");return r.addEventListener("click",()=>{let o=e.type==="text";e.type=o?"password":"text",r.textContent=o?"Show":"Hide"}),r}function ce(e,t,r,o){let i=Date.now()+1e3*o;r.textContent=`There were too many tries. Please wait ${xe(o)} before the next.`,e.disabled=!0;function s(){let a=Math.ceil((i-Date.now())/1e3);if(a>0&&e.isConnected){e.textContent=`Wait ${xe(a)}`,setTimeout(s,250);return}e.disabled=!1,e.textContent=t,r.textContent=""}s()}var St=["Very weak","Weak","Good enough","Strong","Very strong"],Cn=350;function Tt(e,t){let r=Number(document.body.dataset.passwordMinLength)||8,o=On(r),i=B("Current password",{type:"password",autocomplete:"current-password",name:"current"}),s=B("New password",{type:"password",autocomplete:"new-password",name:"new"},o.box),a=n("p",{class:"problem",role:"alert"}),d=n("button",{class:"main"},"Change password");s.input.addEventListener("input",()=>{s.complain(""),o.judge(s.input.value)}),i.input.addEventListener("input",()=>i.complain(""));async function l(y){if(y.preventDefault(),d.disabled)return;a.textContent="";let g=[i,s].find(u=>!u.input.value);if(g)return g.complain("This is needed."),g.input.focus();d.disabled=!0;try{let u=await ht(i.input.value,s.input.value);if(u.retryAfter)return void ce(d,"Change password",a,u.retryAfter);let A={InvalidCredentialsError:i,WeakPasswordError:s}[u.__typename];if(A)A.complain(u.message??""),A.input.focus();else if(u.revokedCount!==void 0){m.reset(),o.judge("");let p=[""," One other session has ended."][u.revokedCount];x(`The password is changed.${p??` ${u.revokedCount} other sessions have ended.`}`),t.changed()}else a.textContent=u.message??u.__typename}catch(u){if(R(u))return t.signedOut();a.textContent=S(u)}d.disabled=!1}let m=n("form",{class:"card",novalidate:!0,onsubmit:l,"aria-labelledby":"password"},n("input",{type:"text",autocomplete:"username",value:e,hidden:!0,readonly:!0}),i.box,s.box,a,d,n("p",{class:"plain"},"Every other session ends with the old password.")),f=n("h2",{id:"password",tabindex:-1},"Change password");return n("section",{"aria-labelledby":"password"},f,m)}function On(e){let t=n("div",{class:"bars","aria-hidden":"true"},St.map(()=>n("span"))),r=n("p",{class:"says",role:"status"}),o=n("div",{class:"meter"},t,r),i,s=0;function a(l,m){o.dataset.strength=l===null?"":String(l),r.textContent!==m&&(r.textContent=m)}function d(l){let m=++s;if(clearTimeout(i),!l)return a(null,`At least ${e} characters, and hard to guess.`);if([...l.normalize("NFC")].length<e)return a(0,`At least ${e} characters.`);i=setTimeout(async()=>{for(let f=3;f&&m===s;f--)try{let{strength:y,weakness:g}=await vt(l);m===s&&a(y,g??`${St[y]}.`);return}catch{await new Promise(y=>setTimeout(y,1e3))}m===s&&a(null,"How strong it is cannot be told just now.")},Cn)}return d(""),{box:o,judge:d}}function At(e,t){let r=n("h2",{id:"live-sessions",tabindex:-1},"Signed in now"),o=n("ul",{class:"cards","aria-labelledby":"live-sessions"}),i=n("button",{type:"button",class:"quiet wide",onclick:y},"Show more"),s=n("button",{type:"button",class:"quiet",onclick:g},"End all others"),a=n("p",{class:"plain"},"You are signed in nowhere else."),{endCursor:d}=e.pageInfo,l=p=>Se(p,{gone:f,signedOut:t.signedOut});function m(p){let w=p.edges.map(({node:L})=>l(L));return o.append(...w),d=p.pageInfo.endCursor,i.hidden=!p.pageInfo.hasNextPage,s.hidden=o.children.length<2&&i.hidden,a.hidden=!s.hidden,w}function f(p){let w=p.nextElementSibling??p.previousElementSibling;p.remove(),s.hidden=o.children.length<2&&i.hidden,a.hidden=!s.hidden,E(w?.querySelector("h3")??r),t.changed()}async function y(){i.disabled=!0;try{let[p]=m(await ut(d));x(`${o.children.length} sessions are shown.`,{seen:!1}),E(p?.querySelector("h3"))}catch(p){u(p)}finally{i.disabled=!1}}async function g(){if(await de({title:"End all other sessions?",text:["Every device but this one will be signed out at once."],act:"End all others"})){s.disabled=!0;try{let w=await gt();x(w===1?"One other session has ended.":`${w} other sessions have ended.`);for(let L of[...o.children])L.classList.contains("current")||L.remove();i.hidden=s.hidden=!0,a.hidden=!1,E(r),t.changed()}catch(w){u(w)}finally{s.disabled=!1}}}function u(p){R(p)?t.signedOut():x(S(p))}m(e);let A=n("div",{class:"head"},r,s);return n("section",{"aria-labelledby":"live-sessions"},A,o,a,i)}function Oe(e){let t=e.edges.map(({node:a})=>a).sort((a,d)=>a.revokedAt<d.revokedAt?1:-1);if(!t.length)return null;let r=n("ul",{class:"lines card","aria-labelledby":"ended-sessions"}),o=5,i=a=>r.append(...a.map(In)),s=n("button",{type:"button",class:"quiet wide"},"Show more");return s.hidden=t.length<=o,s.addEventListener("click",()=>{i(t.slice(o)),s.hidden=!0,E(r.children[o]?.querySelector("a"))}),i(t.slice(0,o)),n("section",{"aria-labelledby":"ended-sessions"},n("h2",{id:"ended-sessions"},"Ended lately"),r,s)}function In(e){let t=e.revocationReason==="REFRESH_TOKEN_REPLAYED",r=J[e.revocationReason??""]??"It was ended";return n("li",{class:t?"grave":""},b(t?"shield":"door"),n("div",{},n("a",{href:`#session/${e.id}`},e.deviceName),n("p",{},r,", ",I(e.revokedAt??e.lastUsedAt))))}var Pn=14*864e5,Rt="kindred seen replays";function Ie({ended:e}){return e.edges.map(({node:t})=>t).filter(t=>t.revocationReason==="REFRESH_TOKEN_REPLAYED"&&Date.now()-Date.parse(t.revokedAt)<Pn&&!Ct().includes(t.id)).map(Ln)}function Ln(e){let t=`replayed-${e.id}`,r=n("section",{class:"notice grave","aria-labelledby":t},b("shield"),n("div",{},n("h2",{id:t},"A session was ended for your safety"),n("p",{},["The token of ",n("strong",{},e.deviceName)," was used twice, ",I(e.revokedAt),". "],"Somebody else may have had a copy of it."),n("p",{class:"buttons"},n("a",{class:"button",href:`#session/${e.id}`},"See what happened"),n("button",{type:"button",class:"quiet",onclick:o},"Put away"))));function o(){Nn(e.id),r.remove(),E(document.querySelector("main h1")),x("The warning is put away. The session stays in the list of those that ended lately.")}return r}function Ct(){try{let e=JSON.parse(localStorage.getItem(Rt)??"[]");return Array.isArray(e)?e:[]}catch{return[]}}function Nn(e){try{localStorage.setItem(Rt,JSON.stringify([...Ct(),e].slice(-50)))}catch{}}var le="";function Pe(e,t){document.title="Sign in - Kindred",T("who").replaceChildren();let r=B("Username",{name:"username",autocomplete:"username",autocapitalize:"none",spellcheck:"false",maxlength:128,value:le}),o=B("Password",{name:"password",type:"password",autocomplete:"current-password"}),i=n("p",{class:"problem",id:H("problem"),role:"alert"}),s=n("button",{class:"main"},"Sign in");async function a(l){if(l.preventDefault(),s.disabled)return;i.textContent="";let m=[r,o].find(f=>!f.input.value);if(m)return i.textContent="Give both your username and your password.",m.input.focus();le=r.input.value,s.disabled=!0,s.textContent="Signing in";try{let f=await k.login({username:le,password:o.input.value});if(f.ok)return e();if(f.retryAfter)return void ce(s,"Sign in",i,f.retryAfter);i.textContent=f.message,o.input.select(),o.input.focus()}catch(f){i.textContent=S(f)}s.disabled=!1,s.textContent="Sign in"}let d=t&&ct[t];if(D(n("div",{class:"narrow"},d&&n("section",{class:d.grave?"notice grave":"notice","aria-labelledby":"why"},b(d.grave?"shield":"clock"),n("div",{},n("h2",{id:"why"},d.title),n("p",{},d.text))),n("form",{class:"card sign-in",novalidate:!0,onsubmit:a,"aria-labelledby":"sign-in"},n("h1",{id:"sign-in"},"Sign in"),n("p",{class:"lead"},"to see where you are signed in, and to end what you do not recognise."),r.box,o.box,i,s))),t==="signed-out")return T("sign-in").setAttribute("tabindex","-1"),T("sign-in").focus();(le?o:r).input.focus()}var Me=/^#session\/([\w-]+)$/,_n=6e4,U=!1,It=0,F=e=>{!U&&!e||(U=!1,document.querySelector("dialog")?.close(),Pe(Ne,e??"invalid"))};function Ne(){U=!0,De({moved:!0})}async function De({moved:e=!1}={}){let t=Me.exec(location.hash)?.[1];if(t)return ue(),Re(t,{signedOut:F,named:ue});await Pt(e)}async function Pt(e){document.title="Your account - Kindred",ue(),document.querySelector(".account, .failure")||D(Hn());try{let t=await ve(20);if(!U||Me.test(location.hash))return;if(It=Date.now(),!t.viewer)return F();if(ue(t.viewer.username),D(Mn(t)),location.hash==="#password")return E(T("password"));e&&E(document.querySelector("h1"))}catch(t){if(R(t))return U?F():void 0;Lt(t)}}function Mn(e){let t={signedOut:F,changed:()=>{Dn()}};return n("div",{class:"account"},n("h1",{tabindex:-1},"Your account"),n("div",{id:"warnings"},Ie(e)),n("div",{class:"columns"},n("div",{},At(e.sessions,t),n("div",{id:"ended"},Oe(e.ended))),n("div",{},n("div",{id:"activity"},Ee(e.securityEvents,F)),Tt(e.viewer.username,{signedOut:F,changed:()=>{Pt(!1).then(()=>E(T("password")))}}))))}async function Dn(){let e=await ve(1).catch(()=>null);!e?.viewer||!document.querySelector(".account")||(T("warnings").replaceChildren(...Ie(e)),T("ended").replaceChildren(...[Oe(e.ended)].filter(t=>t!==null)),T("activity").replaceChildren(Ee(e.securityEvents,F)))}function ue(e){let t=T("who");if(t.childElementCount&&(!e||t.dataset.of===e))return;e&&(t.dataset.of=e);let r=n("button",{type:"button",class:"quiet"},"Sign out");r.addEventListener("click",()=>{r.disabled=!0,k.logout()}),t.replaceChildren(n("span",{class:"username"},e??""),r)}var Le=()=>n("div",{class:"card ghost"}),Hn=()=>n("div",{class:"account","aria-busy":"true"},n("h1",{tabindex:-1},"Your account"),n("p",{class:"unseen"},"Loading your sessions"),n("div",{class:"columns"},n("div",{},n("section",{},n("div",{class:"head"},n("h2",{},"Signed in now")),n("div",{class:"cards"},Le(),Le()))),n("div",{},n("div",{id:"activity"},n("section",{},n("h2",{},"Recent activity"),Le()))))),$n=8e3,Ot;function Lt(e){if(clearTimeout(Ot),Ot=setTimeout(()=>document.querySelector(".failure")&&void _e(),5e3),document.querySelector(".failure"))return;let t=n("button",{type:"button",class:"main"},"Try again");t.addEventListener("click",async()=>{t.disabled=!0,t.textContent="Trying",await _e($n),t.disabled=!1,t.textContent="Try again"}),D(n("div",{class:"narrow failure",role:"alert"},b("cloud"),n("h1",{},"Your account cannot be shown"),n("p",{class:"lead"},S(e)),t)),t.focus()}async function _e(e=0){let t=Date.now()+e;for(;;)try{return await k.getAccessToken()?Ne():U||document.querySelector(".sign-in")?void 0:Pe(Ne)}catch(r){if(Date.now()>=t)return Lt(r);await new Promise(o=>setTimeout(o,500))}}document.querySelector(".skip")?.addEventListener("click",e=>{e.preventDefault(),E(T("main"))});k.onSessionEnded(e=>F(e));addEventListener("hashchange",()=>U&&void De({moved:!0}));document.addEventListener("visibilitychange",()=>{let e=document.activeElement===document.body||document.activeElement?.tagName==="H1",t=Date.now()-It>_n;U&&document.visibilityState==="visible"&&t&&e&&!Me.test(location.hash)&&De()});kt();_e();
