// Stands in for `react-style-singleton`, by which GraphiQL's menus and dialogs put a <style> into the page to stop it
// from scrolling behind them. This page does not scroll, and its Content-Security-Policy forbids such tags.

export const styleSingleton = () => () => null;
