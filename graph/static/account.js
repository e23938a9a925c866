var B=e=>new Promise(t=>setTimeout(t,e));function O(){let[e,t]=[performance.now(),Date.now()];return()=>Math.max(performance.now()-e,Date.now()-t)}function ne(e){let t=new AbortController,r=setTimeout(()=>t.abort(),e);return{signal:t.signal,lift:()=>clearTimeout(r)}}function me(e,t=O()){let r=e.left*(.75+.15*Math.random());return{...e,fresh:()=>t()<r,now:()=>({...e,left:e.left-t()}),due:()=>r-t()}}var Dt=250,Ht=6e4;function De(){let e=O(),t=0,r=0,o;return{left:()=>Math.max(0,t-e()),failure:()=>o,now:()=>({rest:t-e(),failures:r}),fail(s){o=s;let i=1e3*(s?.retryAfter??0),a=Math.min(Ht,Dt*2**r++);t=i+a*(1+Math.random()),e=O()},rest(s,i){o=new Error("The service cannot be reached just now."),r=i,t=s,e=O()},reset(){t=r=0}}}var P=class extends Error{constructor(r,o,s=0){super(r[0]?.message??`The service answered with HTTP ${o}.`);this.errors=r;this.status=o;this.retryAfter=s}errors;status;retryAfter;name="GraphQLFailure"};function He(e,t){return{async read(){try{let r=JSON.parse(await e.getItem(t)??"null");return typeof r?.id=="string"?r:null}catch(r){if(r instanceof SyntaxError)return null;throw r}},write:async r=>e.setItem(t,JSON.stringify(r))}}function $e(){let e=new Map;return{getItem:t=>e.get(t)??null,setItem:(t,r)=>{e.set(t,r)},removeItem:t=>{e.delete(t)}}}function z(){let e=crypto.getRandomValues(new Uint8Array(32));return btoa(String.fromCharCode(...e)).replace(/\W/g,t=>({"+":"-","/":"_"})[t]??"")}var re=15e3;async function oe(e,t){let r=globalThis.navigator?.locks;if(!r)return qe(e,t);let{signal:o,lift:s}=ne(re),i=!1,a=()=>(i=!0,s(),t());try{return await r.request(e,{signal:o},a)}catch(d){if(i)throw d;return s(),o.aborted?await r.request(e,{steal:!0},a):qe(e,t)}}async function qe(e,t){if(!globalThis.indexedDB)return t();let r=z(),o=O(),s=i=>{let a=i?i.until-Date.now():0;return a>0&&a<=re?i:{owner:r,until:Date.now()+re}};for(;(await Fe(e,s))?.owner!==r;){if(o()>2*re)throw new Error("Other tabs are in the way.");await B(30+40*Math.random())}try{return await t()}finally{await Fe(e,i=>i?.owner===r?void 0:i).catch(()=>{})}}function Fe(e,t){return new Promise((r,o)=>{let s=indexedDB.open("kindred");s.onupgradeneeded=()=>s.result.createObjectStore("leases"),s.onerror=()=>o(s.error),s.onsuccess=()=>{let i=s.result,a=i.transaction("leases","readwrite"),d=a.objectStore("leases"),u=d.get(e),m;u.onsuccess=()=>{m=t(u.result),d.put(m,e)},a.oncomplete=()=>{i.close(),r(m)},a.onabort=()=>{i.close(),o(a.error)}}})}function Ue(e,t){if(typeof BroadcastChannel>"u"||typeof document>"u")return()=>{};let r=new BroadcastChannel(e);return r.onmessage=({data:o})=>t(o),o=>r.postMessage(o)}var $t=1e4;function pe(e,t,r){let o={accept:"application/json","content-type":"application/json"};return{method:"POST",headers:e.cookie?{...o,"kindred-delivery":"cookie"}:o,credentials:e.cookie?"include":"omit",body:JSON.stringify({query:t,variables:r})}}async function fe(e){let t=await e.json().catch(()=>null);if(t?.data&&!t.errors)return t.data;let r=Array.isArray(t?.errors)?t.errors:[];throw new P(r,e.status,Number(e.headers.get("retry-after"))||0)}async function Y(e,t,r,o){let{signal:s,lift:i}=ne($t);try{let a=await fetch(`${e.url}graphql`,{...pe(e,r,{input:o}),signal:s}),d=(await fe(a))[t];if(typeof d?.__typename!="string")throw new P([],a.status);return d}finally{i()}}var je="tokens{accessToken refreshToken expiresIn}session{id deviceName}",ze="...on UserError{message}...on TooManyAttemptsError{retryAfter}",Ke=`mutation($input:LoginInput!){login(input:$input){__typename ...on LoginSuccess{${je}viewer{id username}}${ze}}}`,Ve=`mutation($input:RefreshTokenInput!){refreshToken(input:$input){__typename ...on RefreshTokenSuccess{${je}}${ze}}}`,Ge="mutation($input:RevokeSessionInput!){revokeSession(input:$input){__typename}}",Be="mutation{revokeSession{__typename}}";var qt={RefreshTokenReplayedError:"replayed",SessionRevokedError:"revoked",RefreshTokenExpiredError:"expired",InvalidRefreshTokenError:"invalid"},Ft=2e3,Ut=100,jt=2e3,zt=3e4;function Ye(e,t,r){let o=new Set,s=De(),i=null,a=null,d=null,u=()=>{},m,p=Ue(r,c=>{if("ask"in c)i?.id===c.ask&&i.fresh()&&p({have:i.now()});else if("have"in c){let{have:g,login:y}=c;y&&(a=g.id),(y||g.id===a&&!(g.left<=(i?.now().left??0)))&&w(me(g))}else"rest"in c?s.rest(c.rest,c.failures):f(c.ended,c.reason)});function w(c){i=c,s.reset(),u(),l(c.due())}function l(c){typeof document>"u"||(clearTimeout(m),m=setTimeout(v,Math.min(c+10,2**31-1)))}function v(){!a||document.visibilityState!=="visible"||(i?.fresh()?l(i.due()):K().catch(()=>{}))}function f(c,g){if(a===c){a=i=null;for(let y of[...o])try{y(g)}catch(_){setTimeout(()=>{throw _})}}}async function h(){let c=await t.read();return c&&!c.ended?(a=c.id,c):(a&&f(a,c?.ended??"signed-out"),null)}async function E({id:c,mark:g},y){await t.write({id:c,mark:g,ended:y}),p({ended:c,reason:y}),f(c,y)}async function Z({tokens:c,session:g},y,_=!1){let{accessToken:U,refreshToken:H,expiresIn:j}=c,{id:$}=g,R=z();return await t.write(H?{id:$,mark:R,token:H}:{id:$,mark:R}),a=$,w(me({id:$,mark:R,token:U,left:1e3*j},y)),p(_?{have:i.now(),login:_}:{have:i.now()}),U}let N=c=>i&&i.token!==c&&i.fresh()?i.token:null;async function K(){let c=L(i&&!i.fresh()?i.token:void 0);if((i?.now().left??0)>zt)c.catch(()=>{});else try{return await c}catch(y){if(!i||i.now().left<=0)throw y}return i?.token??null}async function L(c){return N(c)??(d??=ee(c).finally(()=>d=null))}async function ee(c){for(;;){if(!await h())return null;if(s.left()>Ft)throw l(s.left()),s.failure();s.left()&&await B(s.left());try{return await oe(r,()=>Pt(c))}catch(g){s.fail(g),p(s.now())}}}async function Pt(c){let g=await h();if(!g||N(c))return N(c);if(!g.key){p({ask:g.id});let ue=i&&i.mark!==g.mark?jt:Ut;if(await Promise.race([B(ue),new Promise(Mt=>u=Mt)]),g=await h(),!g||N(c))return N(c)}let{id:y,mark:_,token:U,key:H=z()}=g;await t.write({...g,key:H});let j=O(),R=await Y(e,"refreshToken",Ve,U?{refreshToken:U,idempotencyKey:H}:{idempotencyKey:H}),G=await h();if(G?.mark!==_){if(!G)return null;throw new Error("Another tab has refreshed meanwhile.")}if(R.tokens)return Z(R,j);let te=qt[R.__typename];if(!te)throw new P([{message:R.message??R.__typename}],429,R.retryAfter);return await E({id:y,mark:_},te),null}async function Nt(c){return oe(r,async()=>{let g=O(),{username:y,password:_,deviceName:U}=c,H={username:y,password:_,deviceName:U,...e.cookie&&{delivery:"COOKIE"}},j=await Y(e,"login",Ke,H),{__typename:$,message:R=$,retryAfter:G,session:te,viewer:ue}=j;return j.tokens?(await Z(j,g,!0),{ok:!0,session:te,viewer:ue}):{ok:!1,code:$,message:R,...G&&{retryAfter:G}}})}async function Lt(){let c=await h();c&&(await E(c,"signed-out"),await oe(r,async()=>{c.token?await Y(e,"revokeSession",Ge,{refreshToken:c.token}):await h()||await Y(e,"revokeSession",Be,void 0)}).catch(()=>{}))}function _t(c){let g=y=>c(y);return o.add(g),()=>{o.delete(g)}}return typeof document<"u"&&document.addEventListener("visibilitychange",v),h().then(c=>c&&p({ask:c.id}),()=>{}),{getToken:K,refresh:L,login:Nt,logout:Lt,onEnded:_t}}function Je(e={}){let t=typeof document<"u",r=Kt(e.url),o=(e.delivery??(t?"cookie":"body"))==="cookie",s=e.storage??(o?Vt():null),i=`kindred ${r}${s?"":z()}`,a={url:r,cookie:o},d=Ye(a,He(s??$e(),i),i),u=new Set([r,...t?[location.href]:[],...e.sendTo??[]].map(We));async function m(p,w){let l=new Request(p,w);if(!u.has(We(l.url))||l.headers.has("authorization"))return fetch(l);let v=await d.getToken();if(!v)return fetch(l);let f=w?.body instanceof ReadableStream?null:l.clone(),h=await fetch(Qe(l,v));if(!await Gt(l,h))return h;let E=await d.refresh(v);return E&&f?fetch(Qe(f,E)):h}return{login:d.login,logout:d.logout,fetch:m,graphql:async(p,w)=>fe(await m(`${r}graphql`,pe(a,p,w))),getAccessToken:d.getToken,onSessionEnded:d.onEnded}}var We=e=>new URL(e).origin;function Kt(e){let[t]=/^.*\/(?=assets\/kindred-client\.js)/.exec(import.meta.url)??[],r=e??t??globalThis.location?.origin;if(!r)throw new TypeError("createClient needs the service's `url`.");return new URL(r.replace(/\/*$/,"/"),globalThis.location?.href).href}function Vt(){try{return globalThis.localStorage??null}catch{return null}}function Qe(e,t){return e.headers.set("authorization",`Bearer ${t}`),e}async function Gt(e,t){if(t.status===401)return!0;if(e.method!=="POST"||!/json/.test(t.headers.get("content-type")??""))return!1;let r=await t.clone().json().catch(()=>null);return Array.isArray(r?.errors)&&r.errors.some(o=>o?.extensions?.code==="UNAUTHENTICATED")}var Xe=`mutation ChangePassword($input: ChangePasswordInput!) {
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
`;var Ze=`mutation CheckPassword($input: CheckPasswordInput!) {
  checkPassword(input: $input) {
    strength
    weakness
  }
}
`;var et=`mutation End($input: RevokeSessionInput!) {
  revokeSession(input: $input) {
    __typename
    ... on UserError {
      message
    }
  }
}
`;var tt=`mutation EndOthers {
  revokeOtherSessions {
    revokedCount
  }
}
`;var nt=`query Events($first: Int!, $after: String) {
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
`;var rt=`query History($id: ID!) {
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
`;var ot=`query Account($first: Int!) {
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
`;var it=`mutation Rename($input: RenameSessionInput!) {
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
`;var st=`query Sessions($after: String) {
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
`;var at={"signed-out":null,replayed:{title:"This session was ended for your safety",text:"Its token was used twice, so somebody else may have had a copy. Sign in to see what happened, and change your password if you do not recognise it.",grave:!0},revoked:{title:"This session was ended",text:"You ended it from another device, the password was changed, or an administrator ended it. Sign in to continue.",grave:!1},expired:{title:"This session has expired",text:"It was not used for a long time, or had reached its limit. Sign in to continue.",grave:!1},invalid:{title:"You are signed out",text:"This browser's session is no longer known here. Sign in to continue.",grave:!1}},W={REVOKED_BY_USER:"You signed out or ended it",REFRESH_TOKEN_REPLAYED:"Its token was used twice",PASSWORD_CHANGED:"The password was changed",USER_DISABLED:"The account was disabled",SESSION_LIMIT:"There were too many sessions",REVOKED_BY_OPERATOR:"An administrator ended it"},dt={LOGIN_SUCCEEDED:{text:"Signed in",icon:"tick",tone:"good"},LOGIN_FAILED:{text:"Somebody gave a wrong password",icon:"cross",tone:"grave"},LOGIN_THROTTLED:{text:"Too many wrong passwords, so further tries had to wait",icon:"clock",tone:"grave"},REFRESH_TOKEN_REPLAYED:{text:"A token was used twice, so its session was ended",icon:"shield",tone:"grave"},SESSION_REVOKED:{text:"A session was ended",icon:"door",tone:"plain"},PASSWORD_CHANGED:{text:"The password was changed",icon:"key",tone:"plain"},USER_DISABLED:{text:"The account was disabled",icon:"cross",tone:"grave"}},ge="The service cannot be reached just now. Nothing is lost; try again in a moment.";var x=Je({url:new URL(".",location.href).href,delivery:"cookie"}),he=e=>x.graphql(ot,{first:e}),ct=async e=>(await x.graphql(st,{after:e})).sessions,ie=async(e,t=20)=>(await x.graphql(nt,{after:e,first:t})).securityEvents,lt=async e=>(await x.graphql(rt,{id:e})).session,ut=async(e,t)=>(await x.graphql(it,{input:{id:e,deviceName:t}})).renameSession,mt=async e=>(await x.graphql(et,{input:{id:e}})).revokeSession,pt=async()=>(await x.graphql(tt)).revokeOtherSessions.revokedCount,ft=async(e,t)=>(await x.graphql(Xe,{input:{currentPassword:e,newPassword:t}})).changePassword,gt=async e=>(await x.graphql(Ze,{input:{newPassword:e}})).checkPassword,C=e=>e instanceof P&&e.errors.some(t=>t.extensions?.code==="UNAUTHENTICATED");function S(e){if(!(e instanceof P))return ge;let t=e.errors[0]?.extensions?.code;return t==="BAD_USER_INPUT"?e.message:t&&t!=="UNAVAILABLE"?`The service refused this. ${e.message}`:ge}function n(e,t={},...r){return vt(document.createElement(e),t,r)}var nn="http://www.w3.org/2000/svg";function ve(e,t={},...r){return vt(document.createElementNS(nn,e),t,r)}function vt(e,t,r){for(let[o,s]of Object.entries(t))typeof s=="function"?e.addEventListener(o.slice(2),s):s!==!1&&s!==null&&s!==void 0&&e.setAttribute(o,s===!0?"":String(s));return e.append(...we(r)),e}var we=e=>e.flatMap(t=>Array.isArray(t)?we(t):t?[t]:[]),A=e=>document.getElementById(e);function M(...e){A("main").replaceChildren(...we(e))}var ht;function k(e,{seen:t=!0}={}){let r=A("live");clearTimeout(ht),r.textContent="",r.className=t?"toast":"unseen",setTimeout(()=>r.textContent=e,50),ht=setTimeout(()=>{r.textContent="",r.className="unseen"},8e3)}function T(e){e&&(e.tabIndex<0&&e.setAttribute("tabindex","-1"),e.focus())}var rn=0,D=e=>`${e}-${++rn}`;var ye={phone:"Phone",tablet:"Tablet",desktop:"Computer",program:"Program"};function se(e){return!e||!/^(Mozilla|Opera)\//.test(e)?"program":/iPad|Tablet|Android(?!.*Mobile)/.test(e)?"tablet":/iPhone|Mobile/.test(e)?"phone":"desktop"}var on=[[/Edg(e|A|iOS)?\//,"Edge"],[/OPR\/|Opera/,"Opera"],[/SamsungBrowser/,"Samsung Internet"],[/Firefox|FxiOS/,"Firefox"],[/HeadlessChrome/,"HeadlessChrome"],[/Chrome|CriOS/,"Chrome"],[/Safari/,"Safari"]],sn=[[/iPhone|iPad/,"iOS"],[/Android/,"Android"],[/Windows/,"Windows"],[/CrOS/,"Chrome OS"],[/Mac OS X/,"macOS"],[/Linux/,"Linux"]];function ae(e){if(!e)return"Unknown device";let t=s=>s.find(([i])=>i.test(e))?.[1],r=t(on)??/^[\w.-]{1,40}/.exec(e)?.[0]??"Unknown program",o=t(sn);return o?`${r} on ${o}`:r}var an={desktop:["M3 5h18v11H3z","M9 20h6","M12 16v4"],phone:["M7 2.5h10v19H7z","M11 18.5h2"],tablet:["M4.5 3h15v18h-15z","M11 18h2"],program:["M3 4.5h18v15H3z","M7 9l3 3-3 3","M13 15h4"],pencil:["M4 20l1-4L16 5l3 3L8 19z","M14 7l3 3"],shield:["M12 3l8 3v6c0 4.5-3.5 7.5-8 9-4.5-1.5-8-4.5-8-9V6z","M12 8v4.5","M12 16v.01"],tick:["M5 12.5l4.5 4.5L19 7.5"],door:["M14 4H5v16h9","M10 12h10","M17 9l3 3-3 3"],key:["M8 11a4 4 0 1 0 0 .01z","M12 11h9v3","M17 11v3"],cross:["M6 6l12 12","M18 6L6 18"],clock:["M12 3a9 9 0 1 0 .01 0z","M12 7v5l3.5 2"],back:["M19 12H5","M11 6l-6 6 6 6"],cloud:["M4 4l16 16","M7 18h10","M7 18a4 4 0 0 1-.5-8 6 6 0 0 1 1-2","M11 5.5a6 6 0 0 1 6.5 5 3.8 3.8 0 0 1 2 6"]};function b(e){let t=an[e].map(r=>ve("path",{d:r}));return ve("svg",{class:"icon",viewBox:"0 0 24 24","aria-hidden":"true",focusable:"false"},...t)}var Q=navigator.language.startsWith("en")?navigator.language:"en-GB",dn=new Intl.RelativeTimeFormat(Q,{numeric:"auto"}),cn=new Intl.DateTimeFormat(Q,{dateStyle:"full",timeStyle:"long"}),ln=new Intl.DateTimeFormat(Q,{dateStyle:"medium",timeStyle:"short"}),un=new Intl.DateTimeFormat(Q,{month:"short",day:"numeric",hour:"numeric",minute:"2-digit"}),mn=new Intl.DateTimeFormat(Q,{dateStyle:"medium",timeStyle:"medium"}),pn=[["year",31557600],["month",2629800],["week",604800],["day",86400],["hour",3600],["minute",60]];function be(e,t=Date.now()){let r=(Date.parse(e)-t)/1e3;for(let[o,s]of pn)if(Math.abs(r)>=s)return dn.format(Math.trunc(r/s),o);return r>0?"in a moment":"just now"}function I(e){let t=cn.format(new Date(e));return n("time",{datetime:e,title:t,class:"ago",tabindex:0},wt(e))}function J(e){let t=new Date(e),r=t.getFullYear()===new Date().getFullYear()?un:ln;return n("time",{datetime:e,title:be(e)},r.format(t))}var X=e=>n("time",{datetime:e,title:be(e)},mn.format(new Date(e))),wt=e=>be(e,Math.max(Date.now(),Date.parse(e)));function yt(){setInterval(()=>{for(let e of document.querySelectorAll("time.ago")){let t=wt(e.dateTime);e.textContent!==t&&(e.textContent=t)}},15e3)}function xe(e){return e<60?e===1?"1 second":`${e} seconds`:`${Math.floor(e/60)} min ${String(e%60).padStart(2,"0")} s`}function ke(e,t){let r=n("ol",{class:"lines card","aria-labelledby":"events"}),o=n("button",{type:"button",class:"quiet wide",onclick:a},"Show more"),{endCursor:s}=e.pageInfo;function i(d){let u=d.edges.map(({node:m})=>fn(m));return r.append(...u),s=d.pageInfo.endCursor,o.hidden=!d.pageInfo.hasNextPage,u}async function a(){o.disabled=!0;try{let[d]=i(await ie(s));k(`${r.children.length} events are shown.`,{seen:!1}),T(d?.querySelector("time"))}catch(d){C(d)?t():k(S(d))}finally{o.disabled=!1}}return i(e),r.hidden=!r.children.length,n("section",{"aria-labelledby":"events"},n("h2",{id:"events"},"Recent activity"),r,r.hidden&&n("p",{class:"plain"},"Nothing has happened yet."),o)}function fn({kind:e,occurredAt:t,ipAddress:r,userAgent:o,session:s}){let{text:i,icon:a,tone:d}=dt[e]??{text:e,icon:"clock",tone:"plain"},u=[o&&ae(o),r].filter(Boolean).join(", ");return n("li",{class:d},b(a),n("div",{},n("p",{class:"what"},i,s&&[": ",n("a",{href:`#session/${s.id}`},s.deviceName)]),n("p",{},I(t),u&&` from ${u}`)))}function bt(e,t){let r=[...e.lineage].reverse(),o=(r[0]?.generation??1)-1;if(e.revocationReason!=="REFRESH_TOKEN_REPLAYED")return{tokens:r,forgotten:o,replay:null};let s=t?.generation??null,i=s?r.find(d=>d.generation===s+1):null,a=t?.occurredAt??e.revokedAt;return{tokens:r,forgotten:o,replay:{event:t,at:a,generation:s,successor:i??null}}}function de({title:e,text:t,act:r}){return new Promise(o=>{let[s,i]=[D("title"),D("text")],a=u=>()=>d.close(u?"yes":""),d=n("dialog",{"aria-labelledby":s,"aria-describedby":i},n("h2",{id:s},e),n("p",{id:i},...t),n("div",{class:"buttons"},n("button",{type:"button",class:"quiet",autofocus:!0,onclick:a(!1)},"Cancel"),n("button",{type:"button",class:"grave",onclick:a(!0)},r)));d.addEventListener("click",u=>u.target===d&&d.close("")),d.addEventListener("close",()=>{d.remove(),o(d.returnValue==="yes")}),document.body.append(d),d.showModal()})}function Ee(e,t){let r=n("h3",{tabindex:-1},e.deviceName),o=n("button",{type:"button",class:"small",title:"Rename","aria-label":`Rename ${e.deviceName}`,onclick:u},b("pencil")),s=n("div",{class:"name"},r,o),i=n("button",{type:"button",class:"quiet end","aria-label":e.isCurrent?"Sign out of this device":`End the session of ${e.deviceName}`,onclick:e.isCurrent?p:m},e.isCurrent?"Sign out":"End"),a=se(e.userAgent),d=n("li",{class:e.isCurrent?"card session current":"card session","data-id":e.id},n("span",{class:"kind",title:ye[a]},b(a),n("span",{class:"unseen"},ye[a])),n("div",{class:"about"},s,e.isCurrent&&n("p",{class:"badge"},"This device"),n("p",{class:"used"},"Last used ",I(e.lastUsedAt))),i,n("div",{class:"foot"},Se(e),n("a",{href:`#session/${e.id}`},gn(e))));function u(){let l=n("input",{type:"text",value:e.deviceName,maxlength:100,"aria-label":"Name of this session",autocomplete:"off",onkeydown:N=>N.key==="Escape"&&E()}),v=n("button",{class:"small",title:"Save","aria-label":"Save the name"},b("tick")),f=n("button",{type:"button",class:"small",title:"Cancel","aria-label":"Keep the old name",onclick:E},b("cross")),h=n("form",{class:"name",novalidate:!0,onsubmit:Z},l,v,f);s.replaceWith(h),l.select(),l.focus();function E(){h.replaceWith(s),o.focus()}async function Z(N){N.preventDefault();let K=l.value.trim();if(K===e.deviceName)return E();if(!K)return k("A name has at least one character.");v.disabled=!0;try{let L=await ut(e.id,K);if(!L.session)return k(L.message??"That session is not there any more.");let ee=Ee(L.session,t);d.replaceWith(ee),ee.querySelector(".small")?.focus(),k(`The name is now ${L.session.deviceName}.`)}catch(L){w(L)}finally{v.disabled=!1}}}async function m(){if(await de({title:"End this session?",text:[n("strong",{},e.deviceName)," will be signed out at once, and has to sign in again."],act:"End session"})){i.disabled=!0;try{let v=await mt(e.id);k(v.__typename==="RevokeSessionSuccess"?`The session of ${e.deviceName} has ended.`:v.message??"That session is not there any more."),t.gone(d)}catch(v){w(v),i.disabled=!1}}}function p(){i.disabled=!0,x.logout()}function w(l){C(l)?t.signedOut():k(S(l))}return d}var gn=e=>["History",n("span",{class:"unseen"},` of ${e.deviceName}, signed in `,J(e.createdAt))];function Se(e){let t=[["Address",e.ipAddress??"not recorded"],["Signed in",J(e.createdAt)],e.revokedAt?["Ended",J(e.revokedAt)]:["Ends",J(e.expiresAt)]];return n("dl",{},t.map(([r,o])=>n("div",{},n("dt",{},r),n("dd",{},o))))}async function Ae(e,{signedOut:t}){document.title="History of a session - Kindred",M(n("p",{class:"waiting"},"Loading the history"));try{let r=await lt(e);if(location.hash!==`#session/${e}`)return;if(!r)return Te(null,[n("p",{class:"plain"},"There is no such session, or it ended too long ago.")]);let s=r.revocationReason==="REFRESH_TOKEN_REPLAYED"?await hn(r):null;location.hash===`#session/${e}`&&Te(r,vn(r,bt(r,s)))}catch(r){if(C(r))return t();let o=n("button",{type:"button",class:"main"},"Try again");o.addEventListener("click",()=>Ae(e,{signedOut:t})),Te(null,[n("p",{class:"problem",role:"alert"},S(r)),o])}}async function hn(e){let t=null;for(let r=0;r<10;r++){let o=await ie(t,100);for(let{node:s}of o.edges){if(s.kind==="REFRESH_TOKEN_REPLAYED"&&s.session?.id===e.id)return s;if(s.occurredAt<e.revokedAt)return null}if(!o.pageInfo.hasNextPage)return null;t=o.pageInfo.endCursor}return null}function Te(e,t){let r=n("h1",{tabindex:-1},e?e.deviceName:"History of a session");M(n("div",{class:"history"},n("p",{},n("a",{href:"#",class:"back"},b("back"),"All sessions")),r,t)),T(r)}function vn(e,{tokens:t,forgotten:r,replay:o}){return[n("p",{class:"lead"},wn(e)),Se(e),o&&yn(o),n("h2",{id:"line"},"From the sign-in to the end"),!t.length&&n("p",{class:"plain"},"No tokens of this session are on record."),n("ol",{class:"line","aria-labelledby":"line"},r>0&&n("li",{class:o?.generation&&o.generation<=r?"forgotten beside":"forgotten"},n("div",{},n("p",{},bn(r)))),t.map((s,i)=>xn(s,i===t.length-1,o)),o?kn(o):e.revokedAt&&En(e))]}function wn(e){return e.state==="ACTIVE"?["Signed in, and last used ",I(e.lastUsedAt),"."]:e.state==="EXPIRED"?["Expired ",I(e.expiresAt),"."]:[W[e.revocationReason??""]??"It was ended",". It ended ",I(e.revokedAt),"."]}function yn({event:e,at:t,generation:r,successor:o}){return n("section",{class:"notice grave","aria-labelledby":"meaning"},b("shield"),n("div",{},n("h2",{id:"meaning"},`Two parties held ${r?`token ${r}`:"one of its tokens"}`),n("p",{},"A session goes from token to token, and each works once. One was used a second time, so there were two ","copies of it, and nobody can tell from here which was yours. The session was ended for both."),n("dl",{class:"parties"},o&&xt("Used first from",o,o.issuedAt),e&&xt("Used again from",e,t)),n("p",{},"If one of the two is not you, change your password. A device restored from a backup, or a copied browser ","profile, can look the same."),n("p",{class:"buttons"},n("a",{class:"button",href:"#password"},"Change password"))))}var xt=(e,t,r)=>n("div",{},n("dt",{},e),n("dd",{},Re(t),X(r))),bn=e=>e===1?"The first token is no longer on record.":`The first ${e} tokens are no longer on record.`;function xn(e,t,r){let o=e.generation,s=o===r?.generation,i=e===r?.successor,a=r?.generation&&o>r.generation,d=[s&&"held",i&&"first",a&&"beside",t&&!r&&"last"],u=o===1?"Signed in":i?`Token ${o-1} used the first time`:"Renewed";return n("li",{class:d.filter(Boolean).join(" ")},n("div",{},n("h3",{},u,n("span",{class:"number"},`${i?"for ":""}token ${o}`)),Re(e),n("p",{class:"when"},X(e.issuedAt)),s&&n("p",{class:"mark"},"Held by two parties")))}function kn({event:e,at:t,generation:r}){return n("li",{class:"second"},n("div",{},n("h3",{},`${r?`Token ${r}`:"A token"} used a second time`),e?Re(e):n("p",{class:"from"},"From where is no longer on record."),n("p",{class:"when"},X(t)),n("p",{class:"mark"},"The session was ended for both")))}function En(e){return n("li",{class:"ended"},n("div",{},n("h3",{},"Ended"),n("p",{class:"from"},W[e.revocationReason??""]??"It was ended"),n("p",{class:"when"},X(e.revokedAt))))}function Re({userAgent:e,ipAddress:t}){return n("p",{class:"from"},b(se(e)),n("span",{},ae(e)),n("span",{class:"address"},t??"address not recorded"))}function V(e,t,...r){let[o,s,i]=[D("field"),D("label"),D("hint")],a=n("input",{id:o,type:"text","aria-describedby":i,...t}),d=n("p",{class:"complaint",id:i});return{box:n("div",{class:"field"},n("label",{for:o,id:s},e),n("div",{class:"input"},a,t.type==="password"&&Sn(a,s)),...r,d),input:a,complain(m){d.textContent=m,m?a.setAttribute("aria-invalid","true"):a.removeAttribute("aria-invalid")}}}function Sn(e,t){let r=n("button",{type:"button",class:"show","aria-controls":e.id,"aria-describedby":t},"Show");return r.addEventListener("click",()=>{let o=e.type==="text";e.type=o?"password":"text",r.textContent=o?"Show":"Hide"}),r}function ce(e,t,r,o){let s=Date.now()+1e3*o;r.textContent=`There were too many tries. Please wait ${xe(o)} before the next.`,e.disabled=!0;function i(){let a=Math.ceil((s-Date.now())/1e3);if(a>0&&e.isConnected){e.textContent=`Wait ${xe(a)}`,setTimeout(i,250);return}e.disabled=!1,e.textContent=t,r.textContent=""}i()}var kt=["Very weak","Weak","Good enough","Strong","Very strong"],Tn=350;function Et(e,t){let r=Number(document.body.dataset.passwordMinLength)||8,o=An(r),s=V("Current password",{type:"password",autocomplete:"current-password",name:"current"}),i=V("New password",{type:"password",autocomplete:"new-password",name:"new"},o.box),a=n("p",{class:"problem",role:"alert"}),d=n("button",{class:"main"},"Change password");i.input.addEventListener("input",()=>{i.complain(""),o.judge(i.input.value)}),s.input.addEventListener("input",()=>s.complain(""));async function u(p){if(p.preventDefault(),d.disabled)return;a.textContent="";let w=[s,i].find(l=>!l.input.value);if(w)return w.complain("This is needed."),w.input.focus();d.disabled=!0;try{let l=await ft(s.input.value,i.input.value);if(l.retryAfter)return void ce(d,"Change password",a,l.retryAfter);let v={InvalidCredentialsError:s,WeakPasswordError:i}[l.__typename];if(v)v.complain(l.message??""),v.input.focus();else if(l.revokedCount!==void 0){m.reset(),o.judge("");let f=[""," One other session has ended."][l.revokedCount];k(`The password is changed.${f??` ${l.revokedCount} other sessions have ended.`}`),t.changed()}else a.textContent=l.message??l.__typename}catch(l){if(C(l))return t.signedOut();a.textContent=S(l)}d.disabled=!1}let m=n("form",{class:"card",novalidate:!0,onsubmit:u,"aria-labelledby":"password"},n("input",{type:"text",autocomplete:"username",value:e,hidden:!0,readonly:!0}),s.box,i.box,a,d,n("p",{class:"plain"},"Every other session ends with the old password."));return n("section",{"aria-labelledby":"password"},n("h2",{id:"password",tabindex:-1},"Change password"),m)}function An(e){let t=n("div",{class:"bars","aria-hidden":"true"},kt.map(()=>n("span"))),r=n("p",{class:"says",role:"status"}),o=n("div",{class:"meter"},t,r),s,i=0;function a(u,m){o.dataset.strength=u===null?"":String(u),r.textContent!==m&&(r.textContent=m)}function d(u){let m=++i;if(clearTimeout(s),!u)return a(null,`At least ${e} characters, and hard to guess.`);if([...u.normalize("NFC")].length<e)return a(0,`At least ${e} characters.`);s=setTimeout(async()=>{for(let p=3;p&&m===i;p--)try{let{strength:w,weakness:l}=await gt(u);m===i&&a(w,l??`${kt[w]}.`);return}catch{await new Promise(w=>setTimeout(w,1e3))}m===i&&a(null,"How strong it is cannot be told just now.")},Tn)}return d(""),{box:o,judge:d}}function St(e,t){let r=n("h2",{id:"live-sessions",tabindex:-1},"Signed in now"),o=n("ul",{class:"cards","aria-labelledby":"live-sessions"}),s=n("button",{type:"button",class:"quiet wide",onclick:w},"Show more"),i=n("button",{type:"button",class:"quiet",onclick:l},"End all others"),a=n("p",{class:"plain"},"You are signed in nowhere else."),{endCursor:d}=e.pageInfo,u=f=>Ee(f,{gone:p,signedOut:t.signedOut});function m(f){let h=f.edges.map(({node:E})=>u(E));return o.append(...h),d=f.pageInfo.endCursor,s.hidden=!f.pageInfo.hasNextPage,i.hidden=o.children.length<2&&s.hidden,a.hidden=!i.hidden,h}function p(f){let h=f.nextElementSibling??f.previousElementSibling;f.remove(),i.hidden=o.children.length<2&&s.hidden,a.hidden=!i.hidden,T(h?.querySelector("h3")??r),t.changed()}async function w(){s.disabled=!0;try{let[f]=m(await ct(d));k(`${o.children.length} sessions are shown.`,{seen:!1}),T(f?.querySelector("h3"))}catch(f){v(f)}finally{s.disabled=!1}}async function l(){if(await de({title:"End all other sessions?",text:["Every device but this one will be signed out at once."],act:"End all others"})){i.disabled=!0;try{let h=await pt();k(h===1?"One other session has ended.":`${h} other sessions have ended.`);for(let E of[...o.children])E.classList.contains("current")||E.remove();s.hidden=i.hidden=!0,a.hidden=!1,T(r),t.changed()}catch(h){v(h)}finally{i.disabled=!1}}}function v(f){C(f)?t.signedOut():k(S(f))}return m(e),n("section",{"aria-labelledby":"live-sessions"},n("div",{class:"head"},r,i),o,a,s)}function Ce(e){let t=e.edges.map(({node:a})=>a).sort((a,d)=>a.revokedAt<d.revokedAt?1:-1);if(!t.length)return null;let r=n("ul",{class:"lines card","aria-labelledby":"ended-sessions"}),o=5,s=a=>r.append(...a.map(Rn)),i=n("button",{type:"button",class:"quiet wide"},"Show more");return i.hidden=t.length<=o,i.addEventListener("click",()=>{s(t.slice(o)),i.hidden=!0,T(r.children[o]?.querySelector("a"))}),s(t.slice(0,o)),n("section",{"aria-labelledby":"ended-sessions"},n("h2",{id:"ended-sessions"},"Ended lately"),r,i)}function Rn(e){let t=e.revocationReason==="REFRESH_TOKEN_REPLAYED";return n("li",{class:t?"grave":""},b(t?"shield":"door"),n("div",{},n("a",{href:`#session/${e.id}`},e.deviceName),n("p",{},W[e.revocationReason??""]??"It was ended",", ",I(e.revokedAt??e.lastUsedAt))))}var Cn=14*864e5,Tt="kindred seen replays";function Oe({ended:e}){return e.edges.map(({node:t})=>t).filter(t=>t.revocationReason==="REFRESH_TOKEN_REPLAYED"&&Date.now()-Date.parse(t.revokedAt)<Cn&&!At().includes(t.id)).map(On)}function On(e){let t=`replayed-${e.id}`,r=n("section",{class:"notice grave","aria-labelledby":t},b("shield"),n("div",{},n("h2",{id:t},"A session was ended for your safety"),n("p",{},"The token of ",n("strong",{},e.deviceName)," was used twice, ",I(e.revokedAt),". ","Somebody else may have had a copy of it."),n("p",{class:"buttons"},n("a",{class:"button",href:`#session/${e.id}`},"See what happened"),n("button",{type:"button",class:"quiet",onclick:o},"Put away"))));function o(){In(e.id),r.remove(),T(document.querySelector("main h1")),k("The warning is put away. The session stays in the list of those that ended lately.")}return r}function At(){try{let e=JSON.parse(localStorage.getItem(Tt)??"[]");return Array.isArray(e)?e:[]}catch{return[]}}function In(e){try{localStorage.setItem(Tt,JSON.stringify([...At(),e].slice(-50)))}catch{}}var le="";function Ie(e,t){document.title="Sign in - Kindred",A("who").replaceChildren();let r=V("Username",{name:"username",autocomplete:"username",autocapitalize:"none",spellcheck:"false",maxlength:128,value:le}),o=V("Password",{name:"password",type:"password",autocomplete:"current-password"}),s=n("p",{class:"problem",id:D("problem"),role:"alert"}),i=n("button",{class:"main"},"Sign in");async function a(u){if(u.preventDefault(),i.disabled)return;s.textContent="";let m=[r,o].find(p=>!p.input.value);if(m)return s.textContent="Give both your username and your password.",m.input.focus();le=r.input.value,i.disabled=!0,i.textContent="Signing in";try{let p=await x.login({username:le,password:o.input.value});if(p.ok)return e();if(p.retryAfter)return void ce(i,"Sign in",s,p.retryAfter);s.textContent=p.message,o.input.select(),o.input.focus()}catch(p){s.textContent=S(p)}i.disabled=!1,i.textContent="Sign in"}let d=t&&at[t];if(M(n("div",{class:"narrow"},d&&n("section",{class:d.grave?"notice grave":"notice","aria-labelledby":"why"},b(d.grave?"shield":"clock"),n("div",{},n("h2",{id:"why"},d.title),n("p",{},d.text))),n("form",{class:"card sign-in",novalidate:!0,onsubmit:a,"aria-labelledby":"sign-in"},n("h1",{id:"sign-in"},"Sign in"),n("p",{class:"lead"},"to see where you are signed in, and to end what you do not recognise."),r.box,o.box,s,i))),t==="signed-out")return A("sign-in").setAttribute("tabindex","-1"),A("sign-in").focus();(le?o:r).input.focus()}var _e=/^#session\/([\w-]+)$/,Pn=6e4,F=!1,Ct=0,q=e=>{!F&&!e||(F=!1,document.querySelector("dialog")?.close(),Ie(Pe,e??"invalid"))};function Pe(){F=!0,Me({moved:!0})}async function Me({moved:e=!1}={}){let t=_e.exec(location.hash)?.[1];if(t)return Ne(),Ae(t,{signedOut:q});await Ot(e)}async function Ot(e){document.title="Your account - Kindred",Ne(),document.querySelector(".account, .failure")||M(_n());try{let t=await he(20);if(!F||_e.test(location.hash))return;if(Ct=Date.now(),!t.viewer)return q();if(Ne(t.viewer.username),M(Nn(t)),location.hash==="#password")return T(A("password"));e&&T(document.querySelector("h1"))}catch(t){if(C(t))return F?q():void 0;It(t)}}function Nn(e){let t={signedOut:q,changed:()=>{Ln()}};return n("div",{class:"account"},n("h1",{tabindex:-1},"Your account"),n("div",{id:"warnings"},Oe(e)),n("div",{class:"columns"},n("div",{class:"wider"},St(e.sessions,t),n("div",{id:"ended"},Ce(e.ended))),n("div",{},n("div",{id:"activity"},ke(e.securityEvents,q)),Et(e.viewer.username,{signedOut:q,changed:()=>{Ot(!1).then(()=>T(A("password")))}}))))}async function Ln(){let e=await he(1).catch(()=>null);!e?.viewer||!document.querySelector(".account")||(A("warnings").replaceChildren(...Oe(e)),A("ended").replaceChildren(...[Ce(e.ended)].filter(t=>t!==null)),A("activity").replaceChildren(ke(e.securityEvents,q)))}function Ne(e){let t=A("who");if(t.childElementCount&&(!e||t.dataset.of===e))return;e&&(t.dataset.of=e);let r=n("button",{type:"button",class:"quiet"},"Sign out");r.addEventListener("click",()=>{r.disabled=!0,x.logout()}),t.replaceChildren(n("span",{class:"username"},e??""),r)}var _n=()=>n("div",{class:"account","aria-busy":"true"},n("h1",{tabindex:-1},"Your account"),n("p",{class:"unseen"},"Loading your sessions"),n("div",{class:"columns"},n("div",{class:"wider"},n("div",{class:"head"},n("h2",{},"Signed in now")),n("div",{class:"cards"},n("div",{class:"card ghost"}),n("div",{class:"card ghost"}))),n("div",{},n("h2",{},"Recent activity"),n("div",{class:"card ghost"})))),Mn=8e3,Rt;function It(e){if(clearTimeout(Rt),Rt=setTimeout(()=>document.querySelector(".failure")&&void Le(),5e3),document.querySelector(".failure"))return;let t=n("button",{type:"button",class:"main"},"Try again");t.addEventListener("click",async()=>{t.disabled=!0,t.textContent="Trying",await Le(Mn),t.disabled=!1,t.textContent="Try again"}),M(n("div",{class:"narrow failure",role:"alert"},b("cloud"),n("h1",{},"Your account cannot be shown"),n("p",{class:"lead"},S(e)),t)),t.focus()}async function Le(e=0){let t=Date.now()+e;for(;;)try{return await x.getAccessToken()?Pe():F||document.querySelector(".sign-in")?void 0:Ie(Pe)}catch(r){if(Date.now()>=t)return It(r);await new Promise(o=>setTimeout(o,500))}}x.onSessionEnded(e=>q(e));addEventListener("hashchange",()=>F&&void Me({moved:!0}));document.addEventListener("visibilitychange",()=>{let e=document.activeElement===document.body||document.activeElement?.tagName==="H1",t=Date.now()-Ct>Pn;F&&document.visibilityState==="visible"&&t&&e&&!_e.test(location.hash)&&Me()});yt();Le();
