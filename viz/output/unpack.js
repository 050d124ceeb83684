/* In an iframe: the page, unpacked, takes the place of this script's. */
const packed = Uint8Array.from(atob("{{packed}}"), (x) => x.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
new Response(stream).text().then((page) => {
  document.open();
  document.write(page);
  document.close();
});
