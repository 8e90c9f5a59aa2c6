"use strict";
/* Behaviour that every page shares. Everything works without it except toasts of HTMX answers, menus that close by
   themselves, running seconds, key-walked lists and drop zones. Hooks are data attributes:
   data-menu          <details> that closes on Escape and on a click elsewhere
   data-since="ISO"   shows the seconds since then, counting
   data-opens="id"    button that opens the <dialog> with that id;  data-closes  button inside that closes it
                      data-named="words" fills its [data-name], data-sends="name=value" its button [data-send]
   data-ticked="name" says how many check boxes of that name are ticked in the same form
   data-walk          list whose [data-walk-item] rows j / k / arrows walk and Enter opens (its first link);
                      x ticks the row's check box
   data-check-all     check box that ticks every check box named as its value in the same form
   data-drop          label.dropzone around a file input: takes dropped files, shows their names
   data-poll          element whose HTMX polling pauses while the page is hidden
   data-tabs          role=tablist: arrow keys walk the tabs; aria-controls names the panels
   data-submit-once   form whose submit buttons are locked after the first submit
   data-expands       button that shows or hides the row with that id, filled from data-from each time it opens
   data-autosubmit    form that is sent when a choice in it changes, without the fields that are empty
   data-copies="id"   button that copies the value of the control with that id */
