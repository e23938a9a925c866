var B=e=>new Promise(t=>setTimeout(t,e));function O(){let[e,t]=[performance.now(),Date.now()];return()=>Math.max(performance.now()-e,Date.now()-t)}function ee(e){let t=new AbortController,n=setTimeout(()=>t.abort(),e);return{signal:t.signal,lift:()=>clearTimeout(n)}}function pe(e,t=O()){let n=e.left*(.75+.15*Math.random());return{...e,fresh:()=>t()<n,now:()=>({...e,left:e.left-t()}),due:()=>n-t()}}var Mt=250,$t=6e4;function Me(){let e=O(),t=0,n=0,o;return{left:()=>Math.max(0,t-e()),failure:()=>o,now:()=>({rest:t-e(),failures:n}),fail(s){o=s;let i=1e3*(s?.retryAfter??0),a=Math.min($t,Mt*2**n++);t=i+a*(1+Math.random()),e=O()},rest(s,i){o=new Error("The service cannot be reached just now."),n=i,t=s,e=O()},reset(){t=n=0}}}var P=class extends Error{constructor(n,o,s=0){super(n[0]?.message??`The service answered with HTTP ${o}.`);this.errors=n;this.status=o;this.retryAfter=s}errors;status;retryAfter;name="GraphQLFailure"};function $e(e,t){return{async read(){try{let n=JSON.parse(await e.getItem(t)??"null");return typeof n?.id=="string"?n:null}catch(n){if(n instanceof SyntaxError)return null;throw n}},write:async n=>e.setItem(t,JSON.stringify(n))}}function De(){let e=new Map;return{getItem:t=>e.get(t)??null,setItem:(t,n)=>{e.set(t,n)},removeItem:t=>{e.delete(t)}}}function j(){let e=crypto.getRandomValues(new Uint8Array(32));return btoa(String.fromCharCode(...e)).replace(/\W/g,t=>({"+":"-","/":"_"})[t]??"")}var te=15e3;async function ne(e,t){let n=globalThis.navigator?.locks;if(!n)return He(e,t);let{signal:o,lift:s}=ee(te),i=!1,a=()=>(i=!0,s(),t());try{return await n.request(e,{signal:o},a)}catch(d){if(i)throw d;return s(),o.aborted?await n.request(e,{steal:!0},a):He(e,t)}}async function He(e,t){if(!globalThis.indexedDB)return t();let n=j(),o=O(),s=i=>{let a=i?i.until-Date.now():0;return a>0&&a<=te?i:{owner:n,until:Date.now()+te}};for(;(await qe(e,s))?.owner!==n;){if(o()>2*te)throw new Error("Other tabs are in the way.");await B(30+40*Math.random())}try{return await t()}finally{await qe(e,i=>i?.owner===n?void 0:i).catch(()=>{})}}function qe(e,t){return new Promise((n,o)=>{let s=indexedDB.open("kindred");s.onupgradeneeded=()=>s.result.createObjectStore("leases"),s.onerror=()=>o(s.error),s.onsuccess=()=>{let i=s.result,a=i.transaction("leases","readwrite"),d=a.objectStore("leases"),l=d.get(e),m;l.onsuccess=()=>{m=t(l.result),d.put(m,e)},a.oncomplete=()=>{i.close(),n(m)},a.onabort=()=>{i.close(),o(a.error)}}})}function Fe(e,t){if(typeof BroadcastChannel>"u"||typeof document>"u")return()=>{};let n=new BroadcastChannel(e);return n.onmessage=({data:o})=>t(o),o=>n.postMessage(o)}var Dt=1e4;function fe(e,t,n){let o={accept:"application/json","content-type":"application/json"};return{method:"POST",headers:e.cookie?{...o,"kindred-delivery":"cookie"}:o,credentials:e.cookie?"include":"omit",body:JSON.stringify({query:t,variables:n})}}async function ge(e){let t=await e.json().catch(()=>null);if(t?.data&&!t.errors)return t.data;let n=Array.isArray(t?.errors)?t.errors:[];throw new P(n,e.status,Number(e.headers.get("retry-after"))||0)}async function Y(e,t,n,o){let{signal:s,lift:i}=ee(Dt);try{let a=await fetch(`${e.url}graphql`,{...fe(e,n,{input:o}),signal:s}),d=(await ge(a))[t];if(typeof d?.__typename!="string")throw new P([],a.status);return d}finally{i()}}var Ue="tokens{accessToken refreshToken expiresIn}session{id deviceName}",je="...on UserError{message}...on TooManyAttemptsError{retryAfter}",ze=`mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${Ue}viewer{id username}}${je}}}`,Ke=`mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${Ue}}${je}}}`,Ve="mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}",Ge="mutation{revokeSession{__typename}}";var Ht={RefreshTokenReplayedError:"replayed",SessionRevokedError:"revoked",RefreshTokenExpiredError:"expired",InvalidRefreshTokenError:"invalid"},qt=2e3,Ft=100,Ut=2e3,jt=3e4;function Be(e,t,n){let o=new Set,s=Me(),i=null,a=null,d=null,l=()=>{},m,p=Fe(n,c=>{if("ask"in c)i?.id===c.ask&&i.fresh()&&p({have:i.now()});else if("have"in c){let{have:g,login:y}=c;y&&(a=g.id),(y||g.id===a&&!(g.left<=(i?.now().left??0)))&&w(pe(g))}else"rest"in c?s.rest(c.rest,c.failures):f(c.ended,c.reason)});function w(c){i=c,s.reset(),l(),u(c.due())}function u(c){typeof document>"u"||(clearTimeout(m),m=setTimeout(v,Math.min(c,2**31-1)))}function v(){a&&document.visibilityState==="visible"&&K().catch(()=>{})}function f(c,g){if(a===c){a=i=null;for(let y of[...o])try{y(g)}catch(_){setTimeout(()=>{throw _})}}}async function h(){let c=await t.read();return c&&!c.ended?(a=c.id,c):(a&&f(a,c?.ended??"signed-out"),null)}async function E({id:c,mark:g},y){await t.write({id:c,mark:g,ended:y}),p({ended:c,reason:y}),f(c,y)}async function J({tokens:c,session:g},y,_=!1){let{accessToken:F,refreshToken:$,expiresIn:U}=c,{id:D}=g,R=j();return await t.write($?{id:D,mark:R,token:$}:{id:D,mark:R}),a=D,w(pe({id:D,mark:R,token:F,left:1e3*U},y)),p(_?{have:i.now(),login:_}:{have:i.now()}),F}let L=c=>i&&i.token!==c&&i.fresh()?i.token:null;async function K(){let c=N(i&&!i.fresh()?i.token:void 0);if((i?.now().left??0)>jt)c.catch(()=>{});else try{return await c}catch(y){if(!i||i.now().left<=0)throw y}return i?.token??null}async function N(c){return L(c)??(d??=X(c).finally(()=>d=null))}async function X(c){for(;;){if(!await h())return null;if(s.left()>qt)throw s.failure();s.left()&&await B(s.left());try{return await ne(n,()=>It(c))}catch(g){s.fail(g),p(s.now()),u(s.left())}}}async function It(c){let g=await h();if(!g||L(c))return L(c);if(!g.key){p({ask:g.id});let me=i&&i.mark!==g.mark?Ut:Ft;if(await Promise.race([B(me),new Promise(_t=>l=_t)]),g=await h(),!g||L(c))return L(c)}let{id:y,mark:_,token:F,key:$=j()}=g;await t.write({...g,key:$});let U=O(),R=await Y(e,"refreshToken",Ke,F?{refreshToken:F,idempotencyKey:$}:{idempotencyKey:$}),G=await h();if(G?.mark!==_){if(!G)return null;throw new Error("Another tab has refreshed meanwhile.")}if(R.tokens)return J(R,U);let Z=Ht[R.__typename];if(!Z)throw new P([{message:R.message??R.__typename}],429,R.retryAfter);return await E({id:y,mark:_},Z),null}async function Pt(c){return ne(n,async()=>{let g=O(),{username:y,password:_,deviceName:F}=c,$={username:y,password:_,deviceName:F,...e.cookie&&{delivery:"COOKIE"}},U=await Y(e,"login",ze,$),{__typename:D,message:R=D,retryAfter:G,session:Z,viewer:me}=U;return U.tokens?(await J(U,g,!0),{ok:!0,session:Z,viewer:me}):{ok:!1,code:D,message:R,...G&&{retryAfter:G}}})}async function Lt(){let c=await h();c&&(await E(c,"signed-out"),await ne(n,async()=>{c.token?await Y(e,"revokeSession",Ve,{refreshToken:c.token}):await h()||await Y(e,"revokeSession",Ge,void 0)}).catch(()=>{}))}function Nt(c){let g=y=>c(y);return o.add(g),()=>{o.delete(g)}}return typeof document<"u"&&document.addEventListener("visibilitychange",v),h().then(c=>c&&p({ask:c.id}),()=>{}),{getToken:K,refresh:N,login:Pt,logout:Lt,onEnded:Nt}}function Qe(e={}){let t=typeof document<"u",n=zt(e.url),o=(e.delivery??(t?"cookie":"body"))==="cookie",s=e.storage??(o?Kt():null),i=`kindred ${n}${s?"":j()}`,a={url:n,cookie:o},d=Be(a,$e(s??De(),i),i),l=new Set([n,...t?[location.href]:[],...e.sendTo??[]].map(Ye));async function m(p,w){let u=new Request(p,w);if(!l.has(Ye(u.url))||u.headers.has("authorization"))return fetch(u);let v=await d.getToken();if(!v)return fetch(u);let f=w?.body instanceof ReadableStream?null:u.clone(),h=await fetch(We(u,v));if(!await Vt(u,h))return h;let E=await d.refresh(v);return E&&f?fetch(We(f,E)):h}return{login:d.login,logout:d.logout,fetch:m,graphql:async(p,w)=>ge(await m(`${n}graphql`,fe(a,p,w))),getAccessToken:d.getToken,onSessionEnded:d.onEnded}}var Ye=e=>new URL(e).origin;function zt(e){let[t]=/^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url)??[],n=e??t??globalThis.location?.origin;if(!n)throw new TypeError("createClient needs the service's `url`.");return new URL(n.replace(/\/*$/,"/"),globalThis.location?.href).href}function Kt(){try{return globalThis.localStorage??null}catch{return null}}function We(e,t){return e.headers.set("authorization",`Bearer ${t}`),e}async function Vt(e,t){if(t.status===401)return!0;if(e.method!=="POST"||!/json/.test(t.headers.get("content-type")??""))return!1;let n=await t.clone().json().catch(()=>null);return Array.isArray(n?.errors)&&n.errors.some(o=>o?.extensions?.code==="UNAUTHENTICATED")}var Je=`mutation ChangePassword($input: ChangePasswordInput!) {
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
`;var Xe=`mutation CheckPassword($input: CheckPasswordInput!) {
  checkPassword(input: $input) {
    strength
    weakness
  }
}
`;var Ze=`mutation End($input: RevokeSessionInput!) {
  revokeSession(input: $input) {
    __typename
    ... on UserError {
      message
    }
  }
}
`;var et=`mutation EndOthers {
  revokeOtherSessions {
    revokedCount
  }
}
`;var tt=`query Events($first: Int!, $after: String) {
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
  session {
    id
    deviceName
  }
}
`;var nt=`query History($id: ID!) {
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
`;var rt=`query Account($first: Int!) {
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
  session {
    id
    deviceName
  }
}
`;var ot=`mutation Rename($input: RenameSessionInput!) {
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
`;var it=`query Sessions($after: String) {
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
`;var st={"signed-out":null,replayed:{title:"This session was ended for your safety",text:"Its token was used twice, so somebody else may have had a copy. Sign in to see what happened, and change your password if you do not recognise it.",grave:!0},revoked:{title:"This session was ended",text:"You ended it from another device, the password was changed, or an administrator ended it. Sign in to continue.",grave:!1},expired:{title:"This session has expired",text:"It was not used for a long time, or had reached its limit. Sign in to continue.",grave:!1},invalid:{title:"You are signed out",text:"This browser's session is no longer known here. Sign in to continue.",grave:!1}},W={REVOKED_BY_USER:"You signed out or ended it",REFRESH_TOKEN_REPLAYED:"Its token was used twice",PASSWORD_CHANGED:"The password was changed",USER_DISABLED:"The account was disabled",SESSION_LIMIT:"There were too many sessions",REVOKED_BY_OPERATOR:"An administrator ended it"},at={LOGIN_SUCCEEDED:{text:"Signed in",icon:"tick",tone:"good"},LOGIN_FAILED:{text:"Somebody gave a wrong password",icon:"cross",tone:"grave"},LOGIN_THROTTLED:{text:"Too many wrong passwords, so further tries had to wait",icon:"clock",tone:"grave"},REFRESH_TOKEN_REPLAYED:{text:"A token was used twice, so its session was ended",icon:"shield",tone:"grave"},SESSION_REVOKED:{text:"A session was ended",icon:"door",tone:"plain"},PASSWORD_CHANGED:{text:"The password was changed",icon:"key",tone:"plain"},USER_DISABLED:{text:"The account was disabled",icon:"cross",tone:"grave"}},he="The service cannot be reached just now. Nothing is lost; try again in a moment.";var x=Qe({url:new URL(".",location.href).href,delivery:"cookie"}),ve=e=>x.graphql(rt,{first:e}),dt=async e=>(await x.graphql(it,{after:e})).sessions,re=async(e,t=20)=>(await x.graphql(tt,{after:e,first:t})).securityEvents,ct=async e=>(await x.graphql(nt,{id:e})).session,lt=async(e,t)=>(await x.graphql(ot,{input:{id:e,deviceName:t}})).renameSession,ut=async e=>(await x.graphql(Ze,{input:{id:e}})).revokeSession,mt=async()=>(await x.graphql(et)).revokeOtherSessions.revokedCount,pt=async(e,t)=>(await x.graphql(Je,{input:{currentPassword:e,newPassword:t}})).changePassword,ft=async e=>(await x.graphql(Xe,{input:{newPassword:e}})).checkPassword,C=e=>e instanceof P&&e.errors.some(t=>t.extensions?.code==="UNAUTHENTICATED");function S(e){if(!(e instanceof P))return he;let t=e.errors[0]?.extensions?.code;return t==="BAD_USER_INPUT"?e.message:t&&t!=="UNAVAILABLE"?`The service refused this. ${e.message}`:he}function r(e,t={},...n){return ht(document.createElement(e),t,n)}var tn="http://www.w3.org/2000/svg";function we(e,t={},...n){return ht(document.createElementNS(tn,e),t,n)}function ht(e,t,n){for(let[o,s]of Object.entries(t))typeof s=="function"?e.addEventListener(o.slice(2),s):s!==!1&&s!==null&&s!==void 0&&e.setAttribute(o,s===!0?"":String(s));return e.append(...ye(n)),e}var ye=e=>e.flatMap(t=>Array.isArray(t)?ye(t):t?[t]:[]),A=e=>document.getElementById(e);function M(...e){A("main").replaceChildren(...ye(e))}var gt;function k(e,{seen:t=!0}={}){let n=A("live");clearTimeout(gt),n.textContent="",n.className=t?"toast":"unseen",setTimeout(()=>n.textContent=e,50),gt=setTimeout(()=>{n.textContent="",n.className="unseen"},8e3)}function T(e){e&&(e.tabIndex<0&&e.setAttribute("tabindex","-1"),e.focus())}var nn=0,H=e=>`${e}-${++nn}`;var be={phone:"Phone",tablet:"Tablet",desktop:"Computer",program:"Program"};function oe(e){return!e||!/^(Mozilla|Opera)\//.test(e)?"program":/iPad|Tablet|Android(?!.*Mobile)/.test(e)?"tablet":/iPhone|Mobile/.test(e)?"phone":"desktop"}var rn=[[/Edg(e|A|iOS)?\//,"Edge"],[/OPR\/|Opera/,"Opera"],[/SamsungBrowser/,"Samsung Internet"],[/Firefox|FxiOS/,"Firefox"],[/HeadlessChrome/,"HeadlessChrome"],[/Chrome|CriOS/,"Chrome"],[/Safari/,"Safari"]],on=[[/iPhone|iPad/,"iOS"],[/Android/,"Android"],[/Windows/,"Windows"],[/CrOS/,"Chrome OS"],[/Mac OS X/,"macOS"],[/Linux/,"Linux"]];function ie(e){if(!e)return"Unknown device";let t=s=>s.find(([i])=>i.test(e))?.[1],n=t(rn)??/^[\w.-]{1,40}/.exec(e)?.[0]??"Unknown program",o=t(on);return o?`${n} on ${o}`:n}var se=e=>`${e.ipAddress}
${e.userAgent}`;var sn={desktop:["M3 5h18v11H3z","M9 20h6","M12 16v4"],phone:["M7 2.5h10v19H7z","M11 18.5h2"],tablet:["M4.5 3h15v18h-15z","M11 18h2"],program:["M3 4.5h18v15H3z","M7 9l3 3-3 3","M13 15h4"],pencil:["M4 20l1-4L16 5l3 3L8 19z","M14 7l3 3"],shield:["M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z","M12 8v4.5","M12 16v.01"],tick:["M5 12.5l4.5 4.5L19 7.5"],door:["M14 4H5v16h9","M10 12h10","M17 9l3 3-3 3"],key:["M8 11a4 4 0 1 0 0 .01z","M12 11h9v3","M17 11v3"],cross:["M6 6l12 12","M18 6L6 18"],clock:["M12 3a9 9 0 1 0 .01 0z","M12 7v5l3.5 2"],back:["M19 12H5","M11 6l-6 6 6 6"],cloud:["M4 4l16 16","M7 18h10","M7 18a4 4 0 0 1-.5-8 6 6 0 0 1 1-2","M11 5.5a6 6 0 0 1 6.5 5 3.8 3.8 0 0 1 2 6"]};function b(e){let t=sn[e].map(n=>we("path",{d:n}));return we("svg",{class:"icon",viewBox:"0 0 24 24","aria-hidden":"true",focusable:"false"},...t)}var ae=navigator.language.startsWith("en")?navigator.language:"en-GB",an=new Intl.RelativeTimeFormat(ae,{numeric:"auto"}),dn=new Intl.DateTimeFormat(ae,{dateStyle:"full",timeStyle:"long"}),cn=new Intl.DateTimeFormat(ae,{dateStyle:"medium",timeStyle:"short"}),ln=new Intl.DateTimeFormat(ae,{dateStyle:"medium",timeStyle:"medium"}),un=[["year",31557600],["month",2629800],["week",604800],["day",86400],["hour",3600],["minute",60]];function xe(e,t=Date.now()){let n=(Date.parse(e)-t)/1e3;for(let[o,s]of un)if(Math.abs(n)>=s)return an.format(Math.trunc(n/s),o);return n>0?"in a moment":"just now"}function I(e){let t=dn.format(new Date(e));return r("time",{datetime:e,title:t,class:"ago",tabindex:0},vt(e))}function Q(e){return r("time",{datetime:e,title:xe(e)},cn.format(new Date(e)))}var de=e=>r("time",{datetime:e,title:xe(e)},ln.format(new Date(e))),vt=e=>xe(e,Math.max(Date.now(),Date.parse(e)));function wt(){setInterval(()=>{for(let e of document.querySelectorAll("time.ago")){let t=vt(e.dateTime);e.textContent!==t&&(e.textContent=t)}},15e3)}function ke(e){return e<60?`${e} s`:`${Math.floor(e/60)} min ${String(e%60).padStart(2,"0")} s`}function Ee(e,t){let n=r("ol",{class:"lines card","aria-labelledby":"events"}),o=r("button",{type:"button",class:"quiet wide",onclick:a},"Show more"),{endCursor:s}=e.pageInfo;function i(d){let l=d.edges.map(({node:m})=>mn(m));return n.append(...l),s=d.pageInfo.endCursor,o.hidden=!d.pageInfo.hasNextPage,l}async function a(){o.disabled=!0;try{let[d]=i(await re(s));k(`${n.children.length} events are shown.`,{seen:!1}),T(d?.querySelector("time"))}catch(d){C(d)?t():k(S(d))}finally{o.disabled=!1}}return i(e),n.hidden=!n.children.length,r("section",{"aria-labelledby":"events"},r("h2",{id:"events"},"Recent activity"),n,n.hidden&&r("p",{class:"plain"},"Nothing has happened yet."),o)}function mn({kind:e,occurredAt:t,ipAddress:n,userAgent:o,session:s}){let{text:i,icon:a,tone:d}=at[e]??{text:e,icon:"clock",tone:"plain"},l=[o&&ie(o),n].filter(Boolean).join(", ");return r("li",{class:d},b(a),r("div",{},r("p",{class:"what"},i,s&&[": ",r("a",{href:`#session/${s.id}`},s.deviceName)]),r("p",{},I(t),l&&` from ${l}`)))}function yt(e,t){let n=[...e.lineage].reverse(),o=(n[0]?.generation??1)-1;if(e.revocationReason!=="REFRESH_TOKEN_REPLAYED")return{tokens:n,forgotten:o,replay:null};let s=n.slice(0,-1),i=t&&se(t),a=s.map(se).lastIndexOf(i??""),d=a>=0&&se(n[a+1])!==i,l=d?a:s.length-1;return{tokens:n,forgotten:o,replay:{event:t,at:t?.occurredAt??e.revokedAt,held:s[l]??null,successor:n[l+1]??null,certain:d}}}function ce({title:e,text:t,act:n}){return new Promise(o=>{let[s,i]=[H("title"),H("text")],a=l=>()=>d.close(l?"yes":""),d=r("dialog",{"aria-labelledby":s,"aria-describedby":i},r("h2",{id:s},e),r("p",{id:i},...t),r("div",{class:"buttons"},r("button",{type:"button",class:"quiet",autofocus:!0,onclick:a(!1)},"Cancel"),r("button",{type:"button",class:"grave",onclick:a(!0)},n)));d.addEventListener("click",l=>l.target===d&&d.close("")),d.addEventListener("close",()=>{d.remove(),o(d.returnValue==="yes")}),document.body.append(d),d.showModal()})}function Se(e,t){let n=r("h3",{tabindex:-1},e.deviceName),o=r("button",{type:"button",class:"small",title:"Rename","aria-label":`Rename ${e.deviceName}`,onclick:l},b("pencil")),s=r("div",{class:"name"},n,o),i=r("button",{type:"button",class:"quiet end","aria-label":e.isCurrent?"Sign out of this device":`End the session of ${e.deviceName}`,onclick:e.isCurrent?p:m},e.isCurrent?"Sign out":"End"),a=oe(e.userAgent),d=r("li",{class:e.isCurrent?"card session current":"card session","data-id":e.id},r("span",{class:"kind",title:be[a]},b(a),r("span",{class:"unseen"},be[a])),r("div",{class:"about"},s,e.isCurrent&&r("p",{class:"badge"},"This device"),r("p",{class:"used"},"Last used ",I(e.lastUsedAt)),Te(e)),r("div",{class:"doings"},i,r("a",{href:`#session/${e.id}`,class:"more"},pn(e))));function l(){let u=r("input",{type:"text",value:e.deviceName,maxlength:100,"aria-label":"Name of this session",autocomplete:"off",onkeydown:L=>L.key==="Escape"&&E()}),v=r("button",{class:"small",title:"Save","aria-label":"Save the name"},b("tick")),f=r("button",{type:"button",class:"small",title:"Cancel","aria-label":"Keep the old name",onclick:E},b("cross")),h=r("form",{class:"name",novalidate:!0,onsubmit:J},u,v,f);s.replaceWith(h),u.select(),u.focus();function E(){h.replaceWith(s),o.focus()}async function J(L){L.preventDefault();let K=u.value.trim();if(K===e.deviceName)return E();if(!K)return k("A name has at least one character.");v.disabled=!0;try{let N=await lt(e.id,K);if(!N.session)return k(N.message??"That session is not there any more.");let X=Se(N.session,t);d.replaceWith(X),X.querySelector(".small")?.focus(),k(`The name is now ${N.session.deviceName}.`)}catch(N){w(N)}finally{v.disabled=!1}}}async function m(){if(await ce({title:"End this session?",text:[r("strong",{},e.deviceName)," will be signed out at once, and has to sign in again."],act:"End session"})){i.disabled=!0;try{let v=await ut(e.id);k(v.__typename==="RevokeSessionSuccess"?`The session of ${e.deviceName} has ended.`:v.message??"That session is not there any more."),t.gone(d)}catch(v){w(v),i.disabled=!1}}}function p(){i.disabled=!0,x.logout()}function w(u){C(u)?t.signedOut():k(S(u))}return d}var pn=e=>["History",r("span",{class:"unseen"},` of ${e.deviceName}, signed in `,Q(e.createdAt))];function Te(e){let t=[["Address",e.ipAddress??"not recorded"],["Signed in",Q(e.createdAt)],e.revokedAt?["Ended",Q(e.revokedAt)]:["Ends",Q(e.expiresAt)]];return r("dl",{},t.map(([n,o])=>r("div",{},r("dt",{},n),r("dd",{},o))))}async function Re(e,{signedOut:t}){document.title="History of a session - Kindred",M(r("p",{class:"waiting"},"Loading the history"));try{let n=await ct(e);if(location.hash!==`#session/${e}`)return;if(!n)return Ae(null,[r("p",{class:"plain"},"There is no such session, or it ended too long ago.")]);let s=n.revocationReason==="REFRESH_TOKEN_REPLAYED"?await fn(n):null;location.hash===`#session/${e}`&&Ae(n,gn(n,yt(n,s)))}catch(n){if(C(n))return t();let o=r("button",{type:"button",class:"main"},"Try again");o.addEventListener("click",()=>Re(e,{signedOut:t})),Ae(null,[r("p",{class:"problem",role:"alert"},S(n)),o])}}async function fn(e){let t=null;for(let n=0;n<10;n++){let o=await re(t,100);for(let{node:s}of o.edges){if(s.kind==="REFRESH_TOKEN_REPLAYED"&&s.session?.id===e.id)return s;if(s.occurredAt<e.revokedAt)return null}if(!o.pageInfo.hasNextPage)return null;t=o.pageInfo.endCursor}return null}function Ae(e,t){let n=r("h1",{tabindex:-1},e?e.deviceName:"History of a session");M(r("div",{class:"history"},r("p",{},r("a",{href:"#",class:"back"},b("back"),"All sessions")),n,t)),T(n)}function gn(e,{tokens:t,forgotten:n,replay:o}){return[r("p",{class:"lead"},hn(e)),Te(e),o&&vn(o),r("h2",{id:"line"},"From the sign-in to the end"),!t.length&&r("p",{class:"plain"},"No tokens of this session are on record."),r("ol",{class:"line","aria-labelledby":"line"},n>0&&r("li",{class:"forgotten"},r("div",{},r("p",{},wn(n)))),t.map((s,i)=>yn(s,i===t.length-1,o)),o?bn(o):e.revokedAt&&xn(e))]}function hn(e){return e.state==="ACTIVE"?["Signed in, and last used ",I(e.lastUsedAt),"."]:e.state==="EXPIRED"?["Expired ",I(e.expiresAt),"."]:[W[e.revocationReason??""]??"It was ended",". It ended ",I(e.revokedAt),"."]}function vn({held:e,certain:t}){let n=e?`token ${e.generation}${t?"":" or one before it"}`:"one of its tokens";return r("section",{class:"notice grave","aria-labelledby":"meaning"},b("shield"),r("div",{},r("h2",{id:"meaning"},`Two parties held ${n}`),r("p",{},"A session goes from token to token, and each works once. When one is used a second time, there are two copies ","of it, and nobody can tell from here which of them is yours. So the session was ended for both."),r("p",{},"Look at the two places marked below. If one of them is not you, change your password. A device that was ","restored from a backup, or a copied browser profile, can look the same."),r("p",{class:"buttons"},r("a",{class:"button",href:"#password"},"Change password"))))}var wn=e=>e===1?"The first token is no longer on record.":`The first ${e} tokens are no longer on record.`;function yn(e,t,n){let o=e.generation,s=e===n?.held,i=e===n?.successor,a=n?.held&&o>n.held.generation,d=[s&&"held",i&&"first",a&&"beside",t&&!n&&"last"],l=o===1?"Signed in":i?`Token ${n.held.generation} used the first time`:"Renewed";return r("li",{class:d.filter(Boolean).join(" ")},r("div",{},r("h3",{},l,r("span",{class:"number"},`token ${o}`)),bt(e),r("p",{class:"when"},de(e.issuedAt)),s&&r("p",{class:"mark"},n.certain?"Held by two parties":"Held by two parties, this one or one before it")))}function bn({event:e,at:t,held:n}){return r("li",{class:"second"},r("div",{},r("h3",{},n?`Token ${n.generation} used a second time`:"A token used a second time"),e?bt(e):r("p",{class:"from"},"From where is no longer on record."),r("p",{class:"when"},de(t)),r("p",{class:"mark"},"The session was ended for both")))}function xn(e){return r("li",{class:"ended"},r("div",{},r("h3",{},"Ended"),r("p",{class:"from"},W[e.revocationReason??""]??"It was ended"),r("p",{class:"when"},de(e.revokedAt))))}function bt({userAgent:e,ipAddress:t}){return r("p",{class:"from"},b(oe(e)),ie(e),r("span",{class:"address"},t??"address not recorded"))}function V(e,t,...n){let[o,s]=[H("field"),H("hint")],i=r("input",{id:o,type:"text","aria-describedby":s,...t}),a=r("p",{class:"complaint",id:s});return{box:r("div",{class:"field"},r("label",{for:o},e),r("div",{class:"input"},i,t.type==="password"&&kn(i,e)),...n,a),input:i,complain(l){a.textContent=l,l?i.setAttribute("aria-invalid","true"):i.removeAttribute("aria-invalid")}}}function kn(e,t){let n=r("button",{type:"button",class:"show","aria-pressed":"false"},"Show");return n.setAttribute("aria-label",`Show: ${t}`),n.addEventListener("click",()=>{let o=e.type==="text";e.type=o?"password":"text",n.textContent=o?"Show":"Hide",n.setAttribute("aria-label",`${n.textContent}: ${t}`),n.setAttribute("aria-pressed",String(!o))}),n}function le(e,t,n,o){let s=Date.now()+1e3*o;n.textContent=`There were too many tries. Please wait ${ke(o)} before the next.`,e.disabled=!0;function i(){let a=Math.ceil((s-Date.now())/1e3);if(a>0&&e.isConnected){e.textContent=`Wait ${ke(a)}`,setTimeout(i,250);return}e.disabled=!1,e.textContent=t,n.textContent=""}i()}var xt=["Very weak","Weak","Good enough","Strong","Very strong"],En=350;function kt(e,t){let n=Number(document.body.dataset.passwordMinLength)||8,o=Sn(n),s=V("Current password",{type:"password",autocomplete:"current-password",name:"current"}),i=V("New password",{type:"password",autocomplete:"new-password",name:"new"},o.box),a=r("p",{class:"problem",role:"alert"}),d=r("button",{class:"main"},"Change password");i.input.addEventListener("input",()=>{i.complain(""),o.judge(i.input.value)}),s.input.addEventListener("input",()=>s.complain(""));async function l(p){if(p.preventDefault(),d.disabled)return;a.textContent="";let w=[s,i].find(u=>!u.input.value);if(w)return w.complain("This is needed."),w.input.focus();d.disabled=!0;try{let u=await pt(s.input.value,i.input.value);if(u.retryAfter)return void le(d,"Change password",a,u.retryAfter);let v={InvalidCredentialsError:s,WeakPasswordError:i}[u.__typename];if(v)v.complain(u.message??""),v.input.focus();else if(u.revokedCount!==void 0){m.reset(),o.judge("");let f=[""," One other session has ended."][u.revokedCount];k(`The password is changed.${f??` ${u.revokedCount} other sessions have ended.`}`),t.changed()}else a.textContent=u.message??u.__typename}catch(u){if(C(u))return t.signedOut();a.textContent=S(u)}d.disabled=!1}let m=r("form",{class:"card",novalidate:!0,onsubmit:l,"aria-labelledby":"password"},r("input",{type:"text",autocomplete:"username",value:e,hidden:!0,readonly:!0}),s.box,i.box,a,d,r("p",{class:"plain"},"Every other session ends with the old password."));return r("section",{"aria-labelledby":"password"},r("h2",{id:"password",tabindex:-1},"Change password"),m)}function Sn(e){let t=r("div",{class:"bars","aria-hidden":"true"},xt.map(()=>r("span"))),n=r("p",{class:"says",role:"status"}),o=r("div",{class:"meter"},t,n),s,i=0;function a(l,m){o.dataset.strength=l===null?"":String(l),n.textContent!==m&&(n.textContent=m)}function d(l){let m=++i;if(clearTimeout(s),!l)return a(null,`At least ${e} characters, and hard to guess.`);if([...l.normalize("NFC")].length<e)return a(0,`At least ${e} characters.`);s=setTimeout(async()=>{try{let{strength:p,weakness:w}=await ft(l);m===i&&a(p,w??`${xt[p]}.`)}catch{m===i&&a(null,"How strong it is cannot be told just now.")}},En)}return d(""),{box:o,judge:d}}function Et(e,t){let n=r("h2",{id:"live-sessions",tabindex:-1},"Signed in now"),o=r("ul",{class:"cards","aria-labelledby":"live-sessions"}),s=r("button",{type:"button",class:"quiet wide",onclick:w},"Show more"),i=r("button",{type:"button",class:"quiet",onclick:u},"End all others"),a=r("p",{class:"plain"},"You are signed in nowhere else."),{endCursor:d}=e.pageInfo,l=f=>Se(f,{gone:p,signedOut:t.signedOut});function m(f){let h=f.edges.map(({node:E})=>l(E));return o.append(...h),d=f.pageInfo.endCursor,s.hidden=!f.pageInfo.hasNextPage,i.hidden=o.children.length<2&&s.hidden,a.hidden=!i.hidden,h}function p(f){let h=f.nextElementSibling??f.previousElementSibling;f.remove(),i.hidden=o.children.length<2&&s.hidden,a.hidden=!i.hidden,T(h?.querySelector("h3")??n),t.changed()}async function w(){s.disabled=!0;try{let[f]=m(await dt(d));k(`${o.children.length} sessions are shown.`,{seen:!1}),T(f?.querySelector("h3"))}catch(f){v(f)}finally{s.disabled=!1}}async function u(){if(await ce({title:"End all other sessions?",text:["Every device but this one will be signed out at once."],act:"End all others"})){i.disabled=!0;try{let h=await mt();k(h===1?"One other session has ended.":`${h} other sessions have ended.`);for(let E of[...o.children])E.classList.contains("current")||E.remove();s.hidden=i.hidden=!0,a.hidden=!1,T(n),t.changed()}catch(h){v(h)}finally{i.disabled=!1}}}function v(f){C(f)?t.signedOut():k(S(f))}return m(e),r("section",{"aria-labelledby":"live-sessions"},r("div",{class:"head"},n,i),o,a,s)}function Ce(e){let t=e.edges.map(({node:a})=>a).sort((a,d)=>a.revokedAt<d.revokedAt?1:-1);if(!t.length)return null;let n=r("ul",{class:"lines card","aria-labelledby":"ended-sessions"}),o=5,s=a=>n.append(...a.map(Tn)),i=r("button",{type:"button",class:"quiet wide"},"Show more");return i.hidden=t.length<=o,i.addEventListener("click",()=>{s(t.slice(o)),i.hidden=!0,T(n.children[o]?.querySelector("a"))}),s(t.slice(0,o)),r("section",{"aria-labelledby":"ended-sessions"},r("h2",{id:"ended-sessions"},"Ended lately"),n,i)}function Tn(e){let t=e.revocationReason==="REFRESH_TOKEN_REPLAYED";return r("li",{class:t?"grave":""},b(t?"shield":"door"),r("div",{},r("a",{href:`#session/${e.id}`},e.deviceName),r("p",{},W[e.revocationReason??""]??"It was ended",", ",I(e.revokedAt??e.lastUsedAt))))}var An=14*864e5,St="kindred seen replays";function Oe({ended:e}){return e.edges.map(({node:t})=>t).filter(t=>t.revocationReason==="REFRESH_TOKEN_REPLAYED"&&Date.now()-Date.parse(t.revokedAt)<An&&!Tt().includes(t.id)).map(Rn)}function Rn(e){let t=`replayed-${e.id}`,n=r("section",{class:"notice grave","aria-labelledby":t},b("shield"),r("div",{},r("h2",{id:t},"A session was ended for your safety"),r("p",{},"The token of ",r("strong",{},e.deviceName)," was used twice, ",I(e.revokedAt),". ","Somebody else may have had a copy of it."),r("p",{class:"buttons"},r("a",{class:"button",href:`#session/${e.id}`},"See what happened"),r("button",{type:"button",class:"quiet",onclick:o},"Put away"))));function o(){Cn(e.id),n.remove(),T(document.querySelector("main h1")),k("The warning is put away. The session stays in the list of those that ended lately.")}return n}function Tt(){try{let e=JSON.parse(localStorage.getItem(St)??"[]");return Array.isArray(e)?e:[]}catch{return[]}}function Cn(e){try{localStorage.setItem(St,JSON.stringify([...Tt(),e].slice(-50)))}catch{}}var ue="";function Ie(e,t){document.title="Sign in - Kindred",A("who").replaceChildren();let n=V("Username",{name:"username",autocomplete:"username",autocapitalize:"none",spellcheck:"false",maxlength:128,value:ue}),o=V("Password",{name:"password",type:"password",autocomplete:"current-password"}),s=r("p",{class:"problem",id:H("problem"),role:"alert"}),i=r("button",{class:"main"},"Sign in");async function a(l){if(l.preventDefault(),i.disabled)return;s.textContent="";let m=[n,o].find(p=>!p.input.value);if(m)return s.textContent="Give both your username and your password.",m.input.focus();ue=n.input.value,i.disabled=!0,i.textContent="Signing in";try{let p=await x.login({username:ue,password:o.input.value});if(p.ok)return e();if(p.retryAfter)return void le(i,"Sign in",s,p.retryAfter);s.textContent=p.message,o.input.select(),o.input.focus()}catch(p){s.textContent=S(p)}i.disabled=!1,i.textContent="Sign in"}let d=t&&st[t];if(M(r("div",{class:"narrow"},d&&r("section",{class:d.grave?"notice grave":"notice","aria-labelledby":"why"},b(d.grave?"shield":"clock"),r("div",{},r("h2",{id:"why"},d.title),r("p",{},d.text))),r("form",{class:"card sign-in",novalidate:!0,onsubmit:a,"aria-labelledby":"sign-in"},r("h1",{id:"sign-in"},"Sign in"),r("p",{class:"lead"},"to see where you are signed in, and to end what you do not recognise."),n.box,o.box,s,i))),t==="signed-out")return A("sign-in").setAttribute("tabindex","-1"),A("sign-in").focus();(ue?o:n).input.focus()}var Ne=/^#session\/([\w-]+)$/,On=6e4,z=!1,At=0,q=e=>{z=!1,document.querySelector("dialog")?.close(),Ie(Pe,e)};function Pe(){z=!0,_e({moved:!0})}async function _e({moved:e=!1}={}){let t=Ne.exec(location.hash)?.[1];if(t)return Le(),Re(t,{signedOut:q});await Rt(e)}async function Rt(e){document.title="Your account - Kindred",Le(),document.querySelector(".account")||M(Ln());try{let t=await ve(20);if(!z||Ne.test(location.hash))return;if(At=Date.now(),!t.viewer)return q();if(Le(t.viewer.username),M(In(t)),location.hash==="#password")return T(A("password"));e&&T(document.querySelector("h1"))}catch(t){if(C(t))return z?q():void 0;Ct(t)}}function In(e){let t={signedOut:q,changed:()=>{Pn()}};return r("div",{class:"account"},r("h1",{tabindex:-1},"Your account"),r("div",{id:"warnings"},Oe(e)),r("div",{class:"columns"},r("div",{class:"wider"},Et(e.sessions,t),r("div",{id:"ended"},Ce(e.ended))),r("div",{},r("div",{id:"activity"},Ee(e.securityEvents,q)),kt(e.viewer.username,{signedOut:q,changed:()=>{Rt(!1).then(()=>T(A("password")))}}))))}async function Pn(){let e=await ve(1).catch(()=>null);!e?.viewer||!document.querySelector(".account")||(A("warnings").replaceChildren(...Oe(e)),A("ended").replaceChildren(...[Ce(e.ended)].filter(t=>t!==null)),A("activity").replaceChildren(Ee(e.securityEvents,q)))}function Le(e){let t=A("who");if(t.childElementCount&&(!e||t.dataset.of===e))return;e&&(t.dataset.of=e);let n=r("button",{type:"button",class:"quiet"},"Sign out");n.addEventListener("click",()=>{n.disabled=!0,x.logout()}),t.replaceChildren(r("span",{class:"username"},e??""),n)}var Ln=()=>r("div",{class:"account","aria-busy":"true"},r("h1",{tabindex:-1},"Your account"),r("p",{class:"unseen"},"Loading your sessions"),r("div",{class:"columns"},r("div",{class:"wider"},r("div",{class:"head"},r("h2",{},"Signed in now")),r("div",{class:"cards"},r("div",{class:"card ghost"}),r("div",{class:"card ghost"}))),r("div",{},r("h2",{},"Recent activity"),r("div",{class:"card ghost"}))));function Ct(e){let t=r("button",{type:"button",class:"main"},"Try again");t.addEventListener("click",()=>{t.disabled=!0,t.textContent="Trying",Ot()}),M(r("div",{class:"narrow failure",role:"alert"},b("cloud"),r("h1",{},"Your account cannot be shown"),r("p",{class:"lead"},S(e)),t)),t.focus()}async function Ot(){try{await x.getAccessToken()?Pe():z||Ie(Pe)}catch(e){Ct(e)}}x.onSessionEnded(e=>q(e));addEventListener("hashchange",()=>z&&void _e({moved:!0}));document.addEventListener("visibilitychange",()=>{let e=document.activeElement===document.body||document.activeElement?.tagName==="H1",t=Date.now()-At>On;z&&document.visibilityState==="visible"&&t&&e&&!Ne.test(location.hash)&&_e()});wt();Ot();
