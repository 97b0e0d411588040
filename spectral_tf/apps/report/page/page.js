"use strict";
(() => {
  const root = document.documentElement;
  const main = document.getElementById("page_main");
  const specs = JSON.parse(document.getElementById("page_figures").textContent);
  const narrow = matchMedia("(max-width: 40rem)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const plots = [];

  // Plotly writes some style attributes as text, which the content-security policy
  // refuses. Set through the style object they are allowed, and do the same.
  const setAttribute = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function (name, value) {
    if (name === "style") this.style.cssText = value;
    else setAttribute.call(this, name, value);
  };

  const isPlain = (value) =>
    value !== null && typeof value === "object" && !Array.isArray(value);
  const merged = (base, over) => {
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
      result[key] = isPlain(value) && isPlain(base[key]) ? merged(base[key], value) : value;
    }
    return result;
  };

  // The colours of the style sheet, in its light or its dark form.
  const theme = () => {
    const style = getComputedStyle(root);
    const of = (name) => style.getPropertyValue(name).trim();
    const family = getComputedStyle(document.body).fontFamily;
    const axis = {
      color: of("--soft"),
      gridcolor: of("--grid"),
      linecolor: of("--rule"),
      zerolinecolor: of("--rule"),
    };
    return {
      font: { color: of("--ink"), family },
      paper_bgcolor: of("--card"),
      plot_bgcolor: of("--card"),
      hoverlabel: {
        bgcolor: of("--card"),
        bordercolor: of("--rule"),
        font: { color: of("--ink"), family },
      },
      dragmode: touch.matches ? false : "zoom",
      xaxis: axis,
      yaxis: axis,
    };
  };

  // Plotly adds to what it is given: it gets a copy.
  const looks = (spec) => {
    let layout = merged(spec.layout, theme());
    let data = spec.data;
    if (narrow.matches) {
      layout = merged(layout, spec.narrow);
      data = data.map((trace) => merged(trace, spec.narrow_trace));
    }
    const copy = structuredClone({ data, layout, config: spec.config });
    for (const trace of copy.data.filter((each) => each.type === "bar")) {
      for (const ends of [trace.error_x, trace.error_y]) {
        if (ends) ends.color = layout.font.color;
      }
    }
    return copy;
  };

  // Drawn aside in its final width, also what is folded away; then put in its place.
  const stage = document.createElement("div");
  stage.className = "stage";
  document.body.append(stage);

  const draw = async (spec) => {
    const figure = document.getElementById(spec.id);
    const picture = figure.querySelector(".picture");
    const image = picture.querySelector("img");
    const box = document.createElement("div");
    stage.style.width = `${picture.clientWidth || main.clientWidth - 34}px`;
    stage.append(box);
    const { data, layout, config } = looks(spec);
    await Plotly.newPlot(box, data, layout, config);
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", image.alt);
    figure.querySelector(".plot").append(box);
    figure.classList.add("drawn");
    plots.push({ spec, box });
    equip(figure, spec, box, image);
  };

  const equip = (figure, spec, box, image) => {
    const reset = figure.querySelector(".reset");
    figure.querySelector(".tools").hidden = false;
    figure.querySelector(".save").addEventListener("click", () => {
      const link = document.createElement("a");
      link.href = image.src;
      link.download = `${spec.id}.png`;
      link.click();
    });
    box.on("plotly_relayout", (change) => {
      const keys = Object.keys(change);
      if (keys.some((key) => /axis\.range/.test(key))) reset.hidden = false;
      if (keys.some((key) => /axis\.autorange/.test(key))) reset.hidden = true;
    });
    reset.addEventListener("click", () => {
      restyle({ spec, box });
      reset.hidden = true;
      figure.querySelector(".save").focus();
    });
  };

  const restyle = ({ spec, box }) => {
    const { data, layout, config } = looks(spec);
    return Plotly.react(box, data, layout, config);
  };

  const drawAll = async () => {
    root.dataset.drawn = "0";
    for (const spec of specs) {
      try {
        await draw(spec);
        root.dataset.drawn = String(plots.length);
      } catch (error) {
        console.error(`figure ${spec.id} stays a picture:`, error);
      }
      // The page answers to its reader between two figures.
      await new Promise((resume) => setTimeout(resume));
    }
    stage.remove();
  };

  for (const query of [narrow, dark]) {
    query.addEventListener("change", () => plots.forEach(restyle));
  }

  document.addEventListener(
    "toggle",
    (event) => {
      for (const { box } of plots) {
        if (event.target.open && event.target.contains(box)) Plotly.Plots.resize(box);
      }
    },
    true,
  );

  // What of a table is cut off, and at which edge.
  const sheets = [...document.querySelectorAll(".sheet")];
  const mark = (sheet) => {
    const box = sheet.querySelector(".scroll");
    const aside = box.scrollWidth - box.clientWidth;
    const below = box.scrollHeight - box.clientHeight;
    sheet.style.setProperty("--reach", `${box.clientHeight}px`);
    sheet.classList.toggle("left", aside > 1 && box.scrollLeft > 1);
    sheet.classList.toggle("right", aside > 1 && box.scrollLeft < aside - 1);
    sheet.classList.toggle("down", below > 1 && box.scrollTop < below - 1);
    sheet.querySelector(".aside").hidden = aside <= 1;
    sheet.querySelector(".below").hidden = below <= 1;
  };
  const sizes = new ResizeObserver((entries) => {
    entries.forEach((each) => mark(each.target.parentElement));
  });
  for (const sheet of sheets) {
    const box = sheet.querySelector(".scroll");
    box.addEventListener("scroll", () => mark(sheet), { passive: true });
    sizes.observe(box);
  }

  // Paper has no folds.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.fold:not([open])")];
    opened.forEach((each) => { each.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((each) => { each.open = false; });
  });

  // The table of contents: closes after a choice, and shows where the reader is.
  const links = [...document.querySelectorAll(".contents a")];
  for (const link of links) {
    link.addEventListener("click", () => {
      const fold = link.closest("details");
      if (fold) fold.open = false;
    });
  }
  const spy = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((each) => each.isIntersecting)) {
        for (const link of links) {
          if (link.hash === `#${entry.target.id}`) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
      }
    },
    { rootMargin: "-15% 0px -75% 0px" },
  );
  main.querySelectorAll(":scope > section").forEach((each) => spy.observe(each));

  drawAll();
})();
