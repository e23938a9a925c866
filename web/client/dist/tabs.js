// What tabs tell each other.
/** Hears what other tabs tell, and returns how to tell them. */
export function tabs(name, hear) {
    if (typeof BroadcastChannel === "undefined" || typeof document === "undefined")
        return () => { };
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => hear(data);
    return (message) => channel.postMessage(message);
}
