// The messages that the tabs of one browser send each other.
/** Listen to the other tabs. Returns the function that sends them a message. */
export function connectTabs(name, receive) {
    if (typeof BroadcastChannel === "undefined" || typeof document === "undefined")
        return () => { };
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => receive(data);
    return (message) => channel.postMessage(message);
}
