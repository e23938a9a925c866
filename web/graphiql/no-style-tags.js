// Replaces `react-style-singleton`. GraphiQL's menus and dialogs use it to insert a <style> that stops the page from
// scrolling. This page does not scroll, and its Content-Security-Policy forbids such tags.

export const styleSingleton = () => () => null;
