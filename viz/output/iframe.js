/* In the page around an iframe: it is as high as what is in it says. */
window.miniflowPages ??= addEventListener("message", (event) => {
  const height = event.data && event.data.miniflowHeight;
  if (!(height > 0)) return;
  for (const iframe of document.querySelectorAll(".miniflow-page > iframe"))
    if (iframe.contentWindow === event.source) iframe.style.height = `${Math.ceil(height)}px`;
}) ?? true;
