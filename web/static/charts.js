// Draws the charts of the page of metrics, each from the values in its own element.
(() => {
  "use strict";
  const drawn = new Map(); // element -> its chart
  const language = document.documentElement.lang || "en";
  const hours = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const days = new Intl.DateTimeFormat(language, { month: "short", day: "numeric" });

  // a canvas knows no variables: the browser says which color one stands for at the place of the chart
  const color = (element, value) => {
    const probe = document.createElement("span");
    probe.style.color = value;
    element.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };

  const draw = (element) => {
    const { since, step, values } = element.dataset;
    const counts = values ? values.split(",").map(Number) : [];
    if (!counts.length || !element.clientWidth) return;
    const times = counts.map((_, index) => Number(since) + index * Number(step));
    const isShare = element.hasAttribute("data-share");
    const line = color(element, "var(--tblr-link-color)");
    const fill = color(element, "color-mix(in srgb, var(--tblr-link-color) 15%, transparent)");
    const text = color(element, "var(--tblr-body-color)");
    const grid = { stroke: color(element, "var(--tblr-border-color)"), width: 1 };
    drawn.get(element)?.destroy();
    element.replaceChildren();
    drawn.set(element, new window.uPlot({
      width: element.clientWidth,
      height: 150,
      legend: { show: false },
      cursor: { points: { show: false } },
      scales: { y: { range: (_, low, high) => [0, isShare ? 1 : Math.max(1, high)] } },
      axes: [
        { stroke: text, grid, ticks: grid, size: 32,
          values: (_, marks, axis, space, step) => marks.map((mark) => (step < 86400 ? hours : days).format(mark * 1000)) },
        { stroke: text, grid, ticks: grid, size: 56, incrs: isShare ? [0.5, 1] : [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6],
          values: (_, marks) => marks.map((mark) => (isShare ? `${100 * mark} %` : mark.toLocaleString())) },
      ],
      series: [{}, { stroke: line, width: 1.5, fill, points: { show: false }, paths: window.uPlot.paths.stepped({ align: 1 }) }],
    }, [times, counts], element));
  };
  const drawAll = () => document.querySelectorAll("[data-plot]").forEach(draw);

  let timer = null;
  addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(drawAll, 150); });
  new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });
  document.addEventListener("htmx:after:swap", () => { drawn.clear(); drawAll(); });
  drawAll();
})();
