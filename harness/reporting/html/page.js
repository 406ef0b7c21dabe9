// Folds open for printing; a line under the pointer tells the time. The page is complete without either.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((fold) => (fold.open = true)));
document.querySelectorAll("svg.timeline").forEach((drawing) => {
  const make = (name) => drawing.appendChild(document.createElementNS("http://www.w3.org/2000/svg", name));
  const line = make("line");
  const label = make("text");
  line.setAttribute("class", "pointer");
  label.setAttribute("class", "pointer");
  const [lo, hi] = [Number(drawing.dataset.lo), Number(drawing.dataset.hi)];
  const hide = () => [line, label].forEach((each) => (each.style.display = "none"));
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const share = (event.clientX - box.left) / box.width;
    if (share < 0 || share > 1) return hide();
    const place = (share * 100).toFixed(2) + "%";
    for (const [name, value] of [["x1", place], ["x2", place], ["y1", 0], ["y2", box.height - 20]]) line.setAttribute(name, value);
    label.setAttribute("x", place);
    label.setAttribute("dx", share > 0.9 ? -5 : 5);
    label.setAttribute("y", box.height - 24);
    label.setAttribute("text-anchor", share > 0.9 ? "end" : "start");
    label.textContent = ((lo + share * (hi - lo)) / 1e9).toFixed(2) + " s";
    [line, label].forEach((each) => (each.style.display = ""));
  });
  drawing.addEventListener("pointerleave", hide);
  hide();
});