(() => {
  const seconds = 1000;

  // Toasts ------------------------------------------------------------------------------------------------------------
  const arm = (toast) => {
    toast.querySelector(".toast-close")?.addEventListener("click", () => toast.remove());
    if (toast.classList.contains("toast-error")) return;
    let timer = setTimeout(() => toast.remove(), 6 * seconds);
    toast.addEventListener("mouseenter", () => clearTimeout(timer));
    toast.addEventListener("mouseleave", () => { timer = setTimeout(() => toast.remove(), 3 * seconds); });
  };
  const toast = (text, level = "success") => {
    const box = document.createElement("div");
    const words = document.createElement("span");
    const close = document.createElement("button");
    box.className = `toast toast-${level}`;
    words.textContent = text;
    close.type = "button";
    close.className = "toast-close";
    close.setAttribute("aria-label", "Close");
    close.textContent = "×";
    box.append(words, close);
    document.getElementById("toasts")?.append(box);
    arm(box);
  };
  window.aeproject = { toast };
  document.querySelectorAll("[data-toast]").forEach(arm);
  document.addEventListener("toast", (event) => {
    const { detail } = event;
    toast(detail.text ?? detail.value ?? String(detail), detail.level ?? "success");
  });

  // HTMX --------------------------------------------------------------------------------------------------------------
  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.querySelector('meta[name="csrf-token"]')?.content;
    if (token) event.detail.headers["X-CSRFToken"] = token;
  });
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.target.closest("[data-poll]")) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // The session ended: the answer is the login page, which belongs into the window and not into a fragment.
    if (/\/login\/(\?|$)/.test(event.detail.xhr.responseURL ?? "")) {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });
  document.addEventListener("htmx:responseError", (event) => {
    if (event.target.closest("[data-poll]")) return;
    const { status, responseText, responseURL } = event.detail.xhr;
    const plain = responseText && responseText.length < 300 && !responseText.includes("<") ? responseText : "";
    const known = { 403: "Your role does not allow this.", 404: "This is no longer there.", 429: "Too many requests." };
    const broke = `Something broke on our side (request ${event.detail.xhr.getResponseHeader("X-Request-ID")}). Look before you repeat it.`;
    toast(plain || known[status] || (status >= 500 ? broke : `The server answered ${status}. Nothing was changed.`), "error");
  });
  document.addEventListener("htmx:sendError", (event) => {
    if (!event.target.closest("[data-poll]")) toast("The server cannot be reached. Nothing was changed.", "error");
  });

  // Menus and dialogs -------------------------------------------------------------------------------------------------
  const closeMenus = (except) => document.querySelectorAll("details[data-menu][open]").forEach((menu) => {
    if (menu !== except) menu.open = false;
  });
  const open = (dialog, { named, sends }) => {
    dialog?.querySelectorAll("[data-name]").forEach((place) => { place.textContent = named ?? ""; });
    const button = sends && dialog?.querySelector("[data-send]");
    if (button) [button.name, button.value] = sends.split("=", 2);
    dialog?.showModal();
  };
  document.addEventListener("click", (event) => {
    closeMenus(event.target.closest("details[data-menu]"));
    const opener = event.target.closest("[data-opens]");
    if (opener) open(document.getElementById(opener.dataset.opens), opener.dataset);
    if (event.target.closest("[data-closes]")) event.target.closest("dialog")?.close();
    if (event.target.matches("dialog.dialog")) event.target.close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = document.querySelector("details[data-menu][open]");
    closeMenus(null);
    menu?.querySelector("summary")?.focus();
  });

  // Running seconds ---------------------------------------------------------------------------------------------------
  const span = (passed) => {
    if (passed < 60) return `${passed} s`;
    if (passed < 3600) return `${Math.floor(passed / 60)} min ${passed % 60} s`;
    return `${Math.floor(passed / 3600)} h ${Math.floor((passed % 3600) / 60)} min`;
  };
  const tick = () => document.querySelectorAll("[data-since]").forEach((element) => {
    element.textContent = span(Math.max(0, Math.floor((Date.now() - Date.parse(element.dataset.since)) / seconds)));
  });
  tick();
  setInterval(tick, seconds);
  document.addEventListener("htmx:afterSettle", tick);
  document.addEventListener("htmx:oobAfterSwap", tick);

  // Lists walked by key -----------------------------------------------------------------------------------------------
  const writing = (element) => element.closest("input:not([type=checkbox]), textarea, select, [contenteditable], dialog");
  const rows = () => [...document.querySelectorAll("[data-walk] [data-walk-item]")];
  const choose = (row) => {
    rows().forEach((other) => other.removeAttribute("aria-selected"));
    row.setAttribute("aria-selected", "true");
    row.querySelector("a")?.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || writing(event.target) || !document.querySelector("[data-walk]")) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    const all = rows();
    const at = all.findIndex((row) => row.getAttribute("aria-selected") === "true");
    if (step && all.length) {
      event.preventDefault();
      choose(all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + step))]);
    } else if (event.key === "Enter" && at >= 0 && !event.target.closest("a, button, summary")) {
      all[at].querySelector("a")?.click();
    } else if (event.key === "x" && at >= 0) {
      all[at].querySelector("input[type=checkbox]")?.click();
    }
  });

  // What is drawn anew keeps the focus: on the same control of the row, or else on the row.
  let held = null;
  const hold = (target) => {
    const active = document.activeElement;
    const row = target?.contains?.(active) ? active.closest("[data-walk-item][id]") : null;
    if (row) held = { row: row.id, label: active.getAttribute("aria-label"), selected: row.getAttribute("aria-selected") };
  };
  const give = () => {
    const row = held && document.getElementById(held.row);
    if (!row) return;
    if (held.selected) row.setAttribute("aria-selected", "true");
    if (document.activeElement === document.body) {
      const same = [...row.querySelectorAll("button, input")].find((one) => held.label && one.getAttribute("aria-label") === held.label);
      (same ?? row.querySelector("a"))?.focus({ preventScroll: true });
    }
    held = null;
  };
  document.addEventListener("htmx:beforeSwap", (event) => hold(event.detail.target));
  document.addEventListener("htmx:oobBeforeSwap", (event) => hold(event.detail.target));
  document.addEventListener("htmx:oobAfterSwap", give);
  document.addEventListener("htmx:afterSettle", give);

  // Rows that open ----------------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-expands]");
    const inside = button && document.getElementById(button.dataset.expands);
    if (!inside) return;
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    inside.closest("tr").hidden = !open;
    // What is hidden is emptied: nothing polls for it, and it is fresh when it opens again.
    if (open) htmx.ajax("GET", button.dataset.from, { target: inside, swap: "innerHTML" });
    else inside.replaceChildren();
  });

  // Forms -------------------------------------------------------------------------------------------------------------
  document.addEventListener("change", (event) => {
    const all = event.target.closest("[data-check-all]");
    if (all) all.form.querySelectorAll(`input[type=checkbox][name="${all.dataset.checkAll}"]`).forEach((box) => { box.checked = all.checked; });
    if (event.target.matches("select, input[list]") && event.target.form?.matches("[data-autosubmit]")) event.target.form.requestSubmit();
    const zone = event.target.closest("[data-drop]");
    if (zone) showFiles(zone, event.target.files);
  });
  document.addEventListener("formdata", (event) => {
    if (!event.target.matches("[data-autosubmit]")) return;
    [...event.formData].filter(([, value]) => value === "").forEach(([name]) => event.formData.delete(name));
  });
  // A dialog beside its form is done when it was sent. (Closed by the click, its button would be forgotten by htmx.)
  document.addEventListener("submit", (event) => {
    const dialog = event.submitter?.closest("dialog");
    if (dialog && !dialog.closest("form") && !event.target.closest("dialog")) dialog.close();
  });
  const count = () => document.querySelectorAll("[data-ticked]").forEach((words) => {
    const boxes = words.closest("form").querySelectorAll(`input[type=checkbox][name="${words.dataset.ticked}"]:checked`);
    words.textContent = boxes.length ? `${boxes.length} ticked` : "";
  });
  ["change", "htmx:afterSettle"].forEach((name) => document.addEventListener(name, count));
  window.addEventListener("pageshow", count);
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-submit-once]")) return;
    setTimeout(() => event.target.querySelectorAll("button[type=submit]").forEach((button) => { button.disabled = true; }));
  });
  window.addEventListener("pageshow", () => document.querySelectorAll("[data-submit-once] button[type=submit]").forEach((button) => { button.disabled = false; }));

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    const control = button && document.getElementById(button.dataset.copies);
    if (!control) return;
    control.focus();
    control.select();
    try {
      await navigator.clipboard.writeText(control.value);
      toast("Copied");
    } catch {
      // Browsers give the clipboard to secure addresses only: the text is marked, a key does the rest.
      toast("Your browser does not let us copy: press Ctrl+C.", "error");
    }
  });

  // Drop zones --------------------------------------------------------------------------------------------------------
  const showFiles = (zone, files) => {
    const target = zone.querySelector("[data-drop-names]");
    if (target) target.textContent = [...files].map((file) => file.name).join(", ");
    zone.classList.toggle("has-files", files.length > 0);
  };
  // A file that falls beside the zone would be opened by the browser, in the place of the page.
  const refuseBeside = (event) => {
    if (!document.querySelector("[data-drop]") || event.target.closest?.("input[type=file]")) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "none";
  };
  ["dragenter", "dragover", "dragleave", "drop"].forEach((name) => document.addEventListener(name, (event) => {
    const zone = event.target.closest?.("[data-drop]");
    if (!event.dataTransfer?.types.includes("Files")) return;
    if (!zone) { refuseBeside(event); return; }
    event.preventDefault();
    zone.classList.toggle("is-over", name === "dragenter" || name === "dragover");
    if (name !== "drop") return;
    const input = zone.querySelector("input[type=file]");
    const files = new DataTransfer();
    [...event.dataTransfer.files].slice(0, input.multiple ? undefined : 1).forEach((file) => files.items.add(file));
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }));

  // Tabs --------------------------------------------------------------------------------------------------------------
  const show = (tab) => {
    tab.closest("[data-tabs]").querySelectorAll("[role=tab]").forEach((other) => {
      const on = other === tab;
      other.setAttribute("aria-selected", String(on));
      other.tabIndex = on ? 0 : -1;
      const panel = document.getElementById(other.getAttribute("aria-controls"));
      if (panel) panel.hidden = !on;
    });
  };
  document.addEventListener("click", (event) => {
    const tab = event.target.closest("[data-tabs] [role=tab]");
    if (tab) show(tab);
  });
  document.addEventListener("keydown", (event) => {
    const tab = event.target.closest("[data-tabs] [role=tab]");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !step) return;
    const tabs = [...tab.closest("[data-tabs]").querySelectorAll("[role=tab]")];
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    show(next);
    next.focus();
  });

  // On a narrow screen the navigation and tabs scroll: the present page is brought into view.
  document.querySelectorAll(".topnav, .tabs").forEach((nav) => {
    const here = nav.querySelector("[aria-current]")?.getBoundingClientRect();
    const frame = nav.getBoundingClientRect();
    if (here) nav.scrollLeft += here.left - frame.left - (frame.width - here.width) / 2;
  });
})();
