var Y=e=>new Promise(t=>setTimeout(t,e));function O(){let[e,t]=[performance.now(),Date.now()];return()=>Math.max(performance.now()-e,Date.now()-t)}function ne(e){let t=new AbortController,r=setTimeout(()=>t.abort(),e);return{signal:t.signal,lift:()=>clearTimeout(r)}}function pe(e,t=O()){let r=e.left*(.75+.15*Math.random());return{...e,fresh:()=>t()<r,now:()=>({...e,left:e.left-t()}),due:()=>r-t()}}var Ht=250,$t=6e4;function He(){let e=O(),t=0,r=0,o;return{left:()=>Math.max(0,t-e()),failure:()=>o,now:()=>({rest:t-e(),failures:r}),fail(i){o=i;let s=1e3*(i?.retryAfter??0),a=Math.min($t,Ht*2**r++);t=s+a*(1+Math.random()),e=O()},rest(i,s){o=new Error("The service cannot be reached just now."),r=s,t=i,e=O()},reset(){t=r=0}}}var P=class extends Error{constructor(r,o,i=0){super(r[0]?.message??`The service answered with HTTP ${o}.`);this.errors=r;this.status=o;this.retryAfter=i}errors;status;retryAfter;name="GraphQLFailure"};function $e(e,t){return{async read(){try{let r=JSON.parse(await e.getItem(t)??"null");return typeof r?.id=="string"?r:null}catch(r){if(r instanceof SyntaxError)return null;throw r}},write:async r=>e.setItem(t,JSON.stringify(r))}}function qe(){let e=new Map;return{getItem:t=>e.get(t)??null,setItem:(t,r)=>{e.set(t,r)},removeItem:t=>{e.delete(t)}}}function K(){let e=crypto.getRandomValues(new Uint8Array(32));return btoa(String.fromCharCode(...e)).replace(/\W/g,t=>({"+":"-","/":"_"})[t]??"")}var re=15e3;async function oe(e,t){let r=globalThis.navigator?.locks;if(!r)return Fe(e,t);let{signal:o,lift:i}=ne(re),s=!1,a=()=>(s=!0,i(),t());try{return await r.request(e,{signal:o},a)}catch(d){if(s)throw d;return i(),o.aborted?await r.request(e,{steal:!0},a):Fe(e,t)}}async function Fe(e,t){if(!globalThis.indexedDB)return t();let r=K(),o=O(),i=s=>{let a=s?s.until-Date.now():0;return a>0&&a<=re?s:{owner:r,until:Date.now()+re}};for(;(await Ue(e,i))?.owner!==r;){if(o()>2*re)throw new Error("Other tabs are in the way.");await Y(30+40*Math.random())}try{return await t()}finally{await Ue(e,s=>s?.owner===r?void 0:s).catch(()=>{})}}function Ue(e,t){return new Promise((r,o)=>{let i=indexedDB.open("kindred");i.onupgradeneeded=()=>i.result.createObjectStore("leases"),i.onerror=()=>o(i.error),i.onsuccess=()=>{let s=i.result,a=s.transaction("leases","readwrite"),d=a.objectStore("leases"),l=d.get(e),p;l.onsuccess=()=>{p=t(l.result),d.put(p,e)},a.oncomplete=()=>{s.close(),r(p)},a.onabort=()=>{s.close(),o(a.error)}}})}function je(e,t){if(typeof BroadcastChannel>"u"||typeof document>"u")return()=>{};let r=new BroadcastChannel(e);return r.onmessage=({data:o})=>t(o),o=>r.postMessage(o)}var qt=1e4;function fe(e,t,r){let o={accept:"application/json","content-type":"application/json"};return{method:"POST",headers:e.cookie?{...o,"kindred-delivery":"cookie"}:o,credentials:e.cookie?"include":"omit",body:JSON.stringify({query:t,variables:r})}}async function ge(e){let t=await e.json().catch(()=>null);if(t?.data&&!t.errors)return t.data;let r=Array.isArray(t?.errors)?t.errors:[];throw new P(r,e.status,Number(e.headers.get("retry-after"))||0)}async function W(e,t,r,o){let{signal:i,lift:s}=ne(qt);try{let a=await fetch(`${e.url}graphql`,{...fe(e,r,{input:o}),signal:i}),d=(await ge(a))[t];if(typeof d?.__typename!="string")throw new P([],a.status);return d}finally{s()}}var ze="tokens{accessToken refreshToken expiresIn}session{id deviceName}",Ke="...on UserError{message}...on TooManyAttemptsError{retryAfter}",Ve=`mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${ze}viewer{id username}}${Ke}}}`,Ge=`mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${ze}}${Ke}}}`,Be="mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}",Ye="mutation{revokeSession{__typename}}";var Ft={RefreshTokenReplayedError:"replayed",SessionRevokedError:"revoked",RefreshTokenExpiredError:"expired",InvalidRefreshTokenError:"invalid"},Ut=2e3,jt=100,zt=2e3,Kt=3e4;function We(e,t,r){let o=new Set,i=He(),s=null,a=null,d=null,l=()=>{},p,f=je(r,c=>{if("ask"in c)s?.id===c.ask&&s.fresh()&&f({have:s.now()});else if("have"in c){let{have:h,login:y}=c;y&&(a=h.id),(y||h.id===a&&!(h.left<=(s?.now().left??0)))&&v(pe(h))}else"rest"in c?i.rest(c.rest,c.failures):S(c.ended,c.reason)});function v(c){s=c,i.reset(),l(),g(c.due())}function g(c){typeof document>"u"||(clearTimeout(p),p=setTimeout(m,Math.min(c+10,2**31-1)))}function m(){!a||document.visibilityState!=="visible"||(s?.fresh()?g(s.due()):V().catch(()=>{}))}function S(c,h){if(a===c){a=s=null;for(let y of[...o])try{y(h)}catch(M){setTimeout(()=>{throw M})}}}async function u(){let c=await t.read();return c&&!c.ended?(a=c.id,c):(a&&S(a,c?.ended??"signed-out"),null)}async function w({id:c,mark:h},y){await t.write({id:c,mark:h,ended:y}),f({ended:c,reason:y}),S(c,y)}async function L({tokens:c,session:h},y,M=!1){let{accessToken:j,refreshToken:$,expiresIn:z}=c,{id:q}=h,R=K();return await t.write($?{id:q,mark:R,token:$}:{id:q,mark:R}),a=q,v(pe({id:q,mark:R,token:j,left:1e3*z},y)),f(M?{have:s.now(),login:M}:{have:s.now()}),j}let N=c=>s&&s.token!==c&&s.fresh()?s.token:null;async function V(){let c=_(s&&!s.fresh()?s.token:void 0);if((s?.now().left??0)>Kt)c.catch(()=>{});else try{return await c}catch(y){if(!s||s.now().left<=0)throw y}return s?.token??null}async function _(c){return N(c)??(d??=ee(c).finally(()=>d=null))}async function ee(c){for(;;){if(!await u())return null;if(i.left()>Ut)throw g(i.left()),i.failure();i.left()&&await Y(i.left());try{return await oe(r,()=>Lt(c))}catch(h){i.fail(h),f(i.now())}}}async function Lt(c){let h=await u();if(!h||N(c))return N(c);if(!h.key){f({ask:h.id});let me=s&&s.mark!==h.mark?zt:jt;if(await Promise.race([Y(me),new Promise(Dt=>l=Dt)]),h=await u(),!h||N(c))return N(c)}let{id:y,mark:M,token:j,key:$=K()}=h;await t.write({...h,key:$});let z=O(),R=await W(e,"refreshToken",Ge,j?{refreshToken:j,idempotencyKey:$}:{idempotencyKey:$}),B=await u();if(B?.mark!==M){if(!B)return null;throw new Error("Another tab has refreshed meanwhile.")}if(R.tokens)return L(R,z);let te=Ft[R.__typename];if(!te)throw new P([{message:R.message??R.__typename}],429,R.retryAfter);return await w({id:y,mark:M},te),null}async function Nt(c){return oe(r,async()=>{let h=O(),{username:y,password:M,deviceName:j}=c,$={username:y,password:M,deviceName:j,...e.cookie&&{delivery:"COOKIE"}},z=await W(e,"login",Ve,$),{__typename:q,message:R=q,retryAfter:B,session:te,viewer:me}=z;return z.tokens?(await L(z,h,!0),{ok:!0,session:te,viewer:me}):{ok:!1,code:q,message:R,...B&&{retryAfter:B}}})}async function _t(){let c=await u();c&&(await w(c,"signed-out"),await oe(r,async()=>{c.token?await W(e,"revokeSession",Be,{refreshToken:c.token}):await u()||await W(e,"revokeSession",Ye,void 0)}).catch(()=>{}))}function Mt(c){let h=y=>c(y);return o.add(h),()=>{o.delete(h)}}return typeof document<"u"&&document.addEventListener("visibilitychange",m),u().then(c=>c&&f({ask:c.id}),()=>{}),{getToken:V,refresh:_,login:Nt,logout:_t,onEnded:Mt}}function Xe(e={}){let t=typeof document<"u",r=Vt(e.url),o=(e.delivery??(t?"cookie":"body"))==="cookie",i=e.storage??(o?Gt():null),s=`kindred ${r}${i?"":K()}`,a={url:r,cookie:o},d=We(a,$e(i??qe(),s),s),l=new Set([r,...t?[location.href]:[],...e.sendTo??[]].map(Qe));async function p(f,v){let g=new Request(f,v);if(!l.has(Qe(g.url))||g.headers.has("authorization"))return fetch(g);let m=await d.getToken();if(!m)return fetch(g);let S=v?.body instanceof ReadableStream?null:g.clone(),u=await fetch(Je(g,m));if(!await Bt(g,u))return u;let w=await d.refresh(m);return w&&S?fetch(Je(S,w)):u}return{login:d.login,logout:d.logout,fetch:p,graphql:async(f,v)=>ge(await p(`${r}graphql`,fe(a,f,v))),getAccessToken:d.getToken,onSessionEnded:d.onEnded}}var Qe=e=>new URL(e).origin;function Vt(e){let[t]=/^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url)??[],r=e??t??globalThis.location?.origin;if(!r)throw new TypeError("createClient needs the service's `url`.");return new URL(r.replace(/\/*$/,"/"),globalThis.location?.href).href}function Gt(){try{return globalThis.localStorage??null}catch{return null}}function Je(e,t){return e.headers.set("authorization",`Bearer ${t}`),e}async function Bt(e,t){if(t.status===401)return!0;if(e.method!=="POST"||!/json/.test(t.headers.get("content-type")??""))return!1;let r=await t.clone().json().catch(()=>null);return Array.isArray(r?.errors)&&r.errors.some(o=>o?.extensions?.code==="UNAUTHENTICATED")}var Ze=`mutation ChangePassword($input: ChangePasswordInput!) {
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
`;var et=`mutation CheckPassword($input: CheckPasswordInput!) {
  checkPassword(input: $input) {
    strength
    weakness
  }
}
`;var tt=`mutation End($input: RevokeSessionInput!) {
  revokeSession(input: $input) {
    __typename
    ... on UserError {
      message
    }
  }
}
`;var nt=`mutation EndOthers {
  revokeOtherSessions {
    revokedCount
  }
}
`;var rt=`query Events($first: Int!, $after: String) {
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
`;var ot=`query History($id: ID!) {
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
`;var it=`query Account($first: Int!) {
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
`;var st=`mutation Rename($input: RenameSessionInput!) {
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
`;var at=`query Sessions($after: String) {
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
`;var dt={"signed-out":null,replayed:{title:"This session was ended for your safety",text:"Its token was used twice, so somebody else may have had a copy. Sign in to see what happened, and change your password if you do not recognise it.",grave:!0},revoked:{title:"This session was ended",text:"You ended it from another device, the password was changed, or an administrator ended it. Sign in to continue.",grave:!1},expired:{title:"This session has expired",text:"It was not used for a long time, or had reached its limit. Sign in to continue.",grave:!1},invalid:{title:"You are signed out",text:"This browser's session is no longer known here. Sign in to continue.",grave:!1}},Q={REVOKED_BY_USER:"You signed out or ended it",REFRESH_TOKEN_REPLAYED:"Its token was used twice",PASSWORD_CHANGED:"The password was changed",USER_DISABLED:"The account was disabled",SESSION_LIMIT:"There were too many sessions",REVOKED_BY_OPERATOR:"An administrator ended it"},ct={LOGIN_SUCCEEDED:{text:"Signed in",icon:"tick",tone:"good"},LOGIN_FAILED:{text:"Somebody gave a wrong password",icon:"cross",tone:"grave"},LOGIN_THROTTLED:{text:"Too many wrong passwords, so further tries had to wait",icon:"clock",tone:"grave"},REFRESH_TOKEN_REPLAYED:{text:"A token was used twice, so its session was ended",icon:"shield",tone:"grave"},SESSION_REVOKED:{text:"A session was ended",icon:"door",tone:"plain"},PASSWORD_CHANGED:{text:"The password was changed",icon:"key",tone:"plain"},USER_DISABLED:{text:"The account was disabled",icon:"cross",tone:"grave"}},he="The service cannot be reached just now. Nothing is lost; try again in a moment.";var x=Xe({url:new URL(".",location.href).href,delivery:"cookie"}),ve=e=>x.graphql(it,{first:e}),lt=async e=>(await x.graphql(at,{after:e})).sessions,ie=async(e,t=20)=>(await x.graphql(rt,{after:e,first:t})).securityEvents,ut=e=>x.graphql(ot,{id:e}),mt=async(e,t)=>(await x.graphql(st,{input:{id:e,deviceName:t}})).renameSession,pt=async e=>(await x.graphql(tt,{input:{id:e}})).revokeSession,ft=async()=>(await x.graphql(nt)).revokeOtherSessions.revokedCount,gt=async(e,t)=>(await x.graphql(Ze,{input:{currentPassword:e,newPassword:t}})).changePassword,ht=async e=>(await x.graphql(et,{input:{newPassword:e}})).checkPassword,C=e=>e instanceof P&&e.errors.some(t=>t.extensions?.code==="UNAUTHENTICATED");function T(e){if(!(e instanceof P))return he;let t=e.errors[0]?.extensions?.code;return t==="BAD_USER_INPUT"?e.message:t&&t!=="UNAVAILABLE"?`The service refused this. ${e.message}`:he}function n(e,t={},...r){return wt(document.createElement(e),t,r)}var rn="http://www.w3.org/2000/svg";function we(e,t={},...r){return wt(document.createElementNS(rn,e),t,r)}function wt(e,t,r){for(let[o,i]of Object.entries(t))typeof i=="function"?e.addEventListener(o.slice(2),i):i!==!1&&i!==null&&i!==void 0&&e.setAttribute(o,i===!0?"":String(i));return e.append(...ye(r)),e}var ye=e=>e.flatMap(t=>Array.isArray(t)?ye(t):t?[t]:[]),A=e=>document.getElementById(e);function D(...e){A("main").replaceChildren(...ye(e))}var vt;function k(e,{seen:t=!0}={}){let r=A("live");clearTimeout(vt),r.textContent="",r.className=t?"toast":"unseen",setTimeout(()=>r.textContent=e,50),vt=setTimeout(()=>{r.textContent="",r.className="unseen"},8e3)}function E(e){e&&(e.tabIndex<0&&e.setAttribute("tabindex","-1"),e.focus())}var on=0,H=e=>`${e}-${++on}`;var be={phone:"Phone",tablet:"Tablet",desktop:"Computer",program:"Program"};function se(e){return!e||!/^(Mozilla|Opera)\//.test(e)?"program":/iPad|Tablet|Android(?!.*Mobile)/.test(e)?"tablet":/iPhone|Mobile/.test(e)?"phone":"desktop"}var sn=[[/Edg(e|A|iOS)?\//,"Edge"],[/OPR\/|Opera/,"Opera"],[/SamsungBrowser/,"Samsung Internet"],[/Firefox|FxiOS/,"Firefox"],[/HeadlessChrome/,"HeadlessChrome"],[/Chrome|CriOS/,"Chrome"],[/Safari/,"Safari"]],an=[[/iPhone|iPad/,"iOS"],[/Android/,"Android"],[/Windows/,"Windows"],[/CrOS/,"Chrome OS"],[/Mac OS X/,"macOS"],[/Linux/,"Linux"]];function ae(e){if(!e)return"Unknown device";let t=i=>i.find(([s])=>s.test(e))?.[1],r=t(sn)??/^[\w.-]{1,40}/.exec(e)?.[0]??"Unknown program",o=t(an);return o?`${r} on ${o}`:r}var dn={desktop:["M3 5h18v11H3z","M9 20h6","M12 16v4"],phone:["M7 2.5h10v19H7z","M11 18.5h2"],tablet:["M4.5 3h15v18h-15z","M11 18h2"],program:["M3 4.5h18v15H3z","M7 9l3 3-3 3","M13 15h4"],pencil:["M4 20l1-4L16 5l3 3L8 19z","M14 7l3 3"],shield:["M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z","M12 8v4.5","M12 16v.01"],tick:["M5 12.5l4.5 4.5L19 7.5"],door:["M14 4H5v16h9","M10 12h10","M17 9l3 3-3 3"],key:["M8 11a4 4 0 1 0 0 .01z","M12 11h9v3","M17 11v3"],cross:["M6 6l12 12","M18 6L6 18"],clock:["M12 3a9 9 0 1 0 .01 0z","M12 7v5l3.5 2"],back:["M19 12H5","M11 6l-6 6 6 6"],cloud:["M4 4l16 16","M7 18h10","M7 18a4 4 0 0 1-.5-8 6 6 0 0 1 1-2","M11 5.5a6 6 0 0 1 6.5 5 3.8 3.8 0 0 1 2 6"]};function b(e){let t=dn[e].map(r=>we("path",{d:r}));return we("svg",{class:"icon",viewBox:"0 0 24 24","aria-hidden":"true",focusable:"false"},...t)}var J=navigator.language.startsWith("en")?navigator.language:"en-GB",cn=new Intl.RelativeTimeFormat(J,{numeric:"auto"}),ln=new Intl.DateTimeFormat(J,{dateStyle:"full",timeStyle:"long"}),un=new Intl.DateTimeFormat(J,{dateStyle:"medium",timeStyle:"short"}),mn=new Intl.DateTimeFormat(J,{month:"short",day:"numeric",hour:"numeric",minute:"2-digit"}),pn=new Intl.DateTimeFormat(J,{dateStyle:"medium",timeStyle:"medium"}),fn=[["year",31557600],["month",2629800],["week",604800],["day",86400],["hour",3600],["minute",60]];function xe(e,t=Date.now()){let r=(Date.parse(e)-t)/1e3;for(let[o,i]of fn)if(Math.abs(r)>=i)return cn.format(Math.trunc(r/i),o);return r>0?"in a moment":"just now"}function I(e){let t=ln.format(new Date(e));return n("time",{datetime:e,title:t,class:"ago",tabindex:0},yt(e))}function X(e){let t=new Date(e),r=t.getFullYear()===new Date().getFullYear()?mn:un;return n("time",{datetime:e,title:xe(e)},r.format(t))}var Z=e=>n("time",{datetime:e,title:xe(e)},pn.format(new Date(e))),yt=e=>xe(e,Math.max(Date.now(),Date.parse(e)));function bt(){setInterval(()=>{for(let e of document.querySelectorAll("time.ago")){let t=yt(e.dateTime);e.textContent!==t&&(e.textContent=t)}},15e3)}function ke(e){return e<60?e===1?"1 second":`${e} seconds`:`${Math.floor(e/60)} min ${String(e%60).padStart(2,"0")} s`}function Ee(e,t){let r=n("ol",{class:"lines card","aria-labelledby":"events"}),o=n("button",{type:"button",class:"quiet wide",onclick:a},"Show more"),{endCursor:i}=e.pageInfo;function s(d){let l=d.edges.map(({node:p})=>gn(p));return r.append(...l),i=d.pageInfo.endCursor,o.hidden=!d.pageInfo.hasNextPage,l}async function a(){o.disabled=!0;try{let[d]=s(await ie(i));k(`${r.children.length} events are shown.`,{seen:!1}),E(d?.querySelector("time"))}catch(d){C(d)?t():k(T(d))}finally{o.disabled=!1}}return s(e),r.hidden=!r.children.length,n("section",{"aria-labelledby":"events"},n("h2",{id:"events"},"Recent activity"),r,r.hidden&&n("p",{class:"plain"},"Nothing has happened yet."),o)}function gn({kind:e,occurredAt:t,ipAddress:r,userAgent:o,session:i}){let{text:s,icon:a,tone:d}=ct[e]??{text:e,icon:"clock",tone:"plain"},l=[o&&ae(o),r].filter(Boolean).join(", ");return n("li",{class:d},b(a),n("div",{},n("p",{},s,i&&[": ",n("a",{href:`#session/${i.id}`},i.deviceName)]),n("p",{},I(t),l&&` from ${l}`)))}function xt(e,t){let r=[...e.lineage].reverse(),o=(r[0]?.generation??1)-1;if(e.revocationReason!=="REFRESH_TOKEN_REPLAYED")return{tokens:r,forgotten:o,replay:null};let i=t?.generation??null,s=i?r.find(d=>d.generation===i+1):null,a=t?.occurredAt??e.revokedAt;return{tokens:r,forgotten:o,replay:{event:t,at:a,generation:i,successor:s??null}}}function de({title:e,text:t,act:r}){return new Promise(o=>{let[i,s]=[H("title"),H("text")],a=l=>()=>d.close(l?"yes":""),d=n("dialog",{"aria-labelledby":i,"aria-describedby":s},n("h2",{id:i},e),n("p",{id:s},...t),n("div",{class:"buttons"},n("button",{type:"button",class:"quiet",autofocus:!0,onclick:a(!1)},"Cancel"),n("button",{type:"button",class:"grave",onclick:a(!0)},r)));d.addEventListener("click",l=>l.target===d&&d.close("")),d.addEventListener("close",()=>{d.remove(),o(d.returnValue==="yes")}),document.body.append(d),d.showModal()})}function Se(e,t){let r=n("h3",{tabindex:-1},e.deviceName),o=n("button",{type:"button",class:"small",title:"Rename","aria-label":`Rename ${e.deviceName}`,onclick:l},b("pencil")),i=n("div",{class:"name"},r,o),s=n("button",{type:"button",class:"quiet end","aria-label":e.isCurrent?"Sign out of this device":`End the session of ${e.deviceName}`,onclick:e.isCurrent?f:p},e.isCurrent?"Sign out":"End"),a=se(e.userAgent),d=n("li",{class:e.isCurrent?"card session current":"card session","data-id":e.id},n("span",{class:"kind",title:be[a]},b(a),n("span",{class:"unseen"},be[a])),n("div",{class:"about"},i,e.isCurrent&&n("p",{class:"badge"},"This device"),n("p",{class:"used"},"Last used ",I(e.lastUsedAt))),s,n("div",{class:"foot"},Te(e),n("a",{href:`#session/${e.id}`},hn(e))));function l(){let g=n("input",{type:"text",value:e.deviceName,maxlength:100,"aria-label":"Name of this session",autocomplete:"off",onkeydown:N=>N.key==="Escape"&&w()}),m=n("button",{class:"small",title:"Save","aria-label":"Save the name"},b("tick")),S=n("button",{type:"button",class:"small",title:"Cancel","aria-label":"Keep the old name",onclick:w},b("cross")),u=n("form",{class:"name",novalidate:!0,onsubmit:L},g,m,S);i.replaceWith(u),g.select(),g.focus();function w(){u.replaceWith(i),o.focus()}async function L(N){N.preventDefault();let V=g.value.trim();if(V===e.deviceName)return w();if(!V)return k("A name has at least one character.");m.disabled=!0;try{let _=await mt(e.id,V);if(!_.session)return k(_.message??"That session is not there any more.");let ee=Se(_.session,t);d.replaceWith(ee),ee.querySelector(".small")?.focus(),k(`The name is now ${_.session.deviceName}.`)}catch(_){v(_)}finally{m.disabled=!1}}}async function p(){if(await de({title:"End this session?",text:[n("strong",{},e.deviceName)," will be signed out at once, and has to sign in again."],act:"End session"})){s.disabled=!0;try{let m=await pt(e.id);k(m.__typename==="RevokeSessionSuccess"?`The session of ${e.deviceName} has ended.`:m.message??"That session is not there any more."),t.gone(d)}catch(m){v(m),s.disabled=!1}}}function f(){s.disabled=!0,x.logout()}function v(g){C(g)?t.signedOut():k(T(g))}return d}var hn=e=>["History",n("span",{class:"unseen"},` of ${e.deviceName}, signed in `,X(e.createdAt))];function Te(e){let t=[["Address",e.ipAddress??"not recorded"],["Signed in",X(e.createdAt)],e.revokedAt?["Ended",X(e.revokedAt)]:["Ends",X(e.expiresAt)]];return n("dl",{},t.map(([r,o])=>n("div",{},n("dt",{},r),n("dd",{},o))))}async function Re(e,{signedOut:t,named:r}){document.title="History of a session - Kindred",D(n("p",{class:"waiting"},"Loading the history"));try{let{viewer:o,session:i}=await ut(e);if(location.hash!==`#session/${e}`)return;if(r(o.username),!i)return Ae(null,[n("p",{class:"plain"},"There is no such session, or it ended too long ago.")]);let a=i.revocationReason==="REFRESH_TOKEN_REPLAYED"?await vn(i):null;location.hash===`#session/${e}`&&Ae(i,wn(i,xt(i,a)))}catch(o){if(C(o))return t();let i=n("button",{type:"button",class:"main"},"Try again");i.addEventListener("click",()=>Re(e,{signedOut:t,named:r})),Ae(null,[n("p",{class:"problem",role:"alert"},T(o)),i])}}async function vn(e){let t=null;for(let r=0;r<10;r++){let o=await ie(t,100);for(let{node:i}of o.edges){if(i.kind==="REFRESH_TOKEN_REPLAYED"&&i.session?.id===e.id)return i;if(i.occurredAt<e.revokedAt)return null}if(!o.pageInfo.hasNextPage)return null;t=o.pageInfo.endCursor}return null}function Ae(e,t){let r=n("h1",{tabindex:-1},e?e.deviceName:"History of a session");D(n("div",{class:"history"},n("p",{},n("a",{href:"#",class:"back"},b("back"),"All sessions")),r,t)),E(r)}function wn(e,{tokens:t,forgotten:r,replay:o}){return[n("p",{class:"lead"},yn(e)),Te(e),o&&bn(o),n("h2",{id:"line"},"From the sign-in to the end"),!t.length&&n("p",{class:"plain"},"No tokens of this session are on record."),n("ol",{class:"line","aria-labelledby":"line"},r>0&&n("li",{class:o?.generation&&o.generation<=r?"forgotten beside":"forgotten"},n("div",{},n("p",{},xn(r)))),t.map((i,s)=>kn(i,s===t.length-1,o)),o?En(o):e.revokedAt&&Sn(e))]}function yn(e){return e.state==="ACTIVE"?["Signed in, and last used ",I(e.lastUsedAt),"."]:e.state==="EXPIRED"?["Expired ",I(e.expiresAt),"."]:[Q[e.revocationReason??""]??"It was ended",". It ended ",I(e.revokedAt),"."]}function bn({event:e,at:t,generation:r,successor:o}){return n("section",{class:"notice grave","aria-labelledby":"meaning"},b("shield"),n("div",{},n("h2",{id:"meaning"},`Two parties held ${r?`token ${r}`:"one of its tokens"}`),n("p",{},"A session goes from token to token, and each works once. One was used a second time, so there were two ","copies of it, and nobody can tell from here which was yours. The session was ended for both."),n("dl",{class:"parties"},o&&kt("Used first from",o,o.issuedAt),e&&kt("Used again from",e,t)),n("p",{},"If one of the two is not you, change your password. A device restored from a backup, or a copied browser ","profile, can look the same."),n("p",{class:"buttons"},n("a",{class:"button",href:"#password"},"Change password"))))}var kt=(e,t,r)=>n("div",{},n("dt",{},e),n("dd",{},Ce(t),Z(r))),xn=e=>e===1?"The first token is no longer on record.":`The first ${e} tokens are no longer on record.`;function kn(e,t,r){let o=e.generation,i=o===r?.generation,s=e===r?.successor,a=r?.generation&&o>r.generation,d=[i&&"held",s&&"first",a&&"beside",t&&!r&&"last"],l=o===1?"Signed in":s?`Token ${o-1} used the first time`:"Renewed";return n("li",{class:d.filter(Boolean).join(" ")},n("div",{},n("h3",{},l,n("span",{class:"number"},`${s?"for ":""}token ${o}`)),Ce(e),n("p",{class:"when"},Z(e.issuedAt)),i&&n("p",{class:"mark"},"Held by two parties")))}function En({event:e,at:t,generation:r}){return n("li",{class:"second"},n("div",{},n("h3",{},`${r?`Token ${r}`:"A token"} used a second time`),e?Ce(e):n("p",{class:"from"},"From where is no longer on record."),n("p",{class:"when"},Z(t)),n("p",{class:"mark"},"The session was ended for both")))}function Sn(e){return n("li",{class:"ended"},n("div",{},n("h3",{},"Ended"),n("p",{class:"from"},Q[e.revocationReason??""]??"It was ended"),n("p",{class:"when"},Z(e.revokedAt))))}function Ce({userAgent:e,ipAddress:t}){return n("p",{class:"from"},b(se(e)),n("span",{},ae(e)),n("span",{class:"address"},t??"address not recorded"))}function G(e,t,...r){let[o,i,s]=[H("field"),H("label"),H("hint")],a=n("input",{id:o,type:"text","aria-describedby":s,...t}),d=n("p",{class:"complaint",id:s});return{box:n("div",{class:"field"},n("label",{for:o,id:i},e),n("div",{class:"input"},a,t.type==="password"&&Tn(a,i)),...r,d),input:a,complain(p){d.textContent=p,p?a.setAttribute("aria-invalid","true"):a.removeAttribute("aria-invalid")}}}function Tn(e,t){let r=n("button",{type:"button",class:"show","aria-describedby":t},"Show");return r.addEventListener("click",()=>{let o=e.type==="text";e.type=o?"password":"text",r.textContent=o?"Show":"Hide"}),r}function ce(e,t,r,o){let i=Date.now()+1e3*o;r.textContent=`There were too many tries. Please wait ${ke(o)} before the next.`,e.disabled=!0;function s(){let a=Math.ceil((i-Date.now())/1e3);if(a>0&&e.isConnected){e.textContent=`Wait ${ke(a)}`,setTimeout(s,250);return}e.disabled=!1,e.textContent=t,r.textContent=""}s()}var Et=["Very weak","Weak","Good enough","Strong","Very strong"],An=350;function St(e,t){let r=Number(document.body.dataset.passwordMinLength)||8,o=Rn(r),i=G("Current password",{type:"password",autocomplete:"current-password",name:"current"}),s=G("New password",{type:"password",autocomplete:"new-password",name:"new"},o.box),a=n("p",{class:"problem",role:"alert"}),d=n("button",{class:"main"},"Change password");s.input.addEventListener("input",()=>{s.complain(""),o.judge(s.input.value)}),i.input.addEventListener("input",()=>i.complain(""));async function l(v){if(v.preventDefault(),d.disabled)return;a.textContent="";let g=[i,s].find(m=>!m.input.value);if(g)return g.complain("This is needed."),g.input.focus();d.disabled=!0;try{let m=await gt(i.input.value,s.input.value);if(m.retryAfter)return void ce(d,"Change password",a,m.retryAfter);let S={InvalidCredentialsError:i,WeakPasswordError:s}[m.__typename];if(S)S.complain(m.message??""),S.input.focus();else if(m.revokedCount!==void 0){p.reset(),o.judge("");let u=[""," One other session has ended."][m.revokedCount];k(`The password is changed.${u??` ${m.revokedCount} other sessions have ended.`}`),t.changed()}else a.textContent=m.message??m.__typename}catch(m){if(C(m))return t.signedOut();a.textContent=T(m)}d.disabled=!1}let p=n("form",{class:"card",novalidate:!0,onsubmit:l,"aria-labelledby":"password"},n("input",{type:"text",autocomplete:"username",value:e,hidden:!0,readonly:!0}),i.box,s.box,a,d,n("p",{class:"plain"},"Every other session ends with the old password.")),f=n("h2",{id:"password",tabindex:-1},"Change password");return n("section",{"aria-labelledby":"password"},f,p)}function Rn(e){let t=n("div",{class:"bars","aria-hidden":"true"},Et.map(()=>n("span"))),r=n("p",{class:"says",role:"status"}),o=n("div",{class:"meter"},t,r),i,s=0;function a(l,p){o.dataset.strength=l===null?"":String(l),r.textContent!==p&&(r.textContent=p)}function d(l){let p=++s;if(clearTimeout(i),!l)return a(null,`At least ${e} characters, and hard to guess.`);if([...l.normalize("NFC")].length<e)return a(0,`At least ${e} characters.`);i=setTimeout(async()=>{for(let f=3;f&&p===s;f--)try{let{strength:v,weakness:g}=await ht(l);p===s&&a(v,g??`${Et[v]}.`);return}catch{await new Promise(v=>setTimeout(v,1e3))}p===s&&a(null,"How strong it is cannot be told just now.")},An)}return d(""),{box:o,judge:d}}function Tt(e,t){let r=n("h2",{id:"live-sessions",tabindex:-1},"Signed in now"),o=n("ul",{class:"cards","aria-labelledby":"live-sessions"}),i=n("button",{type:"button",class:"quiet wide",onclick:v},"Show more"),s=n("button",{type:"button",class:"quiet",onclick:g},"End all others"),a=n("p",{class:"plain"},"You are signed in nowhere else."),{endCursor:d}=e.pageInfo,l=u=>Se(u,{gone:f,signedOut:t.signedOut});function p(u){let w=u.edges.map(({node:L})=>l(L));return o.append(...w),d=u.pageInfo.endCursor,i.hidden=!u.pageInfo.hasNextPage,s.hidden=o.children.length<2&&i.hidden,a.hidden=!s.hidden,w}function f(u){let w=u.nextElementSibling??u.previousElementSibling;u.remove(),s.hidden=o.children.length<2&&i.hidden,a.hidden=!s.hidden,E(w?.querySelector("h3")??r),t.changed()}async function v(){i.disabled=!0;try{let[u]=p(await lt(d));k(`${o.children.length} sessions are shown.`,{seen:!1}),E(u?.querySelector("h3"))}catch(u){m(u)}finally{i.disabled=!1}}async function g(){if(await de({title:"End all other sessions?",text:["Every device but this one will be signed out at once."],act:"End all others"})){s.disabled=!0;try{let w=await ft();k(w===1?"One other session has ended.":`${w} other sessions have ended.`);for(let L of[...o.children])L.classList.contains("current")||L.remove();i.hidden=s.hidden=!0,a.hidden=!1,E(r),t.changed()}catch(w){m(w)}finally{s.disabled=!1}}}function m(u){C(u)?t.signedOut():k(T(u))}p(e);let S=n("div",{class:"head"},r,s);return n("section",{"aria-labelledby":"live-sessions"},S,o,a,i)}function Oe(e){let t=e.edges.map(({node:a})=>a).sort((a,d)=>a.revokedAt<d.revokedAt?1:-1);if(!t.length)return null;let r=n("ul",{class:"lines card","aria-labelledby":"ended-sessions"}),o=5,i=a=>r.append(...a.map(Cn)),s=n("button",{type:"button",class:"quiet wide"},"Show more");return s.hidden=t.length<=o,s.addEventListener("click",()=>{i(t.slice(o)),s.hidden=!0,E(r.children[o]?.querySelector("a"))}),i(t.slice(0,o)),n("section",{"aria-labelledby":"ended-sessions"},n("h2",{id:"ended-sessions"},"Ended lately"),r,s)}function Cn(e){let t=e.revocationReason==="REFRESH_TOKEN_REPLAYED",r=Q[e.revocationReason??""]??"It was ended";return n("li",{class:t?"grave":""},b(t?"shield":"door"),n("div",{},n("a",{href:`#session/${e.id}`},e.deviceName),n("p",{},r,", ",I(e.revokedAt??e.lastUsedAt))))}var On=14*864e5,At="kindred seen replays";function Ie({ended:e}){return e.edges.map(({node:t})=>t).filter(t=>t.revocationReason==="REFRESH_TOKEN_REPLAYED"&&Date.now()-Date.parse(t.revokedAt)<On&&!Rt().includes(t.id)).map(In)}function In(e){let t=`replayed-${e.id}`,r=n("section",{class:"notice grave","aria-labelledby":t},b("shield"),n("div",{},n("h2",{id:t},"A session was ended for your safety"),n("p",{},["The token of ",n("strong",{},e.deviceName)," was used twice, ",I(e.revokedAt),". "],"Somebody else may have had a copy of it."),n("p",{class:"buttons"},n("a",{class:"button",href:`#session/${e.id}`},"See what happened"),n("button",{type:"button",class:"quiet",onclick:o},"Put away"))));function o(){Pn(e.id),r.remove(),E(document.querySelector("main h1")),k("The warning is put away. The session stays in the list of those that ended lately.")}return r}function Rt(){try{let e=JSON.parse(localStorage.getItem(At)??"[]");return Array.isArray(e)?e:[]}catch{return[]}}function Pn(e){try{localStorage.setItem(At,JSON.stringify([...Rt(),e].slice(-50)))}catch{}}var le="";function Pe(e,t){document.title="Sign in - Kindred",A("who").replaceChildren();let r=G("Username",{name:"username",autocomplete:"username",autocapitalize:"none",spellcheck:"false",maxlength:128,value:le}),o=G("Password",{name:"password",type:"password",autocomplete:"current-password"}),i=n("p",{class:"problem",id:H("problem"),role:"alert"}),s=n("button",{class:"main"},"Sign in");async function a(l){if(l.preventDefault(),s.disabled)return;i.textContent="";let p=[r,o].find(f=>!f.input.value);if(p)return i.textContent="Give both your username and your password.",p.input.focus();le=r.input.value,s.disabled=!0,s.textContent="Signing in";try{let f=await x.login({username:le,password:o.input.value});if(f.ok)return e();if(f.retryAfter)return void ce(s,"Sign in",i,f.retryAfter);i.textContent=f.message,o.input.select(),o.input.focus()}catch(f){i.textContent=T(f)}s.disabled=!1,s.textContent="Sign in"}let d=t&&dt[t];if(D(n("div",{class:"narrow"},d&&n("section",{class:d.grave?"notice grave":"notice","aria-labelledby":"why"},b(d.grave?"shield":"clock"),n("div",{},n("h2",{id:"why"},d.title),n("p",{},d.text))),n("form",{class:"card sign-in",novalidate:!0,onsubmit:a,"aria-labelledby":"sign-in"},n("h1",{id:"sign-in"},"Sign in"),n("p",{class:"lead"},"to see where you are signed in, and to end what you do not recognise."),r.box,o.box,i,s))),t==="signed-out")return A("sign-in").setAttribute("tabindex","-1"),A("sign-in").focus();(le?o:r).input.focus()}var Me=/^#session\/([\w-]+)$/,Ln=6e4,U=!1,Ot=0,F=e=>{!U&&!e||(U=!1,document.querySelector("dialog")?.close(),Pe(Ne,e??"invalid"))};function Ne(){U=!0,De({moved:!0})}async function De({moved:e=!1}={}){let t=Me.exec(location.hash)?.[1];if(t)return ue(),Re(t,{signedOut:F,named:ue});await It(e)}async function It(e){document.title="Your account - Kindred",ue(),document.querySelector(".account, .failure")||D(Mn());try{let t=await ve(20);if(!U||Me.test(location.hash))return;if(Ot=Date.now(),!t.viewer)return F();if(ue(t.viewer.username),D(Nn(t)),location.hash==="#password")return E(A("password"));e&&E(document.querySelector("h1"))}catch(t){if(C(t))return U?F():void 0;Pt(t)}}function Nn(e){let t={signedOut:F,changed:()=>{_n()}};return n("div",{class:"account"},n("h1",{tabindex:-1},"Your account"),n("div",{id:"warnings"},Ie(e)),n("div",{class:"columns"},n("div",{},Tt(e.sessions,t),n("div",{id:"ended"},Oe(e.ended))),n("div",{},n("div",{id:"activity"},Ee(e.securityEvents,F)),St(e.viewer.username,{signedOut:F,changed:()=>{It(!1).then(()=>E(A("password")))}}))))}async function _n(){let e=await ve(1).catch(()=>null);!e?.viewer||!document.querySelector(".account")||(A("warnings").replaceChildren(...Ie(e)),A("ended").replaceChildren(...[Oe(e.ended)].filter(t=>t!==null)),A("activity").replaceChildren(Ee(e.securityEvents,F)))}function ue(e){let t=A("who");if(t.childElementCount&&(!e||t.dataset.of===e))return;e&&(t.dataset.of=e);let r=n("button",{type:"button",class:"quiet"},"Sign out");r.addEventListener("click",()=>{r.disabled=!0,x.logout()}),t.replaceChildren(n("span",{class:"username"},e??""),r)}var Le=()=>n("div",{class:"card ghost"}),Mn=()=>n("div",{class:"account","aria-busy":"true"},n("h1",{tabindex:-1},"Your account"),n("p",{class:"unseen"},"Loading your sessions"),n("div",{class:"columns"},n("div",{},n("section",{},n("div",{class:"head"},n("h2",{},"Signed in now")),n("div",{class:"cards"},Le(),Le()))),n("div",{},n("div",{id:"activity"},n("section",{},n("h2",{},"Recent activity"),Le()))))),Dn=8e3,Ct;function Pt(e){if(clearTimeout(Ct),Ct=setTimeout(()=>document.querySelector(".failure")&&void _e(),5e3),document.querySelector(".failure"))return;let t=n("button",{type:"button",class:"main"},"Try again");t.addEventListener("click",async()=>{t.disabled=!0,t.textContent="Trying",await _e(Dn),t.disabled=!1,t.textContent="Try again"}),D(n("div",{class:"narrow failure",role:"alert"},b("cloud"),n("h1",{},"Your account cannot be shown"),n("p",{class:"lead"},T(e)),t)),t.focus()}async function _e(e=0){let t=Date.now()+e;for(;;)try{return await x.getAccessToken()?Ne():U||document.querySelector(".sign-in")?void 0:Pe(Ne)}catch(r){if(Date.now()>=t)return Pt(r);await new Promise(o=>setTimeout(o,500))}}document.querySelector(".skip")?.addEventListener("click",e=>{e.preventDefault(),E(A("main"))});x.onSessionEnded(e=>F(e));addEventListener("hashchange",()=>U&&void De({moved:!0}));document.addEventListener("visibilitychange",()=>{let e=document.activeElement===document.body||document.activeElement?.tagName==="H1",t=Date.now()-Ot>Ln;U&&document.visibilityState==="visible"&&t&&e&&!Me.test(location.hash)&&De()});bt();_e();
