"use strict";
// Three things, each found by its class: sliders over two pictures, tables that sort and filter,
// buttons that copy. Without this script a page still shows everything that it holds.
(() => {
  document.documentElement.classList.add("js");

  // ------------------------------------------------------------------- two pictures, one divider
  for (const figure of document.querySelectorAll(".compare")) {
    const image = figure.closest(".image"), stage = figure.querySelector(".stage");
    const cut = figure.querySelector(".cut"), sides = figure.querySelectorAll(".sides span");
    const panel = key => image.querySelector(`.panels img[data-key="${key}"]`);
    const move = () => {
      stage.style.setProperty("--cut", `${cut.value}%`);
      const [left, right] = [sides[0].textContent, sides[1].textContent];
      cut.setAttribute("aria-valuetext", `${cut.value} % ${left}, ${100 - cut.value} % ${right}`);
    };
    const choose = () => {
      const pair = figure.querySelector("input[type=radio]:checked").dataset;
      const [left, right] = [panel(pair.left), panel(pair.right)].map(one => one.cloneNode());
      const titles = figure.querySelector("input[type=radio]:checked").parentNode.textContent;
      [sides[0].textContent, sides[1].textContent] = titles.split(" | ");
      const bar = document.createElement("div");
      left.className = "left";
      bar.className = "bar";
      for (const one of [left, right]) one.alt = "";
      stage.setAttribute("aria-label", `Left: ${sides[0].textContent}. Right: ${sides[1].textContent}.`);
      stage.replaceChildren(right, left, bar);
      move();
    };
    cut.addEventListener("input", move);
    for (const radio of figure.querySelectorAll("input[type=radio]")) {
      radio.addEventListener("change", choose);
    }
    const drag = event => {
      const box = stage.getBoundingClientRect();
      cut.value = Math.round((100 * (event.clientX - box.left)) / box.width);
      move();
    };
    stage.addEventListener("pointerdown", event => {
      stage.setPointerCapture(event.pointerId);
      drag(event);
    });
    stage.addEventListener("pointermove", event => {
      if (event.buttons) drag(event);
    });
    choose();
  }

  // ------------------------------------------------------------------------ the values of pixels
  const canvases = new WeakMap();
  const values = (image, across, down) => {
    if (!canvases.has(image)) {
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      const context = canvas.getContext("2d", { willReadFrequently: true });
      context.drawImage(image, 0, 0);
      canvases.set(image, context);
    }
    const context = canvases.get(image);
    const x = Math.min(image.naturalWidth - 1, Math.floor(across * image.naturalWidth));
    const y = Math.min(image.naturalHeight - 1, Math.floor(down * image.naturalHeight));
    const bands = [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
    const shown = new Set(bands).size === 1 ? bands.slice(0, 1) : bands;
    return { x, y, text: shown.map(band => (band / 127.5 - 1).toFixed(2)).join(" ") };
  };
  for (const image of document.querySelectorAll(".image")) {
    const readout = image.querySelector(".readout");
    const panels = [...image.querySelectorAll(".panels img")].filter(one => one.dataset.key !== "error");
    const read = event => {
      const box = event.currentTarget.getBoundingClientRect();
      const across = Math.max(0, Math.min(0.9999, (event.clientX - box.left) / box.width));
      const down = Math.max(0, Math.min(0.9999, (event.clientY - box.top) / box.height));
      const of = box.width / box.height;
      const alike = panels.filter(one => Math.abs(one.naturalWidth / one.naturalHeight / of - 1) < 0.02);
      const found = alike.map(one => [one.parentNode.querySelector("b").textContent, values(one, across, down)]);
      if (!found.length) return;
      const last = found[found.length - 1][1];
      const said = found.map(([title, value]) => `${title} ${value.text}`).join(" · ");
      readout.textContent = `column ${last.x}, row ${last.y}: ${said}`;
    };
    if (readout) {
      for (const one of [...panels, image.querySelector(".stage")]) {
        one.addEventListener("pointermove", read);
      }
    }
  }

  // ------------------------------------------------------------------------- window and level
  const controls = ["level", "width", "inverted", "smooth"].map(id => document.getElementById(id));
  if (controls.every(Boolean)) {
    const [level, width, inverted, smooth] = controls;
    const show = () => {
      const sign = inverted.checked ? -1 : 1;
      const slope = (sign * 100) / width.value;
      const intercept = 0.5 - (slope * level.value) / 100;
      for (const one of document.querySelectorAll("#window > feComponentTransfer > *")) {
        one.setAttribute("slope", slope);
        one.setAttribute("intercept", intercept);
      }
      const changed = level.value !== "50" || width.value !== "100" || inverted.checked;
      for (const one of document.querySelectorAll(".stage img, .panels img")) {
        const windowed = changed && one.dataset.key !== "error";
        one.style.filter = windowed ? "url(#window)" : "";
      }
      document.documentElement.classList.toggle("smooth", smooth.checked);
      level.setAttribute("aria-valuetext", `centre at ${(level.value / 50 - 1).toFixed(2)}`);
      width.setAttribute("aria-valuetext", `${(width.value / 50).toFixed(2)} wide`);
    };
    for (const one of controls) one.addEventListener("input", show);
    document.addEventListener("change", show); // another pair of pictures is on a stage
    document.getElementById("reset").addEventListener("click", () => {
      [level.value, width.value] = [50, 100];
      inverted.checked = smooth.checked = false;
      show();
    });
    show();
  }

  // ------------------------------------------------------------------- tables that sort and filter
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0], rows = [...body.rows];
    const headers = [...table.tHead.rows[0].cells];
    const compare = (numbers, column, sign) => (one, other) => {
      const [a, b] = [one.cells[column], other.cells[column]];
      if (!numbers) return sign * a.textContent.localeCompare(b.textContent, undefined, { numeric: true });
      const [x, y] = [parseFloat(a.dataset.value), parseFloat(b.dataset.value)];
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    };
    headers.forEach((header, column) => {
      const button = header.querySelector("button");
      if (!button) return;
      button.addEventListener("click", () => {
        const descending = header.getAttribute("aria-sort") === "ascending";
        for (const one of headers) if (one.hasAttribute("aria-sort")) one.setAttribute("aria-sort", "none");
        header.setAttribute("aria-sort", descending ? "descending" : "ascending");
        rows.sort(compare(header.dataset.kind === "number", column, descending ? -1 : 1));
        body.append(...rows);
      });
    });

    const filters = document.querySelector(`.filters[data-table="${table.id}"]`);
    if (!filters) continue;
    const fields = [...filters.querySelectorAll("[data-filter]")];
    const count = filters.nextElementSibling;
    const kept = row => fields.every(field => {
      if (field.dataset.filter !== "words") {
        return !field.value || row.cells[field.dataset.filter].textContent === field.value;
      }
      const text = row.textContent.toLowerCase();
      return field.value.toLowerCase().split(/\s+/).every(word => text.includes(word));
    });
    const filter = () => {
      for (const row of rows) row.hidden = !kept(row);
      count.textContent = `${rows.filter(row => !row.hidden).length} of ${rows.length} rows`;
    };
    filters.addEventListener("input", filter);
  }

  // --------------------------------------------------------------------------- commands to copy
  const copy = async text => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      await copy(button.parentNode.querySelector("code").textContent);
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 2000);
    });
  }
})();
