// For browsers that cannot read the page's own scripts, and say nothing of it: so this one is written for all of them.
// biome-ignore lint/complexity/useArrowFunction: browsers of 2012 know none
window.addEventListener('load', function () {
  var page = document.querySelector('nibble-page');
  // by now the page's script has run, where it could be read; this is the latest that it asks for
  var runs = window.customElements && customElements.get('nibble-page');
  if (!page || (runs && String.prototype.toWellFormed)) return;
  var text = document.createElement('p');
  text.setAttribute('role', 'alert');
  text.style.padding = '1em';
  text.textContent =
    'Nibble cannot start in this browser. It needs Safari 16.4, Chrome or Edge 111, Firefox 119, or a later one of them. ' +
    'If this is one, a part of the page did not arrive: reload it.';
  document.body.insertBefore(text, page);
});
